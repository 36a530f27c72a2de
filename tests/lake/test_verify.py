from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lake import layout
from lake.compact import compact_day, compact_hour
from lake.derived import write_hour
from lake.parquet import Metadata, read_metadata, write_parquet
from lake.parts import seal_segment
from lake.paths import Home, Hour, SealedName
from lake.registry import dataset
from lake.verify import Report, verify
from lake.wal import WalWriter
from tests.lake.making import HOUR, START, Clock, level, rows, trade

FIRST = Hour(START)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path)
    layout.ensure(home)
    return home


@pytest.fixture
def clock() -> Clock:
    return Clock()


def part(home: Home, clock: Clock, name: str, *given: dict[str, Any], collector: str = "one") -> Path:
    writer = WalWriter(home, collector)
    writer.append(name, rows(name, *given))
    (segment,) = writer.roll()
    writer.close()
    (path,) = seal_segment(home, segment, visible_after=3, clock=clock)
    clock.advance(3)
    return path


def compacted(home: Home, clock: Clock, name: str = "trades") -> Path:
    path = compact_hour(home, name, FIRST, visible_after=3, clock=clock).path
    clock.advance(3)
    return path


def sealed(home: Home, clock: Clock, name: str, *given: dict[str, Any]) -> Path:
    """An hour file with exactly these rows in this order."""
    path = home.hour_dir(name, FIRST) / str(SealedName("hour", clock.us, 0))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_parquet(dataset(name), pa.Table.from_batches([rows(name, *given)]), path, Metadata(dataset=name))
    return path


def only(report: Report, path: Path, what: str) -> None:
    """The report has one problem: this one."""
    assert [problem.path for problem in report.problems] == [path], [str(problem) for problem in report.problems]
    assert str(path) in str(report.problems[0])
    assert what in str(report.problems[0])


def test_a_sound_lake_has_no_problems_and_everything_was_opened(home: Home, clock: Clock) -> None:
    part(home, clock, "trades", trade(1), trade(2))
    part(home, clock, "book_deltas", level(1))
    compacted(home, clock)
    compact_day(home, "book_deltas", FIRST.date, visible_after=3, clock=clock)
    seen: list[Path] = []
    report = verify(home, progress=seen.append, clock=clock)
    assert report.ok, [str(problem) for problem in report.problems]
    assert report.files + report.segments == len(seen)
    on_disk = [*home.lake.rglob("*.parquet"), *home.days.rglob("*.parquet"), *home.wal.rglob("*.arrow")]
    assert sorted(seen) == sorted(on_disk)
    assert (report.segments, report.rows) == (2, 6)


def test_a_home_that_is_no_lake_is_the_one_problem(tmp_path: Path) -> None:
    only(verify(Home(tmp_path)), tmp_path / "format.json", "there is no format.json")


def test_a_broken_file_is_named(home: Home, clock: Clock) -> None:
    part(home, clock, "trades", trade(1))
    path = compacted(home, clock)
    path.write_bytes(path.read_bytes()[:-20])
    report = verify(home, clock=clock)
    assert path in [problem.path for problem in report.problems]
    assert "cannot be read" in str(report.problems[0])


def test_a_broken_file_hides_no_other_problem(home: Home, clock: Clock) -> None:
    part(home, clock, "trades", trade(1))
    path = compacted(home, clock)
    for name in ("candles_1m", "coverage"):
        table = pa.Table.from_batches([rows(name, {"timestamp": START})])
        write_hour(home, name, FIRST, table, watermark=0, visible_after=3, clock=clock)
    unsorted = sealed(home, clock, "book_deltas", level(2, at=START + 9), level(1))
    clock.advance(3)
    path.write_bytes(b"nothing")
    read_metadata.cache_clear()
    assert {path, unsorted} <= {problem.path for problem in verify(home, clock=clock).problems}


@pytest.mark.parametrize("offset", [40, 400, 900])
def test_a_single_flipped_bit_in_the_data_is_found(home: Home, clock: Clock, offset: int) -> None:
    path = part(home, clock, "book_deltas", *(level(n, amount=n / 7) for n in range(200)))
    whole = path.read_bytes()
    path.write_bytes(whole[:offset] + bytes([whole[offset] ^ 1]) + whole[offset + 1 :])
    report = verify(home, clock=clock)
    assert [problem.path for problem in report.problems] == [path]


def test_rows_out_of_order_are_found(home: Home, clock: Clock) -> None:
    path = sealed(home, clock, "trades", trade(2, at=START + 9), trade(1))
    only(verify(home, clock=clock), path, "is not sorted by exchange, symbol, timestamp")


def test_a_repeated_key_is_found(home: Home, clock: Clock) -> None:
    path = sealed(home, clock, "trades", trade(1), trade(1), trade(1), trade(2))
    only(verify(home, clock=clock), path, "has 2 rows that repeat exchange, symbol, trade_id")


def test_rows_of_another_hour_are_found(home: Home, clock: Clock) -> None:
    path = sealed(home, clock, "trades", trade(1), trade(2, at=START + HOUR))
    only(verify(home, clock=clock), path, "whose timestamp lies outside its hour")


def test_another_schema_is_found(home: Home, clock: Clock) -> None:
    part(home, clock, "trades", trade(1))
    path = compacted(home, clock)
    pq.write_table(pq.read_table(path, partitioning=None).drop_columns(["price"]), path)
    report = verify(home, clock=clock)
    assert path in [problem.path for problem in report.problems if "has another schema" in str(problem)]


def test_a_part_behind_a_watermark_is_found(home: Home, clock: Clock) -> None:
    stalled = part(home, clock, "trades", trade(1))
    hidden = stalled.rename(stalled.with_name(".tmp-x"))
    part(home, clock, "trades", trade(2), collector="two")
    compacted(home, clock)
    hidden.rename(stalled)
    only(verify(home, clock=clock), stalled, "lies behind the watermark")
    compacted(home, clock)
    assert verify(home, clock=clock).ok


def test_two_parts_of_one_segment_are_found(home: Home, clock: Clock) -> None:
    first = part(home, clock, "trades", trade(1))
    second = first.with_name(first.name.replace(str(clock.us), str(clock.us - 7)))
    second.write_bytes(first.read_bytes())
    report = verify(home, clock=clock)
    assert sorted(problem.path for problem in report.problems) == sorted([first, second])
    assert "is one of 2 parts of segment one-00000001" in str(report.problems[0])


def test_an_hour_file_that_counts_beside_its_day_is_found(home: Home, clock: Clock) -> None:
    part(home, clock, "trades", trade(1))
    compact_day(home, "trades", FIRST.date, visible_after=3, clock=clock)
    clock.advance(5)
    path = sealed(home, clock, "trades", trade(1))
    only(verify(home, clock=clock), path, "counts beside the day file")


def test_coverage_that_counts_other_rows_than_there_are_is_found(home: Home, clock: Clock) -> None:
    part(home, clock, "trades", trade(1), trade(2))
    mark = int(compacted(home, clock).name.split("-")[2].removesuffix(".parquet"))

    def cover(count: int, watermark: int) -> Path:
        batch = rows("coverage", {"timestamp": START, "dataset": "trades", "rows": count})
        path = write_hour(home, "coverage", FIRST, pa.Table.from_batches([batch]), watermark=watermark, visible_after=3, clock=clock).path
        clock.advance(3)
        return path

    cover(2, mark)
    assert verify(home, clock=clock).ok
    path = cover(3, mark)
    only(verify(home, clock=clock), path, "counts 3 rows of trades for binance BTC/USDT in 2026-11-21 00:00, expected the 2 there are")
    cover(2, mark)
    part(home, clock, "trades", trade(3))
    assert verify(home, clock=clock).ok


def test_candles_that_claim_to_cover_trades_not_there_are_found(home: Home, clock: Clock) -> None:
    part(home, clock, "trades", trade(1))
    mark = clock.us
    table = pa.Table.from_batches([rows("candles_1m", {"timestamp": START})])
    write_hour(home, "candles_1m", FIRST, table, watermark=mark, visible_after=3, clock=clock)
    clock.advance(4)
    assert verify(home, clock=clock).ok
    path = write_hour(home, "candles_1m", FIRST, table, watermark=mark + 1, visible_after=3, clock=clock).path
    clock.advance(3)
    only(verify(home, clock=clock), path, "expected at most")


def test_a_segment_of_foreign_columns_is_found(home: Home, clock: Clock) -> None:
    writer = WalWriter(home, "one")
    writer.append("trades", rows("trades", trade(1)))
    (segment,) = writer.roll()
    foreign = home.segment("one", "ledger", segment.number)
    foreign.parent.mkdir(parents=True)
    segment.path.rename(foreign)
    only(verify(home, clock=clock), foreign, "cannot be read")


def test_parts_of_several_sockets_may_repeat_a_key_until_they_are_merged(home: Home, clock: Clock) -> None:
    part(home, clock, "trades", trade(1))
    part(home, clock, "trades", trade(1), collector="two")
    assert verify(home, clock=clock).ok
