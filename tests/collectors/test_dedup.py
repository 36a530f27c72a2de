from __future__ import annotations

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
