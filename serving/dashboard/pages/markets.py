"""Which markets there are to choose from, for the selectors of every page.

Put here: where that is known from. Keep out: their figures (`overview`).
"""

from __future__ import annotations

from typing import Final

import pyarrow as pa

from lake import statuses
from serving.dashboard.asked import HOUR_US, Answer, Asked, Page, Room
from serving.times import day_of, moment_of, now_us

_STORED: Final = "SELECT DISTINCT exchange, symbol FROM candles_1h WHERE date >= ?"
_TRADED: Final = "SELECT DISTINCT exchange, symbol FROM candles_now('1h', since := ?, until := ?)"
_DAYS: Final = 3


def read(room: Room, _: Asked) -> Answer:
    """Markets with candles of the last three days, that a running collector has, or that the live feed has met."""
    now = now_us()
    since = now - _DAYS * 24 * HOUR_US
    found = _names(room.reader.rows_now(_STORED, [day_of(since)])) | room.feed.markets
    collectors = [status for status in statuses.read(room.reader.home) if status.running]
    for status in collectors:
        found |= {(stream.exchange, stream.symbol) for stream in status.streams if stream.symbol}
    if not found:
        # Nothing was made and nobody collects: only the trades themselves know.
        found = _names(room.reader.rows_now(_TRADED, [moment_of(since), moment_of(now + HOUR_US)]))
    return {"markets": sorted(each for each in found if all(each)), "collecting": bool(collectors)}


def _names(table: pa.Table) -> set[tuple[str, str]]:
    return {(row["exchange"], row["symbol"]) for row in table.to_pylist()}


PAGE: Final = Page(name="markets", title="", read=read, seconds=10.0)
