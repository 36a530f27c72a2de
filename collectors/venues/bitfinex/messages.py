"""Bitfinex's wire messages: events as structs, data frames as arrays whose numbers keep their spelling.

Put here: shapes, decoders, where sequence and time stand in a frame. Keep out: what a message means for a book or a tape.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import isfinite
from typing import Annotated, Any, Final

import msgspec
from msgspec import Raw, Struct

from collectors.errors import FrameError
from collectors.feeds import event_time

EXCHANGE: Final = "bitfinex"

TIMESTAMPS: Final = 32_768
SEQUENCES: Final = 65_536
CHECKSUMS: Final = 131_072
BULK_UPDATES: Final = 536_870_912
"""Bits of `conf` flags."""

_EARLIEST_MS: Final = 1_000_000_000_000
"""What is larger is a time in milliseconds; no socket lives for as many frames."""
_LATEST_MS: Final = 100_000_000_000_000

Int = Annotated[int, msgspec.Meta(ge=-(1 << 63), le=(1 << 63) - 1)]
"""A whole number that fits the columns it goes to; anything larger is no message of this venue."""

TradeRow = tuple[Int, Int, float, float]
"""(id, milliseconds, amount with the taker's sign, price)."""

SpelledLevel = tuple[Raw, int, Raw]
"""(price, count, amount with the side's sign)."""


class Event(Struct, frozen=True, gc=False):
    """Any frame that is an object."""

    event: str
    channel: str = ""
    chanId: int = 0  # noqa: N815 - the venue's name
    symbol: str = ""
    key: str = ""
    prec: str = "P0"
    len: str | int = 25
    flags: int = 0
    code: int = 0
    msg: str = ""


@dataclass(slots=True, frozen=True)
class Frame:
    """A data frame taken apart. `kind` is te, tu, hb, cs or empty; `body` is missing from heartbeats.

    `sequence` and `time` (microseconds) are there when the socket was configured for them; `named` holds the channel's name and
    symbol where the recorder kept them behind.
    """

    channel: int
    kind: str
    body: bytes
    sequence: int | None
    time: int | None
    named: tuple[str, str] | None


_decode_array = msgspec.json.Decoder(list[Raw]).decode
decode_event = msgspec.json.Decoder(Event).decode
decode_level = msgspec.json.Decoder(SpelledLevel).decode
decode_levels = msgspec.json.Decoder(list[SpelledLevel]).decode
decode_trade = msgspec.json.Decoder(TradeRow, strict=False).decode
decode_trades = msgspec.json.Decoder(list[TradeRow], strict=False).decode
decode_row = msgspec.json.Decoder(list[Any]).decode
decode_rows = msgspec.json.Decoder(list[list[Any]]).decode


_COUNT: Final = rb"(0|[1-9]\d{0,17})"
_NUMBER: Final = rb"(-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?)"
_ONE_LEVEL: Final = re.compile(rb"\[%b,\[%b,%b,%b\](?:,%b)?(?:,%b)?\]" % (_COUNT, _NUMBER, _COUNT, _NUMBER, _COUNT, _COUNT))
one_level: Final = _ONE_LEVEL.fullmatch
"""A frame whose payload is three numbers, as nearly all are: channel, price, count, amount, then sequence and time where there are any.

What does not match is for `take_apart`; what does, comes out of it the same."""


def numbered(first: bytes | None, second: bytes | None) -> tuple[int | None, int | None]:
    """Sequence and time (microseconds) of the numbers that end a frame."""
    sequence = time = None
    for text in (first, second):
        if text is not None:
            number = int(text)
            if number < _EARLIEST_MS:
                sequence = number
            else:
                time = event_time(EXCHANGE, number)
    return sequence, time


def take_apart(frame: bytes | str) -> Frame:
    """The parts of a data frame; raises `FrameError` or a decoding error when it is none."""
    parts = _decode_array(frame)
    if len(parts) < 2:
        raise FrameError(EXCHANGE, f"array of {len(parts)} elements, expected a channel and a payload")
    second = bytes(parts[1])
    kind, at = "", 1
    if second.startswith(b'"'):
        kind, at = second[1:-1].decode(), 2
    body = b""
    if kind != "hb":
        if len(parts) <= at:
            raise FrameError(EXCHANGE, f"frame {kind!r} has no payload")
        body = bytes(parts[at])
        at += 1
    sequence = time = None
    names: list[str] = []
    for part in parts[at:]:
        text = bytes(part)
        if text.startswith(b'"'):
            names.append(text[1:-1].decode())
            continue
        number = msgspec.json.decode(text, type=Int)
        if number < _EARLIEST_MS:
            sequence = number
        else:
            time = event_time(EXCHANGE, number)
    named = (names[0], names[1]) if len(names) == 2 else None
    return Frame(msgspec.json.decode(bytes(parts[0]), type=int), kind, body, sequence, time, named)


def column(row: list[Any], place: int) -> float | None:
    """A number of a status row; None where the row is shorter or says nothing."""
    value = row[place] if place < len(row) else None
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        raise FrameError(EXCHANGE, f"status holds {value!r} in column {place}, expected a number")
    return float(value)


def moment(row: list[Any], place: int) -> int | None:
    """A time of a status row as microseconds."""
    value = column(row, place)
    if not value:
        return None
    if abs(value) > _LATEST_MS:
        raise FrameError(EXCHANGE, f"status holds the time {value} in column {place}, expected milliseconds")
    return event_time(EXCHANGE, int(value))


def encode(message: dict[str, object]) -> str:
    """A command as text."""
    return msgspec.json.encode(message).decode()
