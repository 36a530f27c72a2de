from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from lake import layout
from lake.derived import read_hour, write_hour
from lake.errors import CompactionError, SchemaMismatch
from lake.parts import seal_segment
from lake.paths import Home, Hour, parse_name
from lake.visible import stale_hours, visible_files
from lake.wal import WalWriter
from tests.lake.making import HOUR, MINUTE, START, Clock, rows, trade

FIRST = Hour(START)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path)
    layout.ensure(home)
    return home


@pytest.fixture
def clock() -> Clock:
    return Clock()


def candles(*minutes: int, close: float = 1.0) -> pa.Table:
    return pa.Table.from_batches([rows("candles_1m", *({"timestamp": START + m * MINUTE, "close": close} for m in minutes))])


def land(home: Home, clock: Clock, *given: dict) -> None:
    writer = WalWriter(home, "one")
    writer.append("trades", rows("trades", *given))
    for segment in writer.roll():
        seal_segment(home, segment, visible_after=3, clock=clock)
    writer.close()
    clock.advance(3)


def test_what_is_written_is_read_back_sorted_with_its_watermark(home: Home, clock: Clock) -> None:
    result = write_hour(home, "candles_1m", FIRST, candles(5, 3), watermark=77, visible_after=3, clock=clock)
    assert (result.written, result.rows, result.watermark) == (True, 2, 77)
    assert parse_name(result.path.name).watermark == 77
    assert read_hour(home, "candles_1m", FIRST, at_us=clock.us)[0].num_rows == 0
    clock.advance(3)
    table, mark = read_hour(home, "candles_1m", FIRST, at_us=clock.us)
    assert table.equals(candles(3, 5).combine_chunks())
    assert mark == 77


def test_the_same_rows_with_the_same_watermark_write_nothing(home: Home, clock: Clock) -> None:
    first = write_hour(home, "candles_1m", FIRST, candles(1), watermark=5, visible_after=3, clock=clock)
    again = write_hour(home, "candles_1m", FIRST, candles(1), watermark=5, visible_after=3, clock=clock)
    assert (again.written, again.path, again.rows) == (False, first.path, 1)
    assert len(list(first.path.parent.iterdir())) == 1


def test_other_rows_supersede_the_former_from_their_instant(home: Home, clock: Clock) -> None:
    first = write_hour(home, "candles_1m", FIRST, candles(1), watermark=5, visible_after=3, clock=clock)
    second = write_hour(home, "candles_1m", FIRST, candles(1, close=2.0), watermark=5, visible_after=3, clock=clock)
    assert second.written
    clock.advance(3)
    assert [file.path for file in visible_files(home, "candles_1m", at_us=clock.us)] == [first.path]
    clock.advance(0.1)
    assert [file.path for file in visible_files(home, "candles_1m", at_us=clock.us)] == [second.path]


def test_a_slower_run_on_older_input_does_not_replace_newer_rows(home: Home, clock: Clock) -> None:
    newer = write_hour(home, "candles_1m", FIRST, candles(1, 2), watermark=9, visible_after=3, clock=clock)
    older = write_hour(home, "candles_1m", FIRST, candles(1), watermark=5, visible_after=3, clock=clock)
    assert (older.written, older.path, older.watermark) == (False, newer.path, 9)


def test_an_hour_without_rows_is_a_file_too(home: Home, clock: Clock) -> None:
    result = write_hour(home, "candles_1m", FIRST, candles().slice(0, 0), watermark=0, visible_after=3, clock=clock)
    assert (result.written, result.rows) == (True, 0)


def test_what_does_not_belong_is_refused(home: Home, clock: Clock) -> None:
    with pytest.raises(CompactionError, match="lie outside that hour"):
        write_hour(home, "candles_1m", Hour(START + HOUR), candles(1), watermark=0, visible_after=3, clock=clock)
    with pytest.raises(CompactionError, match="landed by collectors"):
        write_hour(home, "trades", FIRST, candles(1), watermark=0, visible_after=3, clock=clock)
    with pytest.raises(SchemaMismatch):
        write_hour(home, "coverage", FIRST, candles(1), watermark=0, visible_after=3, clock=clock)


def test_reading_gives_the_columns_asked_for_and_each_key_once(home: Home, clock: Clock) -> None:
    land(home, clock, trade(2), trade(1))
    land(home, clock, trade(2), trade(3, at=START + HOUR))
    table, _ = read_hour(home, "trades", FIRST, at_us=clock.us, columns=["price", "trade_id"])
    assert table.column_names == ["price", "trade_id"]
    assert table["trade_id"].to_pylist() == ["1", "2"]
    empty, mark = read_hour(home, "trades", Hour(START + 5 * HOUR), at_us=clock.us, columns=["price"])
    assert (empty.num_rows, empty.column_names, mark) == (0, ["price"], 0)


def test_an_hour_is_stale_until_what_was_made_from_it_covers_its_parts(home: Home, clock: Clock) -> None:
    land(home, clock, trade(1), trade(2, at=START + HOUR))
    assert stale_hours(home, "trades", "candles_1m", at_us=clock.us) == [FIRST, Hour(START + HOUR)]
    _, mark = read_hour(home, "trades", FIRST, at_us=clock.us)
    write_hour(home, "candles_1m", FIRST, candles(1), watermark=mark, visible_after=3, clock=clock)
    clock.advance(3)
    assert stale_hours(home, "trades", "candles_1m", at_us=clock.us) == [Hour(START + HOUR)]
    land(home, clock, trade(9))
    assert stale_hours(home, "trades", "candles_1m", at_us=clock.us) == [FIRST, Hour(START + HOUR)]
