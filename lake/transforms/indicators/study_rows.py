"""Studies as the lake keeps them: one row a value, and how many candles a value needs before it.

Put here: the long form of studies and their look-back. Keep out: names and columns of studies (`studies`), reading and writing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np
import polars as pl

from lake.transforms.indicators.studies import Study, probe_candles, study_columns
from lake.transforms.indicators.suite import ROW_KEY

LOOK_BACKS: Final = (250, 500, 1_000, 2_000, 4_000)
"""Candles before the first wanted one that are tried, fewest first."""

_TRIED: Final = 4 * 1_440
"""Whole days, so that what begins anew every day is farthest from its beginning at the end."""

_WANTED: Final = 50
_EQUAL: Final = 1e-9


def study_look_back(study: Study) -> int | None:
    """Candles to give before the first wanted one, so that values equal those of a longer history to 1e-9.

    Found by trying on made-up minutes; None where no number of `LOOK_BACKS` is enough, as for what adds up from the first candle on (obv).
    """
    candles = probe_candles(_TRIED)
    whole = study_columns(candles, [study]).select(study.columns)[-_WANTED:].to_numpy()
    for look_back in LOOK_BACKS:
        part = study_columns(candles[-_WANTED - look_back :], [study]).select(study.columns)[-_WANTED:].to_numpy()
        if np.allclose(part, whole, rtol=_EQUAL, atol=1e-12, equal_nan=True):
            return look_back
    return None


def study_rows(candles: pl.DataFrame, studies: Iterable[Study]) -> pl.DataFrame:
    """Values of studies, one row each: key and timestamp of the candle, `study` (the column's name), `value` (float64); no row for null.

    `candles` as for `studies.study_columns`, their look-back included, whose rows the caller leaves out.
    """
    wanted = tuple(studies)
    columns = [column for study in wanted for column in study.columns]
    wide = study_columns(candles, wanted).select(*ROW_KEY, *columns)
    return wide.unpivot(columns, index=list(ROW_KEY), variable_name="study", value_name="value").drop_nulls("value")
