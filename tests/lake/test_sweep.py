"""Superseded files leave the catalog in one sweep and the disk in the next."""

from __future__ import annotations

import os
import time
from pathlib import Path

import duckdb
import pytest

from lake.paths import HOUR_US, Hour
from lake.sweep import sweep
from tests.lake.laying import LaidLake
from tests.lake.making import trade

GRACE = 10.0
LINGER = 30.0


@pytest.fixture
def compacted(laid: LaidLake) -> LaidLake:
    hour = Hour.of(time.time_ns() // 1000 - 30 * HOUR_US)
    for minute in range(3):
        laid.land("trades", trade(minute, at=hour.start + minute * 60_000_000))
    laid.compact("trades", hour.start)
    return laid


def parts(lake: LaidLake) -> list[Path]:
    return [path for path in lake.home.lake.glob("trades/*/*/part-*.parquet") if "sentinel" not in path.name]


def age_the_register(lake: LaidLake, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(lake.home.condemned, (then, then))


def test_the_first_sweep_removes_nothing_but_leaves_the_parts_out_of_the_catalog(compacted: LaidLake) -> None:
    removal = sweep(compacted.home, grace=GRACE, linger=LINGER)

    assert len(removal.waiting) == 3
    assert len(parts(compacted)) == 3


def test_the_next_sweep_removes_them_and_readers_see_every_trade_all_along(compacted: LaidLake) -> None:
    sweep(compacted.home, grace=GRACE, linger=LINGER)
    age_the_register(compacted, LINGER + 1)

    removal = sweep(compacted.home, grace=GRACE, linger=LINGER)

    assert len(removal.files) == 3
    assert parts(compacted) == []
    with duckdb.connect(str(compacted.home.catalog), read_only=True) as reader:
        assert reader.execute("select count(*), count(distinct trade_id) from trades").fetchone() == (3, 3)


def test_a_sweep_too_soon_after_the_last_removes_no_file(compacted: LaidLake) -> None:
    sweep(compacted.home, grace=GRACE, linger=LINGER)

    removal = sweep(compacted.home, grace=GRACE, linger=LINGER)

    assert removal.files == []
    assert len(parts(compacted)) == 3


def test_what_was_superseded_within_the_grace_is_left_alone(compacted: LaidLake) -> None:
    removal = sweep(compacted.home, grace=10**6, linger=LINGER)

    assert (removal.files, removal.waiting) == ([], [])
