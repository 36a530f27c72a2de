"""Bitfinex's REST answers: configuration lists, trades, books, candles, status rows.

What belongs here: bodies as JSON text, paging as documented. What does not: counting of requests and dispatch (venue.py).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from simulator.candles import SECONDS, candles, open_time
from simulator.instruments import Instrument
from simulator.market import Image, Market
from simulator.venues.base import Answer
from simulator.venues.bitfinex import frames
from simulator.venues.bitfinex.catalogue import NAMED, PERP, SPOT, Spelling, pair_of

MOST_ROWS = 10_000
USUAL_TRADES = 125
USUAL_CANDLES = 100
INTERVALS = {"1m": "1m", "5m": "5m", "15m": "15m", "30m": "30m", "1h": "1h", "3h": "3h", "6h": "6h", "12h": "12h", "1D": "1d", "1W": "1w"}
LATEST_MS = 9_999_999_999_999


def error(code: int, message: str, *, status: int = 500) -> Answer:
    """A refusal; the venue answers most of them with status 500."""
    return Answer(status, json.dumps(["error", code, message], separators=(",", ":")))


def conf(keys: str, instruments: Iterable[Instrument]) -> Answer:
    """The lists a comma-separated path names, one after the other."""
    items = list(instruments)
    pairs = {market: [pair_of(item) for item in items if item.market == market] for market in (SPOT, PERP)}
    limits = [None, None, None, "0.00004", "2000", None, None, None, 0.2, 0.1]
    known: dict[str, list[Any]] = {
        "pub:list:pair:exchange": [*pairs[SPOT], "TESTBTC:TESTUSD"],
        "pub:list:pair:futures": pairs[PERP],
        "pub:info:pair": [[pair, limits] for pair in [*pairs[SPOT], "TESTBTC:TESTUSD"]],
        "pub:info:pair:futures": [[pair, limits] for pair in pairs[PERP]],
        "pub:map:currency:sym": NAMED,
    }
    # A list that does not exist is empty.
    return Answer(200, json.dumps([known.get(key, []) for key in keys.split(",")], separators=(",", ":")))


def _span(params: Mapping[str, str], usual: int) -> tuple[int, int, int, bool]:
    """(start, end, limit, ascending) of a query, times in milliseconds; raises ValueError for a limit that is too high."""
    limit = int(params.get("limit", str(usual)))
    if not 1 <= limit <= MOST_ROWS:
        raise ValueError("limit")
    return int(params.get("start", "0")), int(params.get("end", str(LATEST_MS))), limit, params.get("sort") == "1"


def trades(spelling: Spelling, market: Market, params: Mapping[str, str]) -> str:
    """Trades of start..end in milliseconds, newest first unless sorted upwards."""
    start, end, limit, ascending = _span(params, USUAL_TRADES)
    rows = [fill for fill in market.recent if start <= fill.time_us // 1000 <= end]
    rows = rows[:limit] if ascending else rows[-limit:][::-1]
    return "[" + ",".join([frames.trade(spelling, fill) for fill in rows]) + "]"


def book(spelling: Spelling, image: Image, *, length: int) -> str:
    """Levels of both sides."""
    return "[" + ",".join(frames.levels(spelling, bids=image.bids[:length], asks=image.asks[:length])) + "]"


def candle_rows(market: Market, name: str, params: Mapping[str, str], now_us: int) -> Answer:
    """[milliseconds, open, close, high, low, volume], newest first unless sorted upwards."""
    interval = {**SECONDS, "3h": 10_800}.get(INTERVALS.get(name, ""))
    if interval is None:
        return error(10_020, "timeframe: invalid")
    start, end, limit, ascending = _span(params, USUAL_CANDLES)
    last = open_time(min(end // 1000, now_us // 1_000_000), interval)
    first = last - (limit - 1) * interval
    if start:
        first = open_time(-(-start // 1000) + interval - 1, interval)
        last = min(last, first + (limit - 1) * interval) if ascending else last
        first = first if ascending else max(first, last - (limit - 1) * interval)
    decimals = market.instrument.tick_decimals
    rows = [
        [row.time * 1000, *(round(value, decimals) for value in (row.open, row.close, row.high, row.low)), round(row.volume, 8)]
        for row in candles(market, interval=interval, first=first, last=last, now=now_us / 1e6)
    ]
    return Answer(200, json.dumps(rows if ascending else rows[::-1], separators=(",", ":")))
