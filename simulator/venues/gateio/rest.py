"""Gate.io's REST answers: instruments, depth, trades, candles, forced orders.

What belongs here: bodies as JSON text, paging as documented. What does not: counting of requests and dispatch (venue.py).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from simulator.candles import SECONDS, Candle, candles, open_time
from simulator.instruments import ASSETS, Instrument
from simulator.market import Image, Market, Trade
from simulator.venues.base import Answer
from simulator.venues.gateio.catalogue import Spelling, plain

MOST_TRADES = 1000
USUAL_ROWS = 100
INTERVALS: dict[str, int] = {
    "10s": 10,
    "1m": 60,
    "5m": 300,
    "15m": 900,
    "30m": 1_800,
    "1h": 3_600,
    "4h": 14_400,
    "8h": 28_800,
    "1d": 86_400,
    "7d": SECONDS["1w"],
    "30d": 2_592_000,
}


class Forced(NamedTuple):
    """A forced order that was published: lots, limit price in ticks, side of the order, unix microseconds."""

    time_us: int
    lots: int
    price: int
    buy: bool


def error(label: str, message: str, *, status: int = 400) -> Answer:
    """A refusal in the venue's words."""
    return Answer(status, json.dumps({"label": label, "message": message}, separators=(",", ":")))


def number(params: Mapping[str, str], name: str, default: int, *, most: int) -> int:
    """A whole number of the query within 1..most; raises ValueError with the name of the parameter."""
    text = params.get(name, str(default))
    if not text.isdecimal() or not 1 <= int(text) <= most:
        raise ValueError(name)
    return int(text)


def currency_pairs(instruments: Iterable[Instrument]) -> str:
    """Body of spot/currency_pairs."""
    rows = []
    for item in instruments:
        smallest = plain(1, item.lot_decimals)
        rows.append(
            {
                "id": f"{item.base}_{item.quote}",
                "base": item.base,
                "quote": item.quote,
                "fee": "0.2",
                "min_base_amount": smallest,
                "min_quote_amount": "1",
                "amount_precision": item.lot_decimals,
                "precision": item.tick_decimals,
                "trade_status": "tradable",
                "sell_start": 0,
                "buy_start": 0,
            }
        )
    return json.dumps(rows, separators=(",", ":"))


def _contract(item: Instrument, now_us: int) -> dict[str, Any]:
    spelling = Spelling(item)
    price = plain(int(ASSETS[item.base].reference_price * 10**item.tick_decimals), item.tick_decimals)
    second = now_us // 1_000_000
    return {
        "name": spelling.id,
        "type": "direct",
        "quanto_multiplier": f"{item.contract_size:g}",
        "ref_discount_rate": "0",
        "order_price_deviate": "0.5",
        "maintenance_rate": "0.005",
        "mark_type": "index",
        "last_price": price,
        "mark_price": price,
        "index_price": price,
        "funding_rate_indicative": "0.0001",
        "mark_price_round": "0.01",
        "funding_offset": 0,
        "in_delisting": False,
        "risk_limit_base": "1000000",
        "interest_rate": "0.0003",
        "order_price_round": plain(1, item.tick_decimals),
        "order_size_min": spelling.amount(1),
        "ref_rebate_rate": "0.2",
        "funding_interval": 28_800,
        "risk_limit_step": "1000000",
        "leverage_min": "1",
        "leverage_max": "100",
        "risk_limit_max": "8000000",
        "maker_fee_rate": "-0.00025",
        "taker_fee_rate": "0.00075",
        "funding_rate": "0.0001",
        "order_size_max": "1000000",
        "funding_next_apply": second - second % 28_800 + 28_800,
        "short_users": 977,
        "config_change_time": 1_609_899_548,
        "trade_size": "37838374.7",
        "position_size": "40177.8",
        "long_users": 455,
        "funding_impact_value": "60000",
        "orders_limit": 50,
        "trade_id": 10_851_092,
        "orderbook_id": 2_129_638_396,
        "enable_bonus": True,
        "enable_credit": True,
        "create_time": 1_669_688_556,
        "funding_cap_ratio": "0.75",
        "enable_decimal": spelling.lots_per_contract > 1,
    }


def contracts(instruments: Iterable[Instrument], now_us: int) -> str:
    """Body of futures/usdt/contracts."""
    return json.dumps([_contract(item, now_us) for item in instruments], separators=(",", ":"))


def depth(spelling: Spelling, image: Image, *, limit: int, with_id: bool, now_us: int) -> str:
    """A book with its id, if it is asked for; levels of futures are objects, times of futures seconds."""
    identity = f'"id":{image.sequence},' if with_id else ""
    if spelling.spot:
        times = f'"current":{now_us // 1000},"update":{image.time_us // 1000}'
        asks, bids = spelling.levels(image.asks[:limit]), spelling.levels(image.bids[:limit])
    else:
        times = f'"current":{now_us // 1000 / 1000},"update":{image.time_us // 1000 / 1000}'
        asks, bids = _objects(spelling, image.asks[:limit]), _objects(spelling, image.bids[:limit])
    return f'{{{identity}{times},"asks":{asks},"bids":{bids}}}'


def _objects(spelling: Spelling, levels: list[tuple[int, int]]) -> str:
    rows = [f'{{"p":"{spelling.price(price)}","s":"{spelling.amount(amount)}"}}' for price, amount in levels]
    return "[" + ",".join(rows) + "]"


def trades(spelling: Spelling, market: Market, params: Mapping[str, str]) -> str:
    """Trades newest first: whole seconds from..to, before or (reverse) after last_id, by page (spot) or offset (futures)."""
    limit = number(params, "limit", USUAL_ROWS, most=MOST_TRADES)
    first, last = int(params.get("from", "0")), int(params.get("to", "9999999999"))
    rows = [fill for fill in reversed(market.recent) if first <= fill.time_us // 1_000_000 <= last]
    own: Callable[[Trade], int] = (lambda fill: spelling.global_id(fill.trade_id)) if spelling.spot else (lambda fill: fill.trade_id)
    if "last_id" in params:
        mark = int(params["last_id"])
        after = params.get("reverse") == "true"
        rows = [fill for fill in rows if (own(fill) > mark if after else own(fill) < mark)]
    skipped = (int(params.get("page", "1")) - 1) * limit if spelling.spot else int(params.get("offset", "0"))
    row = _spot_trade if spelling.spot else _futures_trade
    return "[" + ",".join(row(spelling, fill) for fill in rows[skipped : skipped + limit]) + "]"


def _spot_trade(spelling: Spelling, fill: Trade) -> str:
    return (
        f'{{"id":"{spelling.global_id(fill.trade_id)}","create_time":"{fill.time_us // 1_000_000}",'
        f'"create_time_ms":"{fill.time_us // 1000}.{fill.time_us % 1000:03d}","side":"{"buy" if fill.buy else "sell"}",'
        f'"amount":"{spelling.amount(fill.amount)}","price":"{spelling.price(fill.price)}","sequence_id":"{fill.trade_id}"}}'
    )


def _futures_trade(spelling: Spelling, fill: Trade) -> str:
    # Unlike the stream, REST writes create_time_ms in seconds with three decimals.
    return (
        f'{{"id":{fill.trade_id},"create_time":{fill.time_us // 1_000_000},"contract":"{spelling.id}",'
        f'"size":"{spelling.amount(fill.amount if fill.buy else -fill.amount)}","price":"{spelling.price(fill.price)}",'
        f'"create_time_ms":{fill.time_us // 1000 / 1000:.3f}}}'
    )


def forced_orders(spelling: Spelling, orders: Iterable[Forced], params: Mapping[str, str]) -> str:
    """Forced orders newest first; size is the closed position's (a long one is positive), order_size the order's."""
    limit = number(params, "limit", USUAL_ROWS, most=MOST_TRADES)
    return "[" + ",".join([_forced_order(spelling, each) for each in sorted(orders, reverse=True)[:limit]]) + "]"


def _forced_order(spelling: Spelling, order: Forced) -> str:
    signed, price = order.lots if order.buy else -order.lots, spelling.price(order.price)
    return (
        f'{{"time":{order.time_us // 1_000_000},"contract":"{spelling.id}","size":"{spelling.amount(-signed)}",'
        f'"order_size":"{spelling.amount(signed)}","order_price":"{price}","fill_price":"{price}","left":"0"}}'
    )


def candlesticks(spelling: Spelling, market: Market, params: Mapping[str, str], now_us: int) -> Answer:
    """Candles ascending, the running one last; rows of spot are volume first, those of futures objects in contracts."""
    interval = INTERVALS.get(params.get("interval", "30m"))
    if interval is None:
        return error("INVALID_PARAM_VALUE", "Invalid request parameter `interval` value")
    if "limit" in params and ("from" in params or "to" in params):
        return error("INVALID_PARAM_VALUE", "`limit` conflicts with `from` and `to`")
    most = 1000 if spelling.spot else 2000
    limit = number(params, "limit", USUAL_ROWS, most=most)
    last = open_time(min(int(params.get("to", "9999999999")), now_us // 1_000_000), interval)
    first = open_time(int(params["from"]), interval) if "from" in params else last - (limit - 1) * interval
    if (last - first) // interval >= most:
        return error("INVALID_PARAM_VALUE", f"Too many points requested, at most {most}")
    rows = candles(market, interval=interval, first=first, last=last, now=now_us / 1e6)
    decimals = spelling.instrument.tick_decimals
    body: list[Any]
    if spelling.spot:
        body = [_spot_row(row, decimals, closed=row.time + interval <= now_us // 1_000_000) for row in rows]
    else:
        body = [_futures_row(row, decimals, spelling.instrument.contract_size) for row in rows]
    return Answer(200, json.dumps(body, separators=(",", ":")))


def _spot_row(row: Candle, decimals: int, *, closed: bool) -> list[str]:
    quote = row.volume * (row.open + row.close) / 2
    prices = [f"{value:.{decimals}f}" for value in (row.close, row.high, row.low, row.open)]
    return [str(row.time), f"{quote:.8f}", *prices, f"{row.volume:.8f}", "true" if closed else "false"]


def _futures_row(row: Candle, decimals: int, contract_size: float) -> dict[str, Any]:
    prices = {key: f"{value:.{decimals}f}" for key, value in (("c", row.close), ("h", row.high), ("l", row.low), ("o", row.open))}
    return {"t": row.time, "v": int(row.volume / contract_size), **prices, "sum": f"{row.volume * (row.open + row.close) / 2:.4f}"}
