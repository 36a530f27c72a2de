"""Forced orders: the last ones, their sums over time, and the figures of the rolling window of each market.

Put here: those reads. Keep out: what the figures of a window are (`serving.windows`, `lake.transforms.liquidation_windows`).
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from serving.dashboard.asked import HOUR_US, MINUTE_US, Answer, Asked, Page, Room, columns
from serving.events import Liquidation
from serving.expand import events
from serving.tables import TABLES, Question
from serving.times import day_of, moment_of, now_us
from serving.windows import RollingWindow

_BINS: Final = 96
_ROWS: Final = 200
_SUMS: Final = """
SELECT epoch_ms(time_bucket(to_minutes(?), timestamp, TIMESTAMPTZ '2000-01-01 00:00:00+00')) AS bin, side, sum(value_usd) AS value_usd,
       count(*) AS events
FROM liquidations WHERE date >= ? AND timestamp >= ? AND value_usd IS NOT NULL AND (? = '' OR symbol = ?) AND (? = '' OR exchange = ?)
GROUP BY bin, side ORDER BY bin, side
"""


def read(room: Room, asked: Asked) -> Answer:
    """Sums by side over the hours asked for, the newest 200 orders, and the window that ends now of each market."""
    now = now_us()
    start = now - asked.hours * HOUR_US
    minutes = max(1, asked.hours * 60 // _BINS)
    market = {"exchanges": (asked.exchange,) if asked.exchange else (), "symbols": (asked.symbol,) if asked.symbol else ()}
    table, until = TABLES["liquidations"], now + MINUTE_US
    window_us = room.settings.window_seconds * 1_000_000
    newest = Question(table=table, start=start, end=until, newest_first=True, **market).statement(_ROWS)  # type: ignore[arg-type]  # both are tuples of names
    inside = Question(table=table, start=now - window_us, end=until, **market).statement()  # type: ignore[arg-type]  # as above
    with room.reader.connection("liquidations") as connection:
        values = [minutes, day_of(start), moment_of(start), asked.symbol, asked.symbol, asked.exchange, asked.exchange]
        sums = room.reader.on(connection, _SUMS, values)
        orders = room.reader.on(connection, *newest)
        recent = room.reader.on(connection, *inside)
    return {
        "sums": columns(sums),
        "minutes": minutes,
        "orders": columns(
            orders.select(["exchange", "symbol", "timestamp", "liquidation_id", "side", "price", "amount", "value_usd", "sampled"])
        ),
        "windows": _windows(room, [each for each in events("liquidations", recent) if isinstance(each, Liquidation)], now=now),
        "window_seconds": room.settings.window_seconds,
        "threshold_usd": room.settings.liquidation_threshold_usd,
    }


def _windows(room: Room, orders: list[Liquidation], *, now: int) -> list[dict[str, Any]]:
    """The window of each market that has an order in it, the greatest first: the very figures of the live feed and of alerts."""
    settings = room.settings
    by_market: dict[tuple[str, str], list[Liquidation]] = {}
    for order in orders:
        by_market.setdefault((order.exchange, order.symbol), []).append(order)
    found = []
    for market, own in by_market.items():
        window = RollingWindow(*market, seconds=settings.window_seconds, threshold_usd=settings.liquidation_threshold_usd)
        window.begin(own)
        found.append(msgspec.to_builtins(window.window(now)))
    return sorted(found, key=lambda each: -each["total_volume_usd"])


PAGE: Final = Page(name="liquidations", title="Liquidations", read=read, seconds=2.0, needs=("exchange", "symbol", "hours"))
