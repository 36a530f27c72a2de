"""One port for everything: WebSocket handshakes, REST and the control answers.

What belongs here: sockets, HTTP, the loop that ticks the engine. What does not: what any venue says.
HTTP requests are answered in the handshake stage, where the library sends a body of any size and then closes.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.protocol import State

from simulator.context import Source
from simulator.engine import TICK_S, Engine
from simulator.errors import InvalidFault
from simulator.faults import Faults, make
from simulator.ledger import Ledger
from simulator.playback import Player
from simulator.streams import Hub, Socket
from simulator.venues.base import Answer, Session, Venue, refused

# Longer than any slow_snapshot: the library counts an answer still being held back as an unfinished handshake.
OPEN_TIMEOUT_S = 3600.0
# Even where a tick takes longer than its time, requests and commands get their turns in between.
BREATH_S = 0.002


def now_us() -> int:
    """Wall clock in unix microseconds."""
    return time.time_ns() // 1000


class ConnectionWire:
    """The transport of an open connection; closed as soon as either side begins the closing handshake."""

    def __init__(self, connection: ServerConnection) -> None:
        self._connection = connection

    def write(self, data: bytes) -> None:
        self._connection.transport.write(data)

    def get_write_buffer_size(self) -> int:
        return self._connection.transport.get_write_buffer_size()

    def is_closing(self) -> bool:
        return self._connection.protocol.state is not State.OPEN or self._connection.transport.is_closing()

    def abort(self) -> None:
        self._connection.transport.abort()


class SimulatorServer:
    """Serves venues on one port until `close`."""

    def __init__(
        self,
        venues: Sequence[Venue],
        *,
        engine: Engine,
        hub: Hub,
        faults: Faults,
        ledger: Ledger,
        players: Mapping[str, Player] | None = None,
        sources: Mapping[str, Source] | None = None,
    ) -> None:
        self.venues = {venue.name: venue for venue in venues}
        self.engine = engine
        self.hub = hub
        self.faults = faults
        self.ledger = ledger
        self.players = dict(players or {})
        self.sources = dict(sources or {})
        self.port = 0
        self._host = ""
        self._started = time.monotonic()
        self._server: Server | None = None
        self._ticker: asyncio.Task[None] | None = None
        self._connections = 0
        self._requests: dict[int, int] = {}

    async def start(self, host: str, port: int) -> None:
        """Listen and start the clock; port 0 takes a free one, told by `port`."""
        self._server = await serve(
            self._handle,
            host,
            port,
            process_request=self._request,
            compression=None,
            ping_interval=None,
            open_timeout=OPEN_TIMEOUT_S,
            close_timeout=2.0,
            max_size=1024 * 1024,
            server_header=None,
        )
        self._host = host
        self.port = int(next(iter(self._server.sockets)).getsockname()[1])
        self._ticker = asyncio.create_task(self._tick())

    async def close(self) -> None:
        """Stop the clock, close every socket with 1001, write out the ledger."""
        if self._ticker is not None:
            self._ticker.cancel()
            with suppress(asyncio.CancelledError):
                await self._ticker
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
        self.ledger.close()

    async def wait_failed(self) -> None:
        """Return only if the clock stops by itself, raising what stopped it."""
        assert self._ticker is not None
        await asyncio.shield(self._ticker)

    def endpoints(self) -> dict[str, dict[str, str]]:
        """Per venue: endpoint key to the local URL that stands for the real one."""
        found: dict[str, dict[str, str]] = {}
        for name, venue in self.venues.items():
            found[name] = {
                key: f"{'ws' if key.endswith('_ws') else 'http'}://{self._host}:{self.port}/{name}{path}"
                for key, (path, _) in venue.endpoints.items()
            }
        return found

    async def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            self.engine.tick(now_us())
            due = max(due + TICK_S, loop.time() + BREATH_S)
            await asyncio.sleep(due - loop.time())

    async def _handle(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        parts = urlsplit(connection.request.path)
        name, _, below = parts.path[1:].partition("/")
        venue = self.venues[name]
        self._connections += 1
        socket = Socket(ConnectionWire(connection), exchange=name, market="", identity=self._connections)
        session = venue.connect(f"/{below}", parts.query, socket)
        assert session is not None
        self.hub.add(socket)
        player = self.players.get(name)
        tasks: list[asyncio.Task[None]] = []
        try:
            if player is not None:
                await self._play(connection, socket, player, f"/{below}", parts.query, tasks)
            else:
                if session.ping_every_s:
                    tasks.append(asyncio.create_task(_keep_alive(connection, session)))
                await self._converse(connection, socket, session)
        finally:
            self.hub.remove(socket)
            for task in tasks:
                task.cancel()

    async def _converse(self, connection: ServerConnection, socket: Socket, session: Session) -> None:
        session.opened(now_us())
        socket.flush()
        try:
            async for message in connection:
                text = message if isinstance(message, str) else message.decode(errors="replace")
                close = session.command(text, now_us())
                socket.flush()
                if close is not None:
                    await connection.close(close.code, close.reason)
                    return
        except ConnectionClosed:
            return

    async def _play(
        self, connection: ServerConnection, socket: Socket, player: Player, path: str, query: str, tasks: list[asyncio.Task[None]]
    ) -> None:
        started = asyncio.Event()
        if query:
            started.set()

        async def run() -> None:
            await player.play(socket, path, started)
            await connection.close(1000, "end of recording")

        tasks.append(asyncio.create_task(run()))
        try:
            async for message in connection:
                text = message if isinstance(message, str) else message.decode(errors="replace")
                for answer in player.venue.acknowledge(text, now_us()):
                    socket.send(answer)
                socket.flush()
                started.set()
        except ConnectionClosed:
            return

    async def _request(self, connection: ServerConnection, request: Request) -> Response | None:
        del connection
        parts = urlsplit(request.path)
        name, _, below = parts.path[1:].partition("/")
        params = dict(parse_qsl(parts.query))
        self.faults.tick(max(now_us(), self.faults.now_us))
        if name == "control":
            return _respond(self._control(below, params))
        if name in self.sources:
            return _respond(self._of_source(self.sources[name], f"/{below}", params, request.headers))
        venue = self.venues.get(name)
        if venue is None:
            return _respond(Answer(404, '{"error":"no such path"}'))
        if refused(self.faults, name):
            return _respond(Answer(503, '{"error":"service unavailable"}'))
        if "websocket" in request.headers.get("Upgrade", "").lower():
            probe = Socket(_NoWire(), exchange=name, market="", identity=0)
            return None if venue.connect(f"/{below}", parts.query, probe) is not None else _respond(Answer(404, ""))
        answer = self._rest(venue, f"/{below}", params)
        self._requests[answer.status] = self._requests.get(answer.status, 0) + 1
        if answer.delay_s:
            await asyncio.sleep(answer.delay_s)
        return _respond(answer)

    def _rest(self, venue: Venue, path: str, params: dict[str, str]) -> Answer:
        player = self.players.get(venue.name)
        if player is not None:
            recorded = player.answer(path, params)
            if recorded is not None:
                return recorded
        answer = venue.rest(path, params, now_us())
        return Answer(404, '{"error":"no such path"}') if answer is None else answer

    def _of_source(self, source: Source, path: str, params: dict[str, str], headers: Headers) -> Answer:
        lowered = {key.lower(): value for key, value in headers.raw_items()}
        answer = source.answer(path, params, lowered, now_us()) or Answer(404, '{"error":"no such path"}')
        self._requests[answer.status] = self._requests.get(answer.status, 0) + 1
        return answer

    def _control(self, call: str, params: dict[str, str]) -> Answer:
        if call == "stats":
            return Answer(200, json.dumps(self.stats()))
        if call == "fault":
            return self._arm(params)
        if call == "book":
            return self._book(params)
        if call == "hole":
            return self._hole(params)
        if call in {"pause", "resume"}:
            self.engine.paused = call == "pause"
            return Answer(200, json.dumps({"paused": self.engine.paused}))
        if call == "calm":
            return Answer(200, json.dumps({"ended": self.faults.end()}))
        if call == "burst":
            return self._burst(params)
        if call == "sockets":
            return Answer(200, json.dumps([_describe(socket) for socket in self.hub.sockets]))
        return Answer(
            404,
            json.dumps({"error": f"no control call {call!r}: expected stats, fault, calm, book, hole, burst, pause, resume or sockets"}),
        )

    def _arm(self, params: dict[str, str]) -> Answer:
        try:
            fault = make(
                params.get("kind", ""),
                exchange=params.get("exchange", "*"),
                symbol=params.get("symbol", "*"),
                channel=params.get("channel", "*"),
                after_s=float(params.get("after", "0")),
                duration_s=float(params.get("duration", "0")),
                most=int(params.get("most", "0")),
            )
        except (InvalidFault, ValueError) as error:
            return Answer(400, json.dumps({"error": str(error)}))
        if fault.exchange not in {"*", *self.venues, *self.sources}:
            known = ", ".join((*self.venues, *self.sources))
            return Answer(400, json.dumps({"error": f"no exchange {fault.exchange!r}: expected one of {known}"}))
        self.faults.arm(fault, now_us=now_us())
        fields = {"kind": fault.kind, "exchange": fault.exchange, "symbol": fault.symbol, "channel": fault.channel}
        return Answer(200, json.dumps({"armed": True, **fields, "due_us": fault.due_us, "duration_s": fault.duration_s}))

    def _hole(self, params: dict[str, str]) -> Answer:
        """No candles open within `seconds` from `start` (unix seconds), as of a venue that stood still."""
        wanted = (params.get("exchange"), params.get("symbol"))
        found = [
            each for venue in self.venues.values() for each in venue.markets if (each.instrument.exchange, each.instrument.symbol) == wanted
        ]
        for market in found:
            market.still.append((float(params["start"]), float(params["start"]) + float(params["seconds"])))
        return Answer(200 if found else 404, json.dumps({"markets": len(found)}))

    def _burst(self, params: dict[str, str]) -> Answer:
        """`orders` forced orders of `usd` dollars each, now, in every market of `exchange` and `symbol` that can force any."""
        try:
            orders, dollars = int(params.get("orders", "1")), float(params.get("usd", "100000"))
        except ValueError as error:
            return Answer(400, json.dumps({"error": str(error)}))
        markets = self.engine.burst(params.get("exchange", "*"), params.get("symbol", "*"), orders=orders, dollars=dollars)
        return Answer(200 if markets else 404, json.dumps({"markets": markets, "orders": markets * orders}))

    def _book(self, params: dict[str, str]) -> Answer:
        wanted = (params.get("exchange"), params.get("market"), params.get("symbol"))
        for venue in self.venues.values():
            for market in venue.markets:
                item = market.instrument
                if (item.exchange, item.market, item.symbol) == wanted:
                    image = market.image()
                    sides = {
                        name: [[item.price(price), item.amount(amount)] for price, amount in levels]
                        for name, levels in (("bids", image.bids), ("asks", image.asks))
                    }
                    return Answer(200, json.dumps({"sequence": image.sequence, "time_us": image.time_us, **sides}))
        return Answer(404, json.dumps({"error": "no such market: expected exchange, market and symbol of one that is simulated"}))

    def stats(self) -> dict[str, Any]:
        """Counters since the start."""
        return {
            "uptime_s": round(time.monotonic() - self._started, 3),
            "sockets": len(self.hub.sockets),
            "connections": self._connections,
            "frames_sent": self.hub.frames_of_closed + sum(socket.frames_sent for socket in self.hub.sockets),
            "messages": dict(self.hub.published),
            "requests": {str(status): count for status, count in self._requests.items()},
            "trades": self.ledger.trades,
            "trades_delivered": self.ledger.delivered,
            "liquidations": self.ledger.liquidations,
            "faults": self.ledger.faults,
            "playback": {
                "done": all(player.done for player in self.players.values()),
                "clients": sum(player.clients for player in self.players.values()),
                "frames": sum(player.frames_played for player in self.players.values()),
            }
            if self.players
            else None,
        }


def _describe(socket: Socket) -> dict[str, Any]:
    """One open socket and what it listens to."""
    streams = sorted(f"{stream.channel} {stream.symbol}" for stream in socket.streams)
    return {"id": socket.identity, "exchange": socket.exchange, "market": socket.market, "frames": socket.frames_sent, "streams": streams}


class _NoWire:
    """A wire for asking whether a path exists, before there is a connection."""

    def write(self, data: bytes) -> None:
        del data

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return True

    def abort(self) -> None:
        return


def _respond(answer: Answer) -> Response:
    body = answer.body.encode()
    headers = Headers(
        [
            ("Content-Type", "application/json;charset=utf-8"),
            ("Content-Length", str(len(body))),
            ("Connection", "close"),
            *answer.headers.items(),
        ]
    )
    return Response(answer.status, HTTPStatus(answer.status).phrase, headers, body)


async def _keep_alive(connection: ServerConnection, session: Session) -> None:
    """Ping as the venue does; a client that does not answer in time is closed."""
    with suppress(ConnectionClosed):
        while True:
            await asyncio.sleep(session.ping_every_s)
            pong = await connection.ping()
            try:
                await asyncio.wait_for(asyncio.shield(pong), session.pong_within_s)
            except TimeoutError:
                await connection.close(1008, "Pong timeout")
                return
