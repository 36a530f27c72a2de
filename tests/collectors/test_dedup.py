from __future__ import annotations

import pickle
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.dedup import MAX_RUNS, RecentKeys, SeenIds


@given(st.lists(st.integers(min_value=0, max_value=60)))
def test_seen_ids_answers_like_a_set(numbers: list[int]) -> None:
    seen, model = SeenIds(), set[int]()
    for number in numbers:
        assert seen.add(number) is (number not in model)
        model.add(number)
        assert seen.last == max(model)
    assert {number for number in range(-1, 62) if number in seen} == model


@given(st.lists(st.integers(min_value=0, max_value=60)), st.integers(-2, 62), st.integers(-2, 62))
def test_missing_counts_what_lies_between_and_was_not_seen(numbers: list[int], after: int, before: int) -> None:
    seen = SeenIds()
    for number in numbers:
        seen.add(number)
    assert seen.missing(after, before) == len(set(range(after + 1, before)) - set(numbers))


def test_runs_stay_bounded_and_recent_ids_stay_exact() -> None:
    seen = SeenIds()
    for number in range(0, 4 * MAX_RUNS, 2):
        seen.add(number)
    assert not seen.add(4 * MAX_RUNS - 2)
    assert seen.add(4 * MAX_RUNS - 3)
    assert 1 in seen


def test_recent_keys_forgets_the_oldest() -> None:
    recent = RecentKeys(2)
    assert [recent.add(key) for key in ("a", "b", "a", "c", "a")] == [True, True, False, True, True]


@given(st.lists(st.integers(0, 300)), st.integers(1, 150))
def test_recent_keys_are_those_of_a_dict_that_drops_its_oldest(numbers: list[int], size: int) -> None:
    recent, model = RecentKeys(size), dict[str, None]()
    for number in numbers:
        key = str(number)
        assert recent.add(key) is (key not in model)
        model[key] = None
        if len(model) > size:
            del model[next(iter(model))]
    assert {number for number in range(301) if str(number) in recent} == {int(key) for key in model}


@pytest.mark.parametrize("landed", [30, 250])
def test_recent_keys_restored_go_on_as_those_they_were_taken_from(landed: int) -> None:
    before = RecentKeys(100)
    for number in range(landed):
        before.add(("BTC/USDT", number, 0.5))
    after = pickle.loads(pickle.dumps(before))

    heard = [(before.add(key), after.add(key)) for key in (("BTC/USDT", number, 0.5) for number in range(landed - 50, landed + 120))]

    assert {one is other for one, other in heard} == {True}
    assert [one for one, _ in heard].count(False) > 0


def test_ten_thousand_recent_keys_take_less_than_half_a_megabyte() -> None:
    tracemalloc.start()
    try:
        recent = RecentKeys()
        for number in range(40_000):
            recent.add(f"{number:032x}")
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert held < 500_000
