"""Consolidated books: every level of every exchange once, in order, with who stands there."""

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from lake.flow_datasets import CONSOLIDATED_LEVELS
from lake.transforms.book_states import Books, books_at, joined, minute_ends
from lake.transforms.consolidated import CONSOLIDATED_SCHEMA, consolidated_book, mergeable
from tests.lake.transforms.book_rows import deltas

INSTANT = minute_ends(0)[0]
EXCHANGES = ("binance", "kraken", "okx")


def merged(*levels, symbol="BTC/USDT"):
    """Rows of books of (exchange, side, price, amount), made exchange by exchange as an hour is."""
    parts = []
    for exchange in sorted({level[0] for level in levels}):
        rows = [(exchange, symbol, 0, True, side, price, amount) for name, side, price, amount in levels if name == exchange]
        parts.append(mergeable(books_at(deltas(rows), [INSTANT])))
    return consolidated_book(joined(parts)).to_dicts()


sides = st.dictionaries(
    st.tuples(st.sampled_from(EXCHANGES), st.sampled_from(["bid", "ask"]), st.integers(1, 60)),
    st.floats(0.001, 1e4),
    min_size=1,
    max_size=120,
)


@settings(max_examples=100, deadline=None)
@given(sides)
def test_the_best_levels_equal_adding_up_price_by_price(levels):
    prices = {(name, side, ticks): (100 - ticks / 10 if side == "bid" else 100 + ticks / 10) for name, side, ticks in levels}

    (row,) = merged(*((name, side, prices[name, side, ticks], amount) for (name, side, ticks), amount in levels.items()))

    assert row["exchanges"] == sorted({name for name, _, _ in levels})
    for side, sign in (("bid", -1), ("ask", 1)):
        naive: dict[float, list[tuple[str, float]]] = {}
        for key, amount in sorted(levels.items()):
            if key[1] == side:
                naive.setdefault(prices[key], []).append((key[0], amount))
        expected = sorted(naive, key=lambda price: sign * price)[:CONSOLIDATED_LEVELS]
        assert row[f"{side}_prices"] == expected
        assert row[f"{side}_exchanges"] == [",".join(name for name, _ in naive[price]) for price in expected]
        assert row[f"{side}_exchange_counts"] == [len(naive[price]) for price in expected]
        assert all(
            math.isclose(amount, math.fsum(one for _, one in naive[price]), rel_tol=1e-12)
            for price, amount in zip(expected, row[f"{side}_amounts"], strict=True)
        )
        if expected:
            greatest = min(naive[expected[0]], key=lambda one: (-one[1], one[0]))
            assert (row[f"best_{side}"], row[f"best_{side}_exchange"]) == (expected[0], greatest[0])
        else:
            assert (row[f"best_{side}"], row[f"best_{side}_exchange"], row["spread"]) == (None, None, None)


def test_one_exchange_that_bids_more_than_another_asks_makes_a_negative_spread():
    (row,) = merged(("binance", "bid", 101.0, 1.0), ("binance", "ask", 102.0, 1.0), ("okx", "bid", 99.0, 1.0), ("okx", "ask", 100.0, 1.0))

    assert (row["best_bid_exchange"], row["best_ask_exchange"], row["spread"]) == ("binance", "okx", -1.0)
    assert math.isclose(row["spread_bps"], -1.0 / 100.5 * 1e4)


def test_a_book_crossed_in_itself_is_left_out():
    (row,) = merged(("binance", "bid", 103.0, 1.0), ("binance", "ask", 102.0, 1.0), ("okx", "bid", 99.0, 1.0), ("okx", "ask", 100.0, 1.0))

    assert (row["exchanges"], row["exchange_count"], row["best_bid"]) == (["okx"], 1, 99.0)


def test_spot_and_contracts_are_never_merged():
    symbols = ("BTC/USDT", "BTC/USDT:USDT", "BTC/USD:BTC")
    changes = [(exchange, symbol, 0, True, "bid", 1.0, 1.0) for exchange in EXCHANGES for symbol in symbols]

    rows = consolidated_book(mergeable(books_at(deltas(changes), [INSTANT]))).to_dicts()

    assert [(row["symbol"], row["exchange_count"], row["bid_amounts"]) for row in rows] == [(name, 3, [3.0]) for name in sorted(symbols)]
    assert {row["exchange"] for row in rows} == {"all"}


def test_a_known_book_without_levels_has_empty_lists():
    emptied = [("okx", "A/B", 0, True, "bid", 1.0, 1.0), ("okx", "A/B", 1, False, "bid", 1.0, 0.0)]

    (row,) = consolidated_book(mergeable(books_at(deltas(emptied), [INSTANT]))).to_dicts()

    assert (row["bid_prices"], row["ask_exchange_counts"], row["exchanges"], row["best_bid"]) == ([], [], ["okx"], None)


def test_no_books_no_rows():
    assert consolidated_book(mergeable(Books.none())).schema == CONSOLIDATED_SCHEMA
