"""Figures of whole books: mid, spread, microprice, imbalance, depth.

Put here: what is computed of one book by itself. Keep out: making books (`book_states`), price buckets (`heatmap`), several exchanges
(`consolidated`).

Why of whole books once a minute and not of `book_snapshots`: 25 levels of a liquid market lie within a few basis points, so that depth
at 50 or 100 would nearly always be missing. What changes within the minute stands in the view `book_spreads`, second by second.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import polars as pl

from lake.flow_datasets import BOOK_METRICS, DEPTHS_BPS, IMBALANCE_LEVELS
from lake.transforms.book_states import MINUTE_US, Books
from lake.transforms.stretches import Floats

BOOK_METRICS_SCHEMA: Final = pl.DataFrame(BOOK_METRICS.schema.empty_table()).schema

_BASIS: Final = 10_000.0

_SLACK: Final = 1e-9
"""So that a price on the boundary counts although its distance is computed in floats, relative."""


def book_metrics(books: Books) -> pl.DataFrame:
    """Rows of the dataset `book_metrics`, one for each state of `books`, whose instants are ends of minutes.

    Depth is null where the collected book ends before the distance asked for: the sum would only be a lower bound. A price on the
    boundary counts. The distance of a level beyond the mid (of a crossed book) is negative. While a side is empty there is no mid,
    and nothing that is measured from it.
    """
    sides = _Sides(books)
    bid, ask = sides.first(books.price)
    bid_amount, ask_amount = sides.first(books.amount)
    mid = (bid + ask) / 2
    columns: dict[str, Floats] = {
        "best_bid": bid,
        "best_bid_amount": bid_amount,
        "best_ask": ask,
        "best_ask_amount": ask_amount,
        "mid": mid,
        "spread": ask - bid,
        "spread_bps": (ask - bid) / mid * _BASIS,
        "microprice": (bid * ask_amount + ask * bid_amount) / (bid_amount + ask_amount),
    }
    ranks = books.ranks()
    for levels in IMBALANCE_LEVELS:
        bids, asks = sides.sums(np.where(ranks < levels, books.amount, 0.0))
        columns[f"imbalance_{levels}"] = (bids - asks) / (bids + asks)
    away = np.where(books.ask, books.price - mid[books.state], mid[books.state] - books.price) / mid[books.state] * _BASIS
    reaches = sides.last(away)
    value = books.price * books.amount
    for bps in DEPTHS_BPS:
        depths = sides.sums(np.where(away <= bps * (1 + _SLACK), value, 0.0))
        for side, depth, reach in zip(("bid", "ask"), depths, reaches, strict=True):
            columns[f"{side}_depth_{bps}bps"] = np.where(reach >= bps * (1 - _SLACK), depth, np.nan)
    columns["bid_reach_bps"], columns["ask_reach_bps"] = reaches
    counts = np.bincount(books.state * 2 + books.ask, minlength=2 * books.states.height)
    made = books.states.select(
        "exchange",
        "symbol",
        timestamp=(pl.col("instant") // MINUTE_US * MINUTE_US).cast(pl.Datetime("us", "UTC")),
        updated=pl.col("updated").cast(pl.Datetime("us", "UTC")),
        **{name: pl.Series(values).fill_nan(None) for name, values in columns.items()},
        bid_levels=pl.Series(counts[0::2].astype(np.int32)),
        ask_levels=pl.Series(counts[1::2].astype(np.int32)),
        crossed=pl.Series(bid >= ask),
    )
    return made.select(BOOK_METRICS_SCHEMA.names()).cast(BOOK_METRICS_SCHEMA)


class _Sides:
    """The two sides of each state, as arrays of (bids, asks) by state; NaN where a side has no level."""

    def __init__(self, books: Books) -> None:
        self._height = books.states.height
        self._starts = books.sides()
        self._levels = len(books.state)
        self._of = (books.state[self._starts] * 2 + books.ask[self._starts]).astype(np.int64)

    def first(self, values: Floats) -> tuple[Floats, Floats]:
        """The value of the best level."""
        return self._spread(values[self._starts])

    def last(self, values: Floats) -> tuple[Floats, Floats]:
        """The value of the level farthest from the best."""
        return self._spread(values[np.append(self._starts[1:], self._levels) - 1] if self._levels else values)

    def sums(self, values: Floats) -> tuple[Floats, Floats]:
        """The sum over all levels, in their order."""
        return self._spread(np.add.reduceat(values, self._starts) if self._levels else values)

    def _spread(self, values: Floats) -> tuple[Floats, Floats]:
        filled = np.full(2 * self._height, np.nan)
        filled[self._of] = values
        return filled[0::2], filled[1::2]
