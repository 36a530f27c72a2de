"""Connections against a real WebSocket server; the venue is a small one written here, so that every case can be forced."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from collectors.breaker import BreakerState
from collectors.connection import Connection, ExchangeContext
from collectors.errors import ConfigError, FrameError
from collectors.http import RestClient
from collectors.redundant import Pair, twin_of
from collectors.rows import EventBuffer, RowWriter
from collectors.settings import CollectorSettings
from collectors.venue import (
    Action,
    ConnectionPlan,
    HttpGet,
    Instrument,
    Limits,
    Outcome,
    Reconnect,
    RecordedSession,
    SendText,
    Stream,
    Wanted,
)

SYMBOL = "BTC/USDT"


class ToySession:
    """Trades as {"id": n}; "hb" is control, "odd" is ignored; {"cut": …} asks for a new socket, {"get": url} for a REST answer."""

    spacing_seconds = 0.05

    def __init__(self, writer: RowWriter, venue: ToyVenue) -> None:
        self.actions: list[Action] = []
        self.writer = writer
        self.venue = venue
        self.failed: list[str] = []

    def opened(self, now: int | None) -> None:
        self.actions += [SendText("subscribe trades"), SendText("subscribe book")]

    def feed(self, frame: bytes | str, received: int | None) -> Outcome:
        assert received is not None
        self.venue.received.append(received)
        match frame:
            case b"hb":
                return Outcome.CONTROL
            case b"odd":
                return Outcome.IGNORED
            case b"bug":
                raise KeyError("a mistake in the venue's code")
            case b"fatal":
                raise ConfigError("nothing can help")
        try:
            message = json.loads(frame)
        except ValueError as error:
            raise FrameError("toy", str(error)) from error
        if "cut" in message:
            self.actions.append(Reconnect("asked to", graceful=message["cut"] == "graceful"))
            return Outcome.CONTROL
        if "get" in message:
            self.actions.append(HttpGet(url=message["get"], purpose="depth"))
            return Outcome.CONTROL
        continuity = self.writer.continuity
        continuity.carry(self, SYMBOL, "trades")
        for gap in continuity.open_gaps(SYMBOL, "trades"):
            continuity.heal(self.writer, gap, by="reconnect", now=received, to_time=received)
        if continuity.tape(SYMBOL).seen.add(message["id"]):
            key = self.writer.key(SYMBOL)
            self.writer.trade((key, received, received, message["id"], message["id"], False, 1.0, 1.0, 1, False, False))
        else:
            self.writer.duplicate("trades")
        return Outcome.DECODED

    def feed_http(self, request: HttpGet, body: bytes, received: int | None) -> Outcome:
        if body == b"broken":
            raise FrameError("toy", "broken answer")
        self.venue.answers.append(body)
        return Outcome.DECODED

    def http_failed(self, request: HttpGet, reason: str, now: int) -> None:
        self.venue.failures.append(reason)

    def tick(self, now: int) -> None:
        self.venue.ticks += 1

    def stalled(self, stream: Stream, *, since: int, now: int) -> None:
        raise NotImplementedError

    def resubscribe(self, streams: Sequence[Stream]) -> Sequence[Stream]:
        self.actions += [SendText(f"renew {stream.channel}") for stream in streams if stream.channel == "trades"]
        return [stream for stream in streams if stream.channel == "trades"]

    def closed(self, now: int | None) -> None:
        assert now is not None
        for symbol, dataset in self.writer.continuity.drop(self):
            self.writer.continuity.open_gap(self.writer, symbol, channel=dataset, kind="disconnect", now=now, from_time=now)


class ToyVenue:
    exchange = "toy"
    endpoints: Mapping[str, str] = {"ws": "ws://127.0.0.1", "rest": "http://127.0.0.1"}
    channels: Sequence[str] = ("trades",)

    def __init__(self, *, connects: int = 1000) -> None:
        self.limits = Limits(connects=connects, connects_per_seconds=1.0, rest_weight=1000, rest_weight_per_seconds=1.0)
        self.received: list[int] = []
        self.answers: list[bytes] = []
        self.failures: list[str] = []
        self.ticks = 0

    def session(self, plan: ConnectionPlan, events: EventBuffer, wanted: Wanted) -> ToySession:
        return ToySession(events.writer("toy", plan.name), self)

    def instrument_requests(self, endpoints: Mapping[str, str], markets: Sequence[str]) -> list[HttpGet]:
        raise NotImplementedError

    def parse_instruments(self, request: HttpGet, body: bytes) -> list[Instrument]:
        raise NotImplementedError

    def market_of(self, symbol: str) -> str:
        return "spot"

    def plan(self, wanted: Wanted, instruments: Mapping[str, Instrument]) -> list[ConnectionPlan]:
        raise NotImplementedError

    def recorded_session(self, events: EventBuffer) -> RecordedSession:
        raise NotImplementedError


class Market:
    """The server: `script` says what each accepted socket (by number) does."""

    def __init__(self, script: Callable[[ServerConnection, int], Awaitable[None]]) -> None:
        self.script = script
        self.opened: list[float] = []
        self.closed = 0
        self.heard: list[tuple[float, str]] = []

    async def handle(self, socket: ServerConnection) -> None:
        number = len(self.opened)
        self.opened.append(time.monotonic())
        listening = asyncio.create_task(self._listen(socket))
        try:
            await self.script(socket, number)
        except ConnectionClosed:
            pass
        finally:
            self.closed += 1
            listening.cancel()

    async def _listen(self, socket: ServerConnection) -> None:
        async for text in socket:
            self.heard.append((time.monotonic(), str(text)))


def settings(**values: object) -> CollectorSettings:
    fast = {"backoff_first_seconds": 0.02, "backoff_cap_seconds": 0.05, "handover_seconds": 2.0, "connect_timeout_seconds": 2.0}
    return CollectorSettings(**{**fast, **values})


@asynccontextmanager
async def running(market: Market, venue: ToyVenue, *, max_age: float | None = None, **knobs: object) -> AsyncIterator[Connection]:
    async with serve(market.handle, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with connecting(f"ws://127.0.0.1:{port}", venue, max_age=max_age, **knobs) as connection:
            yield connection


@asynccontextmanager
async def connecting(url: str, venue: ToyVenue, *, max_age: float | None = None, **knobs: object) -> AsyncIterator[Connection]:
    events = EventBuffer()
    wanted = Wanted(symbols=(SYMBOL,), channels=("trades",))
    async with RestClient("toy", venue.limits, timeout=1.0, attempts=1) as rest:
        context = ExchangeContext(venue, wanted, events, rest, settings(**knobs))
        plan = ConnectionPlan(
            name="toy-0",
            exchange="toy",
            market="spot",
            url=url,
            streams=(Stream("trades", SYMBOL),),
            instruments=(),
            max_age_seconds=max_age,
        )
        connection = Connection(plan, context)
        task = asyncio.create_task(connection.run())
        try:
            yield connection
        finally:
            task.cancel()
            ended = await asyncio.gather(task, return_exceptions=True)
            assert isinstance(ended[0], asyncio.CancelledError | ConfigError), ended


@asynccontextmanager
async def paired(market: Market, venue: ToyVenue, *, max_age: float) -> AsyncIterator[list[Connection]]:
    """Both connections of a plan whose sockets live `max_age` seconds."""
    async with serve(market.handle, "127.0.0.1", 0) as server, RestClient("toy", venue.limits, timeout=1.0, attempts=1) as rest:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        context = ExchangeContext(venue, Wanted(symbols=(SYMBOL,), channels=("trades",), redundant=True), EventBuffer(), rest, settings())
        streams = (Stream("trades", SYMBOL),)
        plan = ConnectionPlan(
            name="toy-0", exchange="toy", market="spot", url=url, streams=streams, instruments=(), max_age_seconds=max_age
        )
        pair = Pair()
        connections = [Connection(each, context, pair=pair) for each in (plan, twin_of(plan))]
        tasks = [asyncio.create_task(connection.run()) for connection in connections]
        try:
            yield connections
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def until(true: Callable[[], object], *, seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "the condition never came true"
        await asyncio.sleep(0.005)


def ids(connection: Connection) -> list[str]:
    batch = connection.exchange.events.drain().get("trades")
    return [] if batch is None else batch["trade_id"].to_pylist()


def gaps(connection: Connection) -> list[tuple[str, bool]]:
    batch = connection.exchange.events.drain().get("gaps")
    return [] if batch is None else [(row["kind"], row["healed_at"] is not None) for row in batch.to_pylist()]


async def stay(socket: ServerConnection) -> None:
    await socket.wait_closed()


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
