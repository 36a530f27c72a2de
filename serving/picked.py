# ruff: noqa: S608 - every name put into these statements comes from the registry; what a user gives is a bound parameter
"""Statements that answer for one instant: the newest of anything, a book, a consolidated book, listings.

Put here: their SQL with bound parameters. Keep out: questions over a range (`serving.tables`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from lake.listing import identifier
from serving import render, tables
from serving.reader import Reader
from serving.tables import TABLES, Question, Table
from serving.times import iso, moment_of, now_us

_HOUR_US: Final = 3_600_000_000

LATEST: Final = ("candles", "indicators", *(name for name in TABLES if name not in {"book-deltas", "heatmap", "coverage", "gaps"}))
"""What there is a newest of."""

Statement = tuple[str, list[Any]]


def listings(exchanges: Sequence[str], symbols: Sequence[str], *, active: bool | None, limit: int) -> Statement:
    """The newest state of instruments."""
    conditions, values = _of_market(exchanges, symbols)
    if active is not None:
        conditions.append("active = ?")
        values.append(active)
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    return f"SELECT * EXCLUDE (timestamp, date, hour) FROM listings_now{where} ORDER BY exchange, symbol LIMIT ?", [*values, limit]


def filled(symbol: str, timeframe: str, *, start: int, end: int, exchange: str | None) -> Statement:
    """Candles without holes."""
    sql = "SELECT * FROM candles_filled(?, ?, ?, ?, venue := ?) ORDER BY timestamp, exchange"
    return sql, [symbol, timeframe, moment_of(start), moment_of(end), exchange]


def book(exchange: str, symbol: str, moment: int, *, levels: int) -> Statement:
    """A book at an instant."""
    sql = "SELECT * FROM book_at(?, ?, ?) WHERE level <= ? ORDER BY side DESC, level"
    return sql, [exchange, symbol, moment_of(moment), levels]


def consolidated(symbol: str, moment: int) -> Statement:
    """The newest consolidated book of the hour before an instant."""
    question = Question(table=TABLES["consolidated"], start=max(0, moment - _HOUR_US), end=moment, symbols=(symbol,), newest_first=True)
    return question.statement(1)


def newest(
    name: str, timeframe: str, *, start: int, end: int, exchanges: tuple[str, ...], symbols: tuple[str, ...]
) -> tuple[str, Table, Statement]:
    """The newest row of each market of a table, with its name."""
    table = (
        {"candles": tables.candles, "indicators": tables.indicators}[name](timeframe) if name in {"candles", "indicators"} else TABLES[name]
    )
    by = table.default_by
    sql, values = Question(table=table, start=start, end=end, exchanges=exchanges, symbols=symbols, by=by).statement()
    place = ", ".join(f"{identifier(key)} DESC" for key in table.key(by))
    return name, table, (f"SELECT * FROM ({sql}) QUALIFY row_number() OVER (PARTITION BY exchange, symbol ORDER BY {place}) = 1", values)


def together(reader: Reader, asked: Sequence[tuple[str, Table, Statement]], *, limit: int) -> bytes:
    """The answers to several questions on one picture, as a JSON object by name."""
    found: dict[str, Any] = {"at": iso(now_us())}
    with reader.connection(" ".join(sorted({table.source for _, table, _ in asked}))) as connection:
        for name, _, (sql, values) in asked:
            found[name] = render.rows(reader.on(connection, sql, values, limit=limit))
    return msgspec.json.encode(found)


def _of_market(exchanges: Sequence[str], symbols: Sequence[str]) -> tuple[list[str], list[Any]]:
    conditions: list[str] = []
    values: list[Any] = []
    for column, wanted in (("exchange", exchanges), ("symbol", symbols)):
        if wanted:
            conditions.append(f"{column} IN ({', '.join('?' * len(wanted))})")
            values += wanted
    return conditions, values
