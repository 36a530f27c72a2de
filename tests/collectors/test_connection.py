"""One connection against a real WebSocket server: frames, errors, answers, and sockets opened again."""

from __future__ import annotations

import asyncio
import json
import time

import pytest
from websockets.asyncio.server import ServerConnection, serve

from collectors.breaker import BreakerState
from collectors.link import MOST_UNREADABLE
from tests.collectors.toy_venue import Market, ToyVenue, connecting, ids, running, stay, until


def test_every_frame_is_exactly_one_of_control_ignored_decoded_or_dead_letter():
    async def script(socket: ServerConnection, number: int) -> None:
        for frame in ("hb", "odd", '{"id": 1}', "{nonsense", '{"id": 1}', b"\xff\xfe", '{"id": 2}'):
            await socket.send(frame)
        await stay(socket)

    async def scenario() -> None:
        async with running(Market(script), ToyVenue()) as connection:
            count = connection.frames
            await until(lambda: count.frames == 7)
            assert (count.control, count.ignored, count.decoded, count.dead_letters) == (1, 1, 3, 2)
            batches = connection.exchange.events.drain()
            assert batches["trades"]["trade_id"].to_pylist() == ["1", "2"]
            letters = batches["dead_letters"].to_pylist()
            assert [row["raw"] for row in letters] == [b"{nonsense", b"\xff\xfe"]
            assert all(row["connection"] == "toy-0" and row["reason"] for row in letters)
            assert connection.writer.counts["trades"].duplicates == 1
            assert connection.reconnects == 0

    asyncio.run(scenario())


def test_the_receive_time_is_the_moment_the_frame_arrived():
    async def script(socket: ServerConnection, number: int) -> None:
        for n in range(3):
            await socket.send(json.dumps({"id": n}))
            await asyncio.sleep(0.1)
        await stay(socket)

    async def scenario() -> None:
        venue = ToyVenue()
        before = time.time_ns() // 1000
        async with running(Market(script), venue):
            await until(lambda: len(venue.received) == 3)
        steps = [after - first for first, after in zip(venue.received, venue.received[1:], strict=False)]
        assert venue.received[0] >= before
        assert all(80_000 < step < 400_000 for step in steps)

    asyncio.run(scenario())


def test_subscribe_frames_keep_the_sessions_spacing_and_are_sent_again_on_every_new_socket():
    async def script(socket: ServerConnection, number: int) -> None:
        if number == 0:
            await asyncio.sleep(0.3)
            return
        await stay(socket)

    async def scenario() -> None:
        market = Market(script)
        async with running(market, ToyVenue()):
            await until(lambda: len(market.heard) == 4)
        assert [text for _, text in market.heard] == ["subscribe trades", "subscribe book"] * 2
        assert market.heard[1][0] - market.heard[0][0] >= 0.045

    asyncio.run(scenario())


def test_a_lost_socket_is_opened_again_and_the_hole_is_a_gap_that_heals():
    async def script(socket: ServerConnection, number: int) -> None:
        await socket.send(json.dumps({"id": 1}))
        await socket.send(json.dumps({"id": number + 2}))
        if number < 3:
            socket.transport.abort()
        await stay(socket)

    async def scenario() -> None:
        market = Market(script)
        async with running(market, ToyVenue()) as connection:
            await until(lambda: connection.frames.decoded == 8)
            batches = connection.exchange.events.drain()
            assert batches["trades"]["trade_id"].to_pylist() == ["1", "2", "3", "4", "5"]
            rows = [(row["kind"], row["healed_by"]) for row in batches["gaps"].to_pylist()]
            assert rows == [("disconnect", None), ("disconnect", "reconnect")] * 3
            assert connection.reconnects == 3
            assert connection.state == "connected"

    asyncio.run(scenario())


def test_a_mistake_in_a_venues_code_keeps_the_frame_and_starts_that_connection_afresh():
    async def script(socket: ServerConnection, number: int) -> None:
        await socket.send("bug" if number == 0 else json.dumps({"id": 7}))
        await stay(socket)

    async def scenario() -> None:
        async with running(Market(script), ToyVenue()) as connection:
            await until(lambda: connection.frames.decoded == 1)
            assert connection.frames.dead_letters == 1
            assert connection.exchange.events.drain()["dead_letters"]["raw"].to_pylist() == [b"bug"]

    asyncio.run(scenario())


@pytest.mark.parametrize("between", ["hb", "odd"])
def test_a_socket_whose_heartbeats_can_be_read_and_whose_data_cannot_is_given_up(between):
    async def script(socket: ServerConnection, number: int) -> None:
        for _ in range(MOST_UNREADABLE + 50 if number == 0 else 0):
            await socket.send("{nonsense")
            await socket.send(between)
        await socket.send(json.dumps({"id": 7}))
        await stay(socket)

    async def scenario() -> None:
        market = Market(script)
        async with running(market, ToyVenue()) as connection:
            await until(lambda: connection.frames.decoded == 1, seconds=60.0)
            assert len(market.opened) == 2
            assert connection.frames.dead_letters == MOST_UNREADABLE

    asyncio.run(scenario())


def test_a_decoded_frame_now_and_then_keeps_a_socket_that_sends_much_that_nobody_can_read():
    async def script(socket: ServerConnection, number: int) -> None:
        for n in range(3):
            for _ in range(MOST_UNREADABLE - 1):
                await socket.send("{nonsense")
            await socket.send(json.dumps({"id": n}))
        await stay(socket)

    async def scenario() -> None:
        market = Market(script)
        async with running(market, ToyVenue()) as connection:
            await until(lambda: connection.frames.decoded == 3, seconds=60.0)
            assert len(market.opened) == 1
            assert connection.frames.dead_letters == 3 * (MOST_UNREADABLE - 1)

    asyncio.run(scenario())


def test_an_error_that_retrying_cannot_help_ends_the_connection_for_good():
    async def script(socket: ServerConnection, number: int) -> None:
        await socket.send("fatal")
        await stay(socket)

    async def scenario() -> None:
        market = Market(script)
        async with running(market, ToyVenue()) as connection:
            await until(lambda: connection.state == "failed")
        assert len(market.opened) == 1

    asyncio.run(scenario())


def test_a_session_that_distrusts_its_socket_gets_a_new_one():
    async def script(socket: ServerConnection, number: int) -> None:
        await socket.send(json.dumps({"cut": "now"} if number == 0 else {"id": 5}))
        await stay(socket)

    async def scenario() -> None:
        async with running(Market(script), ToyVenue()) as connection:
            await until(lambda: connection.frames.decoded == 1)
            assert ids(connection) == ["5"]

    asyncio.run(scenario())


def test_no_more_sockets_are_opened_than_the_venue_allows():
    async def script(socket: ServerConnection, number: int) -> None:
        return

    async def scenario() -> None:
        market = Market(script)
        async with running(market, ToyVenue(connects=5), backoff_first_seconds=0.001, backoff_cap_seconds=0.001):
            await asyncio.sleep(1.0)
        assert 5 <= len(market.opened) <= 11

    asyncio.run(scenario())


def test_an_exchange_that_cannot_be_reached_opens_its_breaker():
    async def scenario() -> None:
        async with serve(lambda _: asyncio.sleep(0), "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
        async with connecting(f"ws://127.0.0.1:{port}", ToyVenue(), breaker_failures=3) as connection:
            await until(lambda: connection.state == "paused")
            assert connection.exchange.breaker.state is BreakerState.OPEN

    asyncio.run(scenario())


def test_a_rest_answer_goes_back_into_its_session_and_is_accounted_for():
    async def rest(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        status, body = {b"/good": (200, b"ok"), b"/broken": (200, b"broken"), b"/none": (404, b"")}[head.split()[1]]
        writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)
        await writer.drain()
        writer.close()

    async def scenario() -> None:
        venue = ToyVenue()
        async with await asyncio.start_server(rest, "127.0.0.1", 0) as server:
            base = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"

            async def script(socket: ServerConnection, number: int) -> None:
                for path in ("good", "broken", "none"):
                    await socket.send(json.dumps({"get": f"{base}/{path}"}))
                await stay(socket)

            async with running(Market(script), venue) as connection:
                await until(lambda: connection.frames.frames == 5 and len(venue.failures) == 2)
                count = connection.frames
                assert (count.control, count.decoded, count.dead_letters) == (3, 1, 1)
                assert venue.answers == [b"ok"]
                assert any("404" in reason for reason in venue.failures)
                assert connection.reconnects == 0
                ticks = venue.ticks
                await until(lambda: venue.ticks > ticks + 2)

    asyncio.run(scenario())
