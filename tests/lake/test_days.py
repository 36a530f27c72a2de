from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from lake import layout
from lake.compact import CompactionResult, compact_day, compact_hour
from lake.derived import read_hour, write_hour
from lake.merge import is_sorted
from lake.parquet import read_metadata
from lake.parts import seal_segment
from lake.paths import Home, Hour
from lake.registry import dataset
from lake.verify import verify
from lake.visible import VisibleFile, hour_watermark, landed_hours, visible_files, wal_rows
from lake.wal import WalWriter
from tests.lake.making import HOUR, START, Clock, level, rows, trade

DAY = Hour(START).date
HOURS = [Hour(START + n * HOUR) for n in range(3)]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path)
    layout.ensure(home)
    return home


@pytest.fixture
def clock() -> Clock:
    return Clock()


def part(home: Home, clock: Clock, name: str, *given: dict[str, Any], collector: str = "one") -> None:
    writer = WalWriter(home, collector)
    writer.append(name, rows(name, *given))
    (segment,) = writer.roll()
    writer.close()
    seal_segment(home, segment, visible_after=3, clock=clock)
    clock.advance(3)


def day_of(home: Home, clock: Clock, name: str = "trades") -> CompactionResult:
    result = compact_day(home, name, DAY, visible_after=3, clock=clock, wait=clock.advance)
    clock.advance(3)
    return result


def hour_of(home: Home, clock: Clock, hour: Hour, name: str = "trades") -> CompactionResult:
    result = compact_hour(home, name, hour, visible_after=3, clock=clock, wait=clock.advance)
    clock.advance(3)
    return result


def now(home: Home, clock: Clock, name: str = "trades") -> list[VisibleFile]:
    return visible_files(home, name, at_us=clock.us)


def ids(path: Path) -> list[str]:
    return pq.read_table(path, columns=["trade_id"], partitioning=None)["trade_id"].to_pylist()


def test_hours_and_parts_of_a_day_become_one_file(home: Home, clock: Clock) -> None:
    part(home, clock, "trades", trade(1), trade(2, at=START + HOUR), trade(5, at=START + HOUR, symbol="ETH/USDT"))
    hour_of(home, clock, HOURS[0])
    part(home, clock, "trades", trade(3, at=START + 2 * HOUR), trade(4, at=START + 25 * HOUR))
    result = day_of(home, clock)
    table = pq.read_table(result.path, partitioning=None)
    assert is_sorted(dataset("trades"), table)
    assert table["trade_id"].to_pylist() == ["1", "2", "3", "5"]
    assert [file.kind for file in now(home, clock)] == ["day", "part"]
    assert [file.kind for file in visible_files(home, "trades", at_us=clock.us, hours=(HOURS[0], HOURS[1]))] == ["day"]
    assert verify(home, clock=clock).ok


def test_a_day_without_anything_is_an_empty_file(home: Home, clock: Clock) -> None:
    result = day_of(home, clock)
    assert (result.written, result.rows, result.watermark) == (True, 0, 0)
    assert not day_of(home, clock).written


def test_the_watermark_of_an_hour_is_the_same_in_its_parts_its_file_and_its_day(home: Home, clock: Clock) -> None:
    part(home, clock, "trades", trade(1))
    part(home, clock, "trades", trade(2, at=START + HOUR))
    marks = [hour_watermark(home, "trades", HOURS[0], clock.us)]
    everything = [landed_hours(home, "trades", at_us=clock.us)]
    for hour in HOURS[:2]:
        hour_of(home, clock, hour)
    marks.append(hour_watermark(home, "trades", HOURS[0], clock.us))
    everything.append(landed_hours(home, "trades", at_us=clock.us))
    day_of(home, clock)
    marks.append(hour_watermark(home, "trades", HOURS[0], clock.us))
    everything.append(landed_hours(home, "trades", at_us=clock.us))
    assert len(set(marks)) == 1
    assert everything[0] == everything[1] == everything[2]
    assert read_hour(home, "trades", HOURS[0], at_us=clock.us)[1] == marks[0]


def test_a_late_part_makes_the_day_anew_and_the_result_speaks_of_its_hour(home: Home, clock: Clock) -> None:
    part(home, clock, "trades", trade(1), trade(2, at=START + HOUR))
    first = day_of(home, clock)
    part(home, clock, "trades", trade(1), trade(3, at=START + 7))
    assert [file.kind for file in now(home, clock)] == ["day", "part"]
    result = hour_of(home, clock, HOURS[0])
    assert result.written
    assert result.path.parent == home.day_dir("trades", DAY)
    assert (result.rows, result.duplicates) == (2, {("binance", "BTC/USDT"): 1})
    assert [int(t.timestamp() * 1e6) - START for t in (result.first_time, result.last_time) if t] == [0, 7]
    assert ids(result.path) == ["1", "3", "2"]
    assert [file.path for file in now(home, clock)] == [result.path]
    assert first.path.exists()
    assert not hour_of(home, clock, HOURS[1]).written
    assert verify(home, clock=clock).ok


def test_rows_are_merged_within_their_hour_alone(home: Home, clock: Clock) -> None:
    part(home, clock, "trades", trade(1), trade(1, at=START + HOUR))
    part(home, clock, "trades", trade(1), collector="two")
    result = day_of(home, clock)
    assert ids(result.path) == ["1", "1"]
    assert result.duplicates == {("binance", "BTC/USDT"): 1}
    metadata = read_metadata(result.path)
    assert metadata.hours[0].inputs == ("one-00000001", "two-00000001")
    assert metadata.hours[1].inputs == ("one-00000001",)


def test_a_day_waits_for_an_hour_file_that_does_not_count_yet(home: Home, clock: Clock) -> None:
    part(home, clock, "trades", trade(1))
    compact_hour(home, "trades", HOURS[0], visible_after=3, clock=clock)
    waited: list[float] = []

    def wait(seconds: float) -> None:
        waited.append(seconds)
        clock.advance(seconds)

    compact_day(home, "trades", DAY, visible_after=3, clock=clock, wait=wait)
    assert waited == [pytest.approx(3, abs=0.01)]
    clock.advance(3)
    assert [file.kind for file in now(home, clock)] == ["day"]


def test_a_day_goes_on_when_the_hour_file_came_to_count_while_the_day_was_looked_through(home: Home, clock: Clock) -> None:
    part(home, clock, "trades", trade(1))
    compact_hour(home, "trades", HOURS[0], visible_after=3, clock=clock)
    asked = 0
    waited: list[float] = []

    def slow() -> float:
        nonlocal asked
        asked += 1
        if asked == 2:  # between looking and waiting
            clock.advance(5)
        return clock()

    compact_day(home, "trades", DAY, visible_after=3, clock=slow, wait=waited.append)

    assert waited == [pytest.approx(0, abs=0.01)]
    assert min(waited) >= 0


def test_a_segment_that_is_only_in_a_day_file_is_not_read_from_the_log(home: Home, clock: Clock) -> None:
    part(home, clock, "trades", trade(1), trade(2, at=START + HOUR))
    day_of(home, clock)
    for path in home.lake.glob("trades/date=2026*/*/part-*"):
        path.unlink()
    for marker in home.wal.glob("*/*/*.sealed"):
        marker.unlink()
    assert wal_rows(home, "trades", at_us=clock.us).num_rows == 0


def test_a_derived_hour_of_a_day_that_is_one_file_is_replaced_in_it(home: Home, clock: Clock) -> None:
    def candles(hour: Hour, volume: float) -> Any:
        import pyarrow as pa

        return pa.Table.from_batches([rows("candles_1m", {"timestamp": hour.start, "volume": volume})])

    for hour in HOURS:
        write_hour(home, "candles_1m", hour, candles(hour, 1.0), watermark=10, visible_after=3, clock=clock)
    clock.advance(3)
    first = day_of(home, clock, "candles_1m")
    result = write_hour(home, "candles_1m", HOURS[1], candles(HOURS[1], 2.0), watermark=20, visible_after=3, clock=clock)
    clock.advance(3)
    assert (result.written, result.rows) == (True, 1)
    assert pq.read_table(result.path, partitioning=None)["volume"].to_pylist() == [1.0, 2.0, 1.0]
    assert [file.path for file in now(home, clock, "candles_1m")] == [result.path]
    assert landed_hours(home, "candles_1m", at_us=clock.us) == {HOURS[0]: 10, HOURS[1]: 20, HOURS[2]: 10}
    again = write_hour(home, "candles_1m", HOURS[1], candles(HOURS[1], 2.0), watermark=20, visible_after=3, clock=clock)
    older = write_hour(home, "candles_1m", HOURS[1], candles(HOURS[1], 9.0), watermark=15, visible_after=3, clock=clock)
    assert (again.written, again.path, older.written) == (False, result.path, False)
    assert first.path != result.path
    assert verify(home, clock=clock).problems == []


def test_books_of_a_day_keep_the_order_of_arrival(home: Home, clock: Clock) -> None:
    for number in range(4):
        part(home, clock, "book_deltas", *(level(number * 10 + n, at=START + (3 - number) * HOUR + n) for n in range(5)))
    table = pq.read_table(day_of(home, clock, "book_deltas").path, partitioning=None)
    assert table["sequence"].to_pylist() == [*range(30, 35), *range(20, 25), *range(10, 15), *range(5)]
