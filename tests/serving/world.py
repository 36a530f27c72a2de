"""A small lake of three exchanges and a real server over it, for the tests of serving."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI

from lake.paths import Home
from serving.app import build
from serving.server import bound, server
from serving.settings import ServingSettings
from tests.lake.laying import LaidLake
from tests.lake.making import HOUR, MINUTE, START, level, trade

EXCHANGES = ("binance", "kraken", "okx")
END = START + 2 * HOUR
PATIENCE = 90.0


def trades(exchange: str, *, start: int, count: int, step: int, symbol: str = "BTC/USDT", first: int = 0) -> list[dict[str, Any]]:
    """Trades of one market, received a little late."""
    return [
        trade(
            first + number,
            at=start + number * step,
            exchange=exchange,
            symbol=symbol,
            local_timestamp=start + number * step + 40_000 + (number * 7919) % 90_000,
            side="buy" if number % 3 else "sell",
            amount=0.25 + number % 5,
        )
        for number in range(count)
    ]


def book(exchange: str, *, start: int, frames: int, step: int, symbol: str = "BTC/USDT", first: int = 0) -> list[dict[str, Any]]:
    """A snapshot of ten levels a side, then frames of two changes each; now and then one removes a level."""
    rows = []
    number = first
    for place in range(10):
        for side, sign in (("bid", -1), ("ask", 1)):
            rows.append(
                level(
                    number,
                    at=start,
                    exchange=exchange,
                    symbol=symbol,
                    sequence=first,
                    side=side,
                    price=100.0 + sign * (1 + place),
                    amount=5.0,
                    is_snapshot=True,
                )
            )
            number += 1
    for frame in range(1, frames):
        for side, sign in (("bid", -1), ("ask", 1)):
            price = 100.0 + sign * (1 + (frame * 7) % 12)
            amount = 0.0 if frame % 5 == 0 else float(frame % 9 + 1)
            rows.append(
                level(
                    number,
                    at=start + frame * step,
                    exchange=exchange,
                    symbol=symbol,
                    sequence=first + frame,
                    side=side,
                    price=price,
                    amount=amount,
                    is_snapshot=False,
                )
            )
            number += 1
    return rows


def lay(root: Path) -> LaidLake:
    """Two hours of three exchanges: the first compacted, the second in parts, its end in the log alone."""
    lake = LaidLake(root)
    for offset, exchange in enumerate(EXCHANGES):
        lake.land("trades", *trades(exchange, start=START + offset * 137, count=900, step=4_000_000))
        lake.land("book_deltas", *book(exchange, start=START, frames=120, step=30_000_000))
    lake.compact("trades", START)
    lake.compact("book_deltas", START)
    for offset, exchange in enumerate(EXCHANGES):
        lake.land("trades", *trades(exchange, start=START + HOUR + offset * 137, count=300, step=9_000_000, first=5000))
        lake.land("book_deltas", *book(exchange, start=START + HOUR, frames=60, step=40_000_000, first=5000))
    gap = {"channel": "trades", "from_time": START + 20 * MINUTE, "to_time": START + 21 * MINUTE, "local_timestamp": START + 21 * MINUTE}
    lake.land("gaps", {**gap, "exchange": "kraken", "symbol": "BTC/USDT"}, {**gap, "exchange": "okx", "symbol": "", "kind": "stall"})
    instrument = {"base": "BTC", "quote": "USDT", "status": "trading", "active": True, "contract_size": 1.0}
    lake.land(
        "listings",
        {**instrument, "exchange": "binance", "native": "BTCUSDT", "is_spot": True},
        {**instrument, "exchange": "binance", "symbol": "BTC/USDT:USDT", "native": "BTCUSDT", "contract": True, "ordinal": 2},
        {**instrument, "exchange": "kraken", "native": "XBT/USDT", "is_spot": True},
        {**instrument, "exchange": "okx", "native": "BTC-USDT", "is_spot": True},
        {**instrument, "exchange": "okx", "symbol": "BTC/USDT:USDT", "native": "BTC-USDT-SWAP", "contract": True, "ordinal": 2},
    )
    lake.land("liquidations", {"timestamp": START + MINUTE, "value_usd": 5000.0, "liquidation_id": "a"})
    for offset, exchange in enumerate(EXCHANGES):
        lake.log("trades", *trades(exchange, start=START + HOUR + 50 * MINUTE + offset, count=60, step=2_000_000, first=9000))
    return lake


@dataclass
class Served:
    """A server that runs, and how to ask it."""

    app: FastAPI
    home: Home
    url: str
    http: httpx.Client

    def get(self, path: str, **parameters: Any) -> httpx.Response:
        return self.http.get(path, params=parameters)

    def rows(self, path: str, **parameters: Any) -> list[dict[str, Any]]:
        answer = self.get(path, **parameters)
        assert answer.status_code == 200, answer.text
        return answer.json()["rows"]

    @property
    def ws(self) -> str:
        return f"ws{self.url.removeprefix('http')}"


@contextmanager
def serving(home: Home, **given: Any) -> Iterator[Served]:
    """A server over real sockets, in a thread, until the block ends."""
    settings = ServingSettings(**{"api_port": 0, "api_rate_per_second": 10_000.0, "api_rate_burst": 100_000, **given})
    app = build(settings, home=home)
    with bound(settings) as opened:
        runs = server(app, settings)
        thread = threading.Thread(target=runs.run, kwargs={"sockets": [opened]}, name="served")
        thread.start()
        url = f"http://127.0.0.1:{opened.getsockname()[1]}"
        try:
            until(lambda: runs.started or not thread.is_alive())
            with httpx.Client(base_url=url, timeout=PATIENCE) as http:
                yield Served(app, home, url, http)
        finally:
            runs.should_exit = True
            thread.join(PATIENCE)
    assert not thread.is_alive()


def until(condition: Callable[[], Any]) -> None:
    """Wait until something is true."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "what was waited for did not come"
        time.sleep(0.01)


async def eventually(condition: Callable[[], Any]) -> None:
    """Wait in a loop until something is true."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - conditions of the server's thread
            await asyncio.sleep(0.01)
