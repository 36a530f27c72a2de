"""Coinbase's public REST answers: products, trades, candles, depth.

What belongs here: bodies as JSON text, paging of trades. What does not: rate counting and dispatch (venue.py).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from simulator.candles import SECONDS, candles, open_time
from simulator.instruments import Instrument
from simulator.market import Image, Market, Trade
from simulator.venues.base import Answer
from simulator.venues.coinbase.catalogue import CONTRACT_EXPIRY, Spelling, plain
from simulator.venues.coinbase.frames import event_time, maker_side

CANDLES = 350
TRADES = 1000
GRANULARITIES = {
    "ONE_MINUTE": "1m",
    "FIVE_MINUTE": "5m",
    "FIFTEEN_MINUTE": "15m",
    "THIRTY_MINUTE": "30m",
    "ONE_HOUR": "1h",
    "TWO_HOUR": "2h",
    "SIX_HOUR": "6h",
    "ONE_DAY": "1d",
}


def failed(status: int, error: str, message: str, *, headers: dict[str, str] | None = None) -> Answer:
    """An error body; `error` is the venue's word for its kind."""
    body = {"error": error, "error_details": message, "message": message}
    return Answer(status, json.dumps(body, separators=(",", ":")), headers=headers or {})


def unknown_product() -> Answer:
    """The answer to a product that is not traded."""
    return failed(404, "NOT_FOUND", "valid product_id is required")


def product(item: Instrument, *, price: str, alias: bool = False) -> dict[str, Any]:
    """One row of the product list; `alias` is the row of the USDC id that stands for a USD product."""
    spelling = Spelling(item)
    spot = item.market == "spot"
    quote = "USDC" if alias else item.quote
    name = spelling.alias if alias else spelling.product
    return {
        "product_id": name,
        "price": price,
        "price_percentage_change_24h": "0.09601107287722",
        "volume_24h": "2867.54532609",
        "volume_percentage_change_24h": "11.16524863692957",
        "base_increment": plain(1, spelling.lot_decimals),
        "quote_increment": plain(1, item.tick_decimals),
        "quote_min_size": "1",
        "quote_max_size": "150000000",
        "base_min_size": plain(1, spelling.lot_decimals),
        "base_max_size": "3400",
        "base_name": item.base,
        "quote_name": "USDC" if quote == "USDC" else "US Dollar",
        "watched": False,
        "is_disabled": False,
        "new": False,
        "status": "online" if spot else "",
        "cancel_only": False,
        "limit_only": False,
        "post_only": False,
        "trading_disabled": False,
        "auction_mode": False,
        "product_type": "SPOT" if spot else "FUTURE",
        "quote_currency_id": quote,
        "base_currency_id": item.base if spot else "",
        "fcm_trading_session_details": None,
        "mid_market_price": "",
        "alias": spelling.product if alias else "",
        "alias_to": [] if alias or not spot else [spelling.alias],
        "base_display_symbol": item.base,
        "quote_display_symbol": item.quote,
        "view_only": False,
        "price_increment": plain(1, item.tick_decimals),
        "display_name": name,
        "product_venue": "CBE" if spot else ("INTX" if name.endswith("-INTX") else "FCM"),
        "approximate_quote_24h_volume": "186637571.25",
        "new_at": "2023-01-01T00:00:00Z",
        "market_cap": "",
        "base_cbrn": "",
        "quote_cbrn": "",
        "product_cbrn": "",
        "icon_color": "",
        "icon_url": "",
        "display_name_overwrite": "",
        "is_alpha_testing": False,
        "about_description": "",
        "best_bid_price": "",
        "best_ask_price": "",
        "high_24h": price,
        "low_24h": price,
        **({} if spot else {"future_product_details": _future(item, name)}),
    }


def _future(item: Instrument, name: str) -> dict[str, Any]:
    perpetual = name.endswith("-PERP-INTX")
    details: dict[str, Any] = {
        "venue": "intx" if perpetual else "cde",
        "contract_code": name.partition("-")[0],
        "contract_expiry": None if perpetual else CONTRACT_EXPIRY,
        "contract_size": str(item.contract_size).removesuffix(".0"),
        "contract_root_unit": item.base,
        "contract_expiry_type": "PERPETUAL" if perpetual else "EXPIRING",
        "open_interest": "1520.25",
    }
    if perpetual:
        details["perpetual_details"] = {"open_interest": "1520.25", "funding_rate": "0.000013", "funding_time": "2026-08-09T22:00:00Z"}
    return details


def one_product(item: Instrument, *, price: str) -> str:
    """The answer for a single product."""
    return json.dumps(product(item, price=price), separators=(",", ":"))


def products(listed: Iterable[Instrument], prices: Mapping[str, str], params: Mapping[str, str]) -> str:
    """The product list; `prices` by symbol, of those that trade."""
    rows: list[dict[str, Any]] = []
    for item in listed:
        price = prices.get(item.symbol, "")
        rows.append(product(item, price=price))
        if Spelling(item).alias:
            rows.append(product(item, price=price, alias=True))
    kind = params.get("product_type", "")
    if kind and kind != "UNKNOWN_PRODUCT_TYPE":
        rows = [row for row in rows if row["product_type"] == kind]
    offset = int(params.get("offset", 0))
    limit = int(params["limit"]) if "limit" in params else len(rows)
    page = rows[offset : offset + limit]
    pages = {"prev_cursor": "", "next_cursor": "", "has_next": offset + limit < len(rows), "has_prev": offset > 0}
    return json.dumps({"products": page, "num_products": len(rows), "pagination": pages}, separators=(",", ":"))


def _trade(spelling: Spelling, fill: Trade) -> str:
    return (
        f'{{"trade_id":"{fill.trade_id}","product_id":"{spelling.product}","price":"{spelling.price(fill.price)}",'
        f'"size":"{spelling.size(fill.amount)}","time":"{event_time(fill.time_us)}","side":"{maker_side(fill)}",'
        '"bid":"","ask":"","exchange":"coinbase"}'
    )


def ticker(spelling: Spelling, market: Market, params: Mapping[str, str]) -> Answer:
    """The newest trades of a span of whole unix seconds, both ends included, newest first."""
    if "limit" not in params:
        return failed(400, "INVALID_ARGUMENT", "limit is required")
    limit = min(int(params["limit"]), TRADES)
    start = int(params.get("start", 0)) * 1_000_000
    end = int(params["end"]) * 1_000_000 if "end" in params else 1 << 62
    if limit <= 0 or start > end:
        return failed(400, "INVALID_ARGUMENT", "limit must be positive and start before end")
    fills = [fill for fill in market.recent if start <= fill.time_us <= end][-limit:]
    rows = ",".join(_trade(spelling, fill) for fill in reversed(fills))
    bid, ask = (spelling.price(side.best()[0]) for side in (market.book.bids, market.book.asks))
    return Answer(200, f'{{"trades":[{rows}],"best_bid":"{bid}","best_ask":"{ask}"}}')


def candle_rows(spelling: Spelling, market: Market, params: Mapping[str, str], now_us: int) -> Answer:
    """Candles of a span, newest first; more than the most rows are refused."""
    name = GRANULARITIES.get(params.get("granularity", ""))
    if name is None or "start" not in params or "end" not in params:
        return failed(400, "INVALID_ARGUMENT", "start, end and a known granularity are required")
    interval = SECONDS[name]
    first = open_time(int(params["start"]) + interval - 1, interval)
    last = open_time(min(int(params["end"]), now_us // 1_000_000), interval)
    limit = min(int(params.get("limit", CANDLES)), CANDLES)
    if (last - first) // interval + 1 > CANDLES:
        return failed(400, "INVALID_ARGUMENT", f"number of candles requested should be less than {CANDLES}")
    ticks = 10**spelling.tick_decimals
    rows = [
        {
            "start": str(row.time),
            "low": spelling.price(int(row.low * ticks)),
            "high": spelling.price(int(row.high * ticks)),
            "open": spelling.price(int(row.open * ticks)),
            "close": spelling.price(int(row.close * ticks)),
            "volume": plain(int(row.volume * 10**8), 8),
        }
        for row in candles(market, interval=interval, first=first, last=last, now=now_us / 1e6)
    ]
    return Answer(200, json.dumps({"candles": rows[::-1][:limit]}, separators=(",", ":")))


def product_book(spelling: Spelling, image: Image, *, limit: int) -> str:
    """The best levels of both sides."""

    def side(levels: list[tuple[int, int]]) -> str:
        return ",".join(f'{{"price":"{spelling.price(ticks)}","size":"{spelling.size(lots)}"}}' for ticks, lots in levels[:limit])

    bid, ask = image.bids[0][0], image.asks[0][0]
    middle = plain((bid + ask) * 5, spelling.tick_decimals + 1)
    return (
        f'{{"pricebook":{{"product_id":"{spelling.product}","bids":[{side(image.bids)}],"asks":[{side(image.asks)}],'
        f'"time":"{event_time(image.time_us)}"}},"last":"{middle}","mid_market":"{middle}",'
        f'"spread_bps":"{(ask - bid) * 20_000 / (bid + ask):.12f}","spread_absolute":"{spelling.price(ask - bid)}"}}'
    )
