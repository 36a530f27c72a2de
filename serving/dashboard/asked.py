"""What a page asks for, understood: a market, a timeframe, how far back.

Put here: the parameters pages share. Keep out: what they are answered (`serving.dashboard.pages`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa

from lake.transforms.timeframes import TIMEFRAMES
from serving.errors import BadRequest
from serving.feed import Feed
from serving.reader import Reader
from serving.settings import ServingSettings

HOUR_US: Final = 3_600_000_000
MINUTE_US: Final = 60_000_000
_LONGEST: Final = 100
_MOST_HOURS: Final = 31 * 24

Rows = dict[str, list[Any]]
Answer = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Room:
    """What pages read from."""

    reader: Reader
    feed: Feed
    settings: ServingSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The parameters of a page; an empty name means any."""

    exchange: str = ""
    symbol: str = ""
    timeframe: str = "1m"
    dataset: str = ""
    hours: int = 24

    @classmethod
    def of(cls, given: Mapping[str, str]) -> Asked:
        """Those of a request. Raises `BadRequest`."""
        for name in ("exchange", "symbol", "dataset"):
            if len(given.get(name, "")) > _LONGEST:
                raise BadRequest(f"{name} has {len(given[name])} characters, expected at most {_LONGEST}")
        timeframe = given.get("timeframe") or "1m"
        if timeframe not in TIMEFRAMES:
            raise BadRequest(f"timeframe is {timeframe[:20]!r}, expected one of {' '.join(TIMEFRAMES)}")
        hours = given.get("hours") or "24"
        if not (hours.isascii() and hours.isdigit() and 1 <= int(hours[:9]) <= _MOST_HOURS):
            raise BadRequest(f"hours is {hours[:20]!r}, expected a number from 1 to {_MOST_HOURS}")
        return cls(
            exchange=given.get("exchange", ""),
            symbol=given.get("symbol", ""),
            timeframe=timeframe,
            dataset=given.get("dataset", ""),
            hours=int(hours),
        )

    def with_symbol(self) -> Asked:
        """Itself. Raises `BadRequest` where it names no symbol."""
        if not self.symbol:
            raise BadRequest("the request names no symbol, expected one as BTC/USDT")
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page: how it is called, and what is read for it, at most every `seconds` for all viewers together; None where it is all live.

    `needs` are the parameters its answer depends on: requests that agree in them share it.
    """

    name: str
    title: str
    read: Callable[[Room, Asked], Answer] | None = None
    seconds: float = 1.0
    needs: tuple[str, ...] = ()


def columns(table: pa.Table) -> Rows:
    """The columns of a table as lists; times as milliseconds since 1970, as browsers count."""
    found: Rows = {}
    for name in table.column_names:
        column = table[name]
        if pa.types.is_timestamp(column.type):
            micros = column.cast(pa.timestamp("us", "UTC")).cast(pa.int64()).to_pylist()
            found[name] = [None if each is None else each // 1000 for each in micros]
        else:
            found[name] = column.to_pylist()
    return found
