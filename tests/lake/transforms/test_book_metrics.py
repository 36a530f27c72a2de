"""Book metrics equal the formulas taken level by level, and are null where they would mean nothing."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lake.flow_datasets import DEPTHS_BPS, IMBALANCE_LEVELS
from lake.transforms.book_metrics import BOOK_METRICS_SCHEMA, book_metrics
from lake.transforms.book_states import Books, books_at, minute_ends
from tests.lake.transforms.book_rows import deltas

A = ("binance", "BTC/USDT")
INSTANT = minute_ends(0)[0]
FROM_THE_MID = [
    "mid",
    "spread",
    "spread_bps",
    "microprice",
    *(f"imbalance_{levels}" for levels in IMBALANCE_LEVELS),
    *(f"{side}_depth_{bps}bps" for side in ("bid", "ask") for bps in DEPTHS_BPS),
    "bid_reach_bps",
    "ask_reach_bps",
]


def metrics(bids, asks):
    levels = [("bid", price, amount) for price, amount in bids.items()] + [("ask", price, amount) for price, amount in asks.items()]
    (row,) = book_metrics(books_at(deltas([(*A, 7, True, *level) for level in levels]), [INSTANT])).to_dicts()
    return row


side = st.dictionaries(st.integers(1, 400), st.floats(1e-3, 1e3), min_size=1, max_size=40)


@settings(max_examples=100, deadline=None)
@given(side, side)
def test_every_figure_equals_its_formula_level_by_level(below, above):
    bids = {1000 - distance / 10: amount for distance, amount in sorted(below.items())}
    asks = {1000 + distance / 10: amount for distance, amount in sorted(above.items())}

    row = metrics(bids, asks)

    (bid, bid_amount), (ask, ask_amount) = next(iter(bids.items())), next(iter(asks.items()))
    mid = (bid + ask) / 2
    assert (row["best_bid"], row["best_bid_amount"], row["best_ask"], row["best_ask_amount"]) == (bid, bid_amount, ask, ask_amount)
    assert (row["mid"], row["spread"], row["crossed"]) == (mid, ask - bid, False)
    assert (row["bid_levels"], row["ask_levels"]) == (len(bids), len(asks))
    assert math.isclose(row["spread_bps"], (ask - bid) / mid * 1e4, rel_tol=1e-12)
    assert math.isclose(row["microprice"], (bid * ask_amount + ask * bid_amount) / (bid_amount + ask_amount), rel_tol=1e-12)
    for levels in IMBALANCE_LEVELS:
        one, other = math.fsum(list(bids.values())[:levels]), math.fsum(list(asks.values())[:levels])
        assert math.isclose(row[f"imbalance_{levels}"], (one - other) / (one + other), rel_tol=1e-9, abs_tol=1e-12)
    for name, levels in (("bid", bids), ("ask", asks)):
        assert math.isclose(row[f"{name}_reach_bps"], max(abs(mid - price) / mid * 1e4 for price in levels), rel_tol=1e-9)
        for bps in DEPTHS_BPS:
            near = [price * amount for price, amount in levels.items() if abs(price - mid) <= mid * bps / 1e4]
            if row[f"{name}_reach_bps"] >= bps:
                assert math.isclose(row[f"{name}_depth_{bps}bps"], math.fsum(near), rel_tol=1e-9)
            else:
                assert row[f"{name}_depth_{bps}bps"] is None


def test_times_are_the_minute_and_the_last_change():
    row = metrics({99.0: 1.0}, {101.0: 1.0})

    assert (row["timestamp"].timestamp(), row["updated"].timestamp()) == (0, 7e-6)


@pytest.mark.parametrize(("bids", "asks"), [({99.0: 1.0}, {}), ({}, {101.0: 1.0})])
def test_a_book_with_an_empty_side_has_its_best_price_and_nothing_from_a_mid(bids, asks):
    row = metrics(bids, asks)

    assert (row["best_bid"], row["best_ask"]) == (99.0 if bids else None, 101.0 if asks else None)
    assert [row[name] for name in FROM_THE_MID] == [None] * len(FROM_THE_MID)
    assert row["crossed"] is False


def test_an_empty_book_has_a_row_of_nothing():
    changes = [(*A, 0, True, "bid", 1.0, 1.0), (*A, 1, False, "bid", 1.0, 0.0)]

    (row,) = book_metrics(books_at(deltas(changes), [INSTANT])).to_dicts()

    assert (row["bid_levels"], row["ask_levels"], row["best_bid"], row["mid"]) == (0, 0, None, None)


def test_a_crossed_book_says_so_and_its_spread_is_not_positive():
    row = metrics({101.0: 1.0}, {100.0: 1.0})

    assert (row["crossed"], row["spread"], row["mid"]) == (True, -1.0, 100.5)


def test_no_books_no_rows():
    assert book_metrics(Books.none()).schema == BOOK_METRICS_SCHEMA
