"""CoinGecko's list of the largest coins, page by page.

Put here: hosts, keys, pace, pages, and the shape of an answer. Keep out: flags and days (`lake.transforms.coingecko`).

Ranks move between two pages, so a coin may come twice (the first is kept) and another not at all. Documented at
docs.coingecko.com/reference/coins-markets; what recordings and pages disagree on is null here rather than refused.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final, Literal

import msgspec

from sources.errors import UnexpectedAnswer
from sources.http import JsonClient
from sources.quota import MonthlyQuota
from sources.retrying import RetryPolicy
from sources.settings import ContextSettings

Plan = Literal["keyless", "demo", "pro"]

PAGE_ROWS: Final = 250
PAUSE_SECONDS: Final[dict[Plan, float]] = {"keyless": 12.0, "demo": 2.5, "pro": 0.0}
"""Between two pages: keyless access is shared by address and cut to a few calls a minute, demo keys have 30."""
LEAST_WAIT_429_SECONDS: Final = 60.0
"""Limits are counted by the minute: without Retry-After, less would be refused again."""
_HOST: Final[dict[Plan, str]] = {
    "keyless": "https://api.coingecko.com/api/v3",
    "demo": "https://api.coingecko.com/api/v3",
    "pro": "https://pro-api.coingecko.com/api/v3",
}
_HEADER: Final[dict[Plan, str]] = {"demo": "x-cg-demo-api-key", "pro": "x-cg-pro-api-key"}


class Coin(msgspec.Struct, frozen=True, kw_only=True):
    """One row of an answer, by CoinGecko's own names; amounts in USD. Young and frozen coins lack any of the numbers."""

    id: str
    symbol: str
    name: str
    current_price: float | None = None
    market_cap: float | None = None
    market_cap_rank: int | None = None
    fully_diluted_valuation: float | None = None
    total_volume: float | None = None
    ath: float | None = None
    ath_date: datetime | None = None
    atl: float | None = None
    last_updated: datetime | None = None


_PAGE: Final = msgspec.json.Decoder(list[Coin])


def pages_of(coins: int) -> int:
    """How many pages hold that many coins."""
    return -(-coins // PAGE_ROWS)


def decode_page(body: bytes) -> list[Coin]:
    """The coins of one answer; `UnexpectedAnswer` where it is none."""
    try:
        return _PAGE.decode(body)
    except msgspec.MsgspecError as error:
        raise UnexpectedAnswer(f"CoinGecko's list of coins cannot be read: {error}") from error


def distinct(coins: Iterable[Coin], *, most: int) -> list[Coin]:
    """Each coin once, the first of each id, at most so many."""
    found: dict[str, Coin] = {}
    for coin in coins:
        found.setdefault(coin.id, coin)
    return list(found.values())[:most]


def plan_of(settings: ContextSettings) -> Plan:
    """The plan the settings ask with."""
    return settings.coingecko_plan if settings.coingecko_api_key else "keyless"


def top_coins(settings: ContextSettings, quota: MonthlyQuota, *, retry: RetryPolicy | None = None) -> list[Coin]:
    """The largest coins by market capitalisation, whole or not at all.

    Raises `QuotaSpent` before anything is asked where the run would be ahead of the month's pace, `SourceUnavailable`, `SourceRefused`,
    `UnexpectedAnswer`.
    """
    plan = plan_of(settings)
    pages = pages_of(settings.coingecko_coins)
    quota.check_pace(pages)
    key = settings.coingecko_api_key
    client = JsonClient(
        "CoinGecko",
        settings.coingecko_url or _HOST[plan],
        headers={_HEADER[plan]: key.get_secret_value()} if key else {},
        retry=retry or RetryPolicy(first_seconds=settings.source_retry_seconds),
        pause=PAUSE_SECONDS[plan] if settings.coingecko_pause_seconds is None else settings.coingecko_pause_seconds,
        least_wait_429=LEAST_WAIT_429_SECONDS,
        before=quota.take,
    )
    coins: list[Coin] = []
    with client:
        for page in range(1, pages + 1):
            asked: dict[str, str | int] = {"vs_currency": "usd", "order": "market_cap_desc", "per_page": PAGE_ROWS, "page": page}
            rows = decode_page(client.get("/coins/markets", {**asked, "sparkline": "false"}))
            coins += rows
            if len(rows) < PAGE_ROWS:
                break
    return distinct(coins, most=settings.coingecko_coins)
