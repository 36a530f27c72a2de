"""Rules of kind sql: which rows of a table a condition holds for.

Put here: the statement of a condition, and its answer as figures. Keep out: when it is asked, and whether that makes an alert (`firing`).
"""

from __future__ import annotations

import re
from contextlib import closing
from typing import Any, Final

import duckdb

from lake.alerts.firing import Measured
from lake.alerts.rules import RANK, Condition
from lake.errors import AlertRuleError, QueryError
from lake.paths import Home
from lake.query import connect, execute

_PLACE: Final = {"exchange": "exchange", "symbol": "symbol", "subject": "timeframe"}
"""Where a row speaks of: the columns, where the table has them. Candles and indicators of each timeframe cool down by themselves."""
_WORD: Final = re.compile(r"[a-z_][a-z0-9_]*")


def fired_by_sql(home: Home, rule: Condition, since: int, *, until: int | None = None) -> list[Measured]:
    """Rows of the rule's table the condition holds for, from `since` (microseconds, inclusive) up to `until` (exclusive), by time.

    The gravest severity counts where several hold; a condition that is null does not. Give the result to `outbox.fire`, which may be done
    again over the same rows. Raises `AlertRuleError` for a condition that DuckDB refuses, naming the rule.
    """
    with closing(connect(home, statement=f"from {rule.table}")) as connection:
        return rows_that_hold(connection, rule, since=since, until=until)


def rows_that_hold(
    connection: duckdb.DuckDBPyConnection, rule: Condition, *, since: int | None = None, until: int | None = None
) -> list[Measured]:
    """As `fired_by_sql`, on a connection that knows the rule's table under its name."""
    try:
        columns = execute(connection, f"from {rule.table} limit 0").table.column_names
        rows = execute(connection, _statement(rule, columns, since=since, until=until)).table.to_pylist()
    except QueryError as error:
        raise AlertRuleError(f"rule {rule.name!r} cannot be evaluated on {rule.table}: {error}") from error
    return [_measured(row) for row in rows]


def _statement(rule: Condition, columns: list[str], *, since: int | None, until: int | None) -> str:
    if "timestamp" not in columns:
        raise AlertRuleError(f"rule {rule.name!r}: table is {rule.table!r}, allowed is a table with a column timestamp")
    graver = sorted(rule.where.items(), key=lambda each: RANK[each[0]], reverse=True)
    severity = " ".join(f"when ({condition}) then '{name}'" for name, condition in graver)
    words = set(_WORD.findall(" ".join((*rule.where.values(), rule.value or "")).lower()))
    spoken = [name for name in columns if name in words]
    empty = "''"
    place = ", ".join(f"{column if column in columns else empty} as {name}_" for name, column in _PLACE.items())
    bounds = []
    if since is not None:
        bounds.append(f"timestamp >= make_timestamptz({since})")
        if "date" in columns:
            # A file of a month lies under its first day.
            bounds.append(f"date >= make_timestamptz({since})::date - 31")
    if until is not None:
        bounds.append(f"timestamp < make_timestamptz({until})")
    return f"""
        select * from (
            select epoch_us(timestamp) as moment,
                {place},
                case {severity} end as severity_, ({rule.value or "null"})::double as value_
                {"".join(f', "{name}" as "said_{name}"' for name in spoken)}
            from {rule.table}
            {"where " + " and ".join(bounds) if bounds else ""}
        ) where severity_ is not null order by moment, exchange_, symbol_, subject_
    """  # noqa: S608 - the condition is the user's own SQL, from the file of rules


def _measured(row: dict[str, Any]) -> Measured:
    return Measured(
        timestamp=row["moment"],
        value=row["value_"],
        exchange=row["exchange_"],
        symbol=row["symbol_"],
        subject=row["subject_"],
        severity=row["severity_"],
        details={name.removeprefix("said_"): value for name, value in row.items() if name.startswith("said_")},
    )
