"""What the rules would have said of history: a dry run with the very code that watches the present.

Put here: running rules over a stretch of time, and what of them cannot be answered from rows. Keep out: printing, and sending anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa

from lake import candle_files
from lake.alerts.conditions import rows_that_hold
from lake.alerts.engine import LIVE, Engine
from lake.alerts.firing import Alert, Firing
from lake.alerts.replay import Reader, feed, warm
from lake.alerts.rules import (
    Condition,
    DeadLetters,
    Funding,
    GapRate,
    Imbalance,
    LiquidationVolume,
    PriceMove,
    Rule,
    SilentChannel,
    Spread,
    VolumeSpike,
)
from lake.errors import AlertRuleError
from lake.paths import HOUR_US, Home
from lake.query import connect
from lake.registry import LANDED, dataset
from lake.transforms.candle_table import candle_table
from lake.transforms.indicators.table import with_indicators

INDICATORS: Final = "indicators"

_READS: Final[dict[type[Rule], str]] = {
    LiquidationVolume: "liquidations",
    PriceMove: "trades",
    VolumeSpike: "trades",
    Spread: "book_snapshots",
    Imbalance: "book_snapshots",
    Funding: "derivatives",
    GapRate: "gaps",
    DeadLetters: "dead_letters",
}
"""Which dataset a kind of rule is fed from."""


@dataclass(frozen=True, slots=True)
class Backtest:
    """What would have fired, by the time it would have, and which rules were left out, each with one sentence."""

    alerts: list[Alert]
    left_out: dict[str, str]


def backtest(connection: duckdb.DuckDBPyConnection, rules: Mapping[str, Rule], *, since: int, until: int) -> Backtest:
    """Run the rules over what a connection holds of [since, until), microseconds; windows are filled from what lies before.

    `connection` is one of `connect_lake` or `connect_files`. Raises `AlertRuleError` for a condition that cannot be evaluated.
    """
    firing = Firing()
    known = tables(connection)
    left_out = {name: reason for name, rule in rules.items() if (reason := _left_out(rule, known))}
    kept = [rule for name, rule in rules.items() if name not in left_out]
    engine = Engine(kept, firing)
    if engine.rules:
        read = _reader(connection, known)
        warm(engine, read, now=since)
        feed(engine, read, since=since, until=until)
    alerts = engine.take()
    for rule in kept:
        if isinstance(rule, Condition):
            for found in rows_that_hold(connection, rule, since=since, until=until):
                alert = firing.offer(rule, found, local=found.timestamp)
                if alert is not None:
                    alerts.append(alert)
    return Backtest(sorted(alerts, key=lambda alert: (alert.timestamp, alert.rule, alert.exchange, alert.symbol)), left_out)


def connect_lake(home: Home, rules: Mapping[str, Rule]) -> duckdb.DuckDBPyConnection:
    """A connection over a home with the tables that the rules speak of."""
    spoken = {rule.table for rule in rules.values() if isinstance(rule, Condition)}
    return connect(home, statement=f"from {', '.join(sorted({*_READS.values(), *spoken}))}")


def connect_files(directory: Path | None, candles: Path | None, *, symbol: str | None = None) -> duckdb.DuckDBPyConnection:
    """A connection over the files of `tickhouse decode --out` in `directory`, and the indicators of a file of candles.

    Raises `AlertRuleError` where there is neither, and `CandleTableError` for candles that cannot be understood.
    """
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    known = 0
    for name in LANDED if directory is not None else ():
        path = (directory or Path()) / f"{name}.parquet"
        if path.exists():
            quoted = str(path).replace("'", "''")
            columns = ", ".join(f'"{column}"' for column in dataset(name).schema.names)
            connection.execute(f"create view {name} as select {columns} from read_parquet('{quoted}', hive_partitioning = false)")  # noqa: S608 - a name of the registry and a quoted path
            known += 1
    if candles is not None:
        given = candle_table(candle_files.read_table(candles), symbol=symbol)
        connection.register(INDICATORS, with_indicators(given).rows.to_arrow())
        known += 1
    if not known:
        raise AlertRuleError(f"directory {directory} holds no rows, expected files such as trades.parquet, as decode --out writes them")
    return connection


def span(connection: duckdb.DuckDBPyConnection) -> tuple[int, int]:
    """From the first row of the files to behind the last, microseconds."""
    found = []
    for name in tables(connection) & {*LANDED, INDICATORS}:
        time = dataset(name).time_column if name in LANDED else "timestamp"
        found += connection.sql(f"select epoch_us(min({time})), epoch_us(max({time})) from {name}").fetchall()  # noqa: S608 - names of the registry
    known = [(first, last) for first, last in found if first is not None]
    if not known:
        raise AlertRuleError("the files hold no row, expected at least one")
    return min(first for first, _ in known), max(last for _, last in known) + 1


def tables(connection: duckdb.DuckDBPyConnection) -> set[str]:
    """Names of the tables and views a connection knows."""
    return {name for (name,) in connection.execute("select table_name from information_schema.tables").fetchall()}


def _reader(connection: duckdb.DuckDBPyConnection, known: set[str]) -> Reader:
    """Reads from a connection that knows the datasets by name."""
    filed = {name for name in known if "date" in connection.sql(f"from {name} limit 0").columns}

    def read(name: str, columns: Sequence[str], since: int, until: int) -> pa.Table:
        spec = dataset(name)
        if name not in known:
            return spec.schema.empty_table().select(list(columns))
        time = spec.time_column
        where = f"{time} >= make_timestamptz({since}) and {time} < make_timestamptz({until})"
        if name in filed:
            # Files of other hours stay unread; a stretch never crosses an hour.
            where += f" and date = make_timestamptz({since})::date and hour = {since // HOUR_US % 24}"
        statement = f"select {', '.join(columns)} from {name} where {where}"  # noqa: S608 - names of the registry
        return connection.sql(statement).to_arrow_table()

    return read


def _left_out(rule: Rule, known: set[str]) -> str:
    """Why rows do not answer the rule; empty where they do."""
    if isinstance(rule, Condition):
        return "" if rule.table in known else f"there is no table {rule.table}"
    if isinstance(rule, SilentChannel) or not isinstance(rule, LIVE):
        return f"rules of kind {rule.kind} speak of what happens to the house, which no row tells"
    source = next(name for kind, name in _READS.items() if isinstance(rule, kind))
    return "" if source in known else f"there are no {source}"
