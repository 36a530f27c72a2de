"""TD Sequential: how many candles in a row closed beyond the close four candles before.

Put here: the setup count. Keep out: countdowns, which the suite does not have.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from lake.transforms.indicators.grid import Flags, Floats, Grid, before

DISTANCE: Final = 4
"""A close is compared with the one this many candles before."""


def sequential_counts(grid: Grid, close: Floats, up: Floats, down: Floats) -> tuple[Floats, Floats]:
    """Counts upwards and downwards at every row, without limit, 0 when broken; `up` and `down` are those carried by continued histories.

    NaN where there is no candle four before.
    """
    former = before(close, DISTANCE)
    counts = (_runs(grid, close > former, up), _runs(grid, close < former, down))
    for count in counts:
        count[:DISTANCE] = np.nan
    return counts


def _runs(grid: Grid, holds: Flags, carried: Floats) -> Floats:
    rows = np.arange(len(holds), dtype=np.int32)[:, None]
    broken = np.where(holds, np.int32(-1), rows)
    if grid.resumes:
        broken[grid.resumes - 1] = grid.resumes - 1
    ended = np.maximum.accumulate(broken, axis=0)
    counts = (rows - ended).astype(np.float64)
    if grid.resumes:
        # A run that goes on from the last row of the look-back begins at what was carried.
        counts += np.where(ended == grid.resumes - 1, carried, 0.0)
    return counts
