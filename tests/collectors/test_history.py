"""Past hours landed as the collector would have landed them."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from collectors.errors import RecordingError
from collectors.history import land_recording
from lake.settings import LakeSettings


@pytest.fixture(scope="module")
def lines() -> list[bytes]:
    command = [sys.executable, "-m", "simulator", "history", "--hours", "1.2", "--end", "2026-11-20T02:00:00Z", "--seed", "5"]
    return subprocess.run(command, check=True, capture_output=True, timeout=60).stdout.splitlines(keepends=True)


def tables(home: Path, dataset: str) -> dict[str, pa.Table]:
    """Rows of a dataset by the hour directory they lie in."""
    found: dict[str, pa.Table] = {}
    for path in sorted((home / "lake" / dataset).glob("date=2026-*/hour=*/part-*.parquet")):
        table = pq.ParquetFile(path).read()
        name = f"{path.parent.parent.name}/{path.parent.name}"
        found[name] = pa.concat_tables([found[name], table]) if name in found else table
    return found


def test_hours_land_whole_with_a_ledger_that_balances(lines: list[bytes], tmp_path: Path) -> None:
    counts = land_recording(lines, LakeSettings(home=tmp_path, visible_after_seconds=0.2))

    assert counts.lines == len(lines)
    assert counts.unknown == counts.dead_letters == counts.gaps == 0
    assert counts.frames == counts.control + counts.ignored + counts.decoded + counts.dead_letters
    trades = tables(tmp_path, "trades")
    assert set(trades) == {"date=2026-11-20/hour=00", "date=2026-11-20/hour=01"}
    assert sum(table.num_rows for table in trades.values()) == counts.rows["trades"]
    ledger = pa.concat_tables(tables(tmp_path, "ledger").values()).to_pylist()
    assert sum(row["frames"] for row in ledger) == counts.frames
    assert all(row["frames"] == row["control"] + row["ignored"] + row["decoded"] + row["dead_letters"] for row in ledger)
    landed = Counter[str]()
    for row in ledger:
        landed[row["dataset"]] += row["rows_landed"]
    assert {name: landed[name] for name in ("trades", "book_deltas")} == {name: counts.rows[name] for name in ("trades", "book_deltas")}


def test_every_hour_opens_with_a_full_snapshot_of_each_book(lines: list[bytes], tmp_path: Path) -> None:
    land_recording(lines, LakeSettings(home=tmp_path, visible_after_seconds=0.2))
    second = tables(tmp_path, "book_deltas")["date=2026-11-20/hour=01"].to_pylist()
    symbols = {(row["exchange"], row["symbol"]) for row in second}
    assert len(symbols) > 2
    for exchange, symbol in symbols:
        mine = sorted(
            (row for row in second if (row["exchange"], row["symbol"]) == (exchange, symbol)),
            key=lambda row: (row["local_timestamp"], row["ordinal"]),
        )
        opening = [row for row in mine if row["local_timestamp"].isoformat() == "2026-11-20T01:00:00+00:00"]
        assert mine[: len(opening)] == opening
        assert {row["side"] for row in opening} == {"bid", "ask"}
        assert all(row["is_snapshot"] for row in opening)


def test_a_line_that_is_none_is_named_and_what_came_before_is_landed(lines: list[bytes], tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="line 2001 of the history"):
        land_recording([*lines[:2000], b"{}"], LakeSettings(home=tmp_path, visible_after_seconds=0.2))
