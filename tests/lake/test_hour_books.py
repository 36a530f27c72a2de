"""Books of an hour, read in stretches: the same whether the hour is loose parts or sealed, and however small the stretches."""

import numpy as np
import pytest

from lake.compact import compact_hour
from lake.hour_books import HourBooks
from lake.transforms.book_states import joined, minute_ends
from tests.assets.landed_rows import VISIBLE_AFTER, batch, hours_ago, lake_settings, land, wait_until_visible

HOUR = hours_ago(4)
BOOKS = [("binance", "BTC/USDT", 400, 3_000), ("binance", "ETH/USDT", 20, 50), ("kraken", "BTC/USD", 100, 800), ("okx", "BTC/USDT", 10, 5)]


def landed(number, exchange, symbol, levels, updates):
    random = np.random.default_rng(number)
    prices = 100 + 0.5 * np.arange(2 * levels)
    moved = random.integers(0, 2 * levels, updates)
    rows = 2 * levels + updates
    columns = {
        "exchange": exchange,
        "symbol": symbol,
        "local_timestamp": np.concatenate([np.full(2 * levels, HOUR.start), np.sort(random.integers(HOUR.start + 1, HOUR.end, updates))]),
        "ordinal": np.arange(rows),
        "side": list(np.where(np.concatenate([np.arange(2 * levels), moved]) < levels, "bid", "ask")),
        "price": np.concatenate([prices, prices[moved]]),
        "amount": np.concatenate([np.ones(2 * levels), np.round(random.random(updates) - 0.3, 2).clip(0)]),
        "is_snapshot": list(np.arange(rows) < 2 * levels),
    }
    return {"book_deltas": batch("book_deltas", columns, rows)}


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    lake = lake_settings(tmp_path_factory.mktemp("lake"))
    land(lake, *(landed(number, *book) for number, book in enumerate(BOOKS)))
    return lake


def read(lake, **how):
    hour = HourBooks(lake.house, HOUR, minute_ends(HOUR.start), **how)
    return list(hour.read()), hour


def same(one, other):
    assert one.states.equals(other.states)
    for name in ("state", "ask", "price", "amount"):
        assert np.array_equal(getattr(one, name), getattr(other, name))


def test_books_are_the_same_loose_sealed_and_in_stretches_of_any_size(lake):
    loose, hour = read(lake)
    assert [part.states["exchange"].unique().to_list() for part in loose] == [["binance"], ["kraken"], ["okx"]]
    compact_hour(lake.house, "book_deltas", HOUR, visible_after=VISIBLE_AFTER)

    # The file counts in a moment only; read it is at once, as it holds what counts now.
    for stretch_rows in (1_000_000, 700, 90):
        parts, sealed = read(lake, stretch_rows=stretch_rows)
        same(joined(parts), joined(loose))
        assert sealed.watermark == hour.watermark > 0


def test_what_counts_is_fixed_when_reading_begins(lake):
    parts, hour = read(lake, at_us=1)

    assert (parts, hour.watermark) == ([], 0)


def test_a_part_that_came_after_the_hour_was_sealed_counts(tmp_path):
    lake = lake_settings(tmp_path)
    land(lake, landed(0, *BOOKS[2]))
    compact_hour(lake.house, "book_deltas", HOUR, visible_after=VISIBLE_AFTER)
    wait_until_visible(lake)
    land(lake, landed(1, *BOOKS[3]))

    parts, _ = read(lake)

    assert [part.states["exchange"][0] for part in parts] == ["kraken", "okx"]
