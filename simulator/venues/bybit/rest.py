"""Bybit's v5 REST answers: instruments, trades, books, tickers, open interest, funding, klines.

What belongs here: bodies in the venue's {"retCode","result"} envelope; errors come with status 200. What does not: request
counting and faults (venue.py).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from simulator.candles import candles, open_time
from simulator.instruments import Instrument
from simulator.market import Image, Market
from simulator.venues.base import Answer
from simulator.venues.bybit import frames
from simulator.venues.bybit.catalogue import SPOT, Spelling
from simulator.venues.bybit.feed import FUNDING_S, Feed, funding_rate

CATEGORIES = (SPOT, "linear", "inverse")
_KLINE_SECONDS = {**{str(minutes): minutes * 60 for minutes in (1, 3, 5, 15, 30, 60, 120, 240, 360, 720)}, "D": 86_400, "W": 604_800}
_STATE_SECONDS = {"5min": 300, "15min": 900, "30min": 1800, "1h": 3600, "4h": 14_400, "1d": 86_400}
MOST_TRADES = {SPOT: 60}
LAUNCHED_MS = "1615766400000"


class BadParameter(ValueError):
    """A parameter the venue does not take; the message is what it says."""


def answered(result: Mapping[str, Any], now_us: int) -> Answer:
    """A successful answer."""
    body = {"retCode": 0, "retMsg": "OK", "result": result, "retExtInfo": {}, "time": now_us // 1000}
    return Answer(200, json.dumps(body, separators=(",", ":")))


def failed(code: int, message: str, now_us: int, *, status: int = 200) -> Answer:
    """An error."""
    body = {"retCode": code, "retMsg": message, "result": {}, "retExtInfo": {}, "time": now_us // 1000}
    return Answer(status, json.dumps(body, separators=(",", ":")))


def limit_of(params: Mapping[str, str], *, default: int, most: int) -> int:
    """How many rows are asked for; more than the most are not given."""
    limit = whole(params, "limit", default)
    if limit < 1:
        raise BadParameter("params error: limit invalid")
    return min(limit, most)


def whole(params: Mapping[str, str], name: str, default: int) -> int:
    """A whole-number parameter."""
    try:
        return int(params.get(name, default))
    except ValueError:
        raise BadParameter(f"params error: {name} invalid") from None


def _plain(decimals: int) -> str:
    return f"{10**-decimals:.{decimals}f}"


def _spot(number: int, item: Instrument) -> dict[str, Any]:
    lot = _plain(item.lot_decimals)
    return {
        "symbolId": 9 + number,
        "symbol": Spelling(item).id,
        "baseCoin": item.base,
        "quoteCoin": item.quote,
        "innovation": "0",
        "status": "Trading",
        "marginTrading": "utaOnly",
        "stTag": "0",
        "lotSizeFilter": {
            "basePrecision": lot,
            "quotePrecision": "0.0000001",
            "minOrderQty": lot,
            "maxOrderQty": "230",
            "minOrderAmt": "5",
            "maxOrderAmt": "8000000",
            "maxLimitOrderQty": "230",
            "maxMarketOrderQty": "120",
            "postOnlyMaxLimitOrderSize": "1150",
        },
        "priceFilter": {"tickSize": _plain(item.tick_decimals)},
        "riskParameters": {"priceLimitRatioX": "0.005", "priceLimitRatioY": "0.01"},
        "symbolType": "",
        "xstockMultiplier": "1",
    }


def _linear(number: int, item: Instrument) -> dict[str, Any]:
    spelling = Spelling(item)
    tick, lot = spelling.price(1), spelling.amount(1)
    most = spelling.amount(1500 * 10**item.lot_decimals)
    return {
        "symbol": spelling.id,
        "contractType": "LinearPerpetual",
        "status": "Trading",
        "baseCoin": item.base,
        "quoteCoin": item.quote,
        "launchTime": LAUNCHED_MS,
        "deliveryTime": "0",
        "deliveryFeeRate": "",
        "priceScale": str(spelling.shown),
        "leverageFilter": {"minLeverage": "1", "maxLeverage": "100.00", "leverageStep": "0.01"},
        "priceFilter": {"minPrice": tick, "maxPrice": spelling.price(19_999_998), "tickSize": tick},
        "lotSizeFilter": {
            "maxOrderQty": most,
            "minOrderQty": lot,
            "qtyStep": lot,
            "postOnlyMaxOrderQty": most,
            "maxMktOrderQty": spelling.amount(150 * 10**item.lot_decimals),
            "minNotionalValue": "5",
        },
        "unifiedMarginTrade": True,
        "fundingInterval": FUNDING_S // 60,
        "settleCoin": item.quote,
        "copyTrading": "both",
        "upperFundingRate": "0.005",
        "lowerFundingRate": "-0.005",
        "isPreListing": False,
        "preListingInfo": None,
        "riskParameters": {"priceLimitRatioX": "0.01", "priceLimitRatioY": "0.02"},
        "displayName": "",
        "symbolType": "",
        "forbidUplWithdrawal": False,
        "symbolId": 5 + number,
    }


def instruments(listed: Sequence[Instrument], category: str, params: Mapping[str, str]) -> dict[str, Any]:
    """Result of instruments-info: spot whole, contracts a page at a time with a cursor that is the number of the next row."""
    make = _spot if category == SPOT else _linear
    rows = [make(number, item) for number, item in enumerate(item for item in listed if item.market == category)]
    if "symbol" in params:
        rows = [row for row in rows if row["symbol"] == params["symbol"]]
    if category == SPOT:
        return {"category": category, "list": rows}
    limit, start = limit_of(params, default=500, most=1000), whole({"cursor": params.get("cursor") or "0"}, "cursor", 0)
    following = str(start + limit) if start + limit < len(rows) else ""
    return {"category": category, "list": rows[start : start + limit], "nextPageCursor": following}


def recent_trades(spelling: Spelling, market: Market, params: Mapping[str, str]) -> dict[str, Any]:
    """Result of recent-trade: newest first, sixty on spot and a thousand on contracts at most."""
    category = spelling.instrument.market
    most = MOST_TRADES.get(category, 1000)
    limit = limit_of(params, default=min(500, most), most=most)
    rows = [
        {
            "execId": frames.trade_id(spelling, fill.trade_id),
            "symbol": spelling.id,
            "price": spelling.price(fill.price),
            "size": spelling.amount(fill.amount),
            "side": "Buy" if fill.buy else "Sell",
            "time": str(fill.time_us // 1000),
            "isBlockTrade": False,
            "isRPITrade": False,
            "seq": str(market.sequence),
        }
        for fill in list(market.recent)[-limit:][::-1]
    ]
    return {"category": category, "list": rows}


def order_book(spelling: Spelling, image: Image, params: Mapping[str, str], now_us: int) -> dict[str, Any]:
    """Result of orderbook."""
    limit = limit_of(params, default=1 if spelling.instrument.market == SPOT else 25, most=1000)

    def side(levels: list[tuple[int, int]]) -> list[list[str]]:
        return [[spelling.price(price), spelling.amount(lots)] for price, lots in levels[:limit]]

    times = {"ts": now_us // 1000, "u": image.sequence % 100_000_000, "seq": image.sequence, "cts": image.time_us // 1000}
    return {"s": spelling.id, "b": side(image.bids), "a": side(image.asks), **times}


def tickers(category: str, feeds: Sequence[Feed], now_us: int) -> dict[str, Any]:
    """Result of tickers for contracts: the fields of the topic."""
    return {"category": category, "list": [{"symbol": feed.spelling.id, **feed.fields(now_us)} for feed in feeds]}


def open_interest(feed: Feed, params: Mapping[str, str], now_us: int) -> dict[str, Any]:
    """Result of open-interest, newest first, in base units of both sides."""
    interval = _STATE_SECONDS.get(params.get("intervalTime", ""))
    if interval is None:
        raise BadParameter("params error: intervalTime invalid")
    now = feed.fields(now_us)["openInterest"]
    last = open_time(now_us // 1_000_000, interval)
    count = limit_of(params, default=50, most=200)
    rows = [{"openInterest": now, "timestamp": str((last - step * interval) * 1000)} for step in range(count)]
    return {"symbol": feed.spelling.id, "category": feed.market.instrument.market, "list": rows, "nextPageCursor": ""}


def funding_history(feed: Feed, params: Mapping[str, str], now_us: int) -> dict[str, Any]:
    """Result of funding/history, newest first."""
    last = now_us // 1_000_000 // FUNDING_S * FUNDING_S
    times = [last - step * FUNDING_S for step in range(limit_of(params, default=200, most=200))]
    path = feed.market.path
    rates = [funding_rate(path.at(second * 1_000_000), path.at((second - 60) * 1_000_000)) for second in times]
    rows = [
        {"symbol": feed.spelling.id, "fundingRate": rate, "fundingRateTimestamp": str(second * 1000)}
        for second, rate in zip(times, rates, strict=True)
    ]
    return {"category": feed.market.instrument.market, "list": rows}


def klines(spelling: Spelling, market: Market, params: Mapping[str, str], now_us: int) -> dict[str, Any]:
    """Result of kline: newest first, the running candle among them where the range includes now."""
    interval = _KLINE_SECONDS.get(params.get("interval", ""))
    if interval is None:
        raise BadParameter("Invalid period!")
    limit = limit_of(params, default=200, most=1000)
    end = min(whole(params, "end", now_us // 1000), now_us // 1000)
    last = open_time(end // 1000, interval)
    first = last - (limit - 1) * interval
    if "start" in params:
        start = -(-whole(params, "start", 0) // 1000)
        first = max(first, open_time(start + interval - 1, interval))
    rows = []
    ticks, lots = 10**spelling.instrument.tick_decimals, 10**spelling.instrument.lot_decimals
    for row in reversed(candles(market, interval=interval, first=first, last=last, now=now_us / 1e6)):
        prices = [spelling.price(int(value * ticks)) for value in (row.open, row.high, row.low, row.close)]
        turnover = f"{row.volume * (row.open + row.close) / 2:.4f}"
        rows.append([str(row.time * 1000), *prices, spelling.amount(max(1, int(row.volume * lots))), turnover])
    return {"symbol": spelling.id, "category": spelling.instrument.market, "list": rows}
