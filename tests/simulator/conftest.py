"""A running simulator and small clients for the tests of this folder."""

from __future__ import annotations

import asyncio
import json
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from decimal import Decimal
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect

from simulator.cli import _parser, build
from simulator.server import SimulatorServer


class Running:
    """A started server with the calls the tests need."""

    def __init__(self, server: SimulatorServer) -> None:
        self.server = server
        self.endpoints = server.endpoints()

    def url(self, exchange: str, key: str, path: str = "") -> str:
        return self.endpoints[exchange][key] + path

    async def get(self, url: str) -> httpx.Response:
        async with httpx.AsyncClient(timeout=20) as client:
            return await client.get(url)

    async def control(self, call: str, **params: Any) -> Any:
        query = httpx.QueryParams({key: str(value) for key, value in params.items()})
        response = await self.get(f"http://127.0.0.1:{self.server.port}/control/{call}?{query}")
        assert response.status_code == 200, response.text
        return response.json()

    async def book(self, exchange: str, market: str, symbol: str) -> Any:
        return await self.control("book", exchange=exchange, market=market, symbol=symbol)


def client_checksum(bids: dict[Decimal, Decimal], asks: dict[Decimal, Decimal], *, price_decimals: int) -> int:
    """The documented rule, from decimals, as a client that never saw ticks would do it."""

    def digits(value: Decimal, decimals: int) -> str:
        return f"{value:.{decimals}f}".replace(".", "").lstrip("0")

    best = [*sorted(asks.items())[:10], *sorted(bids.items(), reverse=True)[:10]]
    return zlib.crc32("".join(digits(price, price_decimals) + digits(amount, 8) for price, amount in best).encode())


class KrakenBook:
    """A book kept by the documented rules: apply in order, truncate, compare checksums."""

    def __init__(self, depth: int, price_decimals: int) -> None:
        self.depth, self.price_decimals = depth, price_decimals
        self.bids: dict[Decimal, Decimal] = {}
        self.asks: dict[Decimal, Decimal] = {}
        self.verified = self.failed = 0

    def feed(self, message: Any) -> None:
        (data,) = message["data"]
        if message["type"] == "snapshot":
            self.bids, self.asks = {}, {}
        for name, best_first in (("bids", True), ("asks", False)):
            side = getattr(self, name)
            for level in data[name]:
                if level["qty"]:
                    side[level["price"]] = level["qty"]
                else:
                    side.pop(level["price"], None)
            setattr(self, name, dict(sorted(side.items(), reverse=best_first)[: self.depth]))
        if client_checksum(self.bids, self.asks, price_decimals=self.price_decimals) == data["checksum"]:
            self.verified += 1
        else:
            self.failed += 1


async def _next(socket: ClientConnection, wanted: Callable[[Any], bool], *, seconds: float = 8.0) -> Any:
    """The next JSON message that is wanted."""
    async with asyncio.timeout(seconds):
        while True:
            message = await socket.recv()
            if isinstance(message, str):
                decoded = json.loads(message)
                if wanted(decoded):
                    return decoded


async def _drain(socket: ClientConnection, received: list[Any]) -> None:
    """Collect messages until the connection is closed, which raises."""
    async with asyncio.timeout(30):
        while True:
            received.append(await socket.recv())


@pytest.fixture
def drain() -> Callable[..., Any]:
    return _drain


@pytest.fixture
def until() -> Callable[..., Any]:
    return _next


@pytest.fixture
def simulate() -> Callable[..., AbstractAsyncContextManager[Running]]:
    """`async with simulate("--rate", "400") as sim` starts a server in this process."""

    @asynccontextmanager
    async def start(*arguments: str) -> AsyncIterator[Running]:
        server = build(_parser().parse_args(["serve", *arguments]))
        await server.start("127.0.0.1", 0)
        try:
            yield Running(server)
        finally:
            await server.close()

    return start


@pytest.fixture
def dial() -> Callable[..., Any]:
    """A WebSocket client that takes messages of any size."""

    def open_socket(url: str) -> Any:
        # Without a queue limit a client that reads no more can still finish the closing handshake.
        return connect(url, max_size=None, max_queue=None, compression=None)

    return open_socket


@pytest.fixture
def kraken_book() -> type[KrakenBook]:
    return KrakenBook
