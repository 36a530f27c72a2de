"""The REST client against a real HTTP server in the same process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from collectors.backoff import BackoffPolicy
from collectors.budget import Window
from collectors.errors import ConfigError, ConnectionLost, Refused
from collectors.http import RestClient
from collectors.venue import HttpGet, Limits

LIMITS = Limits(connects=100, connects_per_seconds=1, rest_weight=1000, rest_weight_per_seconds=60)
FAST = BackoffPolicy(first_seconds=0.01, cap_seconds=0.02)


class Server:
    """Answers with the queued (status, headers, body), the last one for ever; counts what arrived and when."""

    def __init__(self, *answers: tuple[int, dict[str, str], bytes]) -> None:
        self.answers = list(answers)
        self.times: list[float] = []
        self.hold = 0.0

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                assert head.startswith(b"GET ")
                self.times.append(time.monotonic())
                await asyncio.sleep(self.hold)
                status, headers, body = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
                lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
                writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n{lines}\r\n".encode() + body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def serving(server: Server, *, patience: float = 2.0, limits: Limits = LIMITS) -> AsyncIterator[tuple[RestClient, HttpGet]]:
    listening = await asyncio.start_server(server.handle, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    request = HttpGet(url=f"http://127.0.0.1:{port}/depth", purpose="depth", symbol="BTC/USDT")
    async with listening, RestClient("binance", limits, timeout=patience, backoff=FAST) as client:
        yield client, request


async def body_of(server: Server) -> bytes:
    async with serving(server) as (client, request):
        return await client.get(request)


def test_the_body_of_a_200_comes_back():
    server = Server((200, {}, b'{"a":1}'))

    assert asyncio.run(body_of(server)) == b'{"a":1}'


def test_a_server_error_is_tried_again_and_the_answer_then_counts():
    server = Server((503, {}, b""), (500, {}, b""), (200, {}, b"ok"))

    assert asyncio.run(body_of(server)) == b"ok"
    assert len(server.times) == 3


def test_endless_server_errors_end_in_one_sentence_after_four_attempts():
    server = Server((503, {}, b""))

    with pytest.raises(ConnectionLost, match="binance gave no depth in 4 attempts, the last ended with status 503"):
        asyncio.run(body_of(server))
    assert len(server.times) == 4


def test_a_bad_request_is_not_tried_again():
    server = Server((400, {}, b"no"))

    with pytest.raises(ConnectionLost, match="status 400, expected 200"):
        asyncio.run(body_of(server))
    assert len(server.times) == 1


def test_429_waits_for_retry_after_before_any_request_of_the_exchange():
    server = Server((429, {"Retry-After": "1"}, b""), (200, {}, b"ok"))

    async def both() -> list[bytes]:
        async with serving(server) as (client, request):
            first = asyncio.create_task(client.get(request))
            while not client.paused_seconds:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            return await asyncio.gather(first, client.get(request))

    assert asyncio.run(both()) == [b"ok", b"ok"]
    assert len(server.times) == 3
    assert min(server.times[1:]) - server.times[0] >= 0.99


def test_418_is_a_ban_that_refuses_every_request_without_asking_the_venue():
    server = Server((418, {"Retry-After": "600"}, b""))

    async def ask_twice() -> float:
        async with serving(server) as (client, request):
            for _ in range(2):
                with pytest.raises(Refused, match="binance"):
                    await client.get(request)
            return client.paused_seconds

    assert 590 < asyncio.run(ask_twice()) <= 600
    assert len(server.times) == 1


def test_a_blocked_country_is_refused_at_once():
    server = Server((451, {}, b""))

    with pytest.raises(Refused, match="status 451"):
        asyncio.run(body_of(server))
    assert len(server.times) == 1


def test_a_slow_answer_is_a_time_out_and_tried_again():
    server = Server((200, {}, b"late"))
    server.hold = 0.5

    async def ask() -> bytes:
        async with serving(server, patience=0.1) as (client, request):
            return await client.get(request)

    with pytest.raises(ConnectionLost, match="ReadTimeout"):
        asyncio.run(ask())
    assert len(server.times) == 4


def test_requests_beyond_the_budget_wait_for_its_refill():
    server = Server((200, {}, b"ok"))
    limits = Limits(connects=1, connects_per_seconds=1, rest_weight=12, rest_weight_per_seconds=1.0)

    async def ask() -> None:
        async with serving(server, limits=limits) as (client, request):
            heavy = HttpGet(url=request.url, purpose="depth", weight=5)
            await asyncio.gather(*(client.get(heavy) for _ in range(4)))

    asyncio.run(ask())
    assert server.times[1] - server.times[0] < 0.4
    assert server.times[3] - server.times[0] >= 0.95


def test_a_weight_above_the_capacity_waits_for_an_empty_window_and_no_longer():
    now = [0.0]
    window = Window(10, 10.0, clock=lambda: now[0])

    assert window.wait(25) == 0
    assert window.wait(25) == pytest.approx(10.2)
    now[0] = 10.2
    assert window.wait(25) == 0


def test_a_budget_that_allows_nothing_is_refused():
    with pytest.raises(ConfigError, match="allows nothing"):
        Window(0, 1)
