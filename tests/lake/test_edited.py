"""Partitions that grow: every edit counts, also those of others at the same time, and nothing is written for nothing."""

from __future__ import annotations

import threading
from datetime import date

import pyarrow as pa
import pytest

from lake.derived import read_period
from lake.edited import edit_period, newest_rows, with_rows
from lake.files import now_us
from lake.paths import Home
from lake.periods import Period
from lake.registry import dataset

DAY = Period(date(2026, 11, 20), "day")
SPEC = dataset("flags")


def flags(*rows: tuple[str, str, str]) -> pa.Table:
    values = [(base, DAY.start, flag, value) for base, flag, value in rows]
    columns = zip(*values, strict=True) if values else ((),) * 4
    return pa.Table.from_arrays(
        [pa.array(column, field.type) for column, field in zip(columns, SPEC.schema, strict=True)], schema=SPEC.schema
    )


@pytest.fixture
def home(tmp_path) -> Home:
    return Home(tmp_path)


def add(home: Home, rows: pa.Table):
    return edit_period(home, "flags", DAY, lambda former: with_rows("flags", former, rows), visible_after=0.05)


def test_an_edit_sees_the_one_before_though_it_does_not_count_yet(home):
    add(home, flags(("BTC", "major", "true")))
    add(home, flags(("ETH", "major", "true")))

    assert newest_rows(home, "flags", DAY)["base"].to_pylist() == ["BTC", "ETH"]
    assert read_period(home, "flags", DAY, at_us=now_us() + 1_000_000)[0].num_rows == 2


def test_a_row_of_the_same_key_takes_the_place_of_the_former(home):
    add(home, flags(("BTC", "theme", "old"), ("ETH", "theme", "kept")))
    add(home, flags(("BTC", "theme", "new")))

    assert newest_rows(home, "flags", DAY)["value"].to_pylist() == ["new", "kept"]


def test_the_same_rows_again_write_nothing(home):
    first = add(home, flags(("BTC", "major", "true")))
    second = add(home, flags(("BTC", "major", "true")))

    assert first is not None
    assert second is not None
    assert (first.written, second.written, second.path) == (True, False, first.path)


def test_an_empty_change_of_nothing_leaves_no_file(home):
    assert add(home, flags()) is None
    assert not (home.days / "flags").exists()


def test_edits_of_many_at_once_are_all_kept(home):
    threads = [threading.Thread(target=add, args=(home, flags((f"B{number:02d}", "set", "true")))) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert newest_rows(home, "flags", DAY)["base"].to_pylist() == [f"B{number:02d}" for number in range(8)]
