# ruff: noqa: S608 - nothing in these statements comes from outside
"""SQL text by which the view `candles` shows exactly one source a key: ours from trades, or the exchange's own candle.

Put here: the choice between the two. Keep out: how either is made.

Ours counts where coverage of `trades` is available (or pending: the hour still runs) for every hour of the candle; elsewhere the
exchange's candle counts if there is one with a trade in it, and ours if there is none. The joins are outer ones on purpose: DuckDB
hands a filter on the key through them to both sides, which it does not through an anti join.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from lake.listing import ctes, only_timeframes, quoted, union, utc_date, utc_hour
from lake.registry import CANDLE_COLUMNS, MONTH_TIMEFRAMES, TRADE_TIMEFRAMES
from lake.transforms.timeframes import WIDTH_US, bucket_sql

EXCHANGE_CANDLES: Final = "exchange_candles"
"""The dataset of candles as the exchanges publish them: the columns of candles, `source` is `exchange`."""

_COLUMNS: Final = [column.name for column in CANDLE_COLUMNS]
# The day follows from the open time; as a key a filter on it reaches both sides.
_KEY: Final = ("exchange", "symbol", "timeframe", "timestamp", "date")


def one_source(ours: Sequence[str], timeframes: Sequence[str]) -> str:
    """The whole SELECT: `ours` are common table expressions, among them `ours` with the candle columns, `date` and `hour`, and the rows of
    `coverage` and of `exchange_candles`.

    `timeframes` are those that `ours` holds; the exchange's candles of others are left out.
    """
    same = " AND ".join(f"t.{name} = o.{name}" for name in _KEY)
    return (
        f"WITH {ctes([*ours, *_theirs(timeframes)])}\n"
        f"SELECT o.* FROM ours o LEFT JOIN (SELECT {', '.join(_KEY)} FROM theirs) t ON {same} WHERE t.exchange IS NULL\n"
        f"UNION ALL\nSELECT {', '.join(_COLUMNS)}, date, hour FROM theirs"
    )


def _spans(timeframes: Sequence[str]) -> list[str]:
    """What coverage is counted over: the hour, for all timeframes up to it, and each longer one."""
    return list(dict.fromkeys("1h" if each in TRADE_TIMEFRAMES else each for each in timeframes))


def _covered(name: str, spans: Sequence[str]) -> str:
    """`<name>` (exchange, symbol, span, opened): spans of which every hour is available; up to a day also the `date` all of it lies in,
    by which a filter on the day of candles reaches the files of coverage.
    """
    listed = ", ".join(quoted(each) for each in spans)
    buckets = " ".join(f"WHEN {quoted(each)} THEN {bucket_sql(each, 'timestamp')}" for each in spans)
    hours = " ".join(f"WHEN {quoted(each)} THEN {_hours(each)}" for each in spans)
    key = "exchange, symbol, span, opened" + (", date" if spans[0] not in MONTH_TIMEFRAMES else "")
    return (
        f"{name} AS NOT MATERIALIZED (SELECT {key} FROM ("
        f"SELECT exchange, symbol, date, each.span, CASE each.span {buckets} END AS opened "
        f"FROM coverage, (SELECT unnest([{listed}]) AS span) each "
        "WHERE dataset = 'trades' AND condition IN ('available', 'pending')) "
        f"GROUP BY {key} HAVING count(*) >= CASE span {hours} END)"
    )


def _hours(span: str) -> str:
    """SQL for the hours in the span that opened at `opened`."""
    if span == "1M":
        return "date_diff('hour', timezone('UTC', opened), timezone('UTC', opened) + INTERVAL 1 MONTH)"
    return str(WIDTH_US[span] // WIDTH_US["1h"])


def _theirs(timeframes: Sequence[str]) -> list[str]:
    """`theirs`: candles of the exchange that are shown, and what it is made of."""
    found, shown = [], []
    for name, wanted in (
        ("covered_days", [each for each in timeframes if each not in MONTH_TIMEFRAMES]),
        ("covered_months", [each for each in timeframes if each in MONTH_TIMEFRAMES]),
    ):
        if wanted:
            found.append(_covered(name, _spans(wanted)))
            shown.append(_uncovered(name, wanted))
    return [*found, f"theirs AS NOT MATERIALIZED ({union(shown)})"]


def _uncovered(name: str, timeframes: Sequence[str]) -> str:
    """Candles of the exchange of these timeframes that `name` does not cover."""
    short = ", ".join(quoted(each) for each in TRADE_TIMEFRAMES)
    span = f"CASE WHEN timeframe IN ({short}) THEN '1h' ELSE timeframe END"
    opened = f"CASE WHEN timeframe IN ({short}) THEN {bucket_sql('1h', 'timestamp')} ELSE timestamp END"
    same = "c.exchange = x.exchange AND c.symbol = x.symbol AND c.span = x.span AND c.opened = x.opened"
    same += "" if name == "covered_months" else " AND c.date = x.date"
    filed = f"{utc_date('timestamp')} AS date, {utc_hour('timestamp')} AS hour"
    return (
        f"SELECT {', '.join(f'x.{name}' for name in _COLUMNS)}, x.date, x.hour FROM ("
        f"SELECT {', '.join(_COLUMNS)}, {filed}, {span} AS span, {opened} AS opened "
        f"FROM {EXCHANGE_CANDLES} WHERE volume > 0 AND {only_timeframes(timeframes)}) x "
        f"LEFT JOIN {name} c ON {same} WHERE c.exchange IS NULL"
    )
