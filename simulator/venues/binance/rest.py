"""Binance's REST answers: instruments, depth, trades, klines, open interest.

What belongs here: bodies as JSON text, request weights, the venue's error answers. What does not: weight counting and
faults, which venue.py applies around every answer.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from simulator.candles import SECONDS, Candle, candles, open_time
from simulator.instruments import Instrument
from simulator.market import Image, Market, Trade
from simulator.venues.base import Answer
from simulator.venues.binance import frames
from simulator.venues.binance.catalogue import SPOT, Spelling

USDM_DEPTHS = {5: 2, 10: 2, 20: 2, 50: 2, 100: 5, 500: 10, 1000: 20}
SPOT_DEPTH_WEIGHTS = ((100, 5), (500, 25), (1000, 50), (5000, 250))


def dumps(value: Any) -> str:
    """JSON without white space."""
    return json.dumps(value, separators=(",", ":"))


def error(status: int, code: int, message: str) -> Answer:
    """The venue's error body under an HTTP status."""
    return Answer(status, dumps({"code": code, "msg": message}))


def invalid_symbol() -> Answer:
    """The answer to a symbol that is not traded."""
    return error(400, -1121, "Invalid symbol.")


def number(params: Mapping[str, str], name: str, default: int) -> int:
    """A whole-number parameter; ValueError where it is none."""
    return int(params.get(name, default))


def _plain(value: str) -> str:
    return value.rstrip("0").rstrip(".") if "." in value else value


def _spot_symbol(instrument: Instrument) -> dict[str, Any]:
    spelling = Spelling(instrument)
    tick, step = spelling.price(1), spelling.amount(1)
    return {
        "symbol": spelling.upper,
        "status": "TRADING",
        "baseAsset": instrument.base,
        "baseAssetPrecision": 8,
        "quoteAsset": instrument.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8,
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT"],
        "icebergAllowed": True,
        "ocoAllowed": True,
        "quoteOrderQtyMarketAllowed": True,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": True,
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": "1000000.00000000", "tickSize": tick},
            {"filterType": "LOT_SIZE", "minQty": step, "maxQty": "9000.00000000", "stepSize": step},
            {"filterType": "ICEBERG_PARTS", "limit": 10},
            {"filterType": "MARKET_LOT_SIZE", "minQty": "0.00000000", "maxQty": "100.00000000", "stepSize": "0.00000000"},
            {
                "filterType": "NOTIONAL",
                "minNotional": "5.00000000",
                "applyMinToMarket": True,
                "maxNotional": "9000000.00000000",
                "applyMaxToMarket": False,
                "avgPriceMins": 5,
            },
            {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": 200},
        ],
        "permissions": [],
        "permissionSets": [["SPOT", "MARGIN"]],
    }


def _usdm_symbol(instrument: Instrument) -> dict[str, Any]:
    spelling = Spelling(instrument)
    tick, step = _plain(spelling.price(1)), spelling.amount(1)
    shown = len(spelling.price(1).partition(".")[2])
    return {
        "symbol": spelling.upper,
        "pair": spelling.upper,
        "contractType": "PERPETUAL",
        "deliveryDate": 4133404800000,
        "onboardDate": 1569398400000,
        "status": "TRADING",
        "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000",
        "baseAsset": instrument.base,
        "quoteAsset": instrument.quote,
        "marginAsset": instrument.quote,
        "pricePrecision": shown,
        "quantityPrecision": instrument.lot_decimals,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "underlyingSubType": [],
        "settlePlan": 0,
        "triggerProtect": "0.0500",
        "liquidationFee": "0.012000",
        "marketTakeBound": "0.30",
        "filters": [
            {"minPrice": tick, "maxPrice": "1000000", "filterType": "PRICE_FILTER", "tickSize": tick},
            {"stepSize": step, "filterType": "LOT_SIZE", "maxQty": "1000", "minQty": step},
            {"stepSize": step, "filterType": "MARKET_LOT_SIZE", "maxQty": "1000", "minQty": step},
            {"limit": 200, "filterType": "MAX_NUM_ORDERS"},
            {"limit": 10, "filterType": "MAX_NUM_ALGO_ORDERS"},
            {"notional": "5", "filterType": "MIN_NOTIONAL"},
            {"multiplierDown": "0.8500", "multiplierUp": "1.1500", "multiplierDecimal": "4", "filterType": "PERCENT_PRICE"},
        ],
        "orderTypes": ["LIMIT", "MARKET", "STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET"],
        "timeInForce": ["GTC", "IOC", "FOK", "GTX"],
    }


def exchange_info(instruments: Iterable[Instrument], *, market: str, now_us: int, weight_limit: int) -> str:
    """Body of exchangeInfo for instruments of one market."""
    limits = [{"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": weight_limit}]
    head: dict[str, Any] = {"timezone": "UTC", "serverTime": now_us // 1000}
    if market == SPOT:
        return dumps({**head, "rateLimits": limits, "exchangeFilters": [], "symbols": [_spot_symbol(item) for item in instruments]})
    assets = [{"asset": "USDT", "marginAvailable": True, "autoAssetExchange": "-10000"}]
    symbols = [_usdm_symbol(item) for item in instruments]
    return dumps({**head, "futuresType": "U_MARGINED", "rateLimits": limits, "exchangeFilters": [], "assets": assets, "symbols": symbols})


def depth(spelling: Spelling, image: Image, *, limit: int, now_ms: int) -> str:
    """Body of a depth snapshot cut to `limit` levels a side."""
    spot = spelling.instrument.market == SPOT
    times = "" if spot else f'"E":{now_ms},"T":{image.time_us // 1000},'
    bids, asks = spelling.levels(image.bids[:limit]), spelling.levels(image.asks[:limit])
    return f'{{"lastUpdateId":{image.sequence},{times}"bids":{bids},"asks":{asks}}}'


def depth_weight(market: str, limit: int) -> int | None:
    """Request weight of a depth snapshot; None for a limit the venue refuses."""
    if market != SPOT:
        return USDM_DEPTHS.get(limit)
    return next((weight for most, weight in SPOT_DEPTH_WEIGHTS if 1 <= limit <= most), None)


def _within(trades: Iterable[tuple[int, int]], params: Mapping[str, str], *, most: int) -> tuple[int, int]:
    """Index range of (id, ms) rows that a fromId or time span asks for."""
    rows = list(trades)
    limit = min(number(params, "limit", 500), most)
    start, end = number(params, "startTime", 0), number(params, "endTime", 1 << 62)
    if "fromId" in params:
        wanted = number(params, "fromId", 0)
        first = next((index for index, (identity, _) in enumerate(rows) if identity >= wanted), len(rows))
        return first, min(first + limit, len(rows))
    if start or "endTime" in params:
        chosen = [index for index, (_, ms) in enumerate(rows) if start <= ms <= end]
        return (chosen[0], min(chosen[0] + limit, chosen[-1] + 1)) if chosen else (0, 0)
    return max(0, len(rows) - limit), len(rows)


def aggregate_trades(spelling: Spelling, market: Market, params: Mapping[str, str]) -> str:
    """Body of aggTrades: ascending, from an id, in a time span, or the newest."""
    groups = frames.aggregates(list(market.recent))
    first, last = _within(((group[0].aggregate_id, group[0].time_us // 1000) for group in groups), params, most=1000)
    best = ',"M":true' if spelling.instrument.market == SPOT else ""
    rows = [
        f'{{"a":{fill.aggregate_id},"p":"{spelling.price(fill.price)}","q":"{spelling.amount(fill.amount)}","f":{low},"l":{high},'
        f'"T":{fill.time_us // 1000},"m":{"false" if fill.buy else "true"}{best}}}'
        for fill, low, high in groups[first:last]
    ]
    return "[" + ",".join(rows) + "]"


def raw_trades(spelling: Spelling, market: Market, params: Mapping[str, str]) -> str:
    """Body of trades and historicalTrades: ascending, from an id or the newest."""
    fills: list[Trade] = list(market.recent)
    first, last = _within(((fill.trade_id, fill.time_us // 1000) for fill in fills), params, most=1000)
    best = ',"isBestMatch":true' if spelling.instrument.market == SPOT else ""
    rows = []
    for fill in fills[first:last]:
        value = market.instrument.price(fill.price) * market.instrument.amount(fill.amount)
        rows.append(
            f'{{"id":{fill.trade_id},"price":"{spelling.price(fill.price)}","qty":"{spelling.amount(fill.amount)}","quoteQty":"{value:.8f}",'
            f'"time":{fill.time_us // 1000},"isBuyerMaker":{"false" if fill.buy else "true"}{best}}}'
        )
    return "[" + ",".join(rows) + "]"


def _kline(spelling: Spelling, candle: Candle, interval: int) -> list[Any]:
    ticks, lots = 10**spelling.instrument.tick_decimals, 10**spelling.instrument.lot_decimals
    quote = candle.volume * (candle.open + candle.close) / 2
    bought = candle.bought * (candle.open + candle.close) / 2
    prices = [spelling.price(int(value * ticks)) for value in (candle.open, candle.high, candle.low, candle.close)]
    volumes = [spelling.amount(max(1, int(value * lots))) for value in (candle.volume, candle.bought)]
    close_ms = (candle.time + interval) * 1000 - 1
    return [candle.time * 1000, *prices, volumes[0], close_ms, f"{quote:.8f}", candle.trades, volumes[1], f"{bought:.8f}", "0"]


def klines(spelling: Spelling, market: Market, params: Mapping[str, str], now_us: int) -> Answer:
    """Candles, ascending; the last is the running one where the range reaches now."""
    interval = SECONDS.get(params.get("interval", ""))
    if interval is None or (interval == 1 and spelling.instrument.market != SPOT):
        return error(400, -1120, "Invalid interval.")
    limit = min(number(params, "limit", 500), 1000 if spelling.instrument.market == SPOT else 1500)
    end = min(number(params, "endTime", now_us // 1000) // 1000, now_us // 1_000_000)
    last = open_time(end, interval)
    first = last - (limit - 1) * interval
    if "startTime" in params:
        start = -(-number(params, "startTime", 0) // 1000)
        first = open_time(start + interval - 1, interval)
        last = min(last, first + (limit - 1) * interval)
    rows = candles(market, interval=interval, first=first, last=last, now=now_us / 1e6)
    return Answer(200, dumps([_kline(spelling, row, interval) for row in rows]))


def open_interest(spelling: Spelling, market: Market, now_us: int) -> str:
    """Open contracts in base units: a value that swings slowly around what 2 billion dollars would buy."""
    minute = now_us // 60_000_000
    units = 2e9 / market.path.at(now_us) * (1.0 + 0.05 * ((minute % 720) / 720 - 0.5))
    lots = int(units * 10**spelling.instrument.lot_decimals)
    return f'{{"symbol":"{spelling.upper}","openInterest":"{spelling.amount(lots)}","time":{now_us // 1000}}}'
