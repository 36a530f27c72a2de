"""Holes of a series, against counting them one by one."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lake.transforms.missing import Window, merged, missing_opens, stretches, windows

WIDTH = 60


def opens(*numbers: int) -> np.ndarray:
    return np.array([number * WIDTH for number in numbers], dtype=np.int64)


def test_what_is_neither_there_nor_known_to_be_empty_is_missing():
    found = missing_opens(opens(1, 2), start=0, end=6 * WIDTH, width=WIDTH, known=[Window(3 * WIDTH, 5 * WIDTH)])

    assert found.tolist() == [0, 5 * WIDTH]


def test_an_interval_that_has_not_ended_is_not_missing():
    assert missing_opens(opens(), start=0, end=2 * WIDTH - 1, width=WIDTH).tolist() == [0]


def test_a_start_between_two_opens_begins_with_the_next():
    assert missing_opens(opens(), start=1, end=3 * WIDTH, width=WIDTH).tolist() == [WIDTH, 2 * WIDTH]


def test_holes_close_to_each_other_are_one_request_and_distant_ones_are_not():
    assert windows(opens(0, 3, 50), width=WIDTH, reach=10) == [Window(0, 4 * WIDTH), Window(50 * WIDTH, 51 * WIDTH)]


def test_a_long_hole_is_asked_for_in_pages():
    assert [(each.end - each.start) // WIDTH for each in windows(opens(*range(25)), width=WIDTH, reach=10)] == [10, 10, 5]


@given(st.sets(st.integers(0, 200)), st.integers(1, 30))
def test_windows_hold_every_hole_once_and_are_never_too_long(numbers, reach):
    holes = opens(*sorted(numbers))

    found = windows(holes, width=WIDTH, reach=reach)

    assert all((each.end - each.start) // WIDTH <= reach for each in found)
    assert all(one.end <= other.start for one, other in itertools.pairwise(found))
    assert [sum(each.start <= hole < each.end for each in found) for hole in holes] == [1] * len(holes)


@given(st.sets(st.integers(0, 60)), st.sets(st.integers(0, 60)))
def test_stretches_joined_hold_what_either_holds(one, other):
    joined = merged(stretches(opens(*sorted(one)), width=WIDTH), stretches(opens(*sorted(other)), width=WIDTH))

    held = [number for number in range(61) if any(each.start <= number * WIDTH < each.end for each in joined)]
    assert held == sorted(one | other)
    assert all(first.end < second.start for first, second in itertools.pairwise(joined))
