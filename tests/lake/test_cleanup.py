from __future__ import annotations

import os
from pathlib import Path

import pytest

from lake import layout
from lake.cleanup import remove_superseded
from lake.compact import compact_day, compact_hour
from lake.parts import seal_segment
from lake.paths import Home, Hour
from lake.verify import verify
from lake.visible import visible_files
from lake.wal import WalWriter, list_segments
from tests.lake.making import START, Clock, rows, trade

FIRST = Hour(START)
GRACE = 100.0


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path)
    layout.ensure(home)
    return home


@pytest.fixture
def clock() -> Clock:
    return Clock()


def part(home: Home, clock: Clock, number: int, collector: str = "one") -> Path:
    writer = WalWriter(home, collector)
    writer.append("trades", rows("trades", trade(number)))
    (segment,) = writer.roll()
    writer.close()
    (path,) = seal_segment(home, segment, visible_after=3, clock=clock)
    clock.advance(3)
    return path


def test_superseded_files_go_after_the_grace_and_not_before(home: Home, clock: Clock) -> None:
    old = part(home, clock, 1)
    hour = compact_hour(home, "trades", FIRST, visible_after=3, clock=clock).path
    clock.advance(3 + GRACE - 0.001)
    assert remove_superseded(home, grace=GRACE, clock=clock).files == []
    clock.advance(0.001)
    removal = remove_superseded(home, grace=GRACE, clock=clock)
    assert removal.files == [old]
    assert not old.exists()
    assert hour.exists()


def test_a_dry_run_removes_nothing(home: Home, clock: Clock) -> None:
    old = part(home, clock, 1)
    compact_hour(home, "trades", FIRST, visible_after=3, clock=clock)
    clock.advance(3 + GRACE)
    removal = remove_superseded(home, grace=GRACE, dry_run=True, clock=clock)
    assert removal.files == [old]
    assert removal.bytes > old.stat().st_size
    assert old.exists()
    assert remove_superseded(home, grace=GRACE, clock=clock).files == [old]


def test_hours_in_a_day_go_with_their_directories(home: Home, clock: Clock) -> None:
    part(home, clock, 1)
    first = compact_hour(home, "trades", FIRST, visible_after=3, clock=clock).path
    clock.advance(3)
    part(home, clock, 2)
    compact_hour(home, "trades", FIRST, visible_after=3, clock=clock)
    clock.advance(3)
    compact_day(home, "trades", FIRST.date, visible_after=3, clock=clock)
    clock.advance(3)
    part(home, clock, 3)
    second = compact_day(home, "trades", FIRST.date, visible_after=3, clock=clock).path
    clock.advance(3 + GRACE)
    assert len(remove_superseded(home, grace=GRACE, clock=clock).files) == 6
    assert not first.parent.parent.exists()
    assert [file.path for file in visible_files(home, "trades", at_us=clock.us)] == [second]
    assert list(second.parent.iterdir()) == [second]
    assert verify(home, clock=clock).ok


def test_a_part_that_no_sealed_file_holds_stays(home: Home, clock: Clock) -> None:
    stalled = part(home, clock, 1)
    hidden = stalled.rename(stalled.with_name(".tmp-x"))
    part(home, clock, 2, "two")
    compact_hour(home, "trades", FIRST, visible_after=3, clock=clock)
    hidden.rename(stalled)
    clock.advance(3 + GRACE)
    remove_superseded(home, grace=GRACE, clock=clock)
    assert stalled.exists()
    assert compact_hour(home, "trades", FIRST, visible_after=3, clock=clock).rows == 2
    clock.advance(3 + GRACE)
    assert stalled in remove_superseded(home, grace=GRACE, clock=clock).files


def test_log_segments_go_when_their_parts_have_counted_for_the_grace(home: Home, clock: Clock) -> None:
    part(home, clock, 1)
    writer = WalWriter(home, "one")
    writer.append("trades", rows("trades", trade(2)))
    sealed, unsealed = list_segments(home)
    clock.advance(GRACE - 0.001)
    assert remove_superseded(home, grace=GRACE, clock=clock).segments == []
    clock.advance(0.001)
    assert remove_superseded(home, grace=GRACE, clock=clock).segments == [sealed.path]
    assert not sealed.marker.exists()
    assert list_segments(home) == [unsealed]


def test_half_written_files_of_the_dead_go_and_those_of_the_living_stay(home: Home, clock: Clock) -> None:
    directory = home.hour_dir("trades", FIRST)
    directory.mkdir(parents=True)
    dead, living = directory / ".tmp-1-dead", directory / ".tmp-1-living"
    dead.write_bytes(b"x")
    living.write_bytes(b"x")
    os.utime(dead, (clock() - 7200, clock() - 7200))
    os.utime(living, (clock() - 60, clock() - 60))
    assert remove_superseded(home, grace=1, clock=clock).temporary == [dead]
    assert living.exists()


def test_sentinels_stay(home: Home, clock: Clock) -> None:
    assert remove_superseded(home, grace=0, clock=clock).files == []
    assert len(list(home.lake.glob("trades/date=1970-01-01/hour=00/*"))) == 2
