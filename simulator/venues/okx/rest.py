"""OKX's REST answers: instruments, trades, depth, candles, derivative states.

What belongs here: bodies as JSON text in OKX's {"code","msg","data"} envelope. What does not: rate counting (venue.py).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

from simulator.candles import Candle, candles
from simulator.instruments import Instrument
from simulator.market import Image, Market, Trade
from simulator.venues.base import Answer
from simulator.venues.okx.catalogue import SPOT, Spelling, trimmed

MOST_TRADES = {"trades": 500, "history-trades": 100}
MOST_CANDLES = 300
RECENT_CANDLES = 1440
MOST_LEVELS = 400
LISTED_MS = 1_573_557_408_000
_HOUR = 3600
_CHINA = 8 * _HOUR
_DAY = 24 * _HOUR
# Bar to (seconds, offset of its opening in seconds): long bars open on UTC+8 unless their name says utc; weeks open on Monday.
BARS: dict[str, tuple[int, int]] = {
    **{f"{minutes}m": (minutes * 60, 0) for minutes in (1, 3, 5, 15, 30)},
    **{f"{hours}H": (hours * _HOUR, 0) for hours in (1, 2, 4)},
    **{f"{hours}Hutc": (hours * _HOUR, 0) for hours in (6, 12)},
    **{f"{hours}H": (hours * _HOUR, -_CHINA) for hours in (6, 12)},
    **{f"{days}Dutc": (days * _DAY, 0) for days in (1, 2, 3)},
    **{f"{days}D": (days * _DAY, -_CHINA) for days in (1, 2, 3)},
    "1Wutc": (7 * _DAY, 4 * _DAY),
    "1W": (7 * _DAY, 4 * _DAY - _CHINA),
}


def result(rows: str) -> Answer:
    """A successful answer; `rows` is JSON text."""
    return Answer(200, f'{{"code":"0","msg":"","data":{rows}}}')


def failed(status: int, code: int, message: str) -> Answer:
    """An error."""
    return Answer(status, f'{{"code":"{code}","msg":{json.dumps(message)},"data":[]}}')


def unknown_instrument() -> Answer:
    """The answer to an id that is not traded."""
    return failed(200, 51001, "Instrument ID, Instrument ID code, or Spread ID doesn't exist.")


def wrong(parameter: str) -> Answer:
    """The answer to a parameter that cannot be understood."""
    return failed(400, 51000, f"Parameter {parameter} error")


def too_many() -> Answer:
    """The answer to a request beyond the limit; the venue names no time to wait."""
    return failed(429, 50011, "Too Many Requests")


def _instrument(item: Instrument) -> dict[str, Any]:
    spelling = Spelling(item)
    spot = item.market == SPOT
    return {
        "alias": "",
        "auctionEndTime": "",
        "baseCcy": item.base if spot else "",
        "category": "1",
        "contTdSwTime": "",
        "ctMult": "" if spot else "1",
        "ctType": "" if spot else "linear",
        "ctVal": "" if spot else trimmed(f"{item.contract_size:.4f}"),
        "ctValCcy": "" if spot else item.base,
        "expTime": "",
        "futureSettlement": False,
        "instFamily": "" if spot else spelling.index,
        "instId": spelling.native,
        "instIdCode": 10_000 + sum(spelling.native.encode()),
        "instType": spelling.kind,
        "lever": "10" if spot else "100",
        "listTime": str(LISTED_MS),
        "lotSz": spelling.amount(1),
        "maxIcebergSz": "100000000.0000000000000000",
        "maxLmtAmt": "20000000",
        "maxLmtSz": "100000000",
        "maxMktAmt": "1000000" if spot else "",
        "maxMktSz": "1000000" if spot else "12000",
        "maxPlatOILmt": "",
        "maxStopSz": "1000000" if spot else "12000",
        "maxTriggerSz": "100000000.0000000000000000",
        "maxTwapSz": "100000000.0000000000000000",
        "minSz": spelling.amount(1),
        "openType": "",
        "optType": "",
        "posLmtAmt": "",
        "posLmtPct": "",
        "preMktSwTime": "",
        "quoteCcy": item.quote if spot else "",
        "ruleType": "normal",
        "settleCcy": "" if spot else item.quote,
        "state": "live",
        "stk": "",
        "tickSz": spelling.price(1),
        "tradeQuoteCcyList": [item.quote] if spot else [],
        "uly": "" if spot else spelling.index,
    }


def instruments(items: Iterable[Instrument]) -> Answer:
    """Rows of `public/instruments`."""
    return result(json.dumps([_instrument(item) for item in items], separators=(",", ":")))


def _trade(spelling: Spelling, fill: Trade) -> str:
    return (
        f'{{"instId":"{spelling.native}","side":"{"buy" if fill.buy else "sell"}","sz":"{spelling.amount(fill.amount)}",'
        f'"px":"{spelling.price(fill.price)}","tradeId":"{fill.trade_id}","ts":"{fill.time_us // 1000}"}}'
    )


def trades(spelling: Spelling, market: Market, params: Mapping[str, str], *, most: int) -> Answer:
    """Single fills, newest first; `after` asks for older, `before` for newer ones, by id or (`type` 2) by time in milliseconds."""
    limit = min(int(params.get("limit", 100)), most)
    by_time = params.get("type", "1") == "2"
    after, before = int(params.get("after", 1 << 62)), int(params.get("before", -1))

    def place(fill: Trade) -> int:
        return fill.time_us // 1000 if by_time else fill.trade_id

    found = (fill for fill in reversed(market.recent) if before < place(fill) < after)
    return result("[" + ",".join(_trade(spelling, fill) for fill in islice(found, limit)) + "]")


def depth(spelling: Spelling, image: Image, params: Mapping[str, str]) -> Answer:
    """The book's best `sz` levels; one without parameter."""
    size = min(int(params.get("sz", 1)), MOST_LEVELS)
    bids, asks = spelling.levels(image.bids[:size]), spelling.levels(image.asks[:size])
    return result(f'[{{"asks":{asks},"bids":{bids},"ts":"{image.time_us // 1000}","seqId":{image.sequence}}}]')


def _candle(spelling: Spelling, row: Candle, *, ended: bool) -> list[str]:
    item = spelling.instrument
    prices = [spelling.quoted(value) for value in (row.open, row.high, row.low, row.close)]
    quote = row.volume * (row.open + row.close) / 2
    base, contracts = f"{row.volume:.8f}", f"{row.volume / item.contract_size:.2f}"
    volumes = (base, f"{quote:.8f}") if item.market == SPOT else (contracts, base)
    return [str(row.time * 1000), *prices, *map(trimmed, (*volumes, f"{quote:.8f}")), "1" if ended else "0"]


def kline(spelling: Spelling, market: Market, params: Mapping[str, str], *, now_us: int, history: bool) -> Answer:
    """Candles, newest first: rows before `after` and later than `before` (milliseconds); those of `history` end where none run any more."""
    bar = params.get("bar", "1m")
    if bar not in BARS:
        return wrong("bar")
    interval, offset = BARS[bar]
    limit = min(int(params.get("limit", 100)), MOST_CANDLES)
    newest = (now_us // 1_000_000 - offset) // interval * interval + offset
    last, first = newest - interval if history else newest, 0
    if "after" in params:
        last = min(last, ((int(params["after"]) - 1) // 1000 - offset) // interval * interval + offset)
    if "before" in params:
        first = (int(params["before"]) // 1000 - offset) // interval * interval + offset + interval
    if not history:
        first = max(first, newest - (RECENT_CANDLES - 1) * interval)
    first = max(first, last - (limit - 1) * interval)
    rows = candles(market, interval=interval, first=first, last=last, now=now_us / 1e6)
    return result(json.dumps([_candle(spelling, row, ended=row.time < newest) for row in reversed(rows)], separators=(",", ":")))
