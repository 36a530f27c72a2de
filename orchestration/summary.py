"""What the demo prints at the end of its laps: candles, spreads and checks as tables.

Put here: the queries behind those tables and their layout. Keep out: running anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from lake.paths import Home
from lake.query import run_sql

LATEST_CANDLES = """
    select exchange, symbol, timeframe, strftime(timestamp, '%H:%M') as opened,
           open, high, low, close, round(volume, 4) as volume, trade_count
    from candles where timeframe in ('1m', '1h')
    qualify row_number() over (partition by exchange, symbol, timeframe order by timestamp desc) = 1
    order by timeframe desc, exchange, symbol
"""

LATEST_SPREADS = """
    select exchange, symbol, strftime(local_timestamp, '%H:%M:%S') as at,
           best_bid, best_ask, round(spread, 8) as spread, round(spread_bps, 3) as spread_bps
    from book_spreads
    where local_timestamp > now() - interval 2 hour
    qualify row_number() over (partition by exchange, symbol order by local_timestamp desc) = 1
    order by exchange, symbol
"""

COUNTED = {
    "trades": "timestamp",
    "book_deltas": "local_timestamp",
    "book_snapshots": "local_timestamp",
    "liquidations": "timestamp",
    "derivatives": "timestamp",
    "gaps": "from_time",
    "candles": "timestamp",
}

ROWS = " union all ".join(
    f"select '{name}' as dataset, count(*) as rows, count(distinct exchange || symbol) as markets, "  # noqa: S608 - our own names
    f"min({time}) as first, max({time}) as last from {name}"
    for name, time in COUNTED.items()
)

CONDITIONS = """
    select exchange, condition, count(distinct timestamp) as hours, round(sum(gap_seconds)) as gap_seconds
    from coverage where dataset = 'trades' group by all order by all
"""


def print_query(home: Home, console: Console, title: str, statement: str) -> int:
    """Print the rows of a statement as a table; returns how many there are."""
    return print_rows(console, title, run_sql(home, statement).table.to_pylist())


def print_rows(console: Console, title: str, rows: Sequence[Mapping[str, Any]]) -> int:
    """Print rows, which have the same columns, as a table; returns how many there are."""
    shown = Table(*(rows[0] if rows else ()), title=title, title_justify="left")
    for row in rows:
        shown.add_row(*("" if value is None else f"{value:,}" if isinstance(value, int) else str(value) for value in row.values()))
    console.print(shown)
    return len(rows)
