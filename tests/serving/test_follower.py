"""Following the log: every batch once, whatever happens to its files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lake import layout
from lake.paths import Home
from lake.wal import WalWriter
from serving.follower import Follower
from tests.lake.making import rows, trade


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path / "home")
    layout.ensure(made)
    return made


def ids(follower: Follower) -> list[str]:
    return [each for followed in follower.poll() if followed.dataset == "trades" for each in followed.batch["trade_id"].to_pylist()]


def put(writer: WalWriter, *numbers: int) -> None:
    writer.append("trades", rows("trades", *map(trade, numbers)))


def test_what_stood_in_the_log_before_is_passed_over(home: Home) -> None:
    writer = WalWriter(home, "main")
    put(writer, 1, 2)
    follower = Follower(home)

    first = ids(follower)
    put(writer, 3)

    assert (first, ids(follower), ids(follower)) == ([], ["3"], [])
    writer.close()
    follower.close()


def test_rolled_segments_are_read_to_their_end_and_the_next_ones_from_their_beginning(home: Home) -> None:
    writer = WalWriter(home, "main")
    follower = Follower(home)
    ids(follower)

    put(writer, 1)
    writer.roll()
    put(writer, 2)
    writer.roll()
    put(writer, 3)

    assert ids(follower) == ["1", "2", "3"]
    writer.close()
    follower.close()


def test_a_batch_that_is_half_written_comes_when_it_is_whole(home: Home) -> None:
    writer = WalWriter(home, "main")
    put(writer, 1)
    follower = Follower(home)
    ids(follower)
    path = next(home.wal.glob("main/trades/*.arrow"))
    before = path.stat().st_size
    put(writer, 2)
    whole = path.read_bytes()
    os.truncate(path, before)

    torn = []
    for end in range(before, len(whole), 97):
        with path.open("r+b") as file:
            file.seek(before)
            file.write(whole[before:end])
        torn += ids(follower)
    with path.open("r+b") as file:
        file.seek(before)
        file.write(whole[before:])

    assert (torn, ids(follower)) == ([], ["2"])
    writer.close()
    follower.close()


def test_a_collector_that_died_within_a_batch_and_came_back_is_followed_on(home: Home) -> None:
    writer = WalWriter(home, "main")
    put(writer, 1)
    follower = Follower(home)
    ids(follower)
    put(writer, 2)
    path = next(home.wal.glob("main/trades/*.arrow"))
    writer.close()
    os.truncate(path, path.stat().st_size - 5)

    again = WalWriter(home, "main")
    put(again, 3)

    assert ids(follower) == ["3"]
    assert follower.torn == 1
    again.close()
    follower.close()


def test_a_collector_that_comes_later_is_followed_from_its_first_row(home: Home) -> None:
    follower = Follower(home)
    ids(follower)
    one, two = WalWriter(home, "one"), WalWriter(home, "two")

    put(one, 1)
    put(two, 2)

    assert sorted(ids(follower)) == ["1", "2"]
    one.close()
    two.close()
    follower.close()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.sampled_from(["put", "roll", "poll", "restart"]), max_size=25))
def test_every_row_comes_once_in_order_whatever_is_done_between(tmp_path_factory: pytest.TempPathFactory, steps: list[str]) -> None:
    home = Home(tmp_path_factory.mktemp("follow"))
    layout.ensure(home)
    writer = WalWriter(home, "main")
    follower = Follower(home)
    seen = ids(follower)
    written = 0
    for step in [*steps, "poll"]:
        if step == "put":
            put(writer, written)
            written += 1
        elif step == "roll":
            writer.roll()
        elif step == "restart":
            writer.close()
            writer = WalWriter(home, "main")
        else:
            seen += ids(follower)

    assert seen == [str(number) for number in range(written)]
    writer.close()
    follower.close()
