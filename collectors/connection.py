"""Sockets: one planned connection kept alive for ever. The only asyncio socket code of this package.

Put here: opening, feeding a session, carrying out its actions, hand-over to a successor, starting again after any failure.
Keep out: what frames mean (venues), how long to wait (backoff.py, breaker.py), what an error means (classify.py).

Connection   a planned socket over all its lives: back-off, breaker, connect budget, hand-over before the venue's cut
└── Link     one socket and its session, from open to end
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from websockets.asyncio.client import ClientConnection, connect

from collectors.backoff import Backoff
from collectors.breaker import CircuitBreaker
from collectors.budget import Window
from collectors.classify import Verdict, classify, is_expected, is_refusal
from collectors.errors import ConnectionLost, Refused
from collectors.http import RestClient
from collectors.ledger import FrameCount
from collectors.logs import logger
from collectors.raw import RawTape
from collectors.rows import EventBuffer, RowWriter
from collectors.settings import CollectorSettings
from collectors.venue import ConnectionPlan, HttpGet, Outcome, Reconnect, SendText, Session, Venue, Wanted

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

TICK_SECONDS: Final = 0.15
CLOSE_SECONDS: Final = 1.0
"""How long a socket is given to close politely."""
HANDOVER_POLL_SECONDS: Final = 0.05
OVERLAP_SECONDS: Final = 3.0
"""How long both sockets go on once the new one holds every book: its last subscriptions may still be under way, and the old one may
be the slower and hold older trades."""
YIELD_FRAMES: Final = 256
"""After so many frames taken without waiting, the flush and the other sockets get their turn."""
QUEUED_FRAMES: Final = 1024
"""Frames the library holds before it stops reading from the network: a burst is taken in whole, memory stays bounded."""
AGE_SHARE: Final = (0.93, 0.97)
"""A successor is opened at a random point of this share of the venue's planned life, so that sockets opened together part."""


def now_us() -> int:
    """Wall clock, microseconds since 1970."""
    return time.time_ns() // 1000


@dataclass(slots=True)
class ExchangeContext:
    """What all connections of one exchange share."""

    venue: Venue
    wanted: Wanted
    events: EventBuffer
    rest: RestClient
    settings: CollectorSettings
    raw: RawTape | None = None
    """Keeps all that sessions are told, when asked to."""
    breaker: CircuitBreaker = field(init=False)
    connects: Window = field(init=False)

    def __post_init__(self) -> None:
        limits = self.venue.limits
        self.breaker = CircuitBreaker(self.settings.breaker)
        self.connects = Window(limits.connects, limits.connects_per_seconds)


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
        turn = 0
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
            else:
                if outcome is decoded:
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


class Connection:
    """A planned socket, kept alive until `run` is cancelled."""

    def __init__(self, plan: ConnectionPlan, exchange: ExchangeContext) -> None:
        self.plan = plan
        self.exchange = exchange
        self.frames = FrameCount()
        self.state = "connecting"
        self.connected_since: int | None = None
        self.last_frame: int | None = None
        self.reconnects = 0
        self.writer: RowWriter = exchange.events.writer(plan.exchange, plan.name)
        self.log: FilteringBoundLogger = logger(exchange=plan.exchange, connection=plan.name)
        self.backoff = Backoff(exchange.settings.backoff)
        self._link: Link | None = None

    @property
    def link(self) -> Link | None:
        """The socket that delivers now, if any."""
        return self._link

    def count(self, outcome: Outcome) -> None:
        """Account for one frame or answer that was understood."""
        match outcome:
            case Outcome.DECODED:
                self.frames.decoded += 1
            case Outcome.CONTROL:
                self.frames.control += 1
            case Outcome.IGNORED:
                self.frames.ignored += 1

    def dead_letter(self, raw: bytes, error: Exception, received: int) -> None:
        """Account for one frame or answer that was not understood, and keep it whole."""
        self.frames.dead_letters += 1
        self.writer.dead_letter(raw, str(error) or type(error).__name__, local=received)
        self.log.warning("frame kept as dead letter", reason=str(error), bytes=len(raw))

    def reconnect(self, reason: str) -> None:
        """Drop the socket that stands and open another, which subscribes anew."""
        if self._link is not None:
            self._link.end(ConnectionLost(f"{self.plan.name} is opened anew: {reason}"))

    async def run(self) -> None:
        """Keep a socket of the plan open and its session fed. Ends only when cancelled, or on an error that retrying cannot help."""
        while True:
            link: Link | None = None
            try:
                link = await self._open()
                await self._serve(link)
            except Exception as error:  # classify decides
                self._lost(error)
                if classify(error) is Verdict.FATAL:
                    self.state = "failed"
                    raise
            finally:
                self._link = None
                self.connected_since = None
            self.state = "waiting"
            await asyncio.sleep(self.backoff.next_delay())

    async def _open(self) -> Link:
        breaker = self.exchange.breaker
        while (seconds := breaker.wait(time.monotonic())) > 0:
            self.state = "paused"
            await asyncio.sleep(min(seconds, 1.0))
        await self.exchange.connects.take(1)
        if self._link is None:
            self.state = "connecting"
        try:
            link = await self._connect()
        except Exception as error:
            if is_refusal(error):
                breaker.refused(time.monotonic())
            elif breaker.failed(time.monotonic()):
                self.log.warning("exchange is only probed from now on", failures=breaker.failures)
            raise
        breaker.succeeded()
        return link

    async def _connect(self) -> Link:
        plan, settings = self.plan, self.exchange.settings
        socket = await connect(
            plan.url,
            open_timeout=settings.connect_timeout_seconds,
            close_timeout=CLOSE_SECONDS,
            ping_interval=plan.protocol_ping_seconds,
            max_size=plan.max_frame_bytes,
            max_queue=QUEUED_FRAMES,
            user_agent_header="tickhouse",
            additional_headers=plan.headers,
        )
        session = self.exchange.venue.session(plan, self.exchange.events, self.exchange.wanted)
        if self.exchange.raw is not None:
            session = self.exchange.raw.tap(session, plan)
        return Link(self, socket, session)

    async def _serve(self, link: Link) -> None:
        """Run `link` and its successors; raises what ended the last of them."""
        running = self._start(link)
        try:
            while True:
                expiring = asyncio.create_task(self._expiry(link))
                try:
                    await asyncio.wait([running, expiring], return_when=asyncio.FIRST_COMPLETED)
                finally:
                    expiring.cancel()
                if running.done():
                    running.result()
                    return
                link, running = await self._hand_over(link, running)
        finally:
            self.backoff.lived(link.age)
            await _finish(running)

    def _start(self, link: Link) -> asyncio.Task[None]:
        self._link = link
        self.state = "connected"
        self.connected_since = now_us()
        self.log.info("connected", url=self.plan.url, streams=len(self.plan.streams))
        return asyncio.create_task(link.run())

    async def _expiry(self, link: Link) -> None:
        """Returns when the successor of `link` is to be opened."""
        planned = self.plan.max_age_seconds
        wait = None if planned is None else max(0.0, planned * random.uniform(*AGE_SHARE) - link.age)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait):
                await link.expiring.wait()

    async def _hand_over(self, old: Link, running: asyncio.Task[None]) -> tuple[Link, asyncio.Task[None]]:
        """Open a successor beside `old`; whichever carries on comes back. Raises what ended `old` when no successor took over."""
        opening = asyncio.create_task(self._successor(old))
        try:
            await asyncio.wait([opening])
        except asyncio.CancelledError:
            await _finish(opening)
            if not opening.cancelled() and opening.exception() is None:
                await _finish(opening.result()[1])
            raise
        if (failure := opening.exception()) is not None:
            if running.done():
                running.result()
            self.log.warning("successor not opened", reason=str(failure))
            await asyncio.sleep(self.backoff.next_delay())
            return old, running
        new, started = opening.result()
        self._inherit(new, old)
        self._link = new
        await _finish(running)
        self.connected_since = now_us()
        self.reconnects += 1
        self.log.info("handed over to a new socket")
        return new, started

    async def _successor(self, old: Link) -> tuple[Link, asyncio.Task[None]]:
        """A second socket of the plan that delivers and holds every book that `old` holds, so that the end of `old` opens no gap."""
        link = await self._open()
        running = asyncio.create_task(link.run())
        deadline = time.monotonic() + self.exchange.settings.handover_seconds
        stands = False
        try:
            while not running.done() and time.monotonic() < deadline:
                if link.delivering.is_set() and all(dataset != "book_deltas" for _, dataset in self._not_carried(link, old)):
                    await asyncio.wait([running], timeout=OVERLAP_SECONDS)
                    break
                await asyncio.wait([running], timeout=HANDOVER_POLL_SECONDS)
            stands = link.delivering.is_set() and not running.done()
        finally:
            # Also when this is cancelled: nobody else knows the second socket yet.
            if not stands:
                await _finish(running)
        if not stands:
            raise ConnectionLost(f"{self.plan.name} opened a successor that delivered nothing or ended at once, expected it to carry on")
        return link, running

    def _not_carried(self, new: Link, old: Link) -> list[tuple[str, str]]:
        """Symbols and datasets that `old` has delivered and `new` has not."""
        carriers = self.exchange.events.continuity(self.plan.exchange).carriers
        return [place for place, sessions in carriers.items() if old.session in sessions and new.session not in sessions]

    def _inherit(self, new: Link, old: Link) -> None:
        """Streams of `old` are those of `new`, also the quiet ones: were one not delivered, the silence watchdog would say so.

        Books are left out: one that the new socket does not hold by now has a gap until it does.
        """
        for symbol, dataset in self._not_carried(new, old):
            if dataset != "book_deltas":
                self.exchange.events.continuity(self.plan.exchange).carry(new.session, symbol, dataset)

    def _lost(self, error: Exception) -> None:
        self.reconnects += 1
        if is_expected(error):
            self.log.warning("connection lost", reason=str(error) or type(error).__name__, failures=self.backoff.failures + 1)
        else:
            self.log.error("connection failed on an unexpected error", exc_info=error)


async def _finish(task: asyncio.Task[Any]) -> None:
    """Cancel a task and wait until it has cleaned up behind itself; what it ended with no longer matters."""
    task.cancel()
    await asyncio.wait([task])
    if not task.cancelled():
        task.exception()
