"""Coverage: what one hour holds of each exchange, dataset and symbol, and what it misses.

Put here: the judgement of an hour from counts, gaps and the ledger. Keep out: reading any of them, and the clock (`now_us` is given).

All intervals are half open, in microseconds, and are joined before they are measured, so that overlaps count once.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import polars as pl

from lake.paths import HOUR_US

MINUTE_US: Final = 60_000_000

_TIME: Final = pl.Datetime("us", "UTC")

COVERAGE_SCHEMA: Final = pl.Schema(
    {
        "exchange": pl.String(),
        "symbol": pl.String(),
        "timestamp": _TIME,
        "dataset": pl.String(),
        "rows": pl.Int64(),
        "duplicates": pl.Int64(),
        "gaps": pl.Int64(),
        "gap_seconds": pl.Float64(),
        "connected_seconds": pl.Float64(),
        "first_time": _TIME,
        "last_time": _TIME,
        "condition": pl.String(),
    }
)

STATS_SCHEMA: Final = pl.Schema(
    {
        "exchange": pl.String(),
        "dataset": pl.String(),
        "symbol": pl.String(),
        "rows": pl.Int64(),
        "duplicates": pl.Int64(),
        "first_time": _TIME,
        "last_time": _TIME,
    }
)
"""What the caller counted in the hour: one row an exchange, dataset and symbol."""

_FED_BY: Final = {"book_snapshots": "book_deltas"}
"""Datasets made from another's channel: a gap in that one is a gap in them."""

Interval = tuple[int, int]
Key = tuple[str, str, str]


def coverage_of_hour(
    hour_start_us: int,
    now_us: int | None,
    *,
    stats: pl.DataFrame,
    gaps: pl.DataFrame,
    ledger: pl.DataFrame,
    expected: Iterable[Key] = (),
) -> pl.DataFrame:
    """Rows of the dataset `coverage` for the hour that starts at `hour_start_us`, sorted by its key.

    `now_us` is the present, None where the hour is long over. `stats` follows `STATS_SCHEMA`; `gaps` and `ledger` have the columns
    of those datasets and may reach beyond the hour. `expected` names (exchange, symbol, dataset) that get a row even if nothing came, e.g.
    those of the hour before.

    Connected is every minute in which a connection of the exchange received frames, less the disconnect gaps of the dataset and symbol. An
    hour is `pending` until it is over; then `missing` if it was not connected and holds nothing, `degraded` if a gap touches it or
    it was not connected throughout, else `available`. A gap that was healed still degrades: what was repaired is not what was heard.
    """
    hour = (hour_start_us, hour_start_us + HOUR_US)
    present = hour[1] if now_us is None else min(max(now_us, hour[0]), hour[1])
    heard = _heard(ledger, hour)
    gap_rows = gaps.select("exchange", "symbol", "channel", "kind", _us("from_time"), _us("to_time")).to_dicts()
    counted: dict[Key, dict[str, Any]] = {(row["exchange"], row["symbol"], row["dataset"]): row for row in stats.to_dicts()}
    rows = []
    for key in sorted({*counted, *expected}):
        exchange, symbol, dataset = key
        found = counted.get(key, {})
        touching = [gap for gap in gap_rows if _concerns(gap, key) and _touches(gap, hour, present)]
        missed = _joined([_span(gap, hour, present) for gap in touching])
        disconnected = _joined([_span(gap, hour, present) for gap in touching if gap["kind"] == "disconnect"])
        connected = _less(heard.get(exchange, []), disconnected)
        rows.append(
            {
                "exchange": exchange,
                "symbol": symbol,
                "timestamp": hour_start_us,
                "dataset": dataset,
                "rows": found.get("rows", 0),
                "duplicates": found.get("duplicates", 0),
                "gaps": len(touching),
                "gap_seconds": _length(missed) / 1e6,
                "connected_seconds": connected / 1e6,
                "first_time": found.get("first_time"),
                "last_time": found.get("last_time"),
                "condition": _condition(
                    over=present == hour[1],
                    rows=found.get("rows", 0),
                    gaps=len(touching),
                    whole=connected == HOUR_US,
                    connected=connected > 0,
                ),
            }
        )
    made = pl.DataFrame(rows, schema={**COVERAGE_SCHEMA, "timestamp": pl.Int64()})
    return made.with_columns(pl.col("timestamp").cast(_TIME)).sort("exchange", "symbol", "timestamp", "dataset")


def _condition(*, over: bool, rows: int, gaps: int, whole: bool, connected: bool) -> str:
    if not over:
        return "pending"
    if not connected and not rows:
        return "missing"
    return "degraded" if gaps or not whole else "available"


def _us(name: str) -> pl.Expr:
    return pl.col(name).dt.epoch("us")


def _heard(ledger: pl.DataFrame, hour: Interval) -> dict[str, list[Interval]]:
    """By exchange, the minutes of the hour in which any of its connections received frames, joined."""
    minutes = (
        ledger.filter(pl.col("frames") > 0)
        .select("exchange", _us("timestamp"))
        .unique()
        .filter(pl.col("timestamp").is_between(hour[0], hour[1], closed="left"))
    )
    found: dict[str, list[Interval]] = {}
    for exchange, minute in minutes.iter_rows():
        found.setdefault(exchange, []).append((minute, minute + MINUTE_US))
    return {exchange: _joined(spans) for exchange, spans in found.items()}


def _concerns(gap: dict[str, Any], key: Key) -> bool:
    """Whether a gap speaks of a dataset and symbol: an empty symbol or channel means all of the exchange."""
    exchange, symbol, dataset = key
    return gap["exchange"] == exchange and gap["symbol"] in {symbol, ""} and gap["channel"] in {dataset, _FED_BY.get(dataset, dataset), ""}


def _touches(gap: dict[str, Any], hour: Interval, present: int) -> bool:
    """Whether any instant of the gap lies in the hour; one of no length counts where it begins."""
    start: int = gap["from_time"]
    end: int = present if gap["to_time"] is None else gap["to_time"]
    return hour[0] <= start < hour[1] or start < hour[0] < end


def _span(gap: dict[str, Any], hour: Interval, present: int) -> Interval:
    """The gap within the hour; an open one lasts until now."""
    end = present if gap["to_time"] is None else gap["to_time"]
    start = max(gap["from_time"], hour[0])
    return start, max(start, min(end, hour[1]))


def _joined(spans: Iterable[Interval]) -> list[Interval]:
    """The union of intervals, in order, without overlaps."""
    union: list[Interval] = []
    for start, end in sorted(spans):
        if union and start <= union[-1][1]:
            union[-1] = (union[-1][0], max(union[-1][1], end))
        else:
            union.append((start, end))
    return union


def _length(spans: Iterable[Interval]) -> int:
    return sum(end - start for start, end in spans)


def _less(spans: list[Interval], taken: list[Interval]) -> int:
    """Length of `spans` outside `taken`; both are unions."""
    shared = sum(max(0, min(end, until) - max(start, since)) for start, end in spans for since, until in taken)
    return _length(spans) - shared
