"""Live windows against the vectorised recomputation of the same events, whatever order they came in."""

from __future__ import annotations

from itertools import pairwise
from math import isclose, log, sqrt

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from lake.alerts.windows import Event, Occurrences, RollingWindow, VolumeHistory
from lake.transforms.liquidation_windows import EVENT_COLUMNS, liquidation_windows

START = 1_795_219_200_000_000
SECOND = 1_000_000
MINUTE = 60 * SECOND
LENGTH = 2 * MINUTE

PRICES = st.floats(1e-6, 1e5)
AMOUNTS = st.floats(1e-8, 1e6)


@st.composite
def arrivals(draw: st.DrawFn) -> list[Event]:
    """Events of eight minutes, many of one instant, in the order in which they arrive: late, out of order, and some twice."""
    number = draw(st.integers(1, 40))
    ordinals = draw(st.permutations(range(number)))
    events: list[Event] = []
    for index, ordinal in enumerate(ordinals):
        instant = START + draw(st.integers(0, 8 * 12)) * 5 * SECOND + draw(st.sampled_from((0, 0, 1)))
        price, amount = draw(PRICES), draw(AMOUNTS)
        identity = draw(st.sampled_from((index, str(index), f"id{index}")))
        events.append((instant, ordinal, identity, price, amount, price * amount, draw(st.booleans())))
    again = draw(st.lists(st.sampled_from(events), max_size=10))
    if draw(st.booleans()):
        late = {id(event): draw(st.integers(0, 4 * 60)) * SECOND for event in events}
        return sorted([*events, *again], key=lambda event: event[0] + late[id(event)])
    return draw(st.permutations([*events, *again]))


def recomputed(events: set[Event], end: int) -> dict[str, object] | None:
    """The row of `liquidation_windows` that ends at `end`, of events each of which counts once."""
    rows = [
        (*("binance", "BTC/USDT", "exchange"), *event[:2], str(event[2]), "buy" if event[6] else "sell", *event[3:6]) for event in events
    ]
    frame = pl.DataFrame(rows, schema=list(EVENT_COLUMNS), orient="row").with_columns(pl.col("timestamp").cast(pl.Datetime("us", "UTC")))
    made = liquidation_windows(frame, START, window_seconds=LENGTH // SECOND, threshold_usd=1.0)
    found = made.filter(pl.col("timestamp").dt.epoch("us") == end - MINUTE).to_dicts()
    return found[0] if found else None


@settings(max_examples=100, deadline=None)
@given(arrivals(), st.integers(1, 7))
def test_a_window_equals_what_is_recomputed_of_the_rows_that_arrived(arriving: list[Event], step: int):
    window = RollingWindow(LENGTH)
    arrived: set[Event] = set()

    for number, event in enumerate(arriving, start=1):
        window.add(event)
        arrived.add(event)
        if number % step and number < len(arriving):
            continue
        window.advance(-(-window.end // MINUTE) * MINUTE)
        expected = recomputed(arrived, window.end)
        if expected is None:
            assert (len(window), window.total, window.volume, window.largest) == (0, 0.0, 0.0, 0.0)
            continue
        received = {
            "event_count": len(window),
            "total_volume_usd": window.total,
            "buy_volume_usd": window.bought,
            "sell_volume_usd": window.sold,
            "vwap": window.vwap,
            "price_change_pct": window.price_change_pct,
            "largest_trade_usd": window.largest,
            "volatility": window.volatility,
        }
        for name, value in received.items():
            assert isclose(value, expected[name], rel_tol=1e-12), (name, value, expected[name])


def test_sums_do_not_drift_however_long_the_window_has_been_running():
    window = RollingWindow(10 * SECOND)
    for number in range(20_000):
        # A giant now and then: subtracting it again from a plain sum would take the small ones with it.
        amount = 1e12 if number % 97 == 0 else 1e-7 * (1 + number % 13)
        window.add((START + number * SECOND, 0, str(number), 100.0 + number % 7, amount, amount, number % 2 == 0))

    held = range(19_990, 20_000)
    amounts = [1e-7 * (1 + number % 13) for number in held]
    squares = [log((100.0 + after % 7) / (100.0 + before % 7)) ** 2 for before, after in pairwise(held)]
    assert not any(number % 97 == 0 for number in held)
    assert isclose(window.volume, sum(amounts), rel_tol=1e-15)
    assert isclose(window.volatility, sqrt(sum(squares)) * 100, rel_tol=1e-14)


def test_an_event_that_lies_before_the_window_or_is_no_number_changes_nothing():
    window = RollingWindow(10 * SECOND)
    assert window.add((START, 0, "a", 100.0, 1.0, 100.0, True))

    nan, inf = float("nan"), float("inf")
    refused = [
        (START - 10 * SECOND, 0, "late", 100.0, 1.0, 100.0, True),
        (START, 1, "nan", nan, 1.0, nan, True),
        (START, 1, "inf", inf, 1.0, inf, True),
        (START, 1, "free", 0.0, 1.0, 0.0, True),
        (START, 1, "less", 100.0, -1.0, -100.0, True),
        (START, 0, "a", 100.0, 1.0, 100.0, True),
    ]

    assert [window.add(event) for event in refused] == [False] * len(refused)
    assert (len(window), window.total) == (1, 100.0)


def test_an_id_of_digits_is_the_number_it_came_as():
    window = RollingWindow(10 * SECOND)
    for identity in (7, "7", "12345678901234567890123", 12345678901234567890123, "a7", "9" * 5000):
        window.add((START, 0, identity, 100.0, 1.0, 100.0, True))

    assert len(window) == 4


def test_what_has_left_is_let_go_of():
    window = RollingWindow(10 * SECOND)
    for number in range(10_000):
        window.add((START + number * SECOND // 10, number, number, 100.0, 1.0, 100.0, True))

    assert len(window) == 100
    assert len(window._times) <= len(window) + 65
    assert len({len(column) for column in (window._times, window._prices, window._amounts, window._values, window._bought)}) == 1


def test_the_history_is_the_average_of_the_whole_minutes_before_the_window():
    history = VolumeHistory(3 * MINUTE)
    for minute, amount in enumerate((8.0, 1.0, 2.0, 3.0, 100.0)):
        history.add(START + minute * MINUTE + 5, amount)

    assert history.average(START + 3 * MINUTE + 30 * SECOND, length_us=MINUTE) is None
    assert history.average(START + 4 * MINUTE, length_us=MINUTE) == 2.0
    history.add(START + 2 * MINUTE, 3.0)
    assert history.average(START + 4 * MINUTE + 59 * SECOND, length_us=2 * MINUTE) == 6.0
    assert history.average(START + 5 * MINUTE, length_us=MINUTE) == 36.0


@given(st.lists(st.tuples(st.integers(0, 20), st.floats(1e-6, 1e6)), min_size=1, max_size=40), st.lists(st.integers(0, 30), max_size=6))
def test_the_history_equals_what_is_recomputed_of_its_minutes(trades: list[tuple[int, float]], asked: list[int]):
    history = VolumeHistory(3 * MINUTE)
    heard: list[tuple[int, float]] = []
    waiting = sorted(asked)

    for minute, amount in sorted(trades):
        while waiting and waiting[0] <= minute:
            now = waiting.pop(0)
            mine = [some for when, some in heard if now - 3 <= when < now]
            known = bool(heard) and heard[0][0] < now - 3
            expected = sum(mine) / 3 if known and mine else None
            received = history.average(START + now * MINUTE, length_us=MINUTE)
            assert (received is None) == (expected is None)
            assert received is None or isclose(received, expected, rel_tol=1e-12)
        history.add(START + minute * MINUTE, amount)
        heard.append((minute, amount))


def test_occurrences_count_what_lies_within_their_length():
    seen = Occurrences(10 * SECOND)

    assert [seen.add(START + second * SECOND) for second in (0, 5, 9, 10, 19, 40)] == [1, 2, 3, 3, 2, 1]
