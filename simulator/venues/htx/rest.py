"""HTX's REST answers: symbol and contract lists, trades, depth, candles, open interest, funding.

What belongs here: bodies as JSON text. What does not: counting requests and paths (venue.py).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from simulator.candles import SECONDS, Candle, candles, open_time
from simulator.instruments import Instrument
from simulator.market import Image
from simulator.numbers import fixed
from simulator.venues.base import Answer
from simulator.venues.htx import frames
from simulator.venues.htx.catalogue import Spelling
from simulator.venues.htx.feed import Feed

MOST_TRADES = 2_000
MOST_CANDLES = 2_000
PERIODS = {
    "1min": SECONDS["1m"],
    "5min": SECONDS["5m"],
    "15min": SECONDS["15m"],
    "30min": SECONDS["30m"],
    "60min": SECONDS["1h"],
    "4hour": SECONDS["4h"],
    "1day": SECONDS["1d"],
    "1week": SECONDS["1w"],
}
DAY_SHIFT = 8 * 3_600
"""Days and weeks open at midnight of UTC+8."""
OPEN_INTEREST_USD = 4e8


def failed(code: str, message: str, now_us: int) -> Answer:
    """A refusal, which the venue answers with status 200."""
    return Answer(200, json.dumps({"ts": now_us // 1000, "status": "error", "err-code": code, "err-msg": message}, separators=(",", ":")))


def invalid_symbol(now_us: int) -> Answer:
    """The answer to a market that is not there."""
    return failed("invalid-parameter", "invalid symbol", now_us)


def _number(params: Mapping[str, str], name: str, default: int, *, most: int) -> int:
    """A count between 1 and `most`; ValueError where it is none."""
    value = int(params.get(name, default))
    if not 1 <= value <= most:
        raise ValueError(f"{name} was {value}: expected 1 to {most}")
    return value


def _symbol(instrument: Instrument) -> dict[str, Any]:
    spelling = Spelling(instrument)
    return {
        "base-currency": instrument.base.lower(),
        "quote-currency": instrument.quote.lower(),
        "price-precision": instrument.tick_decimals,
        "amount-precision": instrument.lot_decimals,
        "symbol-partition": "main",
        "symbol": spelling.native,
        "state": "online",
        "value-precision": 8,
        "min-order-amt": 0.0001,
        "max-order-amt": 1000,
        "min-order-value": 5,
        "limit-order-min-order-amt": 0.0001,
        "limit-order-max-order-amt": 1000,
        "limit-order-max-buy-amt": 1000,
        "limit-order-max-sell-amt": 1000,
        "sell-market-min-order-amt": 0.0001,
        "sell-market-max-order-amt": 100,
        "buy-market-max-order-value": 1000000,
        "leverage-ratio": 5,
        "super-margin-leverage-ratio": 3,
        "funding-leverage-ratio": 3,
        "api-trading": "enabled",
        "tags": "activities",
    }


def symbols(instruments: Iterable[Instrument]) -> str:
    """Body of /v1/common/symbols."""
    return json.dumps({"status": "ok", "data": [_symbol(item) for item in instruments]}, separators=(",", ":"))


def contract_row(instrument: Instrument) -> str:
    """One contract, numbers with eighteen decimals as recorded."""
    code = Spelling(instrument).native
    return (
        f'{{"symbol":"{instrument.base}","contract_code":"{code}","contract_size":{instrument.contract_size:.18f},'
        f'"price_tick":{10.0**-instrument.tick_decimals:.18f},"delivery_date":"","delivery_time":"","create_date":"20201021",'
        f'"contract_status":1,"settlement_date":"1645315200000","support_margin_mode":"all","business_type":"swap","pair":"{code}",'
        '"contract_type":"swap","trade_partition":"USDT"}'
    )


def contracts(instruments: Iterable[Instrument], params: Mapping[str, str], now_us: int) -> Answer:
    """swap_contract_info, of all or of one contract."""
    wanted = params.get("contract_code")
    rows = [contract_row(item) for item in instruments if wanted is None or Spelling(item).native == wanted]
    if not rows:
        return no_contract(now_us)
    return _derivative(",".join(rows), now_us)


def no_contract(now_us: int) -> Answer:
    """The derivative host's answer to a contract that is not there."""
    body = {"status": "error", "err_code": 1332, "err_msg": "The contract doesn't exist.", "ts": now_us // 1000}
    return Answer(200, json.dumps(body, separators=(",", ":")))


def _derivative(rows: str, now_us: int) -> Answer:
    return Answer(200, f'{{"status":"ok","data":[{rows}],"ts":{now_us // 1000}}}')


def trade_history(feed: Feed, params: Mapping[str, str], now_us: int) -> Answer:
    """The newest orders' fills, newest first; there are no pages."""
    size = _number(params, "size", 1, most=MOST_TRADES)
    groups = list(feed.groups)[: -size - 1 : -1]
    rows = ",".join([frames.trade_group(feed.spelling, fills, id_key="trade-id") for fills in groups])
    return Answer(200, f'{{"ch":"market.{feed.spelling.native}.trade.detail","status":"ok","ts":{now_us // 1000},"data":[{rows}]}}')


def depth(feed: Feed, image: Image, params: Mapping[str, str], now_us: int) -> Answer:
    """Depth of type step0: 150 levels of the book as it is."""
    if params.get("type", "step0") != "step0":
        return failed("invalid-parameter", "invalid type", now_us)
    bids, asks = feed.spelling.levels(image.bids[:150]), feed.spelling.levels(image.asks[:150])
    channel, ms = f"market.{feed.spelling.native}.depth.step0", image.time_us // 1000
    if feed.spelling.spot:
        tick = f'{{"bids":{bids},"asks":{asks},"version":{image.sequence},"ts":{ms}}}'
        return Answer(200, f'{{"ch":"{channel}","status":"ok","ts":{now_us // 1000},"tick":{tick}}}')
    tick = f'{{"asks":{asks},"bids":{bids},"ch":"{channel}","id":{ms // 1000},"mrid":{image.sequence},"ts":{ms},"version":{ms // 1000}}}'
    return Answer(200, f'{{"ch":"{channel}","status":"ok","tick":{tick},"ts":{now_us // 1000}}}')


def _candle(feed: Feed, candle: Candle) -> dict[str, Any]:
    item = feed.market.instrument
    open_, high, low, close = (
        float(fixed(int(value * 10**item.tick_decimals), item.tick_decimals))
        for value in (candle.open, candle.high, candle.low, candle.close)
    )
    lots = max(1, int(candle.volume * 10**item.lot_decimals))
    amount, quote = item.amount(lots), item.amount(lots) * (open_ + close) / 2
    head = {"id": candle.time, "open": open_, "close": close, "low": low, "high": high, "amount": amount}
    if feed.spelling.spot:
        return {**head, "vol": round(quote, 8), "count": candle.trades}
    # Contracts count both sides.
    return {**head, "amount": 2 * amount, "vol": 2 * lots, "trade_turnover": round(2 * quote, 8), "count": candle.trades}


def klines(feed: Feed, params: Mapping[str, str], now_us: int) -> Answer:
    """Candles: newest first on spot, where the newest `size` are given; ascending and by `from` and `to` for contracts."""
    interval = PERIODS.get(params.get("period", ""))
    if interval is None:
        return failed("invalid-parameter", "invalid period", now_us)
    size = _number(params, "size", 150, most=MOST_CANDLES)
    shift = DAY_SHIFT if interval >= SECONDS["1d"] else 0
    last = open_time(min(int(params.get("to", now_us // 1_000_000)), now_us // 1_000_000) + shift, interval) - shift
    first = last - (size - 1) * interval
    if "from" in params:
        start = open_time(int(params["from"]) + shift + interval - 1, interval) - shift
        first = max(start, last - (MOST_CANDLES - 1) * interval)
    rows = [_candle(feed, row) for row in candles(feed.market, interval=interval, first=first, last=last, now=now_us / 1e6)]
    if feed.spelling.spot:
        rows.reverse()
    channel = f"market.{feed.spelling.native}.kline.{params['period']}"
    return Answer(200, json.dumps({"ch": channel, "status": "ok", "ts": now_us // 1000, "data": rows}, separators=(",", ":")))


def open_interest(feeds: Iterable[Feed], now_us: int) -> Answer:
    """swap_open_interest: contracts, base units and value, swinging slowly around a value in dollars."""
    rows = []
    for feed in feeds:
        item, price = feed.market.instrument, feed.market.path.at(now_us)
        swing = 1.0 + 0.05 * ((now_us // 60_000_000 % 720) / 720 - 0.5)
        lots = max(1, int(OPEN_INTEREST_USD * swing / price * 10**item.lot_decimals))
        amount = feed.spelling.base_units(lots)
        rows.append(
            f'{{"volume":{lots}.000000000000000000,"amount":{amount},"symbol":"{item.base}","value":{float(amount) * price:.18f},'
            f'"contract_code":"{feed.spelling.native}","trade_amount":{amount},"trade_volume":{lots},'
            f'"trade_turnover":{float(amount) * price:.18f},"business_type":"swap","pair":"{feed.spelling.native}",'
            '"contract_type":"swap","trade_partition":"USDT"}'
        )
    return _derivative(",".join(rows), now_us)


def funding_rates(feeds: Iterable[Feed], now_us: int) -> Answer:
    """swap_batch_funding_rate."""
    return _derivative(",".join([frames.funding_row(feed.spelling, now_us) for feed in feeds]), now_us)
