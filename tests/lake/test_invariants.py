"""The invariants of the storage, each in a test of its own; the interleavings are random, the clock is moved by hand."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from itertools import count
from pathlib import Path
from random import Random
from threading import Thread

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from lake import files, layout
from lake.cleanup import remove_superseded
from lake.compact import compact_day, compact_hour, day_lock, hour_lock
from lake.derived import read_hour, write_hour
from lake.parquet import read_metadata
from lake.parts import seal_segment
from lake.paths import Home, Hour
from lake.registry import DATASETS, LANDED
from lake.verify import verify
from lake.visible import stale_hours, visible_files, wal_rows
from lake.wal import WalWriter, list_segments, open_segments
from tests.lake.making import HOUR, MINUTE, START, Clock, level, rows, trade

pytestmark = pytest.mark.lengthy

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
    found = [number for file in visible_files(home, name, at_us=at_us) for number in ids_in(file.path, column, file.path.stat().st_ino)]
    return found + _numbers(wal_rows(home, name, at_us=at_us), column)


@lru_cache(maxsize=4096)
def ids_in(path: Path, column: str, inode: int) -> list[int]:
    """Read once, for readers at many instants see the same file; one that took its name would be another inode."""
    return _numbers(pq.read_table(path, columns=[column], partitioning=None), column)


def _numbers(table: pa.Table, column: str) -> list[int]:
    return [int(number) for number in table[column].to_pylist()]


class Storage(RuleBasedStateMachine):
    """Two collectors, two datasets, three hours in two days; anything may happen in any order, and to anybody."""

    @initialize()
    def start(self) -> None:
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(files, "sync", lambda _: None)  # processes die here, power does not fail
        # Nothing of the others lands here: most of the time would go into their empty directories.
        self.registry = dict(DATASETS)
        for name in self.registry.keys() - {"trades", "book_deltas", "coverage"}:
            del DATASETS[name]
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
        try:
            if hasattr(self, "clock"):
                problems = verify(self.home, clock=self.clock).problems
                assert not problems, [str(problem) for problem in problems]
        finally:
            for writer in getattr(self, "writers", {}).values():
                if writer:
                    writer.close()
            if hasattr(self, "registry"):
                DATASETS.clear()  # put back in its order, which the documentation follows
                DATASETS.update(self.registry)
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
        self.restart(who)
        writer = self.writers[who]
        assert writer
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

    @rule(who=COLLECTOR, step=st.integers(0, 4), torn=st.sampled_from([b"", b"", b"\0" * 30, b"\xff\xff\xff\xff\x08"]))
    def crash(self, who: str, step: int, torn: bytes) -> None:
        """Die while sealing, or while appending."""
        if (writer := self.writers[who]) and not torn:
            self.closed += writer.roll()
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


Storage.TestCase.settings = settings(
    max_examples=50,
    stateful_step_count=40,
    deadline=None,
    database=None,
    phases=(Phase.generate,),  # shrinking takes minutes; the steps of a failure are few enough to read
    suppress_health_check=list(HealthCheck),
)
TestVisibleExactlyOnce = Storage.TestCase


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path)
    layout.ensure(home)
    return home


def lay_part(home: Home, clock: Clock, name: str, *given: dict, collector: str = "one") -> None:
    writer = WalWriter(home, collector)
    writer.append(name, rows(name, *given))
    for segment in writer.roll():
        seal_segment(home, segment, visible_after=AFTER, clock=clock)
    writer.close()
    clock.advance(AFTER)


def any_rows(name: str, chance: Random, *, rows_a_part: int = 8) -> list[dict]:
    """Rows of one hour, some of them with the same key."""
    return [
        {
            "timestamp": START + chance.randrange(4) * MINUTE,
            "local_timestamp": START + chance.randrange(5) * MINUTE,
            "from_time": START,
            "ordinal": chance.randrange(1_000_000),
            "trade_id": str(chance.randrange(20)),
            "liquidation_id": str(chance.randrange(20)),
            "symbol": chance.choice(["BTC/USDT", "ETH/USDT"]),
            "sequence": chance.randrange(1000),
            "frames": chance.randrange(100),
        }
        for _ in range(rows_a_part)
    ]


@pytest.mark.parametrize("name", LANDED)
def test_idempotent_compacting_in_steps_or_at_once_gives_the_same_bytes(tmp_path: Path, name: str) -> None:
    contents = []
    for steps in ([4], [1, 3], [2, 1, 1], [1, 1, 1, 1]):
        home, clock, chance = Home(tmp_path / "-".join(map(str, steps))), Clock(), Random(5)
        layout.ensure(home)
        for step in steps:
            for _ in range(step):
                lay_part(home, clock, name, *any_rows(name, chance))
            result = compact_hour(home, name, Hour(START), visible_after=AFTER, clock=clock)
            clock.advance(AFTER)
            again = compact_hour(home, name, Hour(START), visible_after=AFTER, clock=clock)
            assert (again.written, again.path) == (False, result.path)
        contents.append(result.path.read_bytes())
        day = compact_day(home, name, Hour(START).date, visible_after=AFTER, clock=clock, wait=clock.advance)
        assert read_metadata(day.path).inputs == result.inputs
    assert len(set(contents)) == 1


def test_accounted_rows_of_the_log_are_rows_and_duplicates_of_the_hour(home: Home) -> None:
    clock, chance = Clock(), Random(8)
    landed: Counter[str] = Counter()
    for collector in ("one", "two", "one", "two"):
        given = any_rows("trades", chance, rows_a_part=30)
        landed.update(row["symbol"] for row in given)
        lay_part(home, clock, "trades", *given, collector=collector)
        result = compact_hour(home, "trades", Hour(START), visible_after=AFTER, clock=clock)
        clock.advance(AFTER)
        held = Counter(pq.read_table(result.path, columns=["symbol"], partitioning=None)["symbol"].to_pylist())
        merged = Counter({symbol: number for (_, symbol), number in result.duplicates.items()})
        assert held + merged == landed
    compact_day(home, "trades", Hour(START).date, visible_after=AFTER, clock=clock, wait=clock.advance)
    lay_part(home, clock, "trades", *any_rows("trades", chance, rows_a_part=30))
    result = compact_hour(home, "trades", Hour(START), visible_after=AFTER, clock=clock, wait=clock.advance)
    assert result.rows + sum(result.duplicates.values()) == sum(landed.values()) + 30


def test_open_readers_wait_for_no_writer(home: Home) -> None:
    clock = Clock()
    lay_part(home, clock, "trades", trade(1))
    writer = WalWriter(home, "one")
    writer.append("trades", rows("trades", trade(2)))
    seen: list[list[int]] = []
    with hour_lock(home, "trades", Hour(START)), day_lock(home, "book_deltas", Hour(START).date):
        reader = Thread(target=lambda: seen.append(sorted(ids_at(home, "trades", clock.us))))
        reader.start()
        reader.join(20)
    assert seen == [[1, 2]]


def test_open_sealed_files_are_hive_parquet_for_any_engine(home: Home) -> None:
    clock = Clock()
    lay_part(home, clock, "trades", trade(1), trade(2, at=START + 25 * HOUR))
    for hour in (Hour(START), Hour(START + 25 * HOUR)):
        compact_hour(home, "trades", hour, visible_after=AFTER, clock=clock)
    clock.advance(AFTER)
    paths = [str(file.path) for file in visible_files(home, "trades", at_us=clock.us)]
    found = duckdb.sql(
        f"select date::varchar, hour, trade_id from read_parquet({paths}, hive_types = {{'hour': integer}}) order by 1"
    ).fetchall()
    assert found == [("2026-11-21", 0, "1"), ("2026-11-22", 1, "2")]


def test_fresh_what_a_derived_hour_does_not_cover_is_known_from_the_instant_a_late_part_counts(home: Home) -> None:
    clock = Clock()
    lay_part(home, clock, "trades", trade(1))
    compact_hour(home, "trades", Hour(START), visible_after=AFTER, clock=clock)
    clock.advance(AFTER)
    table, mark = read_hour(home, "trades", Hour(START), at_us=clock.us)
    candles = pa.Table.from_batches([rows("candles_1m", {"timestamp": START})])
    write_hour(home, "candles_1m", Hour(START), candles, watermark=mark, visible_after=AFTER, clock=clock)
    compact_day(home, "trades", Hour(START).date, visible_after=AFTER, clock=clock, wait=clock.advance)
    clock.advance(AFTER)
    assert stale_hours(home, "trades", "candles_1m", at_us=clock.us) == []
    lay_part(home, clock, "trades", trade(2))
    assert stale_hours(home, "trades", "candles_1m", at_us=clock.us - 1) == []
    assert stale_hours(home, "trades", "candles_1m", at_us=clock.us) == [Hour(START)]
    assert read_hour(home, "trades", Hour(START), at_us=clock.us)[0].num_rows == table.num_rows + 1


def test_durable_a_log_torn_anywhere_gives_every_acknowledged_row_to_the_lake(home: Home) -> None:
    clock, chance = Clock(), Random(2)
    acknowledged = 0
    for life in range(12):
        writer = WalWriter(home, "one")
        for segment in open_segments(home, "one"):
            seal_segment(home, segment, visible_after=AFTER, clock=clock)
        for _ in range(chance.randrange(1, 4)):
            writer.append("trades", rows("trades", trade(acknowledged, at=START + life % 2 * HOUR)))
            acknowledged += 1
        (segment,) = [each for each in list_segments(home, "trades") if not each.marker.exists()]
        whole = segment.path.read_bytes()
        writer.append("trades", rows("trades", trade(-1)))  # dies in the middle of this one, so it was never acknowledged
        torn = segment.path.read_bytes()
        segment.path.write_bytes(torn[: chance.randrange(len(whole), len(torn))])
        writer.close()
        clock.advance(AFTER)
    WalWriter(home, "one").close()
    assert sorted(ids_at(home, "trades", clock.us)) == list(range(acknowledged))
    for segment in open_segments(home, "one"):
        seal_segment(home, segment, visible_after=AFTER, clock=clock)
    for hour in HOURS:
        compact_hour(home, "trades", hour, visible_after=AFTER, clock=clock)
    clock.advance(2 * AFTER)
    assert sorted(ids_at(home, "trades", clock.us)) == list(range(acknowledged))
