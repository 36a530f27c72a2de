"""Queries that see the log: each acknowledged row once at every step of its way, and errors in one line."""

from __future__ import annotations

import time
from datetime import date

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lake import query
from lake.errors import LakeFormatError, QueryError
from lake.parts import seal_segment
from lake.registry import LANDED
from lake.wal import list_segments
from tests.lake.laying import LaidLake
from tests.lake.making import HOUR, START, trade


def count(laid: LaidLake, **options) -> tuple[int, int]:
    (row,) = query.run_sql(laid.home, "SELECT count(*) AS n, count(DISTINCT trade_id) AS d FROM trades", **options).table.to_pylist()
    return row["n"], row["d"]


def test_a_row_is_seen_from_the_moment_it_is_in_the_log(laid):
    laid.log("trades", trade(1), trade(2, at=START + HOUR))

    assert count(laid) == (2, 2)
    assert count(laid, with_wal=False) == (0, 0)


def test_a_row_is_seen_once_while_its_part_waits_for_its_instant(laid):
    laid.log("trades", trade(1), trade(2, at=START + HOUR))
    (segment,) = laid.writer.roll()
    assert count(laid) == (2, 2)

    seal_segment(laid.home, segment, visible_after=30, clock=time.time)
    assert count(laid) == (2, 2)
    assert count(laid, with_wal=False) == (0, 0)


def test_a_half_sealed_segment_counts_hour_by_hour(laid):
    laid.log("trades", trade(1), trade(2, at=START + HOUR), trade(3, at=START + HOUR))
    (_, later) = laid.seal()
    (segment,) = list_segments(laid.home, "trades")
    segment.marker.unlink()
    later.unlink()

    assert count(laid) == (3, 3)


def test_a_part_that_was_compacted_and_removed_is_not_counted_from_the_log_again(laid):
    laid.log("trades", trade(1))
    (part,) = laid.seal()
    laid.compact("trades", START)
    (segment,) = list_segments(laid.home, "trades")
    segment.marker.unlink()
    part.unlink()

    assert count(laid) == (1, 1)


@settings(max_examples=5, deadline=None)
@given(story=st.lists(st.sampled_from(["log", "seal", "compact", "day", "late"]), min_size=1, max_size=8))
def test_every_acknowledged_row_is_seen_once_whatever_happened_to_it(tmp_path_factory, story):
    laid = LaidLake(tmp_path_factory.mktemp("story") / "home")
    landed = 0
    for what in story:
        if what in {"log", "late"}:
            landed += 1
            laid.log("trades", trade(landed, at=START + (HOUR if what == "late" else 0)))
        elif what == "seal":
            laid.seal()
        elif what == "compact":
            laid.compact("trades", START)
        else:
            laid.compact_day("trades", START_DAY)
        assert count(laid) == (landed, landed)
    laid.close()


START_DAY = date(2026, 11, 21)


def test_a_connection_is_a_picture_until_it_is_refreshed(laid):
    laid.log("trades", trade(1))
    with query.connect(laid.home) as connection:
        laid.log("trades", trade(2))
        for segment in laid.writer.roll():
            seal_segment(laid.home, segment, visible_after=0.05, clock=time.time)
        time.sleep(0.06)

        assert connection.execute("SELECT count(*) FROM trades").fetchone() == (1,)
        query.refresh(connection, laid.home)
        assert connection.execute("SELECT count(*) FROM trades").fetchone() == (2,)


@pytest.mark.parametrize("name", LANDED)
def test_every_dataset_looks_the_same_from_the_log_and_from_a_part(laid, name):
    laid.log(name, {"timestamp": START, "local_timestamp": START + 7} if name != "dead_letters" else {"local_timestamp": START})
    from_log = query.run_sql(laid.home, f"SELECT * FROM {name}").table
    laid.seal()

    from_part = query.run_sql(laid.home, f"SELECT * FROM {name}").table

    assert from_log.num_rows == 1
    assert from_log.equals(from_part)
    assert from_part.equals(query.run_sql(laid.home, f"SELECT * FROM {name}", with_wal=False).table)


def test_gaps_and_counts_in_the_log_complete_those_in_parts(laid):
    gap = {"channel": "trades", "kind": "stall", "from_time": START, "local_timestamp": START + 9}
    laid.land("gaps", gap)
    laid.log("gaps", {**gap, "healed_by": "rest"})
    laid.land("ledger", {"timestamp": START, "frames": 3})
    laid.log("ledger", {"timestamp": START, "frames": 4})

    assert query.run_sql(laid.home, "SELECT healed_by FROM gaps").table.to_pylist() == [{"healed_by": "rest"}]
    assert query.run_sql(laid.home, "SELECT frames FROM ledger").table.to_pylist() == [{"frames": 7}]


def test_times_are_shown_in_utc(laid):
    laid.log("trades", trade(1))

    (row,) = query.run_sql(laid.home, "SELECT timestamp::VARCHAR AS t FROM trades").table.to_pylist()

    assert row["t"] == "2026-11-21 00:00:00+00"


def test_a_limit_cuts_and_says_so(laid):
    laid.log("trades", *(trade(number) for number in range(10)))
    sql = "SELECT trade_id FROM trades ORDER BY ordinal"

    cut = query.run_sql(laid.home, sql, limit=3)
    whole = query.run_sql(laid.home, sql, limit=10)

    assert (cut.table.to_pylist(), cut.truncated) == ([{"trade_id": "0"}, {"trade_id": "1"}, {"trade_id": "2"}], True)
    assert (whole.table.num_rows, whole.truncated) == (10, False)
    with pytest.raises(QueryError, match="the row limit is -1, expected 0 or more"):
        query.run_sql(laid.home, sql, limit=-1)


def test_parameters_are_bound(laid):
    laid.log("trades", trade(1), trade(2))

    assert query.run_sql(laid.home, "SELECT trade_id FROM trades WHERE trade_id = ?", parameters=["2"]).table.to_pylist() == [
        {"trade_id": "2"}
    ]


@pytest.mark.parametrize("sql", ["SET threads = 1", "DROP TABLE IF EXISTS t", ""])
def test_statements_without_rows_give_none(laid, sql):
    assert query.run_sql(laid.home, sql).table.num_rows == 0


@pytest.mark.parametrize("sql", ["EXPLAIN SELECT * FROM trades", "SHOW TABLES", "DESCRIBE trades", "SUMMARIZE trades", "FROM trades"])
def test_other_statements_give_their_rows(laid, sql):
    laid.log("trades", trade(1))

    assert query.run_sql(laid.home, sql).table.num_rows > 0


@pytest.mark.parametrize(
    ("sql", "message"),
    [("SELEC 1", "syntax error"), ("SELECT * FROM trade", 'Did you mean "trades"'), ("SELECT error('no')", "no")],
)
def test_a_refused_statement_says_why_in_one_line(laid, sql, message):
    with pytest.raises(QueryError, match=message) as caught:
        query.run_sql(laid.home, sql)

    assert "\n" not in str(caught.value)


def test_a_statement_that_takes_too_long_is_stopped(laid):
    with pytest.raises(QueryError, match=r"took longer than 0\.2 seconds"):
        query.run_sql(laid.home, "SELECT count(*) FROM range(100000000000) a WHERE hash(range) = 1", timeout_seconds=0.2)


def test_a_statement_within_its_time_is_not_touched(laid):
    assert query.run_sql(laid.home, "SELECT 1 AS one", timeout_seconds=30).table.equals(pa.table({"one": pa.array([1], pa.int32())}))


def test_a_newer_lake_is_refused(laid):
    laid.home.format_file.write_text('{"format": 2}')
    with pytest.raises(LakeFormatError):
        query.connect(laid.home)


def test_a_day_of_sealed_segments_costs_little(laid):
    for number in range(60):
        laid.land("trades", trade(number))
    laid.log("trades", trade(99))
    began = time.perf_counter()

    assert count(laid) == (61, 61)

    assert time.perf_counter() - began < 3
