"""CoinGecko's `/coins/markets`, pretended: 2,300 coins, the known ones at the prices the venues trade them at.

What belongs here: pages, their rows with the nulls of recorded ones, the limits of the plans. What does not: any other endpoint.

A fault's symbol is a page here: `http_429:coingecko:3` refuses the third page alone, `refuse:coingecko:3` answers it with 503.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from simulator.faults import Faults
from simulator.instruments import ASSETS, Instrument
from simulator.limits import WeightLimit
from simulator.prices import PricePath, stream_key
from simulator.venues.base import Answer

COINS = 2300
MOST_PER_PAGE = 250
CALLS_PER_MINUTE = 100
NAMES = {"BTC": ("bitcoin", "Bitcoin"), "ETH": ("ethereum", "Ethereum"), "SOL": ("solana", "Solana"), "XRP": ("ripple", "XRP")}
CACHE_S = 60
DEMO_HEADER, PRO_HEADER = "x-cg-demo-api-key", "x-cg-pro-api-key"


@dataclass(frozen=True, slots=True)
class Coin:
    """What of a coin never changes: `price` is what it costs on average, `high` the all-time high as a multiple of that."""

    id: str
    symbol: str
    name: str
    supply: float
    price: float
    high: float
    high_s: int
    path: PricePath | None


class CoinGecko:
    """The source; prices move once a minute, as its cached answers do."""

    name = "coingecko"

    def __init__(self, *, seed: int, faults: Faults) -> None:
        self._faults = faults
        self._limit = WeightLimit(CALLS_PER_MINUTE)
        rng = np.random.default_rng([seed & 0xFFFFFFFF, stream_key("coingecko")])
        self._coins = [self._coin(number, seed, rng) for number in range(COINS)]

    @staticmethod
    def _coin(number: int, seed: int, rng: np.random.Generator) -> Coin:
        value = 1.6e12 / (number + 1) ** 1.35
        high = 1.0 + float(rng.exponential(1.2 if number < 50 else 6.0))
        high_s = 1_609_459_200 + int(rng.integers(0, 130_000_000))
        if number < len(ASSETS):
            base = list(ASSETS)[number]
            identity, name = NAMES.get(base, (base.lower(), base.title()))
            price = ASSETS[base].reference_price
            path = PricePath(Instrument("coingecko", "spot", f"{base}/USD", base, "USD", 8, 8), seed)
            return Coin(identity, base.lower(), name, value / price, price, 1.6 + high, high_s, path)
        price = float(10.0 ** rng.uniform(-9, 3))
        # Now and then a namesake of a known coin: symbols are not unique.
        symbol = "btc" if number % 700 == 0 else f"c{number:04d}"
        return Coin(f"coin-{number}", symbol, f"Coin {number}", value / price, price, high, high_s, None)

    def answer(self, path: str, params: Mapping[str, str], headers: Mapping[str, str], now_us: int) -> Answer | None:
        """The answer to a GET below /coingecko."""
        if path == "/api/v3/ping":
            return _said(200, {"gecko_says": "(V3) To the Moon!"})
        if path != "/api/v3/coins/markets":
            return None
        page = params.get("page", "1")
        if self._faults.request("refuse", self.name, page):
            return _said(503, {"error": "Service Unavailable"})
        wait = self._limit.spend(1, now_us)
        fault = self._faults.request("http_429", self.name, page)
        if wait or fault:
            answer = _said(429, {"status": {"error_code": 429, "error_message": "You've exceeded the Rate Limit."}})
            answer.headers["Retry-After"] = str(wait if fault is None else max(0, -(-(fault.end_us - now_us) // 1_000_000)))
            return answer
        if PRO_HEADER in headers:
            return _said(400, {"status": {"error_code": 10010, "error_message": "If you are using Pro API key, change your root URL."}})
        return self._markets(params, now_us)

    def _markets(self, params: Mapping[str, str], now_us: int) -> Answer:
        per_page, page = params.get("per_page", "100"), params.get("page", "1")
        if params.get("vs_currency") != "usd" or params.get("order", "market_cap_desc") != "market_cap_desc":
            return _said(422, {"error": "invalid vs_currency or order"})
        if not (per_page.isdigit() and page.isdigit() and 1 <= int(per_page) <= MOST_PER_PAGE and int(page) >= 1):
            return _said(422, {"error": "invalid per_page or page"})
        minute_us = now_us // (CACHE_S * 1_000_000) * CACHE_S * 1_000_000
        first = (int(page) - 1) * int(per_page)
        rows = [_row(first + place, coin, minute_us) for place, coin in enumerate(self._coins[first : first + int(per_page)])]
        return _said(200, rows)


def _row(place: int, coin: Coin, now_us: int) -> dict[str, Any]:
    """One row as recorded ones are: young coins know no high, frozen ones no price, most no greatest supply."""
    swing = 1 + 0.05 * math.sin(now_us / 3.6e9 + place)
    price = coin.price * swing if coin.path is None else coin.path.at(now_us)
    high = coin.price * coin.high
    frozen, young = place % 997 == 996, place % 613 == 612
    limited = place % 5 < 2
    valued = None if frozen else round(price * coin.supply)
    return {
        "id": coin.id,
        "symbol": coin.symbol,
        "name": coin.name,
        "image": f"https://assets.coingecko.com/coins/images/{place + 1}/large/{coin.id}.png",
        "current_price": None if frozen else float(f"{price:.6g}"),
        "market_cap": valued,
        "market_cap_rank": None if frozen else place + 1,
        "fully_diluted_valuation": round(price * coin.supply * 1.1) if limited and not frozen else None,
        "total_volume": round(price * coin.supply * 0.03),
        "high_24h": float(f"{price * 1.03:.6g}"),
        "low_24h": float(f"{price * 0.97:.6g}"),
        "price_change_24h": price * 0.001,
        "price_change_percentage_24h": 0.1,
        "market_cap_change_24h": price * coin.supply * 0.001,
        "market_cap_change_percentage_24h": 0.1,
        "circulating_supply": float(coin.supply),
        "total_supply": float(coin.supply * 1.1) if place % 9 else None,
        "max_supply": float(coin.supply * 1.1) if limited else None,
        "ath": None if young else float(f"{high:.6g}"),
        "ath_change_percentage": None if young else round((price / high - 1) * 100, 5),
        "ath_date": None if young else _iso(coin.high_s * 1_000_000),
        "atl": None if young else float(f"{coin.price * 0.01:.6g}"),
        "atl_change_percentage": None if young else 9900.0,
        "atl_date": None if young else _iso((coin.high_s - 30_000_000) * 1_000_000),
        "roi": None,
        "last_updated": _iso(now_us - place % 40 * 1_000_000 + 123_000),
    }


def _iso(time_us: int) -> str:
    return f"{datetime.fromtimestamp(time_us / 1e6, UTC):%Y-%m-%dT%H:%M:%S}.{time_us // 1000 % 1000:03d}Z"


def _said(status: int, body: Any) -> Answer:
    return Answer(status, json.dumps(body, separators=(",", ":")))
