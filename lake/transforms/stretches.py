"""Rows in order, cut into stretches of equal keys: what every transform with a sum or an extreme per bucket is built on.

Put here: ordering, and finding where a stretch begins and ends. Keep out: what is computed of a stretch.

Rows are sorted first and every bucket is then one stretch of rows, reduced by NumPy's `reduceat`: extremes are exact, sums are
pairwise over the stretch in sort order. So a sum depends on nothing but the rows of its bucket: not on threads, nor on which
other symbols or hours are computed along with it. (A Polars or DuckDB group-by adds partial sums per thread, and differs in the last bit.)
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


def in_order(rows: pl.DataFrame, order: Sequence[str]) -> pl.DataFrame:
    """The rows sorted by `order`, untouched where they are sorted already (a check costs a fraction of a sort)."""
    return rows if is_sorted(rows, order) else rows.sort(order, maintain_order=True)


def is_sorted(rows: pl.DataFrame, order: Sequence[str]) -> bool:
    """Whether no row is smaller than the one before it."""
    if rows.is_empty():
        return True
    # Rows that equal their successor in all columns so far: only between those does the next column decide.
    tied = np.ones(rows.height - 1, dtype=bool)
    for name in order:
        column = rows[name]
        same = (column[1:] == column[:-1]).fill_null(value=False).to_numpy()
        if column.dtype == pl.String:
            # Text repeats for long stretches: its order, which costs most, is asked of the few places where it changes.
            changed = np.flatnonzero(tied & ~same)
            smaller = column.gather(changed) > column.gather(changed + 1)
        else:
            smaller = (column[1:] < column[:-1]) & pl.Series(tied)
        if smaller.any():
            return False
        tied &= same
        if not tied.any():
            break
    return True


def microseconds(rows: pl.DataFrame, name: str = "timestamp") -> Integers:
    """A column of times as microseconds since 1970."""
    return rows[name].cast(pl.Datetime("us", "UTC")).to_physical().to_numpy()


def changes(rows: pl.DataFrame, names: Sequence[str]) -> Flags:
    """True at the first row of each stretch in which the columns stay the same."""
    changed = np.zeros(rows.height, dtype=bool)
    changed[:1] = True
    for name in names:
        column = rows[name]
        changed[1:] |= (column[1:] != column[:-1]).to_numpy()
    return changed


def steps(values: npt.NDArray[np.generic]) -> Flags:
    """True where a value differs from the one before it; False at the first."""
    stepped = np.zeros(len(values), dtype=bool)
    stepped[1:] = values[1:] != values[:-1]
    return stepped


def ends(starts: Integers, rows: int) -> Integers:
    """The last row of each stretch, from the first of each and the number of rows."""
    return np.append(starts[1:], rows) - 1
