"""Changes of books for tests: a plain replay in Python to compare with, and rows in the columns that books are made of."""

from __future__ import annotations

import polars as pl

from lake.registry import BOOK_DELTAS
from lake.transforms.book_states import DELTA_COLUMNS, Books

Change = tuple[str, str, int, bool, str, float, float]
"""(exchange, symbol, received us, is snapshot, side, price, amount); rows of one snapshot share exchange, symbol and time."""


def deltas(changes: list[Change], *, sequence: list[int | None] | None = None) -> pl.DataFrame:
    """Rows in the order given, which must be that of arrival within each book."""
    rows = pl.DataFrame(
        {
            "exchange": [change[0] for change in changes],
            "symbol": [change[1] for change in changes],
            "local_timestamp": pl.Series([change[2] for change in changes], dtype=pl.Int64).cast(pl.Datetime("us", "UTC")),
            "ordinal": range(len(changes)),
            "sequence": pl.Series(sequence or [None] * len(changes), dtype=pl.Int64),
            "side": [change[4] for change in changes],
            "price": [change[5] for change in changes],
            "amount": [change[6] for change in changes],
            "is_snapshot": [change[3] for change in changes],
        },
        schema=pl.DataFrame(BOOK_DELTAS.schema.empty_table()).select(DELTA_COLUMNS).schema,
    )
    return rows.sort("exchange", "symbol", "local_timestamp", "ordinal")


Sides = tuple[dict[float, float], dict[float, float]]


def replayed(changes: list[Change], instants: list[int]) -> dict[tuple[str, str, int], Sides]:
    """Each known book at each instant, change by change: (bids, asks) by price."""
    found: dict[tuple[str, str, int], Sides] = {}
    for book in {change[:2] for change in changes}:
        for instant in instants:
            sides: Sides | None = None
            opened = None
            for _, _, time, is_snapshot, side, price, amount in (change for change in changes if change[:2] == book):
                if time > instant:
                    break
                if is_snapshot and opened != time:
                    sides, opened = ({}, {}), time
                elif not is_snapshot:
                    opened = None
                if sides is not None:
                    levels = sides[side == "ask"]
                    levels.pop(price, None)
                    if amount > 0:
                        levels[price] = amount
            if sides is not None:
                found[(*book, instant)] = sides
    return found


def as_sides(books: Books) -> dict[tuple[str, str, int], Sides]:
    """The same of `Books`, levels in their order."""
    found: list[Sides] = [({}, {}) for _ in range(books.states.height)]
    for state, ask, price, amount in zip(books.state, books.ask, books.price, books.amount, strict=True):
        found[state][int(ask)][float(price)] = float(amount)
    keys = books.states.select("exchange", "symbol", "instant").iter_rows()
    return dict(zip(keys, found, strict=True))
