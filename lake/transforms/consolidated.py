"""The books of several exchanges as one book a symbol.

Put here: merging levels of equal price. Keep out: making books (`book_states`), and any matching of symbols: BTC/USDT, BTC/USDT:USDT and
BTC/USD:BTC are three symbols, so spot, linear and inverse contracts never mix.

Prices are compared as they are quoted. Where one exchange bids more than another asks, both levels stand in the merged book and the
spread is negative: fees, transfers and latency keep such levels apart. A book that is crossed in itself is a fault and is left out.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import polars as pl

from lake.flow_datasets import ALL_EXCHANGES, CONSOLIDATED_BOOK, CONSOLIDATED_LEVELS
from lake.transforms.book_states import MINUTE_US, Books
from lake.transforms.stretches import Flags, changes

CONSOLIDATED_SCHEMA: Final = pl.DataFrame(CONSOLIDATED_BOOK.schema.empty_table()).schema

_BASIS: Final = 10_000.0
_MINUTE: Final = ("symbol", "instant")
_LEVEL: Final = (*_MINUTE, "ask", "price")


def mergeable(books: Books) -> Books:
    """What of `books` a consolidated book needs: the best levels of those not crossed in themselves.

    The best 25 merged prices are among the best 25 of every exchange that quotes them, so nothing deeper matters.
    """
    return books.only(~_crossed(books)).best(CONSOLIDATED_LEVELS)


def consolidated_book(books: Books) -> pl.DataFrame:
    """Rows of the dataset `consolidated_book`, one a symbol and instant of `books` (of all exchanges, as `mergeable` leaves them).

    Amounts at one price are added in order of the exchanges' names. A symbol that one exchange alone has gets its rows too.
    """
    if books.states.is_empty():
        return CONSOLIDATED_SCHEMA.to_frame()
    minutes = (
        books.states.sort(*_MINUTE, "exchange")
        .group_by(*_MINUTE, maintain_order=True)
        .agg(exchanges="exchange", exchange_count=pl.len().cast(pl.Int32))
    )
    levels = _levels(books)
    for side, ask in (("bid", False), ("ask", True)):
        one = levels.filter(pl.col("ask") == ask)
        minutes = minutes.join(_best(one, f"best_{side}"), on=_MINUTE, how="left", maintain_order="left")
        minutes = minutes.join(_merged(one, side), on=_MINUTE, how="left", maintain_order="left")
    spread = pl.col("best_ask") - pl.col("best_bid")
    lists = [name for name, kind in CONSOLIDATED_SCHEMA.items() if isinstance(kind, pl.List)]
    made = minutes.with_columns(
        exchange=pl.lit(ALL_EXCHANGES),
        timestamp=(pl.col("instant") // MINUTE_US * MINUTE_US).cast(pl.Datetime("us", "UTC")),
        spread=spread,
        spread_bps=spread / ((pl.col("best_ask") + pl.col("best_bid")) / 2) * _BASIS,
    ).select(CONSOLIDATED_SCHEMA.names())
    empty = [pl.col(name).fill_null(pl.lit([], dtype=CONSOLIDATED_SCHEMA[name])) for name in lists]
    return made.cast(CONSOLIDATED_SCHEMA).with_columns(empty)


def _crossed(books: Books) -> Flags:
    best = books.best(1)
    bid, ask = np.full(books.states.height, -np.inf), np.full(books.states.height, np.inf)
    bid[best.state[~best.ask]] = best.price[~best.ask]
    ask[best.state[best.ask]] = best.price[best.ask]
    return bid >= ask


def _levels(books: Books) -> pl.DataFrame:
    """All levels in order of symbol, instant, side, best price first, exchange."""
    states = books.states[books.state]
    rows = states.select("exchange", *_MINUTE).with_columns(
        ask=pl.Series(books.ask), price=pl.Series(books.price), amount=pl.Series(books.amount)
    )
    return rows.sort(*_MINUTE, "ask", pl.when("ask").then(pl.col("price")).otherwise(-pl.col("price")), "exchange")


def _best(levels: pl.DataFrame, name: str) -> pl.DataFrame:
    """Price and exchange of the best level of one side, by minute."""
    best = levels.filter(pl.col("price") == pl.col("price").first().over(_MINUTE))
    greatest = best.sort(*_MINUTE, "amount", "exchange", descending=[False, False, True, False])
    chosen = greatest.unique(_MINUTE, keep="first", maintain_order=True)
    return chosen.select(*_MINUTE, pl.col("price").alias(name), pl.col("exchange").alias(f"{name}_exchange"))


def _merged(levels: pl.DataFrame, side: str) -> pl.DataFrame:
    """The merged levels of one side as lists, by minute."""
    starts = np.flatnonzero(changes(levels, _LEVEL))
    amounts = levels["amount"].to_numpy()
    names = levels.group_by(_LEVEL, maintain_order=True).agg(exchanges=pl.col("exchange").str.join(","), count=pl.len().cast(pl.Int32))
    merged = names.with_columns(amount=pl.Series(np.add.reduceat(amounts, starts) if len(starts) else amounts, dtype=pl.Float64))
    columns = {"price": "prices", "amount": "amounts", "exchanges": "exchanges", "count": "exchange_counts"}
    return merged.group_by(_MINUTE, maintain_order=True).agg(
        *(pl.col(given).head(CONSOLIDATED_LEVELS).alias(f"{side}_{named}") for given, named in columns.items())
    )
