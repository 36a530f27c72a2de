"""Sockets: one planned connection kept alive for ever. With link.py the only asyncio socket code of this package.

Put here: opening, hand-over to a successor, starting again after any failure.
Keep out: what frames mean (venues), how long to wait (backoff.py, breaker.py), what an error means (classify.py).

Connection   a planned socket over all its lives: back-off, breaker, connect budget, hand-over before the venue's cut
└── Link     one socket and its session, from open to end (link.py)
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from websockets.asyncio.client import connect

from collectors.backoff import Backoff
from collectors.breaker import CircuitBreaker
from collectors.budget import Window
from collectors.classify import Verdict, classify, is_expected, is_refusal
from collectors.errors import ConnectionLost
from collectors.http import RestClient
from collectors.ledger import FrameCount
from collectors.link import CLOSE_SECONDS, Link, now_us
from collectors.logs import logger
from collectors.raw import RawTape
from collectors.redundant import Pair
from collectors.rows import EventBuffer, RowWriter
from collectors.settings import CollectorSettings
from collectors.venue import ConnectionPlan, Outcome, Session, Stream, Venue, Wanted

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

HANDOVER_POLL_SECONDS: Final = 0.05
OVERLAP_SECONDS: Final = 3.0
"""How long both sockets go on once the new one holds every book: its last subscriptions may still be under way, and the old one may
be the slower and hold older trades."""
QUEUED_FRAMES: Final = 1024
"""Frames the library holds before it stops reading from the network: a burst is taken in whole, memory stays bounded."""
AGE_SHARE: Final = (0.93, 0.97)
"""A successor is opened at a random point of this share of the venue's planned life, so that sockets opened together part."""


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


class Connection:
    """A planned socket, kept alive until `run` is cancelled; one of a `pair` where there are two of every plan."""

    def __init__(self, plan: ConnectionPlan, exchange: ExchangeContext, *, pair: Pair | None = None) -> None:
        self.plan = plan
        self.pair = pair
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

    def replace(self, reason: str) -> None:
        """Hand over to another socket, which subscribes anew; the streams that deliver go on meanwhile."""
        if self._link is not None:
            self.log.info("socket is to be replaced", reason=reason)
            self._link.expiring.set()

    def stalled(self, stream: Stream, *, since: int) -> None:
        """Tell the session that nothing has come of a stream since `since`, microseconds."""
        if self._link is not None:
            self._asked(lambda session: session.stalled(stream, since=since, now=now_us()))

    def resubscribe(self, streams: Sequence[Stream]) -> Sequence[Stream]:
        """Subscribe to single streams anew on the socket that stands; returns those for which that is possible."""
        return self._asked(lambda session: session.resubscribe(streams)) or () if self._link is not None else ()

    def _asked(self, ask: Callable[[Session], Sequence[Stream] | None]) -> Sequence[Stream] | None:
        """What the session that stands answers; a mistake in a venue's code costs its own socket only."""
        assert self._link is not None
        try:
            answer = ask(self._link.session)
            self._link.carry_out()
        except Exception as error:  # classify decides
            if classify(error) is Verdict.FATAL:
                raise
            self._link.end(error)
            return None
        return answer

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
        if self.pair is not None:
            await self.pair.turn()
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
                    if running.done():
                        running.result()
                        return
                    link, running = await self._hand_over(link, running)
                finally:
                    await self._end_turn(expiring)
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
        """Returns when the successor of `link` is to be opened, and the other of the pair is not about it too."""
        planned = self.plan.max_age_seconds
        wait = None if planned is None else max(0.0, planned * random.uniform(*AGE_SHARE) - link.age)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait):
                await link.expiring.wait()
        if self.pair is not None:
            await self.pair.replacing.acquire()

    async def _end_turn(self, expiring: asyncio.Task[None]) -> None:
        """Let the other of the pair replace its socket, if this one had its turn."""
        expiring.cancel()
        await asyncio.wait([expiring])
        if not expiring.cancelled() and self.pair is not None:
            self.pair.replacing.release()

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
