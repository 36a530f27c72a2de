"""Candles of many histories side by side: a row is a candle, a column a history.

Put here: the grid, to and from flat rows. Keep out: formulas.

Recursions go from row to row with all histories at once; where there are few they go through each history by itself, which is then
quicker. Both do the same arithmetic, so that a value never depends on which other histories are computed along with it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

FEW: Final = 24
"""Up to this many histories are gone through one by one: a step over all takes microseconds however few there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Where the candles of a block of histories lie: `remembered` ones first, then the new ones, zeros below the end of the shorter.

    Either all histories are whole, with all of their candles in the grid (`resumes` is 0), or all of them continue: their first `resumes`
    rows are a look-back for windows, and recursions go on from carried values in the row after it.
    """

    remembered: Integers
    added: Integers
    resumes: int
    new: Flags | None = field(init=False)
    """Which cells are new candles, a row a history (transposed to the grid); None where all cells are."""

    def __post_init__(self) -> None:
        rows = np.arange(int(self.sizes.max()))
        new = (rows >= self.remembered[:, None]) & (rows < self.sizes[:, None])
        object.__setattr__(self, "new", None if new.all() else new)

    @property
    def sizes(self) -> Integers:
        """Rows of each history."""
        return self.remembered + self.added

    def laid(self, remembered: Floats, added: Floats) -> Floats:
        """A grid of flat values, history after history."""
        bars, histories = int(self.sizes.max()), len(self.sizes)
        if self.new is None:
            return np.ascontiguousarray(added.reshape(histories, bars).T)
        cells = np.zeros((histories, bars))
        cells[self.new] = added
        cells[np.arange(bars) < self.remembered[:, None]] = remembered
        return np.ascontiguousarray(cells.T)

    def flat(self, values: Floats) -> Floats:
        """The new candles' values of a grid, history after history."""
        cells = np.ascontiguousarray(values.T)
        return cells.ravel() if self.new is None else cells[self.new]

    def last(self, values: Floats) -> Floats:
        """The value of each history's last candle."""
        return values[self.sizes - 1, np.arange(len(self.sizes))]


def before(values: Floats, distance: int) -> Floats:
    """The value `distance` rows earlier; NaN where there is none."""
    shifted = np.empty_like(values)
    shifted[:distance] = np.nan
    shifted[distance:] = values[: max(len(values) - distance, 0)]
    return shifted
