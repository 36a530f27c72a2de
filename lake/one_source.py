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

from lake.listing import ctes, utc_date, utc_hour
from lake.registry import CANDLE_COLUMNS, DAY_TIMEFRAMES, MONTH_TIMEFRAMES, TRADE_TIMEFRAMES
from lake.transforms.timeframes import WIDTH_US, bucket_sql

EXCHANGE_CANDLES: Final = "exchange_candles"
"""The dataset of candles as the exchanges publish them: the columns of candles, `source` is `exchange`."""

_COLUMNS: Final = ", ".join(column.name for column in CANDLE_COLUMNS)
_HOUR_US: Final = WIDTH_US["1h"]
_SHORT: Final = ", ".join(f"'{each}'" for each in TRADE_TIMEFRAMES)
_LONG: Final = (*DAY_TIMEFRAMES, *MONTH_TIMEFRAMES)
_SPANS: Final = ", ".join(f"'{each}'" for each in ("1h", *_LONG))
_BUCKETS: Final = " ".join(f"WHEN '{each}' THEN {bucket_sql(each, 'timestamp')}" for each in ("1h", *_LONG))
_HOURS: Final = (
    "CASE span WHEN '1M' THEN date_diff('hour', timezone('UTC', opened), timezone('UTC', opened) + INTERVAL 1 MONTH) "
    + " ".join(f"WHEN '{each}' THEN {WIDTH_US[each] // _HOUR_US}" for each in ("1h", *_LONG) if each != "1M")
    + " END"
)

_COVERED: Final = (
    "covered AS NOT MATERIALIZED (SELECT exchange, symbol, span, opened FROM ("
    f"SELECT exchange, symbol, each.span, CASE each.span {_BUCKETS} END AS opened FROM coverage, (SELECT unnest([{_SPANS}]) AS span) each "
    "WHERE dataset = 'trades' AND condition IN ('available', 'pending')) "
    f"GROUP BY exchange, symbol, span, opened HAVING count(*) >= {_HOURS})"
)
_THEIRS: Final = (
    "theirs AS NOT MATERIALIZED ("
    f"SELECT {', '.join(f'x.{column.name}' for column in CANDLE_COLUMNS)}, {utc_date('timestamp')} AS date, "
    f"{utc_hour('timestamp')} AS hour FROM ("
    f"SELECT *, CASE WHEN timeframe IN ({_SHORT}) THEN '1h' ELSE timeframe END AS span, "
    f"CASE WHEN timeframe IN ({_SHORT}) THEN {bucket_sql('1h', 'timestamp')} ELSE timestamp END AS opened "
    f"FROM {EXCHANGE_CANDLES} WHERE volume > 0) x "
    "LEFT JOIN covered c ON c.exchange = x.exchange AND c.symbol = x.symbol AND c.span = x.span AND c.opened = x.opened "
    "WHERE c.exchange IS NULL)"
)


def one_source(ours: Sequence[str]) -> str:
    """The whole SELECT: `ours` are common table expressions, the last of them `ours` with the candle columns, `date` and `hour`."""
    key = ("exchange", "symbol", "timeframe", "timestamp")
    same = " AND ".join(f"t.{name} = o.{name}" for name in key)
    return (
        f"WITH {ctes([*ours, _COVERED, _THEIRS])}\n"
        f"SELECT o.* FROM ours o LEFT JOIN (SELECT {', '.join(key)} FROM theirs) t ON {same} WHERE t.exchange IS NULL\n"
        f"UNION ALL\nSELECT {_COLUMNS}, date, hour FROM theirs"
    )
