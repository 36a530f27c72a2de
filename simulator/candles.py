"""Candles a venue would answer for any interval of the past, from the price path alone.

What belongs here: open, high, low, close and plausible volumes per interval, venue-neutral. What does not: rows in a venue's
layout. They follow the same path as the trades, which run a spread beside it, so they agree with them to about a basis point.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from simulator.market import Market
from simulator.prices import stream_key

SAMPLES = 24
SECONDS: dict[str, int] = {
    "1s": 1,
    "1m": 60,
    "3m": 180,
    "5m": 300,
    "15m": 900,
    "30m": 1_800,
    "1h": 3_600,
    "2h": 7_200,
    "4h": 14_400,
    "6h": 21_600,
    "8h": 28_800,
    "12h": 43_200,
    "1d": 86_400,
    "3d": 259_200,
    "1w": 604_800,
}
# 1970-01-01 was a Thursday; weeks open on Monday.
WEEK_OFFSET = 4 * 86_400


class Candle(NamedTuple):
    """One candle: open time in unix seconds, prices in quote, volume in base, share of it bought by takers."""

    time: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    trades: int
    bought: float


def open_time(second: int, interval: int) -> int:
    """Open time of the candle that holds a unix second."""
    offset = WEEK_OFFSET if interval == SECONDS["1w"] else 0
    return (second - offset) // interval * interval + offset


def candles(market: Market, *, interval: int, first: int, last: int, now: float) -> list[Candle]:
    """Candles whose open times lie in first..last (unix seconds, aligned); the running one ends at `now`."""
    if last < first:
        return []
    opens = np.arange(first, last + 1, interval, dtype=np.float64)
    steps = np.linspace(0.0, interval, SAMPLES)
    times = np.minimum((opens[:, None] + steps[None, :]).ravel(), now)
    prices = market.path.sample(times).reshape(len(opens), SAMPLES)
    rng = np.random.default_rng([market.seed, stream_key(market.instrument.symbol, interval)])
    rows: list[Candle] = []
    for index, open_second in enumerate(opens.astype(np.int64).tolist()):
        row = prices[index]
        count = max(1, int(interval * rng.uniform(0.3, 0.8)))
        volume = count * 800.0 / float(row[0]) * float(rng.uniform(0.5, 2.0))
        bought = volume * float(rng.uniform(0.4, 0.6))
        if any(start <= open_second < end for start, end in market.still):
            continue
        rows.append(Candle(open_second, float(row[0]), float(row.max()), float(row.min()), float(row[-1]), volume, count, bought))
    return rows
