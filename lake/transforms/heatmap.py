"""Liquidity by price bucket: how much rests where, in each whole book.

Put here: bucket sizes and their edges, and the sums over them. Keep out: making books (`book_states`), reading configured sizes.

An edge belongs to the bucket above it on both sides of the book. A bucket's edges are whole multiples of its size, so the buckets of all
exchanges of a symbol coincide as long as their sizes do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import floor, log10
from types import MappingProxyType
from typing import Final

import numpy as np
import polars as pl

from lake.dollars import DOLLARS
from lake.flow_datasets import HEATMAP
from lake.transforms.book_states import MINUTE_US, Books
from lake.transforms.stretches import Floats, Integers, steps

HEATMAP_SCHEMA: Final = pl.DataFrame(HEATMAP.schema.empty_table()).schema

BASE_SIZES: Final[Mapping[str, float]] = MappingProxyType({"BTC": 10.0, "ETH": 1.0})
"""Bucket sizes in dollars by base asset, where the quote is a dollar."""

_SLACK: Final = 1e-15
"""How far a quotient may lie from a whole number, relative, and still be one: 0.3 / 0.1 is 2.9999999999999996."""


@dataclass(slots=True)
class BucketSizes:
    """The bucket size of each symbol: a configured one, a base's default, else by the magnitude of its price.

    `configured` is by symbol (`BTC/USDT:USDT`), else by base asset (`BTC`, for dollar quotes). Sizes that go by the price are settled by
    the first book of the symbol that is asked about, and hold for every later one.
    """

    configured: Mapping[str, float] = field(default_factory=dict)
    _settled: dict[str, float] = field(default_factory=dict)

    def of(self, symbol: str, price: float | None) -> float | None:
        """The size for `symbol`; None while it would go by a price and there is none."""
        base, _, rest = symbol.partition("/")
        quote = rest.partition(":")[0]
        known = self.configured.get(symbol)
        if known is None and quote in DOLLARS:
            known = self.configured.get(base, BASE_SIZES.get(base))
        known = known or self._settled.get(symbol)
        if known is None and price is not None:
            known = self._settled[symbol] = size_by_magnitude(price)
        return known


def size_by_magnitude(price: float) -> float:
    """A thousandth of the power of ten at or below `price`: 0.1 for 150, 1 for 2,000; 1 to 10 basis points of the price."""
    power = floor(log10(price)) - 3
    # log10 may fall on either side of a power of ten by a bit.
    if 10.0 ** (power + 4) <= price:
        power += 1
    return float(f"1e{power}")


def heatmap(books: Books, sizes: BucketSizes) -> pl.DataFrame:
    """Rows of the dataset `heatmap` for each state of `books`, whose instants are ends of minutes; `exchange_count` is 1.

    A book without a level on either side has no row. `with_exchange_counts` counts exchanges when all of the hour are there.
    """
    if not len(books.state):
        return HEATMAP_SCHEMA.to_frame()
    size = _sizes_by_state(books, sizes)[books.state]
    number = bucket_numbers(books.price, size)
    # Bids run down and asks up: within a side equal numbers always stand together.
    starts = np.flatnonzero(np.append(True, (steps(books.state) | steps(books.ask) | steps(number))[1:]))
    volume = np.add.reduceat(books.amount, starts)
    state = books.state[starts]
    first_of_state = np.flatnonzero(np.append(True, steps(state)[1:]))
    greatest = np.zeros(books.states.height)
    greatest[state[first_of_state]] = np.maximum.reduceat(volume, first_of_state)
    of_state = books.states[state]
    made = pl.DataFrame(
        {
            "exchange": of_state["exchange"],
            "symbol": of_state["symbol"],
            "timestamp": (of_state["instant"] // MINUTE_US * MINUTE_US).cast(pl.Datetime("us", "UTC")),
            "side": np.where(books.ask[starts], "ask", "bid"),
            "price_bucket": lower_edges(number[starts], size[starts]),
            "bucket_size": size[starts],
            "volume": volume,
            "intensity": volume / greatest[state],
            "exchange_count": np.ones(len(starts), dtype=np.int32),
        },
        schema=HEATMAP_SCHEMA,
    )
    return made.sort(HEATMAP.sort_key)


def with_exchange_counts(rows: pl.DataFrame) -> pl.DataFrame:
    """`exchange_count` of heatmap rows of all exchanges: how many have volume in the same bucket, side and minute of a symbol."""
    same = ["symbol", "timestamp", "side", "bucket_size", "price_bucket"]
    return rows.with_columns(exchange_count=pl.len().over(same).cast(pl.Int32))


def bucket_numbers(price: Floats, size: Floats) -> Integers:
    """Which multiple of the size is the lower edge of the bucket that holds each price."""
    quotient = price / size
    nearest = np.rint(quotient)
    whole = np.abs(quotient - nearest) <= _SLACK * np.abs(quotient)
    return np.where(whole, nearest, np.floor(quotient)).astype(np.int64)


def lower_edges(number: Integers, size: Floats) -> Floats:
    """Lower edges as the nearest floats to number x size as written: 3 x 0.1 is 0.3, not 0.30000000000000004."""
    inverse = np.rint(1.0 / size)
    divides = (size < 1) & (np.abs(inverse * size - 1.0) <= _SLACK)
    return np.where(divides, number / np.where(divides, inverse, 1.0), number * size)


def _sizes_by_state(books: Books, sizes: BucketSizes) -> Floats:
    """The bucket size of each state, by its symbol; prices that settle a size are middles of books, or the only side's best."""
    best = books.best(1)
    height = books.states.height
    prices = np.bincount(best.state, weights=best.price, minlength=height) / np.maximum(np.bincount(best.state, minlength=height), 1)
    found = np.ones(height)
    for state, symbol in enumerate(books.states["symbol"].to_list()):
        price = float(prices[state])
        size = sizes.of(symbol, price if price > 0 else None)
        found[state] = 1.0 if size is None else size
    return found
