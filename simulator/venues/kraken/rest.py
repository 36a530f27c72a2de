"""Kraken's REST answers: asset pairs, trades, OHLC, depth.

What belongs here: bodies as JSON text in Kraken's {"error","result"} envelope. What does not: rate counting (venue.py).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from simulator.candles import candles, open_time
from simulator.instruments import Instrument
from simulator.market import Image, Market, Trade
from simulator.venues.base import Answer
from simulator.venues.kraken.catalogue import Spelling, asset_key

OHLC_ROWS = 720
OHLC_MINUTES = frozenset({1, 5, 15, 30, 60, 240, 1440, 10080, 21600})
_TAKER_FEES = [[0, 0.4], [10000, 0.35], [50000, 0.24]]
_MAKER_FEES = [[0, 0.25], [10000, 0.2], [50000, 0.14]]


def result(body: Any) -> str:
    """A successful body; the venue escapes slashes."""
    return json.dumps({"error": [], "result": body}, separators=(",", ":")).replace("/", "\\/")


def failed(message: str) -> Answer:
    """An error, which the venue answers with status 200."""
    return Answer(200, json.dumps({"error": [message]}, separators=(",", ":")))


def unknown_pair() -> Answer:
    """The answer to a pair that is not traded."""
    return failed("EQuery:Unknown asset pair")


def _pair(instrument: Instrument) -> dict[str, Any]:
    spelling = Spelling(instrument)
    return {
        "altname": spelling.altname,
        "wsname": spelling.wsname,
        "aclass_base": "currency",
        "base": asset_key(instrument.base),
        "aclass_quote": "currency",
        "quote": asset_key(instrument.quote),
        "lot": "unit",
        "cost_decimals": 5,
        "pair_decimals": instrument.tick_decimals,
        "lot_decimals": instrument.lot_decimals,
        "lot_multiplier": 1,
        "leverage_buy": [2, 3, 4, 5],
        "leverage_sell": [2, 3, 4, 5],
        "fees": _TAKER_FEES,
        "fees_maker": _MAKER_FEES,
        "fee_volume_currency": "ZUSD",
        "margin_call": 80,
        "margin_stop": 40,
        "ordermin": "0.0001",
        "costmin": "0.5",
        "tick_size": spelling.price(1),
        "status": "online",
    }


def asset_pairs(instruments: Iterable[Instrument], *, only: set[str] | None = None) -> str | None:
    """Body of AssetPairs; None if one of the pairs in `only` is unknown."""
    rows = {Spelling(item).key: _pair(item) for item in instruments if item.market == "spot"}
    if only is not None:
        named = {name: key for key, row in rows.items() for name in (key, row["altname"], row["wsname"])}
        if not only <= named.keys():
            return None
        rows = {named[name]: rows[named[name]] for name in sorted(only)}
    return result(rows)


def instrument_channel(instruments: Iterable[Instrument]) -> str:
    """Data object of the v2 instrument channel."""
    items = [item for item in instruments if item.market == "spot"]
    assets = sorted({name for item in items for name in (item.base, item.quote)})
    data = {
        "assets": [{"id": name, "status": "enabled", "precision": 10, "precision_display": 5, "borrowable": True} for name in assets],
        "pairs": [
            {
                "symbol": item.symbol,
                "base": item.base,
                "quote": item.quote,
                "status": "online",
                "qty_precision": item.lot_decimals,
                "qty_increment": float(f"1e-{item.lot_decimals}"),
                "price_precision": item.tick_decimals,
                "cost_precision": 5,
                "marginable": True,
                "has_index": True,
                "cost_min": 0.5,
                "qty_min": 0.0001,
                "price_increment": float(f"1e-{item.tick_decimals}"),
                "tick_size": float(f"1e-{item.tick_decimals}"),
            }
            for item in items
        ],
    }
    return json.dumps(data, separators=(",", ":"))


def _trade(spelling: Spelling, fill: Trade) -> str:
    price = fill.price / 10**spelling.instrument.tick_decimals
    seconds = f"{fill.time_us // 1_000_000}.{fill.time_us % 1_000_000:06d}"
    decimals = max(5, spelling.instrument.tick_decimals)
    side, kind = "b" if fill.buy else "s", "l" if fill.trade_id % 3 else "m"
    return f'["{price:.{decimals}f}","{spelling.amount(fill.amount)}",{seconds},"{side}","{kind}","",{fill.trade_id}]'


def trades(spelling: Spelling, market: Market, params: Mapping[str, str]) -> str:
    """Trades after `since` (nanoseconds), ascending; without it the newest."""
    count = min(int(params.get("count", 1000)), 1000)
    rows = list(market.recent)
    if "since" in params:
        since = int(params["since"])
        rows = [fill for fill in rows if fill.time_us * 1000 > since][:count]
    else:
        rows = rows[-count:]
    text = ",".join(_trade(spelling, fill) for fill in rows)
    last = rows[-1].time_us * 1000 if rows else int(params.get("since", 0))
    return f'{{"error":[],"result":{{"{spelling.key}":[{text}],"last":"{last}"}}}}'


def ohlc(spelling: Spelling, market: Market, params: Mapping[str, str], now_us: int) -> Answer:
    """The newest 720 candles at most, the running one last."""
    minutes = int(params.get("interval", 1))
    if minutes not in OHLC_MINUTES:
        return failed("EGeneral:Invalid arguments")
    interval = minutes * 60
    last = open_time(now_us // 1_000_000, interval)
    first = last - (OHLC_ROWS - 1) * interval
    if "since" in params:
        first = max(first, open_time(int(params["since"]), interval) + interval)
    rows = []
    for row in candles(market, interval=interval, first=first, last=last, now=now_us / 1e6):
        ticks = 10**spelling.instrument.tick_decimals
        prices = [spelling.price(int(value * ticks)) for value in (row.open, row.high, row.low, row.close, (row.open + row.close) / 2)]
        rows.append([row.time, *prices, f"{row.volume:.8f}", row.trades])
    return Answer(200, result({spelling.key: rows, "last": last - interval}))


def depth(spelling: Spelling, image: Image, *, count: int) -> str:
    """Depth with the time of each level's last change, here that of the book."""
    second = image.time_us // 1_000_000

    def side(levels: list[tuple[int, int]]) -> str:
        ticks = 10**spelling.instrument.tick_decimals
        return ",".join(f'["{price / ticks:.5f}","{amount / 1e8:.3f}",{second}]' for price, amount in levels[:count])

    return f'{{"error":[],"result":{{"{spelling.key}":{{"asks":[{side(image.asks)}],"bids":[{side(image.bids)}]}}}}}}'
