"""MEXC's protobuf schema, by the official field numbers, as descriptors made at import.

Put here: messages, fields, numbers. Keep out: what a message means. Fields that are not listed are skipped by the library.
"""

from __future__ import annotations

from typing import Any, Final

from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass

from collectors.errors import FrameError

EXCHANGE: Final = "mexc"
_PACKAGE: Final = "tickhouse.mexc"
_TYPES: Final = {
    "string": FieldDescriptorProto.TYPE_STRING,
    "int32": FieldDescriptorProto.TYPE_INT32,
    "int64": FieldDescriptorProto.TYPE_INT64,
}

_SIDES: Final = (("asks", 1, "Level", True), ("bids", 2, "Level", True), ("eventType", 3, "string", False))
_MESSAGES: Final[dict[str, tuple[tuple[str, int, str, bool], ...]]] = {
    "Level": (("price", 1, "string", False), ("quantity", 2, "string", False)),
    "Deal": (
        ("price", 1, "string", False),
        ("quantity", 2, "string", False),
        ("tradeType", 3, "int32", False),
        ("time", 4, "int64", False),
        ("tradeId", 5, "string", False),
    ),
    "Deals": (("deals", 1, "Deal", True), ("eventType", 2, "string", False)),
    "AggreDepths": (
        *_SIDES,
        ("fromVersion", 4, "string", False),
        ("toVersion", 5, "string", False),
        ("lastOrderCreateTime", 6, "int64", False),
    ),
    "Depths": (*_SIDES, ("version", 4, "string", False), ("lastOrderCreateTime", 5, "int64", False)),
    "Wrapper": (
        ("channel", 1, "string", False),
        ("symbol", 3, "string", False),
        ("symbolId", 4, "string", False),
        ("createTime", 5, "int64", False),
        ("sendTime", 6, "int64", False),
        ("publicDeals", 301, "Deals", False),
        ("publicIncreaseDepths", 302, "Depths", False),
        ("publicLimitDepths", 303, "Depths", False),
        ("publicAggreDepths", 313, "AggreDepths", False),
        ("publicAggreDeals", 314, "Deals", False),
    ),
}
"""By message: (field, number, type, repeated). Prices and quantities are text."""


def _file() -> FileDescriptorProto:
    messages = []
    for name, fields in _MESSAGES.items():
        described = [
            FieldDescriptorProto(
                name=field,
                json_name=field,
                number=number,
                label=FieldDescriptorProto.LABEL_REPEATED if repeated else FieldDescriptorProto.LABEL_OPTIONAL,
                type=_TYPES.get(kind, FieldDescriptorProto.TYPE_MESSAGE),
                type_name=None if kind in _TYPES else f".{_PACKAGE}.{kind}",
            )
            for field, number, kind, repeated in fields
        ]
        messages.append(DescriptorProto(name=name, field=described))
    return FileDescriptorProto(name="tickhouse/mexc.proto", package=_PACKAGE, syntax="proto3", message_type=messages)


_pool = DescriptorPool()
_pool.Add(_file())
Wrapper: Any = GetMessageClass(_pool.FindMessageTypeByName(f"{_PACKAGE}.Wrapper"))


def decode(frame: bytes) -> Any:
    """A binary frame as wrapper; raises `FrameError` when it is none."""
    try:
        wrapper = Wrapper.FromString(frame)
    except DecodeError as error:
        raise FrameError(EXCHANGE, f"protobuf frame of {len(frame)} bytes: {error}") from error
    if not wrapper.channel:
        raise FrameError(EXCHANGE, f"protobuf frame of {len(frame)} bytes names no channel")
    return wrapper


def from_json(message: dict[str, Any]) -> Any:
    """A frame that its recorder wrote as JSON, as the same wrapper; raises `FrameError` when it is none."""
    try:
        return ParseDict(message, Wrapper(), ignore_unknown_fields=True)
    except ParseError as error:
        raise FrameError(EXCHANGE, f"frame in protobuf's JSON form: {error}") from error
