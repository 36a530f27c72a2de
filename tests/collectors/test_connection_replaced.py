"""Sockets replaced while they stand: planned cuts, successors, pairs, renewed streams; against a real WebSocket server."""

from __future__ import annotations

import asyncio
import json
from itertools import pairwise

import pytest
from websockets.asyncio.server import ServerConnection

from collectors.venue import Stream
from tests.collectors.toy_venue import SYMBOL, Market, ToyVenue, gaps, paired, running, stay, until


@pytest.mark.parametrize("how", ["graceful", "planned"])
def test_a_hand_over_to_a_faster_socket_misses_nothing_doubles_nothing_and_opens_no_gap(how):
    published = [0]

    async def publish() -> None:
        while True:
            published[0] += 1
            await asyncio.sleep(0.005)

    async def script(socket: ServerConnection, number: int) -> None:
        if number == 0 and how == "graceful":
            await socket.send(json.dumps({"cut": "graceful"}))
        lag = 40 if number == 0 else 0
        sent = published[0]
        while True:
            while sent < published[0] - lag:
                sent += 1
                await socket.send(json.dumps({"id": sent}))
            await asyncio.sleep(0.003)

    async def scenario() -> None:
        market = Market(script)
        publishing = asyncio.create_task(publish())
        async with running(market, ToyVenue(), max_age=1.0 if how == "planned" else None) as connection:
            await until(lambda: connection.reconnects == 1)
            handed_over_at = published[0]
            await until(lambda: published[0] > handed_over_at + 20)
            batches = connection.exchange.events.drain()
        publishing.cancel()
        got = sorted(int(number) for number in batches["trades"]["trade_id"].to_pylist())
        assert got == list(range(got[0], got[-1] + 1))
        assert got[-1] >= handed_over_at
        assert "gaps" not in batches

    asyncio.run(scenario())


def test_a_successor_that_never_delivers_leaves_the_old_socket_in_place():
    async def script(socket: ServerConnection, number: int) -> None:
        n = 0
        if number == 0:
            await socket.send(json.dumps({"cut": "graceful"}))
        while number == 0:
            n += 1
            await socket.send(json.dumps({"id": n}))
            await asyncio.sleep(0.01)
        await stay(socket)

    async def scenario() -> None:
        market = Market(script)
        async with running(market, ToyVenue(), handover_seconds=0.2) as connection:
            await until(lambda: len(market.opened) == 3)
            before = connection.frames.decoded
            await until(lambda: connection.frames.decoded > before + 5)
            assert connection.reconnects == 0
            assert gaps(connection) == []

    asyncio.run(scenario())


def test_a_successor_takes_over_although_the_old_socket_was_cut_meanwhile():
    async def script(socket: ServerConnection, number: int) -> None:
        if number == 0:
            await socket.send(json.dumps({"id": 1}))
            await socket.send(json.dumps({"cut": "graceful"}))
            await asyncio.sleep(0.2)
            return
        await asyncio.sleep(0.3)
        await socket.send(json.dumps({"id": 2}))
        await stay(socket)

    async def scenario() -> None:
        market = Market(script)
        async with running(market, ToyVenue()) as connection:
            await until(lambda: connection.reconnects == 1)
            assert len(market.opened) == 2
            assert gaps(connection) == [("disconnect", False), ("disconnect", True)]

    asyncio.run(scenario())


def test_the_two_sockets_of_a_pair_are_never_opened_together_and_hand_over_one_after_the_other(monkeypatch):
    monkeypatch.setattr("collectors.connection.OVERLAP_SECONDS", 0.2)
    published = [0]

    async def script(socket: ServerConnection, number: int) -> None:
        while True:
            published[0] += 1
            await socket.send(json.dumps({"id": published[0]}))
            await asyncio.sleep(0.01)

    async def scenario() -> None:
        market = Market(script)
        both: list[bool] = []
        async with paired(market, ToyVenue(), max_age=1.0) as connections:

            def done() -> bool:
                both.append(connections[0].pair.replacing.locked() and len(market.opened) - market.closed > 3)
                return min(each.reconnects for each in connections) >= 2

            await until(done, seconds=20.0)
            assert {each.plan.name for each in connections} == {"toy-0", "toy-0b"}
            assert gaps(connections[0]) == []
        assert not any(both), "never more than three sockets: one of the two hands over at a time"
        assert min(after - before for before, after in pairwise(sorted(market.opened))) >= 0.9

    asyncio.run(scenario())


def test_a_stream_is_renewed_on_the_socket_that_stands_and_a_socket_replaced_beside_it():
    async def script(socket: ServerConnection, number: int) -> None:
        n = 0
        while True:
            n += 1
            await socket.send(json.dumps({"id": n}))
            await asyncio.sleep(0.01)

    async def scenario() -> None:
        market = Market(script)
        async with running(market, ToyVenue(), handover_seconds=0.5) as connection:
            assert connection.resubscribe([Stream("trades", SYMBOL)]) == ()
            await until(lambda: connection.frames.decoded > 5)

            assert connection.resubscribe([Stream("trades", SYMBOL), Stream("book", SYMBOL)]) == [Stream("trades", SYMBOL)]
            await until(lambda: "renew trades" in [text for _, text in market.heard])
            assert len(market.opened) == 1

            connection.replace("asked to")
            await until(lambda: connection.reconnects == 1, seconds=10.0)
            assert gaps(connection) == []

    asyncio.run(scenario())
