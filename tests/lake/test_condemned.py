"""Files about to be removed are not even opened, and nothing that counts is left out with them."""

from __future__ import annotations

from datetime import date

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lake import condemned, query
from lake.catalog import condemn
from lake.cleanup import remove_superseded
from tests.lake.laying import LaidLake, emptied
from tests.lake.making import HOUR, START, trade

DAY = date(2026, 11, 21)


def numbers(laid: LaidLake) -> list[int]:
    with duckdb.connect(str(laid.home.catalog), read_only=True) as connection:
        return sorted(int(row[0]) for row in connection.execute("SELECT trade_id FROM trades").fetchall())


def test_a_condemned_file_is_not_opened(laid):
    for number in range(4):
        laid.land("trades", trade(number))
    laid.compact("trades", START)
    laid.compact_day("trades", DAY)
    laid.land("trades", trade(4))
    laid.compact_day("trades", DAY)
    doomed = remove_superseded(laid.home, grace=1, dry_run=True).files
    assert {path.name.split("-")[0] for path in doomed} == {"part", "hour", "day"}

    gone = condemn(laid.home, doomed)
    for path in gone:
        path.write_bytes(b"whoever opens this fails")

    assert sorted(gone) == sorted(doomed)
    assert numbers(laid) == [0, 1, 2, 3, 4]
    assert query.run_sql(laid.home, "SELECT count(*) AS n FROM trades").table.to_pylist() == [{"n": 5}]
    assert query.run_sql(laid.home, "SELECT sum(trade_count) AS n FROM candles WHERE timeframe = '1h'").table.to_pylist() == [{"n": 5}]


@settings(max_examples=5, deadline=None)
@given(story=st.lists(st.sampled_from(["land", "late", "compact", "compact late", "day", "clean"]), min_size=2, max_size=10))
def test_what_counts_is_never_left_out(published, story):
    laid = LaidLake(emptied(published).root)
    landed = 0
    for what in story:
        at = START + (HOUR if "late" in what else 0)
        if what in {"land", "late"}:
            laid.land("trades", trade(landed, at=at))
            landed += 1
        elif what == "day":
            laid.compact_day("trades", DAY)
        elif what == "clean":
            for path in condemn(laid.home, remove_superseded(laid.home, grace=2, dry_run=True, clock=laid.clock).files):
                path.unlink()
        else:
            laid.compact("trades", at)
        assert numbers(laid) == list(range(landed))
    laid.close()


def test_more_than_a_view_can_name_waits_for_the_next_time(laid, monkeypatch):
    monkeypatch.setattr(condemned, "MOST_NAMES", 2)
    laid.land("trades", trade(99, at=START + HOUR))
    for number in range(5):
        laid.land("trades", trade(number))
    laid.compact("trades", START)

    doomed = remove_superseded(laid.home, grace=1, dry_run=True).files
    gone = condemn(laid.home, doomed)

    assert len(doomed) == 5
    assert len(gone) == 2
    assert set(gone) < set(doomed)
    assert numbers(laid) == [0, 1, 2, 3, 4, 99]


def test_nothing_is_left_out_before_anything_was_removed(tmp_path):
    laid = LaidLake(tmp_path / "home")
    laid.close()

    assert condemned.read(laid.home) == {}


@pytest.mark.parametrize("name", ["notes.txt", "part-1.parquet"])
def test_other_files_are_not_covered(tmp_path, name):
    assert not condemned.Condemned("9" * 16).covers(tmp_path / name)
