"""The check that the exchanges' candles agree with ours, with the difference of each series in its metadata.

Put here: reading both sides, and the verdict. Keep out: the comparison itself (`lake.transforms.candle_comparison`).
"""

# ruff: noqa: S608 - the names put into these statements come from the registry

from collections.abc import Iterable
from typing import Any, Final

import dagster as dg
import polars as pl

from lake.edited import newest_rows
from lake.paths import Home
from lake.periods import Period
from lake.query import connect, execute
from lake.registry import candle_dataset
from lake.transforms.candle_comparison import COMPARED, candle_comparison, covered
from lake.transforms.timeframes import WIDTH_US

AGREES: Final = "agrees_with_trades"
MOST_BPS: Final = 10.0
"""Prices further apart than this, in basis points, are no agreement: trades of the interval's edge may fall on either side, no more."""


def agreement(home: Home, periods: Iterable[Period]) -> dg.AssetCheckResult:
    """Compare the exchanges' candles of some months with ours, where coverage of our trades is available."""
    parts = [part for period in periods for part in _compared(home, period)]
    if not parts:
        return _result([], "no interval that both have")
    rows = pl.concat(parts).sort("worst_bps", descending=True).rows(named=True)
    apart = [row for row in rows if row["worst_bps"] > MOST_BPS]
    holds = f"{sum(row['compared'] for row in rows):,} candles of {len(rows)} series, at most {rows[0]['worst_bps']:.2f} bps apart"
    return _result(apart, holds, metadata={_name(row): _figures(row) for row in rows})


def _compared(home: Home, period: Period) -> list[pl.DataFrame]:
    theirs = pl.DataFrame(newest_rows(home, "exchange_candles", period).select(list(COMPARED)))
    found = []
    needed = ["coverage", *(candle_dataset(str(timeframe)) for timeframe in theirs["timeframe"].unique())]
    with connect(home, with_wal=False, statement=f"from {', '.join(needed)}") as connection:
        hours = execute(
            connection,
            "SELECT exchange, symbol, timestamp FROM coverage WHERE dataset = 'trades' AND condition = 'available' "
            "AND epoch_us(timestamp) >= ? AND epoch_us(timestamp) < ?",
            parameters=[period.start, period.end],
        ).table
        for (timeframe,), of_timeframe in theirs.partition_by("timeframe", as_dict=True).items():
            ours = execute(
                connection,
                f"SELECT {', '.join(COMPARED)} FROM {candle_dataset(str(timeframe))} "
                "WHERE epoch_us(timestamp) >= ? AND epoch_us(timestamp) < ? AND date >= ?::DATE AND source = 'trades'",
                parameters=[period.start, period.end, period.first],
            ).table
            exact = covered(_in_utc(pl.DataFrame(ours)), _in_utc(pl.DataFrame(hours)), width_us=WIDTH_US[str(timeframe)])
            compared = candle_comparison(exact, of_timeframe)
            found += [compared] if compared.height else []
    return found


def _in_utc(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.with_columns(pl.col("timestamp").cast(pl.Datetime("us", "UTC")))


def _name(row: dict[str, Any]) -> str:
    return f"{row['exchange']} {row['symbol']} {row['timeframe']}"


def _figures(row: dict[str, Any]) -> str:
    volume = row["volume_difference"]
    said = "unknown" if volume is None else f"{volume * 100:+.3f} %"
    return (
        f"{row['compared']} compared, {row['equal']} with equal prices, at most {row['worst_bps']:.2f} bps apart "
        f"({row['worst_at']:%Y-%m-%d %H:%M}), volume {said}"
    )


def _result(apart: list[dict[str, Any]], holds: str, *, metadata: dict[str, str] | None = None) -> dg.AssetCheckResult:
    says = holds if not apart else f"{len(apart)} series differ, e.g. {_name(apart[0])}: {_figures(apart[0])}"
    return dg.AssetCheckResult(
        check_name=AGREES, passed=not apart, severity=dg.AssetCheckSeverity.WARN, description=says, metadata=dict(metadata or {})
    )
