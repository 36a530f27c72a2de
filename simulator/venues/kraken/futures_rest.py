"""Kraken Futures' REST answers: instruments, trades, depth, tickers, funding, candles.

What belongs here: bodies as JSON text. What does not: rate counting and dispatch (futures.py).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from simulator.candles import SECONDS, candles, open_time
from simulator.instruments import Instrument
from simulator.market import Image, Market
from simulator.venues.base import Answer
from simulator.venues.kraken.futures_catalogue import Contract

HISTORY = 100
CANDLES = 2000
FUNDING_ROWS = 168
_MARGIN_LEVELS = [
    {"numNonContractUnits": 0.0, "initialMargin": 0.02, "maintenanceMargin": 0.01},
    {"numNonContractUnits": 2000000.0, "initialMargin": 0.04, "maintenanceMargin": 0.02},
]


def iso(time_us: int) -> str:
    """RFC 3339 with milliseconds."""
    return datetime.fromtimestamp(time_us / 1e6, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def succeeded(body: dict[str, Any], now_us: int) -> Answer:
    """A successful body."""
    return Answer(200, json.dumps({"result": "success", **body, "serverTime": iso(now_us)}, separators=(",", ":")))


def failed(status: int, error: str, now_us: int, *, headers: dict[str, str] | None = None) -> Answer:
    """An error body."""
    body = {"result": "error", "error": error, "serverTime": iso(now_us)}
    return Answer(status, json.dumps(body, separators=(",", ":")), headers=headers or {})


def instruments(listed: Iterable[Instrument]) -> dict[str, Any]:
    """Body of instruments."""
    return {"instruments": [_instrument(Contract(item)) for item in listed]}


def _instrument(contract: Contract) -> dict[str, Any]:
    item = contract.instrument
    return {
        "symbol": contract.product,
        "type": "flexible_futures",
        "tickSize": 10**-item.tick_decimals,
        "contractSize": 1,
        "tradeable": True,
        "impactMidSize": 1.5,
        "maxPositionSize": 16000.0,
        "openingDate": "2022-03-22T13:18:45Z",
        "marginLevels": _MARGIN_LEVELS,
        "fundingRateCoefficient": 24,
        "maxRelativeFundingRate": 0.0025,
        "isin": "GB00BQ84K502",
        "contractValueTradePrecision": item.lot_decimals,
        "postOnly": False,
        "feeScheduleUid": "723888f7-0a8e-4183-8648-f920a22339e3",
        "mtf": True,
        "base": contract.base,
        "quote": item.quote,
        "pair": f"{contract.base}:{item.quote}",
    }


def history(contract: Contract, market: Market, params: Mapping[str, str], *, forced: set[int], now_us: int) -> Answer:
    """The hundred trades before `lastTime`, newest first; without it the newest. ValueError where it is no time."""
    fills = list(market.recent)
    if "lastTime" in params:
        moment = datetime.fromisoformat(params["lastTime"])
        end_ms = round(moment.timestamp() * 1000)
        fills = [fill for fill in fills if fill.time_us // 1000 < end_ms]
    item = market.instrument
    rows = [
        {
            "time": iso(fill.time_us // 1000 * 1000),
            "trade_id": fill.trade_id,
            "price": item.price(fill.price),
            "size": item.amount(fill.amount),
            "side": "buy" if fill.buy else "sell",
            "type": "liquidation" if fill.trade_id in forced else "fill",
            "uid": contract.uid(fill.trade_id),
        }
        for fill in reversed(fills[-HISTORY:])
    ]
    return succeeded({"history": rows}, now_us)


def order_book(market: Market, image: Image) -> dict[str, Any]:
    """Body of orderbook."""
    item = market.instrument

    def side(levels: list[tuple[int, int]]) -> list[list[float]]:
        return [[item.price(ticks), item.amount(lots)] for ticks, lots in levels]

    return {"orderBook": {"bids": side(image.bids), "asks": side(image.asks)}}


def funding(market: Market, now_us: int) -> dict[str, Any]:
    """Body of historical-funding-rates: hourly, ascending."""
    last = open_time(now_us // 1_000_000, 3600)
    hours = candles(market, interval=3600, first=last - (FUNDING_ROWS - 1) * 3600, last=last, now=now_us / 1e6)
    rows = []
    for row in hours:
        rate = (row.close - row.open) / row.open / 2400
        rows.append({"timestamp": iso(row.time * 1_000_000), "fundingRate": rate * row.close, "relativeFundingRate": rate})
    return {"rates": rows}


def charts(market: Market, resolution: str, params: Mapping[str, str], now_us: int) -> Answer:
    """Candles from..to (unix seconds), ascending."""
    if resolution not in SECONDS:
        return Answer(400, '{"errors":[{"msg":"invalid resolution"}]}')
    interval = SECONDS[resolution]
    last = open_time(min(int(params.get("to", now_us // 1_000_000)), now_us // 1_000_000), interval)
    wanted = open_time(int(params.get("from", last - (CANDLES - 1) * interval)) + interval - 1, interval)
    first = max(wanted, last - (CANDLES - 1) * interval)
    decimals = market.instrument.tick_decimals
    rows = [
        {
            "time": row.time * 1000,
            **{name: f"{getattr(row, name):.{decimals}f}" for name in ("open", "high", "low", "close")},
            "volume": round(row.volume, market.instrument.lot_decimals),
        }
        for row in candles(market, interval=interval, first=first, last=last, now=now_us / 1e6)
    ]
    return Answer(200, json.dumps({"candles": rows, "more_candles": wanted < first}, separators=(",", ":")))
