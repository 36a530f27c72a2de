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

from lake.listing import ctes, quoted, utc_date, utc_hour
from lake.registry import CANDLE_COLUMNS, TRADE_TIMEFRAMES
from lake.transforms.timeframes import WIDTH_US, bucket_sql

EXCHANGE_CANDLES: Final = "exchange_candles"
"""The dataset of candles as the exchanges publish them: the columns of candles, `source` is `exchange`."""

_COLUMNS: Final = [column.name for column in CANDLE_COLUMNS]
_KEY: Final = ("exchange", "symbol", "timeframe", "timestamp")


def one_source(ours: Sequence[str], timeframes: Sequence[str]) -> str:
    """The whole SELECT: `ours` are common table expressions, the last of them `ours` with the candle columns, `date` and `hour`.

    `timeframes` are those that `ours` holds; the exchange's candles of others are left out.
    """
    same = " AND ".join(f"t.{name} = o.{name}" for name in _KEY)
    return (
        f"WITH {ctes([*ours, _covered(timeframes), _theirs(timeframes)])}\n"
        f"SELECT o.* FROM ours o LEFT JOIN (SELECT {', '.join(_KEY)} FROM theirs) t ON {same} WHERE t.exchange IS NULL\n"
        f"UNION ALL\nSELECT {', '.join(_COLUMNS)}, date, hour FROM theirs"
    )


def _spans(timeframes: Sequence[str]) -> list[str]:
    """What coverage is counted over: the hour, for all timeframes up to it, and each longer one."""
    return list(dict.fromkeys("1h" if each in TRADE_TIMEFRAMES else each for each in timeframes))


def _covered(timeframes: Sequence[str]) -> str:
    """`covered` (exchange, symbol, span, opened): spans of which every hour is available."""
    spans = _spans(timeframes)
    listed = ", ".join(quoted(each) for each in spans)
    buckets = " ".join(f"WHEN {quoted(each)} THEN {bucket_sql(each, 'timestamp')}" for each in spans)
    hours = " ".join(f"WHEN {quoted(each)} THEN {_hours(each)}" for each in spans)
    return (
        "covered AS NOT MATERIALIZED (SELECT exchange, symbol, span, opened FROM ("
        f"SELECT exchange, symbol, each.span, CASE each.span {buckets} END AS opened "
        f"FROM coverage, (SELECT unnest([{listed}]) AS span) each "
        "WHERE dataset = 'trades' AND condition IN ('available', 'pending')) "
        f"GROUP BY exchange, symbol, span, opened HAVING count(*) >= CASE span {hours} END)"
    )


def _hours(span: str) -> str:
    """SQL for the hours in the span that opened at `opened`."""
    if span == "1M":
        return "date_diff('hour', timezone('UTC', opened), timezone('UTC', opened) + INTERVAL 1 MONTH)"
    return str(WIDTH_US[span] // WIDTH_US["1h"])


def _theirs(timeframes: Sequence[str]) -> str:
    """`theirs`: candles of the exchange that are shown."""
    short = ", ".join(quoted(each) for each in TRADE_TIMEFRAMES)
    listed = ", ".join(quoted(each) for each in timeframes)
    return (
        f"theirs AS NOT MATERIALIZED (SELECT {', '.join(f'x.{name}' for name in _COLUMNS)}, {utc_date('timestamp')} AS date, "
        f"{utc_hour('timestamp')} AS hour FROM ("
        f"SELECT *, CASE WHEN timeframe IN ({short}) THEN '1h' ELSE timeframe END AS span, "
        f"CASE WHEN timeframe IN ({short}) THEN {bucket_sql('1h', 'timestamp')} ELSE timestamp END AS opened "
        f"FROM {EXCHANGE_CANDLES} WHERE volume > 0 AND timeframe IN ({listed})) x "
        "LEFT JOIN covered c ON c.exchange = x.exchange AND c.symbol = x.symbol AND c.span = x.span AND c.opened = x.opened "
        "WHERE c.exchange IS NULL)"
    )
