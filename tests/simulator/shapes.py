"""How a message of the simulator is held against a recorded one: the same keys in the same order, types and decimals.

What belongs here: reading recordings and comparing shapes. What does not: any venue's messages.
"""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

NUMBER = re.compile(r"-?\d+(\.\d+)?")
# Fields that today's documentation has and the recordings, being older, have not.
ADDED_SINCE = {
    "nq",
    "NOTIONAL",
    "permissionSets",
    "cost_decimals",
    "costmin",
    "tick_size",
    "status",
    "ord_type",
}


def lines(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as file:
        for line in file:
            yield json.loads(line)


def text(line: dict[str, Any]) -> str:
    """What a recorded line carries as text; binary frames are text under gzip, or none of ours to compare."""
    packed = base64.b64decode(line.get("raw_b64", ""))
    return gzip.decompress(packed).decode() if packed.startswith(b"\x1f\x8b") else line.get("raw") or ""


def recorded(path: Path, wanted: Callable[[Any], bool], *, http: bool = False) -> Any:
    """The first recorded payload that is wanted, numbers kept as spelled."""
    for line in lines(path):
        if line.get("dir", "in") == "in" and (line.get("kind") == "http") == http and (payload := text(line)):
            decoded = decode(payload)
            if wanted(decoded):
                return decoded
    pytest.fail(f"no such message in {path.name}")


def decode(text: str) -> Any:
    return json.loads(text, parse_float=Decimal)


def shape(value: Any) -> Any:
    """Keys, types, and for numbers in text or JSON their decimals; arrays are as their first element."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value and isinstance(value[0], list | dict) else [shape(item) for item in value[:2]]
    if isinstance(value, bool) or value is None:
        return type(value).__name__
    if isinstance(value, str):
        return f"text with {len(value.partition('.')[2])} decimals" if NUMBER.fullmatch(value) else "text"
    if isinstance(value, Decimal):
        return f"number with {-int(value.as_tuple().exponent)} decimals"
    return type(value).__name__


def same_shape(mine: Any, theirs: Any) -> None:
    """Same keys in the same order, same types and decimals, up to fields added since."""
    mine, theirs = shape(mine), shape(theirs)
    if isinstance(mine, dict):
        mine = {key: item for key, item in mine.items() if key not in ADDED_SINCE}
    assert mine == theirs
    if isinstance(mine, dict):
        assert list(mine) == list(theirs)


def kind(value: Any) -> Any:
    """Keys in their order and types, numbers of any spelling alike: for venues that leave out trailing zeros."""
    if isinstance(value, dict):
        return [(key, kind(item)) for key, item in value.items()]
    if isinstance(value, list):
        return [kind(value[0])] if value else []
    if isinstance(value, str):
        return "number as text" if NUMBER.fullmatch(value) else "text"
    return "number" if isinstance(value, int | Decimal) and not isinstance(value, bool) else type(value).__name__
