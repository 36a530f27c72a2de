"""Books of one hour, read from `book_deltas` a few symbols at a time.

Put here: which rows are read together, and which books were not known. Keep out: making books of rows (`lake.transforms.book_states`).

An hour may hold tens of millions of changes. Sealed hours are sorted by exchange and symbol, so they are read in stretches of about a
million rows that hold whole books; only an hour that was not compacted yet is read at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
import pyarrow as pa

from lake.derived import read_hour
from lake.files import now_us
from lake.gather import STRETCH_ROWS, Gathering
from lake.paths import Home, Hour
from lake.registry import BOOK_DELTAS
from lake.transforms.book_states import DELTA_COLUMNS, Books, books_at, heard, in_gap, joined
from lake.visible import by_instant, hour_files, hour_watermark


@dataclass(slots=True)
class HourBooks:
    """The books of an hour at some instants, as they stood with what counted when this was made.

    `watermark` is that of `book_deltas` and `gaps` of the hour. `left_out` fills while books are read: exchanges of which a row cannot
    stand in a book, each with one sentence why.
    """

    home: Home
    hour: Hour
    instants: Sequence[int]
    at_us: int = field(default_factory=now_us)
    left_out: dict[str, str] = field(default_factory=dict)
    stretch_rows: int = STRETCH_ROWS

    @property
    def watermark(self) -> int:
        """The greatest instant among the parts that the books come from; 0 where nothing landed."""
        return max(hour_watermark(self.home, name, self.hour, self.at_us) or 0 for name in ("book_deltas", "gaps"))

    def read(self) -> Iterator[Books]:
        """The books of one exchange after the other, in order; exchanges with an unsound row are left out.

        A book counts as known from its first snapshot of the hour, but not within a gap, and not after the minute in which its exchange
        was last heard of. Raises `UnreadableFile`.
        """
        gaps = pl.DataFrame(read_hour(self.home, "gaps", self.hour, at_us=self.at_us)[0])
        held: list[Books] = []
        last = 0
        current = ""
        for rows in self._stretches():
            for (exchange,), own in rows.partition_by("exchange", as_dict=True, maintain_order=True).items():
                if exchange != current:
                    yield from self._known(current, held, last, gaps)
                    held, last, current = [], 0, str(exchange)
                self._judge(current, own)
                if current not in self.left_out:
                    held.append(books_at(own, self.instants))
                    last = max(last, int(own["local_timestamp"].dt.epoch("us").max() or 0))  # type: ignore[arg-type]  # a maximum of integers
        yield from self._known(current, held, last, gaps)

    def _known(self, exchange: str, held: list[Books], last: int, gaps: pl.DataFrame) -> Iterator[Books]:
        if held and exchange not in self.left_out:
            books = joined(held)
            yield books.only(heard(books, {exchange: last}) & ~in_gap(books, gaps))

    def _judge(self, exchange: str, rows: pl.DataFrame) -> None:
        price, amount = pl.col("price"), pl.col("amount")
        wrong = rows.filter(~((price > 0) & price.is_finite() & (amount >= 0) & amount.is_finite())).height
        if wrong and exchange not in self.left_out:
            self.left_out[exchange] = f"{wrong} book changes have a price that is not positive or a wrong amount, expected none"

    def _stretches(self) -> Iterator[pl.DataFrame]:
        """Rows of whole books, in order."""
        sealed = self._sealed()
        if sealed is not None:
            yield from _whole_books(sealed, self.stretch_rows)
        else:
            table, _ = read_hour(self.home, BOOK_DELTAS.name, self.hour, at_us=self.at_us, columns=list(DELTA_COLUMNS))
            yield pl.DataFrame(table)

    def _sealed(self) -> Path | None:
        """The hour's file, where it holds just what counts: also one that this run has made and whose instant is a moment ahead."""
        found = hour_files(self.home, BOOK_DELTAS.name, self.hour)
        newest = max(found.hours, key=by_instant, default=None)
        if newest is None or found.days or newest.watermark > self.at_us:
            return None
        late = any(newest.watermark < part.visible_from <= self.at_us for part in found.parts)
        return None if late else newest.path


def _whole_books(path: Path, stretch_rows: int) -> Iterator[pl.DataFrame]:
    """Stretches of a sealed file, those that are time slices of one large book put together."""
    slices: list[pa.Table] = []
    sliced = None
    for stretch, tables in Gathering(BOOK_DELTAS, [path], stretch_rows=stretch_rows).tables():
        own = [table.select(DELTA_COLUMNS) for table in tables]
        if slices and (stretch.start is None or stretch.low != sliced):
            yield pl.DataFrame(pa.concat_tables(slices))
            slices = []
        if stretch.start is not None:
            slices += own
            sliced = stretch.low
        elif own:
            yield pl.DataFrame(pa.concat_tables(own))
    if slices:
        yield pl.DataFrame(pa.concat_tables(slices))
