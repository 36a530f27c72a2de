"""The invariants of the storage, each in a test of its own; the interleavings are random, the clock is moved by hand."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from lake import files, layout
from lake.cleanup import remove_superseded
from lake.compact import compact_day, compact_hour
from lake.parts import seal_segment
from lake.paths import Home, Hour
from lake.verify import verify
from lake.visible import visible_files, wal_rows
from lake.wal import WalWriter, open_segments
from tests.lake.making import HOUR, MINUTE, START, Clock, level, rows, trade

HOURS = [Hour(START), Hour(START + HOUR)]
COLLECTOR = st.sampled_from(["one", "two"])
AFTER = 3.0
GRACE = 40.0


class Killed(BaseException):
    """Stands for kill -9: nothing in the code may handle it."""


@contextmanager
def dying_at(step: int) -> Iterator[None]:
    """Die just before the given rename or marker."""
    steps = count()
    real_rename, real_marker = os.rename, files.write_small

    def guarded(real: Callable[..., None]) -> Callable[..., None]:
        def call(*args: object, **more: object) -> None:
            if next(steps) == step:
                raise Killed
            real(*args, **more)

        return call

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "rename", guarded(real_rename))
        patch.setattr(files, "write_small", guarded(real_marker))
        with suppress(Killed):
            yield


@contextmanager
def stalling(clock: Clock, seconds: float) -> Iterator[None]:
    """Lose time before the first rename."""
    real, stalls = os.rename, iter([seconds])

    def slow(*args: object, **more: object) -> None:
        clock.advance(next(stalls, 0.0))
        real(*args, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "rename", slow)
        yield


def ids_at(home: Home, name: str, at_us: int) -> list[int]:
    """The row numbers a reader of instant `at_us` sees, in files and log."""
    column = "trade_id" if name == "trades" else "sequence"
    tables = [pq.read_table(file.path, columns=[column], partitioning=None) for file in visible_files(home, name, at_us=at_us)]
    tables.append(wal_rows(home, name, at_us=at_us).select([column]))
    return [int(number) for table in tables for number in table[column].to_pylist()]


class Storage(RuleBasedStateMachine):
    """Two collectors, two datasets, three hours in two days; anything may happen in any order, and to anybody."""

    @initialize()
    def start(self) -> None:
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(files, "sync", lambda _: None)  # processes die here, power does not fail
        self.root = Path(tempfile.mkdtemp(prefix="tickhouse-"))
        self.home = Home(self.root)
        self.clock = Clock()
        layout.ensure(self.home)
        self.writers: dict[str, WalWriter | None] = {name: WalWriter(self.home, name) for name in ("one", "two")}
        self.closed: list = []
        self.numbers = count()
        self.acknowledged: dict[str, dict[int, int]] = {"trades": {}, "book_deltas": {}}
        self.snapshots: list[int] = []

    def teardown(self) -> None:
        if hasattr(self, "clock"):
            problems = verify(self.home, clock=self.clock).problems
            assert not problems, [str(problem) for problem in problems]
        for writer in getattr(self, "writers", {}).values():
            if writer:
                writer.close()
        if hasattr(self, "patch"):
            self.patch.undo()
        shutil.rmtree(getattr(self, "root", Path("/nonexistent")), ignore_errors=True)

    @rule(
        who=COLLECTOR,
        hours=st.lists(st.sampled_from(HOURS), min_size=1, max_size=4),
        until=st.sampled_from(["log", "closed", "sealed", "sealed", "sealed"]),
    )
    def land(self, who: str, hours: list[Hour], until: str) -> None:
        """Append rows, close the segment, seal it: as far as `until` says."""
        if not (writer := self.writers[who]):
            self.writers[who] = writer = WalWriter(self.home, who)
        for name, make in (("trades", trade), ("book_deltas", level)):
            numbers = {next(self.numbers): hour for hour in hours}
            made = [make(number, at=hour.start + number % 59 * MINUTE, symbol=f"S{number % 3}/USDT") for number, hour in numbers.items()]
            writer.append(name, rows(name, *made))
            self.acknowledged[name] |= dict.fromkeys(numbers, self.clock.us)
        if until != "log":
            self.closed += writer.roll()
        if until == "sealed":
            self.seal_with_a_stall(0.0)

    @rule(seconds=st.sampled_from([1.0, 2.5, 3.5, 10.0]))
    def seal_with_a_stall(self, seconds: float) -> None:
        with stalling(self.clock, seconds):
            for segment in self.closed:
                seal_segment(self.home, segment, visible_after=AFTER, clock=self.clock)
        self.closed = []

    @rule(who=COLLECTOR, step=st.integers(0, 4), torn=st.binary(max_size=40))
    def crash(self, who: str, step: int, torn: bytes) -> None:
        """Die while sealing, and while appending."""
        mine = [segment for segment in self.closed if segment.collector == who]
        self.closed = [segment for segment in self.closed if segment.collector != who]
        with dying_at(step):
            for segment in mine:
                seal_segment(self.home, segment, visible_after=AFTER, clock=self.clock)
        if writer := self.writers[who]:
            for segment in writer.roll()[-1:]:
                with segment.path.open("ab") as file:
                    file.write(torn)
            writer.close()
        self.writers[who] = None

    @rule(who=COLLECTOR)
    def restart(self, who: str) -> None:
        if self.writers[who] is None:
            self.writers[who] = WalWriter(self.home, who)
            for segment in open_segments(self.home, who):
                seal_segment(self.home, segment, visible_after=AFTER, clock=self.clock)

    @rule(hour=st.sampled_from(HOURS), stall=st.sampled_from([0.0, 0.0, 4.0]), after=st.sampled_from([0.0, 3.0]))
    def compact(self, hour: Hour, stall: float, after: float) -> None:
        for name in self.acknowledged:
            with stalling(self.clock, stall):
                result = compact_hour(self.home, name, hour, visible_after=AFTER, clock=self.clock, wait=self.clock.advance)
            assert result.problems == ()
        self.clock.advance(after)

    @rule(hour=st.sampled_from(HOURS))
    def compaction_dies(self, hour: Hour) -> None:
        for name in self.acknowledged:
            with dying_at(0):
                compact_hour(self.home, name, hour, visible_after=AFTER, clock=self.clock, wait=self.clock.advance)

    @rule(hour=st.sampled_from(HOURS))
    def compact_a_day(self, hour: Hour) -> None:
        for name in self.acknowledged:
            compact_day(self.home, name, hour.date, visible_after=AFTER, clock=self.clock, wait=self.clock.advance)

    @rule()
    def cleanup(self) -> None:
        remove_superseded(self.home, grace=GRACE, clock=self.clock)

    @rule(seconds=st.sampled_from([0.5, 2.999, 3.0, 5.0, 41.0]))
    def time_passes(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule()
    def a_long_query_begins(self) -> None:
        self.snapshots.append(self.clock.us)

    @invariant()
    def every_acknowledged_row_is_seen_exactly_once(self) -> None:
        if not hasattr(self, "clock"):
            return
        now = self.clock.us
        self.snapshots = [at for at in self.snapshots if now - at < GRACE * 1_000_000]
        for name, acknowledged in self.acknowledged.items():
            for at in (now, *self.snapshots[:2]):
                seen = Counter(ids_at(self.home, name, at))
                twice = {number for number, times in seen.items() if times > 1}
                assert not twice, f"{name} {sorted(twice)} seen more than once"
                missing = {number for number, since in acknowledged.items() if since <= at} - set(seen)
                assert not missing, f"{name} {sorted(missing)} not seen"
                assert set(seen) <= set(acknowledged)


Storage.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck))
TestVisibleExactlyOnce = Storage.TestCase
