"""Whole order books at given instants, made again from the changes of one hour.

Put here: what a book held at an instant, and whether it was known then. Keep out: what is computed of books, files.

Every hour of `book_deltas` opens with a snapshot of each book. A snapshot replaces the book; of the rows that follow it, the last one of a
price says what rests there, and 0 nothing. So each row counts from its own time until the next row of its side and price or the
next snapshot, and a book at an instant is the rows that count then: no row is looked at twice, however many instants are asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from lake.paths import HOUR_US
from lake.transforms.stretches import Flags, Floats, Integers, changes, in_order, microseconds, steps

MINUTE_US: Final = 60_000_000

DELTA_COLUMNS: Final = ("exchange", "symbol", "local_timestamp", "ordinal", "sequence", "side", "price", "amount", "is_snapshot")
"""Columns of `book_deltas` that a book is made of."""

DELTA_ORDER: Final = ("exchange", "symbol", "local_timestamp", "ordinal")

_STATES: Final = pl.Schema({"exchange": pl.String(), "symbol": pl.String(), "instant": pl.Int64(), "updated": pl.Int64()})
_NEVER: Final = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class Books:
    """Books at instants: one row of `states` for each that was known, in order of exchange, symbol, instant, and all their levels.

    `states` has exchange, symbol, instant and updated (the book's last change by then), both in microseconds. The levels stand in arrays
    of one length: `state` is the row of `states` they belong to, ascending; within it bids (`ask` false) come before asks, each side
    with its best price first. A book may have no level on a side, or none at all.
    """

    states: pl.DataFrame
    state: Integers
    ask: Flags
    price: Floats
    amount: Floats

    @classmethod
    def none(cls) -> Books:
        """No book at all."""
        empty = np.empty(0)
        return cls(_STATES.to_frame(), empty.astype(np.int64), empty.astype(np.bool_), empty, empty)

    def only(self, kept: npt.ArrayLike) -> Books:
        """Those states of which `kept` is true, with their levels."""
        chosen: Flags = np.asarray(kept, dtype=np.bool_)
        if chosen.all():
            return self
        levels = chosen[self.state]
        numbers = np.cumsum(chosen) - 1
        return Books(
            self.states.filter(pl.Series(chosen)), numbers[self.state[levels]], self.ask[levels], self.price[levels], self.amount[levels]
        )

    def best(self, depth: int) -> Books:
        """The same books cut to their best `depth` levels a side."""
        kept = self.ranks() < depth
        return Books(self.states, self.state[kept], self.ask[kept], self.price[kept], self.amount[kept])

    def sides(self) -> Integers:
        """Where each side of each book that has levels begins among the levels."""
        sides = self.state * 2 + self.ask
        return np.flatnonzero(np.append(True, sides[1:] != sides[:-1])) if len(sides) else sides

    def ranks(self) -> Integers:
        """The place of each level in its side, the best being 0."""
        starts = self.sides()
        lengths = np.diff(np.append(starts, len(self.state)))
        return np.arange(len(self.state)) - np.repeat(starts, lengths)


def joined(parts: Iterable[Books]) -> Books:
    """Books of several calls as one, in the order given."""
    listed = [Books.none(), *parts]
    offsets = np.cumsum([0, *(part.states.height for part in listed)])
    return Books(
        pl.concat([part.states for part in listed]),
        np.concatenate([part.state + offset for part, offset in zip(listed, offsets, strict=False)]),
        np.concatenate([part.ask for part in listed]),
        np.concatenate([part.price for part in listed]),
        np.concatenate([part.amount for part in listed]),
    )


def minute_ends(hour_start_us: int) -> list[int]:
    """The last microsecond of each minute of the hour: a book then is the book at the minute's end."""
    return list(range(hour_start_us + MINUTE_US - 1, hour_start_us + HOUR_US, MINUTE_US))


def books_at(deltas: pl.DataFrame, instants: Sequence[int]) -> Books:
    """Books at each of `instants` (microseconds, ascending), each with all changes received up to and at that instant.

    `deltas` has `DELTA_COLUMNS` of `book_deltas`, of whole books and of one hour. Before its first snapshot a book is not known, and has
    no row. Several books at once cost no more than one after the other; memory grows with instants x levels.
    """
    if deltas.is_empty() or not instants:
        return Books.none()
    rows = in_order(deltas, DELTA_ORDER)
    asked: Integers = np.asarray(instants, dtype=np.int64)
    time = microseconds(rows, "local_timestamp")
    first_of_book = changes(rows, ("exchange", "symbol"))
    whole, epoch = _epochs(rows, time, first_of_book)
    states, number = _states(rows, time, first_of_book, whole[epoch], asked)

    ask = rows["side"].eq("ask").to_numpy()
    price = rows["price"].to_numpy()
    amount = rows["amount"].to_numpy()
    order: Integers = np.lexsort((np.where(ask, price, -price), ask, epoch))
    again = np.append(~(steps(epoch[order]) | steps(ask[order]) | steps(price[order]))[1:], False)
    until = np.where(again, np.append(time[order][1:], 0), _ends_of_epochs(time, first_of_book, epoch)[epoch[order]])
    since = np.searchsorted(asked, time[order])
    counted = np.where((amount[order] > 0) & whole[epoch[order]], np.searchsorted(asked, until) - since, 0)

    levels = np.repeat(order, counted)
    instant = np.arange(len(levels)) + np.repeat(since - (np.cumsum(counted) - counted), counted)
    book = np.cumsum(first_of_book) - 1
    state = number[book[levels], instant]
    # Levels stand by book, snapshot, side and price already: only instants have to be brought in order, one after the other.
    by_state = np.argsort(state, kind="stable")
    levels = levels[by_state]
    return Books(states, state[by_state], ask[levels], price[levels], amount[levels])


def _epochs(rows: pl.DataFrame, time: Integers, first_of_book: Flags) -> tuple[Flags, Integers]:
    """Whether each epoch began with a snapshot, and the epoch of each row: a snapshot and what follows it until the next one.

    Rows of one snapshot follow one another with one time and sequence; where either changes, another snapshot has begun.
    """
    taken = rows["is_snapshot"].to_numpy()
    sequence = rows["sequence"].fill_null(-1).to_numpy()
    within = np.append(False, taken[:-1]) & ~steps(time) & ~steps(sequence)
    begins = first_of_book | (taken & ~within)
    return taken[begins], np.cumsum(begins) - 1


def _ends_of_epochs(time: Integers, first_of_book: Flags, epoch: Integers) -> Integers:
    """When the next epoch of the same book replaces each epoch; never for the last of a book."""
    begins = np.flatnonzero(np.append(True, steps(epoch)[1:]))
    return np.append(np.where(first_of_book[begins[1:]], _NEVER, time[begins[1:]]), _NEVER)


def _states(rows: pl.DataFrame, time: Integers, first_of_book: Flags, known: Flags, asked: Integers) -> tuple[pl.DataFrame, Integers]:
    """The states, and the number of each in them by book and instant (-1 where the book was not known)."""
    starts = np.flatnonzero(first_of_book)
    until = np.append(starts[1:], len(time))
    last = np.array([start + np.searchsorted(time[start:end], asked, side="right") - 1 for start, end in zip(starts, until, strict=True)])
    there = (last >= starts[:, None]) & known[last]
    number = np.where(there, np.cumsum(there).reshape(there.shape) - 1, -1)
    of_book, of_instant = np.nonzero(there)
    states = pl.DataFrame(
        {
            "exchange": rows["exchange"].gather(starts[of_book]),
            "symbol": rows["symbol"].gather(starts[of_book]),
            "instant": asked[of_instant],
            "updated": time[last[there]],
        },
        schema=_STATES,
    )
    return states, number


def heard(books: Books, last_heard: dict[str, int]) -> Flags:
    """Whether each state lies within a minute that its exchange was heard in, or before: `last_heard` is by exchange, microseconds.

    What an hour holds of an exchange ends where its collector stopped or its hour is still running: after that nothing is known.
    """
    if books.states.is_empty():
        return np.empty(0, dtype=np.bool_)
    last: Integers = books.states["exchange"].replace_strict(last_heard, default=-1, return_dtype=pl.Int64).to_numpy()
    return books.states["instant"].to_numpy() // MINUTE_US <= last // MINUTE_US


def in_gap(books: Books, gaps: pl.DataFrame) -> Flags:
    """Whether each state lies in a gap of its book: `gaps` has the columns of that dataset, those not closed last for ever.

    A gap without a symbol or a channel speaks of all of its exchange.
    """
    inside = np.zeros(books.states.height, dtype=np.bool_)
    exchange, symbol, instant = (books.states[name] for name in ("exchange", "symbol", "instant"))
    of_books = gaps.filter(pl.col("channel").is_in(["book_deltas", ""])).with_columns(
        pl.col("from_time").dt.epoch("us"), pl.col("to_time").dt.epoch("us").fill_null(_NEVER)
    )
    for gap in of_books.select("exchange", "symbol", "from_time", "to_time").unique().iter_rows(named=True):
        touched = (exchange == gap["exchange"]) & (instant >= gap["from_time"]) & (instant < gap["to_time"])
        if gap["symbol"]:
            touched &= symbol == gap["symbol"]
        inside |= touched.to_numpy()
    return inside
