"""Budgets by host: no window of any alignment holds more than allowed, the urgent goes first, one host's trouble is its own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.backoff import BackoffPolicy
from collectors.budget import BACKFILL_SHARE, SLACK, Gate, Pause, Window
from collectors.errors import ConnectionLost, Refused
from collectors.http import RestClient
from collectors.venue import HttpGet, Limits, RestBudget

FAST = BackoffPolicy(first_seconds=0.01, cap_seconds=0.02)


class Host:
    """A server that answers by path: queued statuses with their Retry-After, then 200; notes what arrived and when."""

    def __init__(self) -> None:
        self.asked: list[tuple[float, str]] = []
        self.statuses: dict[str, list[tuple[int, str]]] = {}
        self.used = ""

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        path = head.split(b" ")[1].decode()
        self.asked.append((time.monotonic(), path))
        waiting = self.statuses.get(path.split("/")[1], [])
        status, retry = waiting.pop(0) if waiting else (200, "")
        extra = (f"Retry-After: {retry}\r\n" if retry else "") + (f"X-Used: {self.used}\r\n" if self.used else "")
        writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: 2\r\nConnection: close\r\n{extra}\r\nok".encode())
        await writer.drain()
        writer.close()

    def paths(self) -> list[str]:
        return [path for _, path in self.asked]


@asynccontextmanager
async def serving(host: Host, *budgets: RestBudget, **more: Any) -> AsyncIterator[tuple[RestClient, str]]:
    server = await asyncio.start_server(host.handle, "127.0.0.1", 0)
    base = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    limits = Limits(connects=1, connects_per_seconds=1.0, rest_weight=1000, rest_weight_per_seconds=1.0, rest=budgets)
    endpoints = {"spot_rest": f"{base}/spot", "futures_rest": f"{base}/futures"}
    async with server, RestClient("toy", limits, timeout=2, endpoints=endpoints, backoff=FAST, **more) as rest:
        yield rest, base


def budget(endpoint: str, weight: float, **more: object) -> RestBudget:
    return RestBudget(endpoint=endpoint, weight=weight, per_seconds=1.0, **more)


@given(st.lists(st.tuples(st.floats(0.0, 3.0), st.integers(1, 10)), min_size=1, max_size=80))
def test_no_window_of_any_alignment_holds_more_than_the_budget(steps: list[tuple[float, int]]) -> None:
    now = [0.0]
    window = Window(20, 10.0, clock=lambda: now[0])
    spent: list[tuple[float, int]] = []
    for pause, weight in steps:
        now[0] += pause
        while (seconds := window.wait(weight)) > 0:
            now[0] += seconds
        spent.append((now[0], weight))

    for start, _ in spent:
        assert sum(weight for at, weight in spent if start <= at < start + 10.0) <= 20


def test_what_the_venue_says_it_has_counted_counts_here_too() -> None:
    now = [0.0]
    window = Window(20, 10.0, clock=lambda: now[0])
    assert window.wait(5) == 0

    window.learn(18)

    assert window.used == 18
    assert window.wait(5) == pytest.approx(10.0 * SLACK)


def test_snapshots_overtake_back_fills_that_came_first_and_keep_their_own_order() -> None:
    async def order() -> list[str]:
        window, done = Window(10, 0.2), []
        gate = Gate(window, Pause(), at_once=1)

        async def ask(name: str, *, urgency: int) -> None:
            await gate.enter(2, urgency=urgency)
            done.append(name)
            gate.leave()

        asks = [ask(f"trades {n}", urgency=1) for n in range(5)] + [ask(f"depth {n}", urgency=0) for n in range(3)]
        await gate.enter(1, urgency=0)
        tasks = [asyncio.create_task(each) for each in asks]
        await asyncio.sleep(0)
        gate.leave()
        await asyncio.gather(*tasks)
        return done

    assert asyncio.run(order()) == ["depth 0", "depth 1", "depth 2", *(f"trades {n}" for n in range(5))]


def test_back_fills_leave_room_for_a_snapshot() -> None:
    async def used() -> tuple[float, float]:
        window = Window(10, 60.0)
        gate = Gate(window, Pause(), at_once=100)
        fills = [asyncio.create_task(gate.enter(1, urgency=1)) for _ in range(20)]
        await asyncio.sleep(0)
        before = window.used
        await asyncio.wait_for(gate.enter(4, urgency=0), 1)
        for fill in fills:
            fill.cancel()
        await asyncio.gather(*fills, return_exceptions=True)
        return before, window.used

    assert asyncio.run(used()) == (10 * BACKFILL_SHARE, 10)


def test_a_budget_of_back_fills_alone_is_used_whole() -> None:
    host = Host()

    async def fetch() -> None:
        async with serving(host, budget("spot_rest", 20, purposes=("trades",))) as (rest, base):
            asks = (rest.get(HttpGet(url=f"{base}/spot/{number}", purpose="trades")) for number in range(18))
            await asyncio.gather(*asks)

    asyncio.run(fetch())
    assert host.asked[-1][0] - host.asked[0][0] < 0.9


def test_a_request_given_up_while_it_waits_costs_nothing_and_blocks_nobody() -> None:
    async def served() -> float:
        window = Window(2, 0.1)
        gate = Gate(window, Pause(), at_once=1)
        await gate.enter(1, urgency=0)
        given_up = asyncio.create_task(gate.enter(1, urgency=0))
        kept = asyncio.create_task(gate.enter(1, urgency=0))
        await asyncio.sleep(0)
        given_up.cancel()
        gate.leave()
        await asyncio.wait_for(kept, 1)
        return window.used

    assert asyncio.run(served()) == 2


def test_a_429_of_one_host_leaves_the_other_host_alone() -> None:
    host = Host()
    host.statuses["spot"] = [(429, "1")]

    async def ask() -> None:
        async with serving(host, budget("spot_rest", 100), budget("futures_rest", 100)) as (rest, base):
            spot = asyncio.create_task(rest.get(HttpGet(url=f"{base}/spot/depth", purpose="depth")))
            while not rest.paused_seconds:  # noqa: ASYNC110 - the answer has no event here
                await asyncio.sleep(0.01)
            await asyncio.gather(*(rest.get(HttpGet(url=f"{base}/futures/{n}", purpose="depth")) for n in range(3)))
            assert rest.paused_seconds > 0.5
            await spot

    asyncio.run(ask())

    assert (host.paths()[0], host.paths()[-1]) == ("/spot/depth", "/spot/depth")
    assert set(host.paths()[1:-1]) == {f"/futures/{n}" for n in range(3)}
    assert host.asked[-1][0] - host.asked[0][0] >= 0.99


def test_a_ban_fails_whoever_waits_for_that_host_and_is_not_prodded() -> None:
    host = Host()
    host.statuses["spot"] = [(418, "600")]

    async def ask() -> list[object]:
        async with serving(host, budget("spot_rest", 2), budget("futures_rest", 2)) as (rest, base):
            waiting = [rest.get(HttpGet(url=f"{base}/spot/{n}", purpose="depth")) for n in range(4)]
            answers = await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 5)
            assert await rest.get(HttpGet(url=f"{base}/futures/1", purpose="depth")) == b"ok"
            return answers

    answers = asyncio.run(ask())

    assert all(isinstance(answer, Refused) for answer in answers)
    assert host.paths() == ["/spot/0", "/futures/1"]


def test_a_refusal_that_names_no_time_is_left_alone_longer_each_time() -> None:
    host = Host()
    host.statuses["spot"] = [(403, ""), (451, "")]

    async def ask() -> list[float]:
        now = [0.0]
        async with serving(host, budget("spot_rest", 100), clock=lambda: now[0]) as (rest, base):
            request = HttpGet(url=f"{base}/spot/depth", purpose="depth")
            waits = []
            for _ in range(2):
                with pytest.raises(Refused, match="refused depth with status"):
                    await rest.get(request)
                waits.append(rest.paused_seconds)
                with pytest.raises(Refused, match="is not asked for depth"):
                    await rest.get(request)
                now[0] += rest.paused_seconds
            assert await rest.get(request) == b"ok"
            return waits

    assert asyncio.run(ask()) == [120, 240]
    assert len(host.asked) == 3


def test_a_pause_too_long_to_wait_for_fails_the_request() -> None:
    host = Host()
    host.statuses["spot"] = [(429, "3600")]

    async def ask() -> None:
        async with serving(host, budget("spot_rest", 100)) as (rest, base):
            await rest.get(HttpGet(url=f"{base}/spot/depth", purpose="depth"))

    with pytest.raises(ConnectionLost, match="not asked for depth: too many requests"):
        asyncio.run(ask())
    assert len(host.asked) == 1


def test_kinds_of_requests_that_a_venue_counts_by_themselves_do_not_wait_for_the_others() -> None:
    host = Host()

    async def ask() -> float:
        async with serving(host, budget("spot_rest", 1.2), budget("spot_rest", 100, purposes=("trades",))) as (rest, base):
            depth = HttpGet(url=f"{base}/spot/depth", purpose="depth")
            await rest.get(depth)
            began = time.monotonic()
            second = asyncio.create_task(rest.get(depth))
            await asyncio.gather(*(rest.get(HttpGet(url=f"{base}/spot/trades", purpose="trades")) for _ in range(5)))
            passed = time.monotonic() - began
            await second
            return passed

    assert asyncio.run(ask()) < 0.9
    assert host.paths()[-1] == "/spot/depth"


def test_the_used_weight_that_answers_name_slows_us_down() -> None:
    host = Host()
    host.used = "9"

    async def ask() -> float:
        async with serving(host, budget("spot_rest", 10, used_header="x-used")) as (rest, base):
            request = HttpGet(url=f"{base}/spot/depth", purpose="depth", weight=2)
            await rest.get(request)
            host.used = ""
            began = time.monotonic()
            await rest.get(request)
            return time.monotonic() - began

    assert asyncio.run(ask()) >= 0.9
