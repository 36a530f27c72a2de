"""Raw frames beside the rows (`collect --record`): every call a driver makes on a session, in order, as lines of a recording.

Put here: the tap around a session, and the tape of one exchange that opens every hour with a checkpoint. Keep out: files and the thread
that writes them (rawfiles.py), what a checkpoint holds (checkpoint.py), making rows again (rediff.py).

The tap costs the event loop one append per call; everything else happens in the writer's thread.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from typing import Any, Final, Literal, NamedTuple

from collectors import checkpoint
from collectors.feeds import hour_start
from collectors.recording import Request
from collectors.rows import EventBuffer
from collectors.venue import Action, ConnectionPlan, HttpGet, Outcome, SendText, Session, Stream, Wanted
from lake.paths import HOUR_US

MAX_WAITING: Final = 500_000
"""Lines that may wait for a slow disk; beyond, they are dropped and a new file begins with a checkpoint of its own."""
RETRY_SECONDS: Final = 5.0
"""How long recording pauses after the disk refused a file."""

Kind = Literal["frame", "out", "http", "failed", "tick", "connect", "closed", "stalled", "resubscribe"]


class RawLink(NamedTuple):
    """One socket of one connection: `name` is the connection's and counts its lives, `url` what it is connected to."""

    name: str
    url: str


class Noted(NamedTuple):
    """One call as it waits to be written: `now` in microseconds, `about` the request or plan that belongs to it."""

    now: int
    link: RawLink
    kind: Kind
    payload: bytes | str | None = None
    about: Request | ConnectionPlan | None = None
    url: str | None = None
    """Of the request, where there was one."""
    streams: tuple[Stream, ...] | None = None
    since: int | None = None


class Opening(NamedTuple):
    """A file begins: the hour it belongs to, when, and the checkpoint that is its first line."""

    hour: int
    now: int
    wanted: Wanted
    image: checkpoint.Image


class RawTape:
    """Raw frames of one exchange on their way to the disk. Filled by the event loop, emptied by the writer's thread."""

    def __init__(self, exchange: str, *, wanted: Wanted, events: EventBuffer) -> None:
        self.exchange = exchange
        self.waiting: deque[Noted | Opening] = deque()
        self.refused = False
        """Set by the writer when the disk refused the file; a new one is begun some seconds later."""
        self.dropped = 0
        """Lines dropped because the disk was too slow."""
        self._wanted = wanted
        self._events = events
        self._sessions: dict[str, Session] = {}
        self._lives: dict[str, int] = {}
        self._due = 0
        self._refused_at: float | None = None

    def tap(self, session: Session, plan: ConnectionPlan) -> TappedSession:
        """A session that keeps a record of all it is told, for a new socket of `plan`."""
        life = self._lives[plan.name] = self._lives.get(plan.name, 0) + 1
        return TappedSession(session, self, plan=plan, link=RawLink(f"{plan.name}#{life}", plan.url))

    def note(self, noted: Noted) -> None:
        """Keep one call; the first one of an hour begins its file."""
        if noted.now >= self._due:
            self._open(noted.now)
        self.waiting.append(noted)

    def opened(self, link: RawLink, session: Session) -> None:
        """A session lives: it is part of every checkpoint from now on."""
        self._sessions[link.name] = session

    def closed(self, link: RawLink) -> None:
        """A session has ended."""
        self._sessions.pop(link.name, None)

    def look_after(self) -> None:
        """Begin a new file where the disk has refused the last one, or is too slow for it."""
        if self.refused:
            now = time.monotonic()
            self._refused_at = self._refused_at or now
            if now - self._refused_at > RETRY_SECONDS:
                self._refused_at = None
                self.refused = False
                self.waiting.clear()
                self._due = 0
        elif len(self.waiting) > MAX_WAITING:
            self.dropped += len(self.waiting)
            self.waiting.clear()
            self._due = 0

    def _open(self, now: int) -> None:
        known, hour = self._due, hour_start(now)
        self._due = hour + HOUR_US
        image = checkpoint.take(self.exchange, self._events, self._sessions)
        # Sessions open the hour with rows that bear its start; a tape begun in the middle has none before its first line.
        self.waiting.append(Opening(hour, hour if known else now, self._wanted, image))


class TappedSession:
    """A session as its driver sees it; everything it is told is noted first. Equal to the session it stands for."""

    def __init__(self, inner: Session, tape: RawTape, *, plan: ConnectionPlan, link: RawLink) -> None:
        self.inner = inner
        self.actions: list[Action] = inner.actions
        self._tape = tape
        self._plan = plan
        self._link = link

    @property
    def spacing_seconds(self) -> float:
        return self.inner.spacing_seconds

    @spacing_seconds.setter
    def spacing_seconds(self, seconds: float) -> None:
        self.inner.spacing_seconds = seconds

    def opened(self, now: int | None) -> None:
        self._tape.note(Noted(self._time(now), self._link, "connect", None, self._plan))
        self._tape.opened(self._link, self.inner)
        self.inner.opened(now)
        self._note_sent(now)

    def feed(self, frame: bytes | str, received: int | None) -> Outcome:
        self._tape.note(Noted(self._time(received), self._link, "frame", frame))
        try:
            return self.inner.feed(frame, received)
        finally:
            if self.actions:
                self._note_sent(received)

    def feed_http(self, request: HttpGet, body: bytes, received: int | None) -> Outcome:
        self._tape.note(Noted(self._time(received), self._link, "http", body, Request.of(request), request.url))
        try:
            return self.inner.feed_http(request, body, received)
        finally:
            self._note_sent(received)

    def http_failed(self, request: HttpGet, reason: str, now: int) -> None:
        self._tape.note(Noted(now, self._link, "failed", reason, Request.of(request), request.url))
        self.inner.http_failed(request, reason, now)
        self._note_sent(now)

    def tick(self, now: int) -> None:
        self._tape.look_after()
        self._tape.note(Noted(now, self._link, "tick"))
        self.inner.tick(now)
        if self.actions:
            self._note_sent(now)

    def stalled(self, stream: Stream, *, since: int, now: int) -> None:
        self._tape.note(Noted(now, self._link, "stalled", streams=(stream,), since=since))
        self.inner.stalled(stream, since=since, now=now)
        self._note_sent(now)

    def resubscribe(self, streams: Sequence[Stream]) -> Sequence[Stream]:
        now = time.time_ns() // 1000
        self._tape.note(Noted(now, self._link, "resubscribe", streams=tuple(streams)))
        renewed = self.inner.resubscribe(streams)
        self._note_sent(now)
        return renewed

    def closed(self, now: int | None) -> None:
        self._tape.note(Noted(self._time(now), self._link, "closed"))
        self.inner.closed(now)
        self._tape.closed(self._link)

    def __getattr__(self, name: str) -> Any:
        """Whatever else a session offers; asking changes nothing that would have to be noted."""
        return getattr(self.inner, name)

    def __eq__(self, other: object) -> bool:
        return other is self or other is self.inner

    def __hash__(self) -> int:
        return hash(self.inner)

    def __reduce__(self) -> tuple[Any, ...]:
        """In a checkpoint the session stands for itself."""
        return checkpoint.same, (self.inner,)

    def _note_sent(self, now: int | None) -> None:
        for action in self.actions:
            if isinstance(action, SendText):
                self._tape.note(Noted(self._time(now), self._link, "out", action.text))

    def _time(self, now: int | None) -> int:
        assert now is not None, "a live socket always has a clock"
        return now
