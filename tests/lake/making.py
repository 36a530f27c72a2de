"""Rows of any landed dataset for the storage tests, a home to put them in, and a clock that tests move."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from lake.registry import dataset

MINUTE = 60_000_000
HOUR = 60 * MINUTE
START = 1_795_219_200_000_000
"""2026-11-21 00:00 UTC, microseconds."""


@dataclass
class Clock:
    """A wall clock that stands until it is moved; seconds."""

    seconds: float = START / 1_000_000 + 7200

    def __call__(self) -> float:
        return self.seconds

    def advance(self, seconds: float) -> None:
        self.seconds += seconds

    @property
    def us(self) -> int:
        return int(self.seconds * 1_000_000)


def rows(name: str, *given: dict[str, Any]) -> pa.RecordBatch:
    """A batch of dataset `name`; columns that a row leaves out get a plain value."""
    schema = dataset(name).schema
    filled = [{field.name: row.get(field.name, _plain(field, row)) for field in schema} for row in given]
    return pa.RecordBatch.from_pylist(filled, schema=schema)


def trade(number: int, *, at: int = START, **more: Any) -> dict[str, Any]:
    """One trade whose id, price and ordinal come from `number`."""
    return {"timestamp": at, "local_timestamp": at + 5, "ordinal": number, "trade_id": str(number), "price": 100.0 + number % 7, **more}


def level(number: int, *, at: int = START, **more: Any) -> dict[str, Any]:
    """One book level."""
    return {"timestamp": at - 3, "local_timestamp": at, "ordinal": number, "sequence": number, "price": 100.0 + number % 9, **more}


_TEXT = {
    "exchange": "binance",
    "symbol": "BTC/USDT",
    "side": "buy",
    "source": "stream",
    "trade_id": "1",
    "channel": "trades",
    "kind": "disconnect",
    "connection": "binance-spot-0",
    "dataset": "trades",
    "discard_reason": "",
    "timeframe": "1m",
}


def _plain(field: pa.Field, row: dict[str, Any]) -> Any:
    if field.nullable:
        return None
    if pa.types.is_timestamp(field.type):
        return row.get("timestamp", row.get("local_timestamp", START))
    if pa.types.is_string(field.type):
        return _TEXT.get(field.name, "text")
    if pa.types.is_binary(field.type):
        return b"frame"
    if pa.types.is_boolean(field.type):
        return False
    if pa.types.is_integer(field.type):
        return 1
    if pa.types.is_list(field.type):
        return [1.0, 2.0]
    return 1.5
