"""Books at instants: equal to a replay change by change, snapshots and gaps included."""

from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lake.transforms.book_states import Books, books_at, heard, in_gap, joined, minute_ends
from tests.lake.transforms.book_rows import as_sides, deltas, replayed

A = ("binance", "BTC/USDT")


@st.composite
def a_book(draw, book):
    """Changes of one book in order of arrival, snapshots among them; the first need not be one."""
    rows = []
    time = 0
    for _ in range(draw(st.integers(1, 12))):
        time += draw(st.integers(0, 5))
        is_snapshot = draw(st.booleans())
        time += is_snapshot  # a snapshot at the time of another row would not be told from it without a sequence
        levels = draw(st.lists(st.tuples(st.sampled_from(["bid", "ask"]), st.integers(1, 4)), min_size=1, max_size=5, unique=is_snapshot))
        for side, price in levels:
            amount = draw(st.sampled_from([1.0, 2.0] if is_snapshot else [0.0, 1.0, 2.0]))
            rows.append((*book, time, is_snapshot, side, float(price), amount))
        time += is_snapshot
    return rows


@st.composite
def some_books(draw):
    names = draw(st.lists(st.tuples(st.sampled_from(["binance", "okx"]), st.sampled_from(["A/B", "C/D"])), min_size=1, unique=True))
    return [row for name in names for row in draw(a_book(name))]


@settings(max_examples=150, deadline=None)
@given(some_books(), st.lists(st.integers(0, 60), min_size=1, max_size=8, unique=True))
def test_books_equal_a_replay_change_by_change(changes, instants):
    instants.sort()

    books = books_at(deltas(changes), instants)

    assert as_sides(books) == replayed(changes, instants)
    assert books.states.equals(books.states.sort("exchange", "symbol", "instant"))


@settings(max_examples=50, deadline=None)
@given(some_books())
def test_best_levels_come_first_and_cutting_keeps_them(changes):
    books = books_at(deltas(changes), [10, 30])

    for bids, asks in as_sides(books).values():
        assert list(bids) == sorted(bids, reverse=True)
        assert list(asks) == sorted(asks)
    whole, cut = as_sides(books), as_sides(books.best(1))
    assert {key: tuple(list(side.items())[:1] for side in sides) for key, sides in whole.items()} == {
        key: tuple(list(side.items()) for side in sides) for key, sides in cut.items()
    }


@settings(max_examples=50, deadline=None)
@given(some_books(), st.data())
def test_leaving_states_out_leaves_the_others_as_they_were(changes, data):
    books = books_at(deltas(changes), [5, 15, 40])
    kept = data.draw(st.lists(st.booleans(), min_size=books.states.height, max_size=books.states.height))

    chosen = as_sides(books.only(kept))

    assert chosen == {key: sides for (key, sides), keep in zip(as_sides(books).items(), kept, strict=True) if keep}


def test_a_change_at_the_instant_counts_and_one_after_it_does_not():
    changes = [(*A, 0, True, "bid", 1.0, 1.0), (*A, 10, False, "bid", 1.0, 2.0)]

    assert as_sides(books_at(deltas(changes), [9, 10])) == {(*A, 9): ({1.0: 1.0}, {}), (*A, 10): ({1.0: 2.0}, {})}


def test_the_last_change_by_each_instant_is_told():
    changes = [(*A, 3, True, "bid", 1.0, 1.0), (*A, 10, False, "bid", 1.0, 2.0)]

    assert books_at(deltas(changes), [2, 5, 20]).states["updated"].to_list() == [3, 10]


def test_two_snapshots_at_one_time_are_told_apart_by_their_sequence():
    changes = [(*A, 5, True, "bid", 1.0, 1.0), (*A, 5, True, "bid", 2.0, 1.0)]

    assert as_sides(books_at(deltas(changes, sequence=[7, 8]), [5])) == {(*A, 5): ({2.0: 1.0}, {})}
    assert as_sides(books_at(deltas(changes, sequence=[7, 7]), [5])) == {(*A, 5): ({2.0: 1.0, 1.0: 1.0}, {})}


def test_a_book_without_a_level_left_is_known_and_empty():
    changes = [(*A, 0, True, "bid", 1.0, 1.0), (*A, 10, False, "bid", 1.0, 0.0)]

    assert as_sides(books_at(deltas(changes), [20])) == {(*A, 20): ({}, {})}


def test_nothing_is_known_of_nothing():
    assert books_at(deltas([]), [1, 2]).states.height == 0
    assert books_at(deltas([(*A, 0, True, "bid", 1.0, 1.0)]), []).states.height == 0
    assert joined([]).states.height == joined([Books.none()]).states.height == 0


def test_parts_joined_are_the_books_made_at_once():
    one = [(*A, 0, True, "bid", 1.0, 1.0), (*A, 2, False, "ask", 2.0, 1.0)]
    other = [("okx", "BTC/USDT", 1, True, "ask", 3.0, 4.0)]

    apart = joined([books_at(deltas(one), [1, 5]), books_at(deltas(other), [1, 5])])

    assert as_sides(apart) == as_sides(books_at(deltas([*one, *other]), [1, 5]))


def test_the_minutes_of_an_hour_end_within_it():
    ends = minute_ends(3_600_000_000)

    assert (len(ends), ends[0], ends[-1]) == (60, 3_659_999_999, 7_199_999_999)


def test_minutes_after_the_one_in_which_an_exchange_was_last_heard_of_are_not_known():
    books = books_at(deltas([(*A, 0, True, "bid", 1.0, 1.0)]), minute_ends(0)[:4])

    assert heard(books, {"binance": 70_000_000}).tolist() == [True, True, False, False]
    assert heard(books, {"okx": 70_000_000}).tolist() == [False] * 4


def gaps(*rows):
    names = ("exchange", "symbol", "channel", "from_time", "to_time")
    times = {"from_time": pl.Datetime("us", "UTC"), "to_time": pl.Datetime("us", "UTC")}
    return pl.DataFrame(list(rows), schema={name: times.get(name, pl.String()) for name in names}, orient="row")


def at(minute):
    return datetime.fromtimestamp(minute * 60, tz=UTC)


@pytest.mark.parametrize(
    ("gap", "inside"),
    [
        (("binance", "BTC/USDT", "book_deltas", at(1), at(3)), [False, True, True, False]),
        (("binance", "", "", at(1), None), [False, True, True, True]),
        (("binance", "ETH/USDT", "book_deltas", at(1), at(3)), [False] * 4),
        (("okx", "BTC/USDT", "book_deltas", at(1), at(3)), [False] * 4),
        (("binance", "BTC/USDT", "trades", at(1), at(3)), [False] * 4),
    ],
)
def test_books_within_a_gap_are_told(gap, inside):
    books = books_at(deltas([(*A, 0, True, "bid", 1.0, 1.0)]), minute_ends(0)[:4])

    assert in_gap(books, gaps(gap)).tolist() == inside
    assert np.array_equal(in_gap(books, gaps(gap, gap)), inside)
