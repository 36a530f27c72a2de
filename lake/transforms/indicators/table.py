"""A whole candle table with its indicators beside it, as `tickhouse indicators` gives it.

Put here: what joins candles, suite and studies for people. Keep out: computing, which is the same as for the lake (`suite`, `studies`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import polars as pl

from lake.transforms.candle_table import NUMBERS, CandleTable
from lake.transforms.indicators.definitions import INDICATORS
from lake.transforms.indicators.dollars import usdt_rates
from lake.transforms.indicators.studies import parse_studies, study_columns
from lake.transforms.indicators.suite import ROW_KEY, compute


@dataclass(frozen=True, slots=True)
class IndicatorTable:
    """Labels the table had, timestamp, prices, volume, the suite and studies, sorted by labels and time; remarks for people."""

    rows: pl.DataFrame
    remarks: tuple[str, ...]


def with_indicators(table: CandleTable, *, studies: Iterable[object] = ()) -> IndicatorTable:
    """The candles with the core suite and further studies; rates of quotes come from USDT markets among the table's own symbols.

    Raises `IndicatorError` for a study that cannot be computed.
    """
    wanted = parse_studies(studies)
    candles = table.candles
    rows, _ = compute(candles, rates=usdt_rates(candles))
    whole = candles.join(rows, on=ROW_KEY, how="left", maintain_order="left")
    if wanted:
        further = study_columns(candles, wanted).select(*ROW_KEY, *(column for study in wanted for column in study.columns))
        whole = whole.join(further, on=ROW_KEY, how="left", maintain_order="left")
    remarks = list(table.remarks)
    if whole["volume_usd"].is_null().all():
        remarks.append("volume_usd is empty: the quote of the symbol, or what it is worth in USDT, is not known (--symbol names a market)")
    added = [column for study in wanted for column in study.columns]
    return IndicatorTable(whole.select(*table.labels, "timestamp", *NUMBERS, *INDICATORS, *added), tuple(remarks))
