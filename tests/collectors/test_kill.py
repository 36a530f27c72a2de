"""kill -9 of the collector at random moments under load: whatever was acknowledged is in the lake exactly once afterwards.

Five moments in the suite; `TICKHOUSE_KILLS=30 pytest -s tests/collectors/test_kill.py` prints a line for each of thirty.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lake.paths import Home
from lake.query import run_sql
from lake.registry import DATASETS, LANDED
from lake.wal import Segment, list_segments, open_segments, read_segment
from tests.collectors.simulating import Running, Simulator, until

pytestmark = pytest.mark.lengthy(waits=True)

KILLS = int(os.environ.get("TICKHOUSE_KILLS", "5"))
LONGEST_LIFE_SECONDS = 2.0
ENOUGH = {"trades": 100, "book_deltas": 1000}
"""Rows without which there would be little to compare: the last life goes on until the lake holds more."""


class Acknowledged:
    """Every row that was in the log when its writer died, read from the segments at that moment."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._tables: dict[str, list[pa.Table]] = {name: [] for name in LANDED}
        self._known: set[Segment] = set()

    def take(self) -> dict[str, int]:
        """Read the segments that are new since the last call; rows by dataset. Only while no process writes."""
        rows: dict[str, int] = {}
        for segment in list_segments(self._home):
            if segment not in self._known:
                self._known.add(segment)
                table = read_segment(segment.path)
                self._tables[segment.dataset].append(table)
                rows[segment.dataset] = rows.get(segment.dataset, 0) + table.num_rows
        return rows

    def table(self, dataset: str) -> pa.Table:
        return pa.concat_tables([DATASETS[dataset].schema.empty_table(), *self._tables[dataset]])


def rows_of(table: pa.Table) -> Counter:
    """The rows as a multiset."""
    columns = []
    for name in table.column_names:
        column = table[name]
        columns.append((column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column).to_pylist())
    return Counter(tuple(tuple(value) if isinstance(value, list) else value for value in row) for row in zip(*columns, strict=True))


def in_lake(home: Home, dataset: str) -> pa.Table:
    columns = ", ".join(f'"{name}"' for name in DATASETS[dataset].schema.names)
    return run_sql(home, f"select {columns} from {dataset}", with_wal=False).table


def assert_exactly_once(home: Home, acknowledged: Acknowledged) -> dict[str, int]:
    """Acknowledged rows and rows of the views agree by the merge rule of each dataset; rows of the views by dataset."""
    counts: dict[str, int] = {}
    ledger = acknowledged.table("ledger")
    sums = ledger.group_by("dataset").aggregate([("rows_landed", "sum")])
    counted = dict(zip(sums["dataset"].to_pylist(), sums["rows_landed_sum"].to_pylist(), strict=True))
    for name in LANDED:
        spec = DATASETS[name]
        seen, expected = in_lake(home, name), acknowledged.table(name)
        counts[name] = seen.num_rows
        # The ledger row follows the rows it counts: what it counted must be there to be read.
        assert counted.get(name, 0) <= expected.num_rows, name
        if spec.merge == "none":
            assert rows_of(seen) == rows_of(expected), name
        elif spec.merge == "sum":
            for column in ("frames", "control", "ignored", "decoded", "dead_letters", "rows_decoded", "rows_landed", "duplicates"):
                assert sum(seen[column].to_pylist()) == sum(expected[column].to_pylist()), (name, column)
        else:
            keys = rows_of(seen.select(list(spec.unique_key)))
            assert all(times == 1 for times in keys.values()), name
            assert set(keys) == set(rows_of(expected.select(list(spec.unique_key)))), name
        if spec.merge == "first":
            assert set(rows_of(seen)) <= set(rows_of(expected)), name
    return counts


def assert_all_files_open(home: Home) -> int:
    files = [*home.lake.rglob("*.parquet"), *home.days.rglob("*.parquet")]
    for path in files:
        pq.ParquetFile(path).read()
    return len(files)


@pytest.mark.timeout(300 + 60 * KILLS)
def test_what_was_acknowledged_before_each_kill_is_in_the_lake_exactly_once(tmp_path: Path):
    seed = random.SystemRandom().randrange(2**32)
    draw = random.Random(seed)
    print(f"seed {seed}, {KILLS} kills")
    simulated = Simulator(tmp_path, rate=3000)
    home = Home(tmp_path / "home")
    acknowledged = Acknowledged(home)
    try:
        for number in range(KILLS):
            running = Running(tmp_path, simulated.endpoints, settings={"TICKHOUSE_ROLL_SECONDS": "0.5"})
            before = len(list_segments(home))
            until(lambda before=before: len(list_segments(home)) > before, what="the first append of this life")
            life = draw.uniform(0, LONGEST_LIFE_SECONDS)
            time.sleep(life)
            running.process.send_signal(signal.SIGKILL)
            assert running.process.wait(10) == -signal.SIGKILL
            rows = acknowledged.take()
            unsealed = len(open_segments(home, "main"))
            print(
                f"kill {number + 1}: after {life:.2f} s, {sum(rows.values())} rows acknowledged in this life, {unsealed} segments not in parts"
            )
        running = Running(tmp_path, simulated.endpoints)
        running.wait_live()
        for dataset, enough in ENOUGH.items():
            count = f"select count(*) as n from {dataset}"
            until(lambda count=count, enough=enough: running.sql(count)[0]["n"] > enough, what=f"{enough} rows of {dataset}")
        assert running.stop() == 0
        acknowledged.take()
    finally:
        simulated.kill()
    newest = max(int(segment.marker.read_text()) for segment in list_segments(home))
    until(lambda: time.time_ns() // 1000 > newest, what="the newest part to count")

    counts = assert_exactly_once(home, acknowledged)
    files = assert_all_files_open(home)
    assert all(counts[dataset] > enough for dataset, enough in ENOUGH.items())
    print(f"exactly once: {counts}; {files} Parquet files open")
