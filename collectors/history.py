"""Past hours landed from recording lines of all venues, through the sessions, the log and the parts that live frames take.

Put here: driving recorded sessions by the clock of the lines, a segment an hour, a ledger row a minute.
Keep out: making the lines (the simulator, or `collect --record`), protocol, storage.
"""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

import msgspec
import pyarrow as pa

from collectors.errors import FrameError
from collectors.ledger import MINUTE_US, Counted, FrameCount, Ledger
from collectors.recording import BESIDES, Line, parse
from collectors.registry import VENUES, exchange_of
from collectors.rows import EventBuffer
from collectors.venue import Outcome, RecordedSession
from lake.landing import Landing
from lake.paths import HOUR_US
from lake.settings import LakeSettings

TICK_US: Final = 1_000_000


class HistoryCounts(msgspec.Struct, kw_only=True):
    """What came of the lines: frames is always control + ignored + decoded + dead_letters; times are microseconds since 1970."""

    lines: int = 0
    frames: int = 0
    control: int = 0
    ignored: int = 0
    decoded: int = 0
    dead_letters: int = 0
    unknown: int = 0
    """Lines whose URL names no exchange we know; not among the frames."""
    rows: dict[str, int] = msgspec.field(default_factory=dict)
    gaps: int = 0
    first_time: int | None = None
    last_time: int | None = None


class _Exchange:
    """One exchange's session and what became of its frames."""

    def __init__(self, name: str, events: EventBuffer) -> None:
        self.name = name
        self.session: RecordedSession = VENUES[name].recorded_session(events)
        self.writer = events.writer(name, f"{name}-recorded")
        self.frames = FrameCount()

    def take(self, line: Line, received: int) -> None:
        session = self.session
        if line.kind == "connect":
            session.connected(line.conn, received)
            return
        payload = line.payload
        if line.dir == "out":
            session.sent(line.conn, payload, received)
            return
        try:
            http = line.kind == "http"
            outcome = session.feed_http(line.conn, payload, received) if http else session.feed(line.conn, payload, received)
        except FrameError as error:
            self.frames.dead_letters += 1
            self.writer.dead_letter(payload, error.reason, local=received)
            return
        if outcome is Outcome.DECODED:
            self.frames.decoded += 1
        elif outcome is Outcome.IGNORED:
            self.frames.ignored += 1
        else:
            self.frames.control += 1


class History:
    """Lines in, landed rows out; the clock is the lines' own, only the instants of files are real."""

    def __init__(self, landing: Landing) -> None:
        self.events = EventBuffer()
        self.counts = HistoryCounts()
        self._landing = landing
        self._exchanges: dict[str, _Exchange] = {}
        self._by_conn: dict[str | None, _Exchange | None] = {None: None}
        self._ledger = Ledger()
        self._second = 0
        self._minute: int | None = None
        self._hour: int | None = None

    def take(self, line: Line) -> None:
        """Take one line; one without a time is taken at the time of the line before it."""
        counts = self.counts
        counts.lines += 1
        received = line.received
        if received is None:
            received = counts.last_time or 0
        if received >= self._second:
            self._tick(received)
        if line.kind in BESIDES:
            return
        conn = line.conn
        exchange = self._by_conn[conn] if conn in self._by_conn else self._route(conn)
        if exchange is None:
            counts.unknown += 1
            return
        exchange.take(line, received)
        counts.last_time = received

    def finish(self) -> HistoryCounts:
        """Land what is left and count; the landing itself is the caller's to close."""
        self._flush()
        counts = self.counts
        for exchange in self._exchanges.values():
            counts.frames += exchange.frames.frames
            counts.control += exchange.frames.control
            counts.ignored += exchange.frames.ignored
            counts.decoded += exchange.frames.decoded
            counts.dead_letters += exchange.frames.dead_letters
            counts.gaps += self.events.continuity(exchange.name).opened_gaps
        return counts

    def _route(self, conn: str | None) -> _Exchange | None:
        name = exchange_of(conn) if conn is not None else None
        found = None
        if name is not None:
            found = self._exchanges.get(name)
            if found is None:
                found = self._exchanges[name] = _Exchange(name, self.events)
        self._by_conn[conn] = found
        return found

    def _tick(self, now: int) -> None:
        self._second = now - now % TICK_US + TICK_US
        if self.counts.first_time is None:
            self.counts.first_time = now
        for exchange in self._exchanges.values():
            exchange.session.tick(now)
            exchange.session.actions.clear()
        minute = now - now % MINUTE_US
        if self._minute is not None and minute > self._minute:
            self._flush()
        self._minute = minute
        hour = now - now % HOUR_US
        if self._hour is not None and hour > self._hour:
            self._landing.roll()
        self._hour = hour

    def _flush(self) -> None:
        """Put the rows of the minute that has ended into the log, with the ledger's account of it."""
        if self._minute is None:
            return
        frames = {(each.name, each.writer.connection): each.frames for each in self._exchanges.values()}
        counted = [
            Counted(exchange, connection, frames.get((exchange, connection), FrameCount()), writer.counts)
            for (exchange, connection), writer in self.events.writers.items()
        ]
        batches: dict[str, pa.RecordBatch] = self.events.drain()
        ledger = self._ledger.batch(counted, self._minute)
        if ledger is not None:
            batches["ledger"] = ledger
        for name, batch in batches.items():
            self.counts.rows[name] = self.counts.rows.get(name, 0) + batch.num_rows
        self._landing.append(batches)


def land_recording(lines: Iterable[bytes], settings: LakeSettings, collector: str = "history") -> HistoryCounts:
    """Land recording lines of all venues under the home of `settings`: through the log, a segment for each hour of the lines' clock.

    Raises `RecordingError` for a line that is none, and what `Landing` raises.
    """
    landing = Landing(settings, collector)
    try:
        landing.recover()
        history = History(landing)
        with _rare_collections():
            for number, raw in enumerate(lines, start=1):
                history.take(parse(raw, where=f"line {number} of the history"))
        return history.finish()
    finally:
        landing.drain_and_close()


@contextmanager
def _rare_collections() -> Iterator[None]:
    """Millions of small tuples live for a minute and make no cycles: looking for some after every 700 costs a tenth of the time."""
    before = gc.get_threshold()
    gc.set_threshold(100_000, 50, 100)
    try:
        yield
    finally:
        gc.set_threshold(*before)
