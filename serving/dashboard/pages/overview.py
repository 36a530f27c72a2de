"""Market overview: price, change, volume and spread of every market, over the last day.

Put here: the two statements it takes. Keep out: spreads as they move, which the page follows live.
"""

from __future__ import annotations

from typing import Final

from serving.dashboard.asked import HOUR_US, MINUTE_US, Answer, Asked, Page, Room, columns
from serving.times import day_of, moment_of, now_us

_DAY: Final = """
SELECT exchange, symbol, arg_max(close, timestamp) AS price, arg_min(open, timestamp) AS opened, max(high) AS high, min(low) AS low,
       sum(volume) AS volume, sum(coalesce(quote_volume, volume * close)) AS quote_volume, list(close ORDER BY timestamp) AS closes,
       max(timestamp) AS hour
FROM candles_now('1h', since := ?, until := ?) GROUP BY exchange, symbol ORDER BY quote_volume DESC
"""
_TOPS: Final = """
SELECT exchange, symbol, arg_max(bid_prices[1], (local_timestamp, ordinal)) AS bid,
       arg_max(ask_prices[1], (local_timestamp, ordinal)) AS ask, max(local_timestamp) AS updated
FROM book_snapshots WHERE date >= ? AND local_timestamp >= ? GROUP BY exchange, symbol
"""


def read(room: Room, _: Asked) -> Answer:
    """The last 24 hourly candles of each market, as one row, and the best prices of each book of the last ten minutes."""
    now = now_us()
    since, until = (now // HOUR_US - 23) * HOUR_US, now + HOUR_US
    books = now - 10 * MINUTE_US
    with room.reader.connection("candles_now book_snapshots") as connection:
        day = room.reader.on(connection, _DAY, [moment_of(since), moment_of(until)])
        tops = room.reader.on(connection, _TOPS, [day_of(books), moment_of(books)])
    return {"markets": columns(day), "tops": columns(tops), "since": since // 1000}


PAGE: Final = Page(name="overview", title="Markets", read=read, seconds=4.0)
