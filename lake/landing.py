"""From rows in memory to the lake: the log at once, parts a while later, without ever blocking who lands.

Put here: when the log rolls and who seals it. Keep out: how a part is made (`lake.parts`) and where rows come from.

Appending is synchronous and cheap; sealing runs in one worker thread. A seal that fails keeps its segment in the log, is tried
again at the next roll, and is raised by the next call that rolls.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from lake import layout
from lake.errors import SealError
from lake.files import Clock
from lake.parts import seal_segment
from lake.settings import LakeSettings
from lake.wal import Segment, WalWriter, open_segments


@dataclass(frozen=True, slots=True)
class Lag:
    """What is in the log and not yet in parts: seconds since the oldest of it was appended (0 for none), and bytes."""

    seconds: float
    bytes: int


@dataclass(slots=True)
class _Closed:
    """A closed segment on its way into parts."""

    segment: Segment
    since: float
    bytes: int
    done: Future[list[Path]]
    reported: bool = False

    @property
    def failure(self) -> BaseException | None:
        """What the worker raised, if it is done with it."""
        return self.done.exception() if self.done.done() else None

    @property
    def sealed(self) -> bool:
        return self.done.done() and self.done.exception() is None


class Landing:
    """Lands the rows of one collector under a home, which it makes a lake where needed. Use from one thread.

    `clock` is the wall clock in seconds that file instants and the roll follow. Raises `WalLocked`, `LakeFormatError`.
    """

    def __init__(self, settings: LakeSettings, collector: str, *, clock: Clock = time.time) -> None:
        self.home = settings.house
        self.collector = collector
        self._settings = settings
        self._clock = clock
        layout.ensure(self.home)
        self._wal = WalWriter(self.home, collector, sync=settings.wal_sync)
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"seal-{collector}")
        self._closed: list[_Closed] = []
        self._open = True
        self._since: float | None = None
        self._rolled = clock()

    def recover(self) -> int:
        """Seal what a dead predecessor left in the log; returns the number of segments. Raises `SealError` after trying all."""
        left = open_segments(self.home, self.collector)
        failures = []
        for segment in left:
            try:
                self._seal(segment)
            except SealError as error:
                failures.append(error)
        if failures:
            raise failures[0]
        return len(left)

    def append(self, batches: Mapping[str, pa.RecordBatch]) -> None:
        """Put rows into the log, by dataset; after return they survive kill -9. Raises `SchemaMismatch`, `WalError`."""
        for name, batch in batches.items():
            if batch.num_rows:
                self._wal.append(name, batch)
                if self._since is None:
                    self._since = self._clock()

    def maybe_roll(self, now: float | None = None) -> bool:
        """Roll when `roll_seconds` have passed since the last roll, or `roll_bytes` lie in the log and no seal is under way.

        Raises `SealError` for a seal that failed meanwhile.
        """
        moment = self._clock() if now is None else now
        due = moment - self._rolled >= self._settings.roll_seconds
        if not due and self._wal.bytes >= self._settings.roll_bytes:
            # A seal that is behind would only be given more to do.
            due = all(each.done.done() for each in self._closed)
        if due:
            self.roll(moment)
        else:
            self._raise_failure()
        return due

    def roll(self, now: float | None = None) -> None:
        """Close the segments and hand them, with those that failed before, to the worker.

        Raises `SealError` for a seal that failed since the last call, after doing all that.
        """
        self._rolled = self._clock() if now is None else now
        failure = self._new_failure()
        waiting, self._closed = self._closed, []
        for each in waiting:
            if each.failure is None:
                self._closed.append(each)
            else:
                self._submit(each.segment, each.since)
        since, self._since = self._since, None
        for segment in self._wal.roll():
            self._submit(segment, self._clock() if since is None else since)
        if failure is not None:
            raise failure

    def lag(self) -> Lag:
        """How far the parts are behind the log."""
        self._closed = [each for each in self._closed if not each.sealed]
        waiting = [each.since for each in self._closed]
        if self._since is not None:
            waiting.append(self._since)
        seconds = max(0.0, self._clock() - min(waiting)) if waiting else 0.0
        return Lag(seconds, self._wal.bytes + sum(each.bytes for each in self._closed))

    def wait_sealed(self) -> None:
        """Wait until everything rolled so far is in parts; raises `SealError`."""
        for each in self._closed:
            each.done.exception()
        self._raise_failure()

    def drain_and_close(self) -> None:
        """Seal everything, end the worker and give up the log; safe to repeat. Raises `SealError` for what stays unsealed."""
        if not self._open:
            return
        self._open = False
        with suppress(SealError):
            # What failed before is tried once more here; if it fails again it is raised below.
            self.roll()
        self._worker.shutdown(wait=True)
        self._wal.close()
        self._raise_failure()

    def _submit(self, segment: Segment, since: float) -> None:
        size = segment.path.stat().st_size
        self._closed.append(_Closed(segment, since, size, self._worker.submit(self._seal, segment)))

    def _seal(self, segment: Segment) -> list[Path]:
        try:
            return seal_segment(self.home, segment, visible_after=self._settings.visible_after_seconds, clock=self._clock)
        except Exception as error:
            # Whatever it was, it must reach the thread that lands, with the segment's name.
            raise SealError(segment=str(segment.path), reason=f"{type(error).__name__}: {error}") from error
        finally:
            # Sorting and encoding took a multiple of the segment; the allocator would keep it until the next one.
            pa.default_memory_pool().release_unused()

    def _new_failure(self) -> BaseException | None:
        """Forget what is sealed; the first failure that no call has raised yet."""
        self._closed = [each for each in self._closed if not each.sealed]
        for each in self._closed:
            if each.failure is not None and not each.reported:
                each.reported = True
                return each.failure
        return None

    def _raise_failure(self) -> None:
        failure = self._new_failure()
        if failure is not None:
            raise failure
