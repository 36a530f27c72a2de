"""Buy and sell flow, minute by minute.

Put here: the minutes so far. Keep out: the minute that forms, which the page follows live.

Minutes come from candles of 1m, which hold the takers' buys and sells up to the last trade; the dataset `trade_flow` says the same of
hours that are closed.
"""

from __future__ import annotations

from typing import Final

from serving.dashboard.asked import HOUR_US, MINUTE_US, Answer, Asked, Page, Room, columns
from serving.times import moment_of, now_us

_FLOW: Final = """
SELECT exchange, timestamp, buy_volume, sell_volume, trade_count, close
FROM candles_now('1m', since := ?, until := ?) WHERE symbol = ? AND (? = '' OR exchange = ?) AND buy_volume IS NOT NULL
ORDER BY timestamp, exchange
"""
_MOST_HOURS: Final = 12


def read(room: Room, asked: Asked) -> Answer:
    """Buys and sells of each minute and exchange, at most twelve hours back."""
    asked.with_symbol()
    now = now_us()
    since = (now // MINUTE_US) * MINUTE_US - min(asked.hours, _MOST_HOURS) * HOUR_US
    values = [moment_of(since), moment_of(now + MINUTE_US), asked.symbol, asked.exchange, asked.exchange]
    return {"minutes": columns(room.reader.rows_now(_FLOW, values, together="candles_now"))}


PAGE: Final = Page(name="flow", title="Flow", read=read, seconds=2.0, needs=("exchange", "symbol", "hours"))
