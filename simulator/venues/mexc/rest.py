"""MEXC's REST answers: the spot host's (Binance-like) and the contract host's ({"success","code","data"}).

What belongs here: bodies as JSON text. What does not: rate counting (venue.py).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

from simulator.candles import candles, open_time
from simulator.instruments import Instrument
from simulator.market import Image, Market, Trade
from simulator.venues.base import Answer
from simulator.venues.mexc import pushes
from simulator.venues.mexc.catalogue import Spelling

MOST_TRADES = 1000
MOST_DEALS = 100
MOST_LEVELS = 5000
MOST_CANDLES = 500
MOST_PERP_CANDLES = 2000
SPOT_SECONDS = {"1m": 60, "5m": 300, "15m": 900, "30m": 1800, "60m": 3600, "4h": 14_400, "1d": 86_400, "1W": 604_800}
PERP_SECONDS = {
    "Min1": 60,
    "Min5": 300,
    "Min15": 900,
    "Min30": 1800,
    "Min60": 3600,
    "Hour4": 14_400,
    "Hour8": 28_800,
    "Day1": 86_400,
    "Week1": 604_800,
}


def failed(code: int, message: str, *, status: int = 400) -> Answer:
    """An error of the spot host."""
    return Answer(status, f'{{"msg":{json.dumps(message)},"code":{code},"_extend":null}}')


def perp_failed(code: int, message: str, *, status: int = 200) -> Answer:
    """An error of the contract host."""
    return Answer(status, f'{{"success":false,"code":{code},"message":{json.dumps(message)}}}')


def too_many(answer: Answer, wait_s: int) -> Answer:
    """The answer to a request beyond the limit. Only the spot documentation speaks of the header."""
    answer.headers["Retry-After"] = str(wait_s)
    return answer


def perp_result(data: str) -> Answer:
    """A successful answer of the contract host; `data` is JSON text."""
    return Answer(200, f'{{"success":true,"code":0,"data":{data}}}')


def _symbol(item: Instrument) -> dict[str, Any]:
    return {
        "symbol": Spelling(item).native,
        "status": "1",
        "baseAsset": item.base,
        "baseAssetPrecision": item.lot_decimals,
        "quoteAsset": item.quote,
        "quotePrecision": item.tick_decimals,
        "quoteAssetPrecision": item.tick_decimals,
        "baseCommissionPrecision": item.lot_decimals,
        "quoteCommissionPrecision": item.tick_decimals,
        "orderTypes": ["LIMIT", "MARKET", "LIMIT_MAKER"],
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "quoteAmountPrecision": "1",
        "baseSizePrecision": "0",
        "permissions": ["SPOT"],
        "filters": [],
        "maxQuoteAmount": "2000000",
        "makerCommission": "0.0005",
        "takerCommission": "0.0005",
        "quoteAmountPrecisionMarket": "1",
        "maxQuoteAmountMarket": "100000",
        "fullName": item.base,
        "tradeSideType": 1,
    }


def exchange_info(items: Iterable[Instrument], *, now_us: int) -> Answer:
    """Spot pairs."""
    body = {
        "timezone": "CST",
        "serverTime": now_us // 1000,
        "rateLimits": [],
        "exchangeFilters": [],
        "symbols": [_symbol(item) for item in items],
    }
    return Answer(200, json.dumps(body, separators=(",", ":")))


def _detail(item: Instrument) -> dict[str, Any]:
    native = Spelling(item).native
    return {
        "symbol": native,
        "displayName": native,
        "displayNameEn": native,
        "positionOpenType": 1,
        "baseCoin": item.base,
        "quoteCoin": item.quote,
        "settleCoin": item.quote,
        "contractSize": item.contract_size if item.lot_decimals else 1,
        "minLeverage": 1,
        "maxLeverage": 125,
        "priceScale": item.tick_decimals,
        "volScale": 0,
        "amountScale": 4,
        "priceUnit": 10.0**-item.tick_decimals,
        "volUnit": 1,
        "minVol": 1,
        "maxVol": 1_000_000,
        "bidLimitPriceRate": 0.1,
        "askLimitPriceRate": 0.1,
        "takerFeeRate": 0.0006,
        "makerFeeRate": 0.0002,
        "maintenanceMarginRate": 0.004,
        "initialMarginRate": 0.008,
        "riskBaseVol": 10_000,
        "riskIncrVol": 10_000,
        "riskIncrMmr": 0.004,
        "riskIncrImr": 0.004,
        "riskLevelLimit": 100,
        "priceCoefficientVariation": 0.1,
        "indexOrigin": ["Binance", "Huobi"],
        "state": 0,
        "isNew": False,
        "isHot": True,
        "isHidden": False,
        "apiAllowed": True,
    }


def contract_detail(items: Iterable[Instrument]) -> Answer:
    """Perpetuals."""
    return perp_result(json.dumps([_detail(item) for item in items], separators=(",", ":")))


def spot_depth(spelling: Spelling, image: Image, *, limit: int) -> str:
    """The best `limit` levels with the version they are of."""

    def side(levels: list[tuple[int, int]]) -> str:
        return ",".join([f'["{spelling.padded_price(price)}","{spelling.padded_amount(amount)}"]' for price, amount in levels[:limit]])

    return (
        f'{{"lastUpdateId":{image.sequence},"bids":[{side(image.bids)}],"asks":[{side(image.asks)}],"timestamp":{image.time_us // 1000}}}'
    )


def perp_depth(spelling: Spelling, image: Image, *, limit: int) -> Answer:
    """The best `limit` levels with the version they are of."""
    asks, bids = (pushes.levels(spelling, side[:limit]) for side in (image.asks, image.bids))
    return perp_result(f'{{"asks":{asks},"bids":{bids},"version":{image.sequence},"timestamp":{image.time_us // 1000}}}')


def spot_trades(spelling: Spelling, market: Market, *, limit: int) -> str:
    """The newest trades, newest first; none has an id."""
    return "[" + ",".join([_spot_trade(spelling, fill) for fill in islice(reversed(market.recent), limit)]) + "]"


def _spot_trade(spelling: Spelling, fill: Trade) -> str:
    value = fill.price / 10**spelling.instrument.tick_decimals * fill.amount / 10**spelling.instrument.lot_decimals
    maker = "false" if fill.buy else "true"
    return (
        f'{{"id":null,"price":"{spelling.padded_price(fill.price)}","qty":"{spelling.padded_amount(fill.amount)}",'
        f'"quoteQty":"{value:.8f}","time":{fill.time_us // 1000},"isBuyerMaker":{maker},"isBestMatch":true,'
        f'"tradeType":"{"BID" if fill.buy else "ASK"}"}}'
    )


def perp_deals(spelling: Spelling, market: Market, *, limit: int) -> Answer:
    """The newest trades of a perpetual, newest first; none has an id."""
    rows = [
        f'{{"p":{spelling.price(fill.price)},"v":{fill.amount},"T":{1 if fill.buy else 2},"O":{1 + fill.trade_id % 3},"M":1,'
        f'"t":{fill.time_us // 1000}}}'
        for fill in islice(reversed(market.recent), min(limit, MOST_DEALS))
    ]
    return perp_result("[" + ",".join(rows) + "]")


def funding_rate(spelling: Spelling, *, rate: float, now_us: int) -> Answer:
    """The rate of the coming settlement."""
    return perp_result(
        f'{{"symbol":"{spelling.native}","fundingRate":{rate:.6f},"maxFundingRate":0.003,"minFundingRate":-0.003,"collectCycle":8,'
        f'"nextSettleTime":{pushes.settlement(now_us)},"timestamp":{now_us // 1000}}}'
    )


def spot_klines(spelling: Spelling, market: Market, params: Mapping[str, str], *, now_us: int) -> Answer:
    """Candles, oldest first; `endTime` (milliseconds) is exclusive."""
    interval = SPOT_SECONDS.get(params.get("interval", ""), 0)
    if not interval:
        return failed(-1121, "Invalid interval.")
    limit = min(int(params.get("limit", MOST_CANDLES)), MOST_CANDLES)
    last = open_time(now_us // 1_000_000, interval)
    if "endTime" in params:
        last = min(last, open_time((int(params["endTime"]) - 1) // 1000, interval))
    first = last - (limit - 1) * interval
    if "startTime" in params:
        wanted = -(-int(params["startTime"]) // 1000)
        first = open_time(wanted, interval)
        first += interval if first < wanted else 0
        last = min(last, first + (limit - 1) * interval)
    rows: list[list[Any]] = []
    for row in candles(market, interval=interval, first=first, last=last, now=now_us / 1e6):
        prices = [spelling.quoted(value) for value in (row.open, row.high, row.low, row.close)]
        quote = row.volume * (row.open + row.close) / 2
        rows.append([row.time * 1000, *prices, f"{row.volume:.4f}", (row.time + interval) * 1000, f"{quote:.2f}"])
    return Answer(200, json.dumps(rows, separators=(",", ":")))


def perp_klines(spelling: Spelling, market: Market, params: Mapping[str, str], *, now_us: int) -> Answer:
    """Candles as columns, `start` and `end` in seconds."""
    interval = PERP_SECONDS.get(params.get("interval", "Min1"), 0)
    if not interval:
        return perp_failed(600, "Parameter error")
    last = open_time(min(now_us // 1_000_000, int(params.get("end", now_us // 1_000_000))), interval)
    first = open_time(int(params["start"]), interval) if "start" in params else last - (MOST_PERP_CANDLES - 1) * interval
    first = max(first, last - (MOST_PERP_CANDLES - 1) * interval)
    rows = candles(market, interval=interval, first=first, last=last, now=now_us / 1e6)
    size = spelling.instrument.contract_size
    columns = {
        "time": [row.time for row in rows],
        "open": [float(spelling.quoted(row.open)) for row in rows],
        "close": [float(spelling.quoted(row.close)) for row in rows],
        "high": [float(spelling.quoted(row.high)) for row in rows],
        "low": [float(spelling.quoted(row.low)) for row in rows],
        "vol": [int(row.volume / size) for row in rows],
        "amount": [round(row.volume * (row.open + row.close) / 2, 4) for row in rows],
    }
    return perp_result(json.dumps(columns, separators=(",", ":")))
