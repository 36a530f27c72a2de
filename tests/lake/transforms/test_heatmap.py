"""The heatmap: every level in its bucket, edges where they belong, sizes that hold for all exchanges of a symbol."""

import math
from fractions import Fraction

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lake.transforms.book_states import Books, books_at, minute_ends
from lake.transforms.heatmap import (
    HEATMAP_SCHEMA,
    BucketSizes,
    bucket_numbers,
    heatmap,
    lower_edges,
    size_by_magnitude,
    with_exchange_counts,
)
from tests.lake.transforms.book_rows import deltas

INSTANT = minute_ends(0)[0]


def books(*levels, symbol="BTC/USDT"):
    """Books of (exchange, side, price, amount)."""
    rows = [(exchange, symbol, 0, True, side, price, amount) for exchange, side, price, amount in levels]
    return books_at(deltas(rows), [INSTANT])


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["bid", "ask"]), st.integers(1, 2000), st.floats(0.001, 100)), min_size=1, unique_by=lambda x: x[:2])
)
def test_volumes_equal_adding_level_by_level(levels):
    naive: dict[tuple[str, float], float] = {}
    for side, ticks, amount in levels:
        key = (side, ticks // 10 / 1)
        naive[key] = naive.get(key, 0.0) + amount

    rows = heatmap(books(*(("okx", side, ticks / 10, amount) for side, ticks, amount in levels)), BucketSizes({"BTC": 1.0})).to_dicts()

    assert [(row["side"], row["price_bucket"]) for row in rows] == sorted(naive)
    assert all(math.isclose(row["volume"], naive[row["side"], row["price_bucket"]], rel_tol=1e-12) for row in rows)
    greatest = max(row["volume"] for row in rows)
    assert [row["intensity"] for row in rows] == [row["volume"] / greatest for row in rows]


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 10**9), st.sampled_from(["0.1", "0.25", "0.001", "1e-9", "2.5", "10", "1"]), st.integers(0, 3))
def test_an_edge_belongs_to_the_bucket_above_it_to_the_last_digit(number, size, quarter):
    exact = Fraction(size) * number
    price = float(exact + Fraction(size) * quarter / 4)

    found = bucket_numbers(np.array([price]), np.array([float(size)]))

    assert found.tolist() == [number]
    assert math.isclose(lower_edges(found, np.array([float(size)]))[0], float(exact), rel_tol=1e-15)


def test_edges_read_as_they_are_written():
    assert lower_edges(np.arange(8), np.full(8, 0.1)).tolist() == [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]


@pytest.mark.parametrize(
    ("price", "size"),
    [(150.0, 0.1), (2_000.0, 1.0), (50_000.0, 10.0), (99_999.9, 10.0), (1000.0, 1.0), (999.9, 0.1), (1.0, 0.001), (1.2e-6, 1e-9)],
)
def test_a_size_follows_the_magnitude_of_the_price(price, size):
    assert size_by_magnitude(price) == size


@pytest.mark.parametrize(
    ("symbol", "configured", "size"),
    [
        ("BTC/USDT", {}, 10.0),
        ("BTC/USDT:USDT", {}, 10.0),
        ("BTC/USD:BTC", {}, 10.0),
        ("ETH/USDC", {}, 1.0),
        ("ETH/BTC", {}, 0.00001),
        ("SOL/USDT", {}, 0.00001),
        ("BTC/USDT", {"BTC": 5.0}, 5.0),
        ("BTC/USDT", {"BTC": 5.0, "BTC/USDT": 2.0}, 2.0),
        ("BTC/EUR", {"BTC": 5.0}, 0.00001),
        ("ETH/BTC", {"ETH/BTC": 0.001}, 0.001),
    ],
)
def test_sizes_are_the_symbols_the_bases_or_by_the_price(symbol, configured, size):
    assert BucketSizes(configured).of(symbol, 0.05) == size


def test_all_exchanges_of_a_symbol_have_the_size_of_the_first():
    sizes = BucketSizes()
    made = [heatmap(books((name, "bid", price, 1.0), symbol="SOL/USDT"), sizes) for name, price in (("binance", 99.99), ("okx", 100.01))]

    assert [one["bucket_size"].to_list() for one in made] == [[0.01], [0.01]]


def test_exchanges_in_the_same_bucket_and_side_are_counted():
    levels = [
        ("binance", "bid", 50_001.0, 1.0),
        ("kraken", "bid", 50_009.0, 2.0),
        ("kraken", "ask", 50_009.5, 2.0),
        ("okx", "bid", 50_010.0, 1.0),
    ]
    made = [heatmap(books(*(level for level in levels if level[0] == name)), BucketSizes()) for name in ("binance", "kraken", "okx")]

    rows = with_exchange_counts(pl.concat(made))

    found = {(row["exchange"], row["side"], row["price_bucket"]): row["exchange_count"] for row in rows.to_dicts()}
    assert found == {
        ("binance", "bid", 50_000.0): 2,
        ("kraken", "bid", 50_000.0): 2,
        ("kraken", "ask", 50_000.0): 1,
        ("okx", "bid", 50_010.0): 1,
    }


def test_an_empty_book_has_no_rows():
    emptied = deltas([("okx", "A/B", 0, True, "bid", 1.0, 1.0), ("okx", "A/B", 1, False, "bid", 1.0, 0.0)])

    assert heatmap(books_at(emptied, [INSTANT]), BucketSizes()).schema == HEATMAP_SCHEMA
    assert heatmap(Books.none(), BucketSizes()).is_empty()
