"""A small venue over a real WebSocket server, for tests of connections: every case can be forced.

Put here: the venue, its session, its server, and what runs a connection against them. Keep out: tests.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

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
