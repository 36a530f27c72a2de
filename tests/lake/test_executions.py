"""The execution log: runs that end well, badly or not at all, read back through the view."""

from __future__ import annotations

import time

import pytest

from lake.executions import logged
from lake.files import now_us
from lake.paths import Home
from lake.query import run_sql

AHEAD = 0.05


@pytest.fixture
def home(tmp_path) -> Home:
    return Home(tmp_path)


def log(home: Home) -> list[dict[str, object]]:
    settled = now_us() + int(2 * AHEAD * 1_000_000)
    while now_us() < settled:
        time.sleep(0.01)
    return run_sql(home, "SELECT * FROM execution_log ORDER BY started", with_wal=False).table.to_pylist()


def test_a_run_that_ends_is_one_row_with_its_rows_and_times(home):
    with logged(home, "coingecko", run_id="r1", visible_after=AHEAD) as entry:
        entry.rows = 2000

    (row,) = log(home)
    assert (row["process"], row["run_id"], row["status"], row["rows"], row["error"]) == ("coingecko", "r1", "success", 2000, None)
    assert row["started"] <= row["finished"]


def test_a_run_shows_while_it_goes_on(home):
    with logged(home, "coingecko", run_id="r1", visible_after=AHEAD):
        (row,) = log(home)

    assert (row["status"], row["finished"]) == ("running", None)


def test_a_failure_is_logged_with_its_first_line_and_goes_on(home):
    with pytest.raises(ValueError, match="no answer"), logged(home, "coingecko", run_id="r1", visible_after=AHEAD):
        raise ValueError("no answer\nand more")

    (row,) = log(home)
    assert (row["status"], row["error"], row["rows"]) == ("failure", "ValueError: no answer", None)


def test_a_skipped_run_says_why(home):
    with logged(home, "coinglass", run_id="r1", visible_after=AHEAD) as entry:
        entry.skip("no key")

    assert [(row["status"], row["error"]) for row in log(home)] == [("skipped", "no key")]


def test_runs_of_several_processes_stand_beside_each_other(home):
    with logged(home, "one", run_id="r1", visible_after=AHEAD), logged(home, "other", run_id="r2", visible_after=AHEAD):
        pass

    assert [(row["process"], row["status"]) for row in log(home)] == [("one", "success"), ("other", "success")]
