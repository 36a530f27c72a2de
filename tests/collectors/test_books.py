from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors import books
from collectors.books import Book, Follows, FuturesDiff, Side, SpotDiff
from collectors.textbook import TextSide, digits

LEVELS = st.lists(st.tuples(st.integers(1, 40).map(float), st.sampled_from([0.0, 0.0, 1.0, 2.5])), max_size=12)


def model(frames: list[list[tuple[float, float]]], *, descending: bool) -> list[tuple[float, float]]:
    resting: dict[float, float] = {}
    for frame in frames:
        for price, amount in frame:
            resting.pop(price, None)
            if amount > 0:
                resting[price] = amount
    return sorted(resting.items(), reverse=descending)


@given(st.lists(st.tuples(LEVELS, st.booleans()), max_size=30), st.booleans())
def test_a_side_holds_what_a_plain_dict_would_whenever_it_is_looked_at(
    steps: list[tuple[list[tuple[float, float]], bool]], descending: bool
) -> None:
    window, patience = books.WINDOW, books.SETTLE_AFTER
    side = Side(descending=descending)
    try:
        books.WINDOW, books.SETTLE_AFTER = 4, 20  # type: ignore[misc]
        frames = []
        for levels, look in steps:
            side.apply(levels)
            frames.append(levels)
            if look:
                expected = model(frames, descending=descending)
                assert side.top(3) == expected[:3]
                assert side.best() == (expected[0][0] if expected else None)
        assert side.levels() == model(frames, descending=descending)
    finally:
        books.WINDOW, books.SETTLE_AFTER = window, patience  # type: ignore[misc]


@given(st.lists(LEVELS, max_size=20), st.booleans())
def test_a_text_side_keeps_the_best_levels_of_its_depth(frames: list[list[tuple[float, float]]], descending: bool) -> None:
    side = TextSide(descending=descending, depth=5)
    resting: dict[float, float] = {}
    for frame in frames:
        side.apply([(price, amount, b"") for price, amount in frame])
        for price, amount in frame:
            resting.pop(price, None)
            if amount > 0:
                resting[price] = amount
        resting = dict(sorted(resting.items(), reverse=descending)[:5])
    assert side.top(9) == list(resting.items())


def test_a_book_is_crossed_when_the_best_bid_reaches_the_best_ask() -> None:
    book = Book()
    book.load([(9.0, 1.0)], [(10.0, 1.0)])
    assert not book.crossed
    book.apply([(10.0, 1.0)], [])
    assert book.crossed
    book.apply([], [(10.0, 0.0)])
    assert not book.crossed


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [(90, 100, Follows.STALE), (95, 101, Follows.NEXT), (101, 105, Follows.NEXT), (102, 105, Follows.AHEAD)],
)
def test_spot_bridges_when_the_update_spans_the_id_after_the_snapshot(first: int, last: int, expected: Follows) -> None:
    assert SpotDiff().after_snapshot(100, first=first, last=last, previous=None) is expected


@pytest.mark.parametrize(
    ("first", "last", "previous", "expected"),
    [
        (90, 99, 89, Follows.STALE),
        (90, 100, 89, Follows.NEXT),
        (100, 110, 95, Follows.NEXT),
        (104, 110, 100, Follows.NEXT),
        (104, 110, 102, Follows.AHEAD),
    ],
)
def test_futures_bridge_when_the_update_spans_the_snapshot_or_names_it(first: int, last: int, previous: int, expected: Follows) -> None:
    assert FuturesDiff().after_snapshot(100, first=first, last=last, previous=previous) is expected


@pytest.mark.parametrize(("previous", "last", "expected"), [(100, 120, Follows.NEXT), (99, 120, Follows.AHEAD), (90, 100, Follows.STALE)])
def test_futures_follow_by_the_id_they_name_and_not_by_their_first(previous: int, last: int, expected: Follows) -> None:
    assert FuturesDiff().after_update(100, first=115, last=last, previous=previous) is expected


@pytest.mark.parametrize(
    ("text", "decimals", "expected"),
    [
        (b"0.00100000", 8, b"100000"),
        (b"45285.2", 1, b"452852"),
        (b"0.5", 4, b"5000"),
        (b"5", 2, b"500"),
        (b"1e-05", 8, b"1000"),
        (b"0.00", 2, b""),
    ],
)
def test_digits_are_fixed_point_without_point_and_leading_zeros(text: bytes, decimals: int, expected: bytes) -> None:
    assert digits(text, decimals) == expected
