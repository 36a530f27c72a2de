"""One socket and its session, from open to end.

Put here: feeding the session, carrying out what it asks for. Keep out: opening, hand-over, starting again (connection.py), what frames
mean (venues).
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

from websockets.asyncio.client import ClientConnection

from collectors.classify import Verdict, classify
from collectors.errors import ConnectionLost, Refused
from collectors.venue import HttpGet, Outcome, Reconnect, SendText, Session

if TYPE_CHECKING:
    from collectors.connection import Connection

TICK_SECONDS: Final = 0.15
CLOSE_SECONDS: Final = 1.0
"""How long a socket is given to close politely."""
MOST_UNREADABLE: Final = 100
"""After so many undecodable frames without a decoded one a socket is given up: what a venue that sends garbage fills the disk with is
bounded by the back-off between its sockets. Heartbeats and acknowledgements between them prove nothing of the data."""
YIELD_FRAMES: Final = 256
"""After so many frames taken without waiting, the flush and the other sockets get their turn."""


def now_us() -> int:
    """Wall clock, microseconds since 1970."""
    return time.time_ns() // 1000


class Link:
    """One socket and its session. `run` ends by raising: what ended it, or CancelledError."""

    def __init__(self, owner: Connection, socket: ClientConnection, session: Session) -> None:
        self.session = session
        self.opened_at = time.monotonic()
        self.delivering = asyncio.Event()
        """Set by the first frame that became rows."""
        self.expiring = asyncio.Event()
        """Set when the session announced a planned cut."""
        self._owner = owner
        self._socket = socket
        self._outgoing: asyncio.Queue[str] = asyncio.Queue()
        self._requests: set[asyncio.Task[None]] = set()
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def age(self) -> float:
        """Seconds since the socket opened."""
        return time.monotonic() - self.opened_at

    async def run(self) -> None:
        """Drive the session until the socket ends."""
        tasks = [asyncio.ensure_future(each) for each in (self._receive(), self._tick(), self._send())]
        try:
            self.session.opened(now_us())
            self.carry_out()
            await asyncio.wait([*tasks, self._ended], return_when=asyncio.FIRST_COMPLETED)
            for done in (self._ended, *tasks):
                if done.done():
                    done.result()
        finally:
            for task in (*tasks, *self._requests):
                task.cancel()
            await asyncio.gather(*tasks, *self._requests, return_exceptions=True)
            if not self._ended.done():
                self._ended.cancel()
            self.session.closed(now_us())
            await self._close()

    def end(self, error: Exception) -> None:
        """Make `run` end with `error`."""
        if not self._ended.done():
            self._ended.set_exception(error)

    def carry_out(self) -> None:
        """Carry out and clear what the session asked for."""
        actions = self.session.actions[:]
        self.session.actions.clear()
        for action in actions:
            match action:
                case SendText():
                    self._outgoing.put_nowait(action.text)
                case HttpGet():
                    task = asyncio.create_task(self._request(action))
                    self._requests.add(task)
                    task.add_done_callback(self._request_done)
                case Reconnect(graceful=True):
                    self.expiring.set()
                case Reconnect():
                    self.end(ConnectionLost(f"{self._owner.plan.name} asked for a new socket: {action.reason}"))

    async def _receive(self) -> None:
        recv = self._socket.recv
        session = self.session
        owner = self._owner
        count = owner.frames
        decoded, control = Outcome.DECODED, Outcome.CONTROL
        turn = unreadable = 0
        while not self._ended.done():
            turn += 1
            if turn == YIELD_FRAMES:
                # recv() does not give way while frames are queued.
                turn = 0
                await asyncio.sleep(0)
            frame = await recv(decode=False)
            received = now_us()
            owner.last_frame = received
            try:
                outcome = session.feed(frame, received)
            except Exception as error:  # classify decides, and the frame is accounted for whatever it was
                owner.dead_letter(frame, error, received)
                if classify(error) is not Verdict.RESYNC:
                    raise
                unreadable += 1
                if unreadable == MOST_UNREADABLE:
                    raise ConnectionLost(
                        f"{owner.plan.name} sent {unreadable} frames that cannot be decoded and none between them that can, "
                        "expected rows of its venue"
                    ) from error
            else:
                if outcome is decoded:
                    unreadable = 0
                    count.decoded += 1
                    if not self.delivering.is_set():
                        self.delivering.set()
                elif outcome is control:
                    count.control += 1
                else:
                    count.ignored += 1
            if session.actions:
                self.carry_out()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_SECONDS)
            self.session.tick(now_us())
            self.carry_out()

    async def _send(self) -> None:
        while True:
            text = await self._outgoing.get()
            await self._socket.send(text)
            await asyncio.sleep(self.session.spacing_seconds)

    async def _request(self, request: HttpGet) -> None:
        owner = self._owner
        try:
            body = await owner.exchange.rest.get(request)
        except (ConnectionLost, Refused) as error:
            owner.log.debug("request failed", purpose=request.purpose, symbol=request.symbol, reason=str(error))
            self.session.http_failed(request, str(error), now_us())
        else:
            received = now_us()
            try:
                outcome = self.session.feed_http(request, body, received)
            except Exception as error:  # as in _receive
                owner.dead_letter(body, error, received)
                if classify(error) is not Verdict.RESYNC:
                    raise
                self.session.http_failed(request, str(error), received)
            else:
                owner.count(outcome)
        self.carry_out()

    def _request_done(self, task: asyncio.Task[None]) -> None:
        self._requests.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.end(error if isinstance(error, Exception) else ConnectionLost(str(error)))

    async def _close(self) -> None:
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._socket.close()
        except TimeoutError:
            self._socket.transport.abort()
