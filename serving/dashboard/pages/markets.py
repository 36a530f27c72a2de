"""Which markets there are to choose from, for the selectors of every page.

Put here: where that is known from. Keep out: their figures (`overview`).
"""

from __future__ import annotations

from typing import Final

from lake import statuses
from serving.dashboard.asked import HOUR_US, Answer, Asked, Page, Room
from serving.times import moment_of, now_us

_TRADED: Final = "SELECT DISTINCT exchange, symbol FROM candles_now('1h', since := ?, until := ?)"
_DAYS: Final = 3


def read(room: Room, _: Asked) -> Answer:
    """Markets that traded within three days, that a running collector has, or that the live feed has met."""
    now = now_us()
    sql = _TRADED
    traded = room.reader.rows_now(sql, [moment_of(now - _DAYS * 24 * HOUR_US), moment_of(now + HOUR_US)]).to_pylist()
    found = {(row["exchange"], row["symbol"]) for row in traded} | set(room.feed.markets)
    collectors = [status for status in statuses.read(room.reader.home) if status.running]
    for status in collectors:
        found |= {(stream.exchange, stream.symbol) for stream in status.streams if stream.symbol}
    return {"markets": sorted(each for each in found if all(each)), "collecting": bool(collectors)}


PAGE: Final = Page(name="markets", title="", read=read, seconds=10.0)
