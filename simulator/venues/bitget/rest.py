"""Bitget's v2 REST answers: instruments, trades, books, tickers, open interest, funding, candles.

What belongs here: bodies in the venue's {"code","data"} envelope. What does not: request counting and faults (venue.py).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from simulator.candles import candles, open_time
from simulator.instruments import Instrument
from simulator.market import Image, Trade
from simulator.venues.base import Answer
from simulator.venues.bitget.catalogue import SPOT, Spelling, plain, trade_id
from simulator.venues.bitget.feed import FUNDING_S, Feed

SPOT_SECONDS = {"1min": 60, "5min": 300, "15min": 900, "30min": 1800, "1h": 3600, "4h": 14_400, "1Dutc": 86_400, "1Wutc": 604_800}
FUTURES_SECONDS = {"1m": 60, "3m": 180, "5m": 300, "15m": 900, "30m": 1800, "1H": 3600, "4H": 14_400, "1Dutc": 86_400, "1Wutc": 604_800}
# Candles of six hours and more open on the venue's own day, which begins eight hours before that of UTC.
LOCAL_SECONDS = {"6h": 21_600, "12h": 43_200, "1day": 86_400, "6H": 21_600, "12H": 43_200, "1D": 86_400}
LOCAL_OFFSET = 8 * 3600


class BadParameter(ValueError):
    """A parameter the venue does not take; the message is what it says."""


def answered(data: Any, now_us: int) -> Answer:
    """A successful answer."""
    body = {"code": "00000", "msg": "success", "requestTime": now_us // 1000, "data": data}
    return Answer(200, json.dumps(body, separators=(",", ":")))


def failed(code: str, message: str, now_us: int, *, status: int = 400) -> Answer:
    """An error."""
    body = {"code": code, "msg": message, "requestTime": now_us // 1000, "data": None}
    return Answer(status, json.dumps(body, separators=(",", ":")))


def whole(params: Mapping[str, str], name: str, default: int) -> int:
    """A whole-number parameter."""
    try:
        return int(params.get(name, default))
    except ValueError:
        raise BadParameter(f"Parameter {name} error") from None


def limit_of(params: Mapping[str, str], *, default: int, most: int) -> int:
    """How many rows are asked for; more than the most are refused."""
    limit = whole(params, "limit", default)
    if not 1 <= limit <= most:
        raise BadParameter("Parameter limit error")
    return limit


def spot_symbols(listed: Sequence[Instrument]) -> list[dict[str, Any]]:
    """Data of spot symbols."""
    return [
        {
            "symbol": Spelling(item).id,
            "baseCoin": item.base,
            "quoteCoin": item.quote,
            "minTradeAmount": "0",
            "maxTradeAmount": "900000000000000000000",
            "takerFeeRate": "0.002",
            "makerFeeRate": "0.002",
            "pricePrecision": str(item.tick_decimals),
            "quantityPrecision": str(item.lot_decimals),
            "quotePrecision": str(item.tick_decimals + item.lot_decimals),
            "minTradeUSDT": "1",
            "status": "online",
            "buyLimitPriceRatio": "0.05",
            "sellLimitPriceRatio": "0.05",
        }
        for item in listed
        if item.market == SPOT
    ]


def margin_currencies(listed: Sequence[Instrument]) -> list[dict[str, Any]]:
    """Data of the pairs that can be traded on margin: all of spot."""
    borrowable = {"isBorrowable": True, "maxCrossedLeverage": "3", "maxIsolatedLeverage": "10", "status": "1"}
    return [
        {"symbol": Spelling(item).id, "baseCoin": item.base, "quoteCoin": item.quote, **borrowable}
        for item in listed
        if item.market == SPOT
    ]


def contracts(listed: Sequence[Instrument], market: str) -> list[dict[str, Any]]:
    """Data of futures contracts of one product type."""
    rows = []
    for item in listed:
        if item.market != market:
            continue
        lot = Spelling(item).amount(1)
        rows.append(
            {
                "symbol": Spelling(item).id,
                "baseCoin": item.base,
                "quoteCoin": item.quote,
                "buyLimitPriceRatio": "0.05",
                "sellLimitPriceRatio": "0.05",
                "feeRateUpRatio": "0.005",
                "makerFeeRate": "0.0002",
                "takerFeeRate": "0.0006",
                "openCostUpRatio": "0.01",
                "supportMarginCoins": [item.quote],
                "minTradeNum": lot,
                "priceEndStep": "1",
                "volumePlace": str(item.lot_decimals),
                "pricePlace": str(item.tick_decimals),
                "sizeMultiplier": lot,
                "symbolType": "perpetual",
                "minTradeUSDT": "5",
                "maxSymbolOrderNum": "200",
                "maxProductOrderNum": "1000",
                "maxPositionNum": "150",
                "symbolStatus": "normal",
                "offTime": "-1",
                "limitOpenTime": "-1",
                "deliveryTime": "",
                "deliveryStartTime": "",
                "launchTime": "",
                "fundInterval": str(FUNDING_S // 3600),
                "minLever": "1",
                "maxLever": "125",
                "posLimit": "0.05",
                "maintainTime": "",
            }
        )
    return rows


def _fill(spelling: Spelling, fill: Trade, *, spot: bool) -> dict[str, str]:
    side = "buy" if fill.buy else "sell"
    price, size, time = plain(spelling.price(fill.price)), plain(spelling.amount(fill.amount)), str(fill.time_us // 1000)
    if spot:
        return {"symbol": spelling.id, "tradeId": trade_id(fill.trade_id), "side": side, "price": price, "size": size, "ts": time}
    row = {"tradeId": trade_id(fill.trade_id), "price": price, "size": size, "side": side.title(), "ts": time}
    return {**row, "symbol": spelling.id}


def fills(feed: Feed, params: Mapping[str, str], *, history: bool) -> list[dict[str, str]]:
    """Data of fills and fills-history: newest first; the history from below an id and within times."""
    limit = limit_of(params, default=500, most=1000) if history else limit_of(params, default=100, most=500)
    rows = list(feed.market.recent)
    if history:
        below = whole(params, "idLessThan", 1 << 63)
        start, end = whole(params, "startTime", 0), whole(params, "endTime", 1 << 62)
        rows = [fill for fill in rows if int(trade_id(fill.trade_id)) < below and start <= fill.time_us // 1000 <= end]
    spot = feed.market.instrument.market == SPOT
    return [_fill(feed.spelling, fill, spot=spot) for fill in rows[: -limit - 1 : -1]]


def order_book(feed: Feed, image: Image, params: Mapping[str, str]) -> dict[str, Any]:
    """Data of orderbook."""
    limit = limit_of(params, default=100, most=1000)
    spelling = feed.spelling

    def side(levels: list[tuple[int, int]]) -> list[list[str]]:
        return [[spelling.price(price), spelling.amount(lots)] for price, lots in levels[:limit]]

    return {"asks": side(image.asks), "bids": side(image.bids), "ts": str(image.time_us // 1000)}


def open_interest(feed: Feed, now_us: int) -> dict[str, Any]:
    """Data of open-interest, in base units."""
    row = {"symbol": feed.spelling.id, "size": feed.fields(now_us)["holdingAmount"]}
    return {"openInterestList": [row], "ts": str(now_us // 1000)}


def funding(feed: Feed, now_us: int) -> list[dict[str, str]]:
    """Data of current-fund-rate."""
    return [{"symbol": feed.spelling.id, "fundingRate": feed.fields(now_us)["fundingRate"]}]


def funding_history(feed: Feed, params: Mapping[str, str], now_us: int) -> list[dict[str, str]]:
    """Data of history-fund-rate, newest first."""
    last = now_us // 1_000_000 // FUNDING_S * FUNDING_S
    count, page = limit_of({"limit": params.get("pageSize", "20")}, default=20, most=100), whole(params, "pageNo", 1)
    times = [last - step * FUNDING_S for step in range((page - 1) * count, page * count)]
    rate = feed.fields(now_us)["fundingRate"]
    return [{"symbol": feed.spelling.id, "fundingRate": rate, "fundingTime": str(second * 1000)} for second in times]


def klines(feed: Feed, params: Mapping[str, str], now_us: int, *, history: bool) -> list[list[str]]:
    """Data of candles and history-candles: ascending, the running one last where the bounds include it."""
    item, spelling = feed.market.instrument, feed.spelling
    spot = item.market == SPOT
    granularity = params.get("granularity", "")
    interval = (SPOT_SECONDS if spot else FUTURES_SECONDS).get(granularity) or LOCAL_SECONDS.get(granularity)
    if interval is None:
        raise BadParameter("Parameter granularity error")
    offset = LOCAL_OFFSET if granularity in LOCAL_SECONDS else 0
    limit = limit_of(params, default=100, most=200 if history else 1000)
    end = min(whole(params, "endTime", now_us // 1000), now_us // 1000) // 1000
    last = open_time(end + offset, interval) - offset
    first = last - (limit - 1) * interval
    if "startTime" in params:
        start = -(-whole(params, "startTime", 0) // 1000)
        first = max(first, open_time(start + offset + interval - 1, interval) - offset)
    rows = []
    ticks, lots = 10**item.tick_decimals, 10**item.lot_decimals
    for row in candles(feed.market, interval=interval, first=first, last=last, now=now_us / 1e6):
        prices = [plain(spelling.price(int(value * ticks))) for value in (row.open, row.high, row.low, row.close)]
        quote = f"{row.volume * (row.open + row.close) / 2:.6f}"
        volume = spelling.amount(max(1, int(row.volume * lots)))
        rows.append([str(row.time * 1000), *prices, volume, quote, *([quote] if spot else [])])
    return rows
