"""A running simulator and small clients for the tests of this folder."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
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


async def _next(socket: ClientConnection, wanted: Callable[[Any], bool], *, timeout: float = 8.0) -> Any:
    """The next JSON message that is wanted."""
    async with asyncio.timeout(timeout):
        while True:
            message = await socket.recv()
            if isinstance(message, str):
                decoded = json.loads(message)
                if wanted(decoded):
                    return decoded


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
        return connect(url, max_size=None, compression=None)

    return open_socket
