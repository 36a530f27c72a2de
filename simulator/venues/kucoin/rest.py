"""KuCoin's REST answers: lists, the newest trades, depth, candles, funding.

What belongs here: bodies as JSON text in the {"code","data"} envelope. What does not: counting requests and paths (venue.py).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from simulator.candles import SECONDS, candles, open_time
from simulator.instruments import Instrument
from simulator.market import Image, Market
from simulator.numbers import fixed
from simulator.prices import index_price
from simulator.venues.base import Answer
from simulator.venues.kucoin.catalogue import SPOT, Spelling
from simulator.venues.kucoin.feed import Feed

NEWEST_TRADES = 100
SPOT_CANDLES = 1_500
FUTURES_CANDLES = 500
FUNDING_MS = 8 * 3_600_000
FUNDING_RATE = 0.0001
OPEN_INTEREST_USD = 4e8
SPOT_PERIODS = {
    "1min": SECONDS["1m"],
    "3min": SECONDS["3m"],
    "5min": SECONDS["5m"],
    "15min": SECONDS["15m"],
    "30min": SECONDS["30m"],
    "1hour": SECONDS["1h"],
    "2hour": SECONDS["2h"],
    "4hour": SECONDS["4h"],
    "6hour": SECONDS["6h"],
    "8hour": SECONDS["8h"],
    "12hour": SECONDS["12h"],
    "1day": SECONDS["1d"],
    "1week": SECONDS["1w"],
}
FUTURES_MINUTES = frozenset({1, 5, 15, 30, 60, 120, 240, 480, 720, 1440, 10080})


def found(data: Any) -> Answer:
    """A successful answer."""
    return Answer(200, f'{{"code":"200000","data":{data if isinstance(data, str) else json.dumps(data, separators=(",", ":"))}}}')


def failed(code: str, message: str) -> Answer:
    """A refusal, which the venue answers with status 200 unless the code names another."""
    status = 200 if code.startswith("9") else int(code[:3])
    return Answer(status, json.dumps({"code": code, "msg": message}, separators=(",", ":")))


def symbols(instruments: Iterable[Instrument]) -> Answer:
    """The list of pairs."""
    rows = []
    for item in instruments:
        native = Spelling(item).native
        rows.append(
            {
                "symbol": native,
                "name": native,
                "baseCurrency": item.base,
                "quoteCurrency": item.quote,
                "feeCurrency": item.quote,
                "market": "USDS",
                "baseMinSize": "0.0001",
                "quoteMinSize": "0.01",
                "baseMaxSize": "10000000000",
                "quoteMaxSize": "999999999",
                "baseIncrement": fixed(1, item.lot_decimals),
                "quoteIncrement": "0.000001",
                "priceIncrement": fixed(1, item.tick_decimals),
                "priceLimitRate": "0.1",
                "isMarginEnabled": True,
                "enableTrading": True,
            }
        )
    return found(rows)


def _contract(item: Instrument, market: Market | None, now_us: int) -> str:
    """One contract, its numbers as recorded; next funding is told by the milliseconds until it."""
    spelling, ms = Spelling(item), now_us // 1000
    mark = market.path.at(now_us) if market else 0.0
    index = index_price(item.base, market.seed, now_us) if market else 0.0
    interest = max(1, int(OPEN_INTEREST_USD / mark * 10**item.lot_decimals)) if mark else 0
    last = spelling.price(market.recent[-1].price) if market and market.recent else f"{mark:.{item.tick_decimals}f}"
    head = (
        f'{{"symbol":"{spelling.native}","rootSymbol":"{item.quote}","type":"FFWCSX","firstOpenDate":1585555200000,"expireDate":null,'
        f'"settleDate":null,"baseCurrency":"{spelling.asset}","quoteCurrency":"{item.quote}","settleCurrency":"{item.quote}",'
        f'"maxOrderQty":1000000,"maxPrice":1000000.0000000000,"lotSize":1,"tickSize":{fixed(1, item.tick_decimals)},'
        f'"indexPriceTickSize":0.01,"multiplier":{fixed(1, item.lot_decimals)},"initialMargin":0.01,"maintainMargin":0.005,'
        '"maxRiskLimit":2000000,"minRiskLimit":2000000,"riskStep":1000000,"makerFeeRate":0.00020,"takerFeeRate":0.00060,'
        '"takerFixFee":0.0000000000,"makerFixFee":0.0000000000,"settlementFee":null,"isDeleverage":true,"isQuanto":true,"isInverse":false,'
        '"markMethod":"FairPrice","fairMethod":"FundingRate",'
    )
    root = spelling.asset
    return (
        f'{head}"fundingBaseSymbol":".{root}INT8H","fundingQuoteSymbol":".USDTINT8H","fundingRateSymbol":".{spelling.native}FPI8H",'
        f'"indexSymbol":".K{root}USDT","settlementSymbol":"","status":"Open","fundingFeeRate":{FUNDING_RATE:.6f},'
        f'"predictedFundingFeeRate":{FUNDING_RATE * 0.5:.6f},"openInterest":"{interest}","turnoverOf24h":751931474.32877920,'
        f'"volumeOf24h":25408.11100000,"markPrice":{mark:.{item.tick_decimals + 1}f},"indexPrice":{index:.{item.tick_decimals + 1}f},'
        f'"lastTradePrice":{last},"nextFundingRateTime":{FUNDING_MS - ms % FUNDING_MS},"maxLeverage":100,'
        f'"sourceExchanges":["huobi","Okex","Binance","Kucoin","Poloniex","Hitbtc"],"premiumsSymbol1M":".{spelling.native}PI",'
        f'"premiumsSymbol8H":".{spelling.native}PI8H","fundingBaseSymbol1M":".{root}INT","fundingQuoteSymbol1M":".USDTINT",'
        f'"lowPrice":{mark * 0.98:.{item.tick_decimals}f},"highPrice":{mark * 1.02:.{item.tick_decimals}f},'
        '"priceChgPct":0.0004,"priceChg":13}'
    )


def contracts(instruments: Iterable[Instrument], markets: Mapping[Instrument, Market], now_us: int) -> Answer:
    """Every contract and its state."""
    return found("[" + ",".join([_contract(item, markets.get(item), now_us) for item in instruments]) + "]")


def newest_trades(feed: Feed) -> Answer:
    """The unified list of trades: the newest hundred, oldest first, and no way to ask for older ones."""
    spelling = feed.spelling
    rows = []
    for fill in list(feed.market.recent)[-NEWEST_TRADES:]:
        number = spelling.trade_id(fill.trade_id)
        rpi = "" if spelling.spot else ',"isRpiTrade":false'
        rows.append(
            f'{{"sequence":"{number}","tradeId":"{number}","price":"{spelling.price(fill.price)}","size":"{spelling.amount(fill.amount)}",'
            f'"side":"{"buy" if fill.buy else "sell"}","ts":{fill.time_us}000{rpi}}}'
        )
    return found(f'{{"tradeType":"{spelling.trade_type}","list":[{",".join(rows)}]}}')


def depth(feed: Feed, image: Image, *, count: int | None) -> Answer:
    """The book: text on spot, numbers on futures."""
    spelling = feed.spelling
    if spelling.spot:
        sides = f'"bids":{spelling.levels(image.bids[:count])},"asks":{spelling.levels(image.asks[:count])}'
        return found(f'{{"time":{image.time_us // 1000},"sequence":"{image.sequence}",{sides}}}')
    bids, asks = (spelling.levels(side[:count]).replace('"', "") for side in (image.bids, image.asks))
    return found(f'{{"symbol":"{spelling.native}","sequence":{image.sequence},"asks":{asks},"bids":{bids},"ts":{image.time_us}000}}')


def spot_candles(feed: Feed, params: Mapping[str, str], now_us: int) -> Answer:
    """Newest first: time, open, CLOSE, HIGH, low, volume, turnover as text."""
    interval = SPOT_PERIODS.get(params.get("type", ""))
    if interval is None:
        return failed("400100", "type is invalid")
    last = open_time(min(int(params.get("endAt") or now_us // 1_000_000), now_us // 1_000_000), interval)
    first = last - (SPOT_CANDLES - 1) * interval
    if int(params.get("startAt", 0)):
        first = max(first, open_time(int(params["startAt"]) + interval - 1, interval))
    item = feed.market.instrument
    rows = []
    for row in reversed(candles(feed.market, interval=interval, first=first, last=last, now=now_us / 1e6)):
        prices = [fixed(int(value * 10**item.tick_decimals), item.tick_decimals) for value in (row.open, row.close, row.high, row.low)]
        rows.append([str(row.time), *prices, f"{row.volume:.8f}", f"{row.volume * (row.open + row.close) / 2:.8f}"])
    return found(rows)


def futures_candles(feed: Feed, params: Mapping[str, str], now_us: int) -> Answer:
    """Ascending: time in milliseconds, open, high, low, close, volume in lots, turnover as numbers."""
    minutes = int(params.get("granularity", 0))
    if minutes not in FUTURES_MINUTES:
        return failed("400100", "granularity is invalid")
    interval = minutes * 60
    last = open_time(min(int(params.get("to") or now_us // 1000), now_us // 1000) // 1000, interval)
    first = last - (FUTURES_CANDLES - 1) * interval
    if int(params.get("from", 0)):
        first = max(first, open_time(int(params["from"]) // 1000 + interval - 1, interval))
    item = feed.market.instrument
    rows: list[list[float]] = []
    for row in candles(feed.market, interval=interval, first=first, last=last, now=now_us / 1e6):
        prices = [round(value, item.tick_decimals) for value in (row.open, row.high, row.low, row.close)]
        lots = max(1, int(row.volume * 10**item.lot_decimals))
        rows.append([row.time * 1000, *prices, lots, round(row.volume * (row.open + row.close) / 2, 4)])
    return found(rows)


def current_funding(feed: Feed, now_us: int) -> Answer:
    """The running funding rate of a contract."""
    native, ms = feed.spelling.native, now_us // 1000
    body = {
        "symbol": f".{native}FPI8H",
        "granularity": FUNDING_MS,
        "timePoint": ms // FUNDING_MS * FUNDING_MS,
        "value": FUNDING_RATE,
        "predictedValue": FUNDING_RATE * 0.5,
    }
    return found(body)


def listed(instruments: Iterable[Instrument], *, spot: bool) -> list[Instrument]:
    """Instruments of one kind."""
    return [item for item in instruments if (item.market == SPOT) == spot]
