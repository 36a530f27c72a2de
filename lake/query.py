"""SQL over everything that was acknowledged, seconds-old rows of the write-ahead log included.

Put here: connections that see the log beside the files, and running statements with limits. Keep out: the SQL of the views
(`lake.views`), and the rule by which a row of the log counts (`lake.visible`).

A connection is a picture of one instant: it is fixed first, files are cut at it by the views, and the log gives what no file
counts at it. So each event is seen once, and two statements on one connection agree, until `refresh` takes a new picture.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Final

import duckdb
import pyarrow as pa

from lake import catalog, layout, visible
from lake.errors import QueryError
from lake.listing import WAL_PREFIX
from lake.paths import Home
from lake.registry import LANDED, dataset

_INSTANT: Final = "getvariable('tickhouse_instant')"
_BATCH_ROWS: Final = 65_536
_AGAIN_SECONDS: Final = 0.02


@dataclass(frozen=True, slots=True)
class Result:
    """Rows of a statement; `truncated` when there were more than the limit."""

    table: pa.Table
    truncated: bool


def connect(home: Home, *, with_wal: bool = True, statement: str | None = None) -> duckdb.DuckDBPyConnection:
    """An in-memory connection with the views of the catalog, as of now; times are shown in UTC. With a `statement` those it needs alone.

    With the log, rows count from the moment they are acknowledged; without it, from the instant of their part. Close it after use. Raises
    `LakeFormatError` for a home of a newer version.
    """
    layout.ensure(home)
    connection = duckdb.connect()
    try:
        connection.execute("SET TimeZone = 'UTC'")
        creates = catalog.definitions(home, at=_INSTANT, wal=with_wal, statement=statement)
        read = [name for name in LANDED if statement is None or any(f"{WAL_PREFIX}{name}" in create for create in creates.values())]
        _picture(connection, home, read if with_wal else ())
        # One transaction: a commit for each of many views takes as long as defining them.
        connection.execute("BEGIN")
        for create in creates.values():
            connection.execute(create)
        connection.execute("COMMIT")
    except BaseException:
        connection.close()
        raise
    return connection


def refresh(connection: duckdb.DuckDBPyConnection, home: Home, *, with_wal: bool = True) -> int:
    """Move a connection of `connect` to now; returns the instant in microseconds. `with_wal` must be as it was connected."""
    return _picture(connection, home, LANDED if with_wal else ())


def _picture(connection: duckdb.DuckDBPyConnection, home: Home, landed: Iterable[str]) -> int:
    """Fix the instant, and show what the log holds of the datasets at it."""
    at_us = time.time_ns() // 1000
    connection.execute(f"SET VARIABLE tickhouse_instant = '{at_us:016d}'")
    for name in landed:
        rows = visible.wal_rows(home, name, at_us=at_us)
        connection.register(f"{WAL_PREFIX}{name}", rows.cast(dataset(name).schema))
    return at_us


def run_sql(
    home: Home,
    sql: str,
    *,
    parameters: Sequence[Any] = (),
    with_wal: bool = True,
    limit: int | None = None,
    timeout_seconds: float | None = None,
) -> Result:
    """Run one statement on a fresh picture of the lake, at most `limit` rows of it.

    Raises `QueryError` with DuckDB's message in one line, or when `timeout_seconds` have passed.
    """
    limits: dict[str, Any] = {"parameters": parameters, "limit": limit, "timeout_seconds": timeout_seconds}
    try:
        with closing(connect(home, with_wal=with_wal, statement=sql)) as connection:
            return execute(connection, sql, **limits)
    except QueryError as error:
        if not isinstance(error.__cause__, duckdb.CatalogException):
            raise
    # Beside everything there is, DuckDB says what may have been meant.
    with closing(connect(home, with_wal=with_wal)) as connection:
        return execute(connection, sql, **limits)


def execute(
    connection: duckdb.DuckDBPyConnection,
    sql: str,
    *,
    parameters: Sequence[Any] = (),
    limit: int | None = None,
    timeout_seconds: float | None = None,
) -> Result:
    """As `run_sql`, on a connection at hand."""
    if limit is not None and limit < 0:
        raise QueryError(f"the row limit is {limit}, expected 0 or more")
    timer = _Timeout(connection, timeout_seconds)
    try:
        with timer:
            result = _fetch(connection.sql(sql, params=list(parameters)), limit)
    except duckdb.InterruptException as error:
        if timer.expired:
            raise QueryError(f"the statement took longer than {timeout_seconds:g} seconds and was stopped") from error
        raise
    except duckdb.Error as error:
        raise QueryError(_one_line(error)) from error
    if timer.expired:
        raise QueryError(f"the statement took longer than {timeout_seconds:g} seconds")
    return result


def _fetch(relation: duckdb.DuckDBPyRelation | None, limit: int | None) -> Result:
    if relation is None:
        return Result(pa.table({}), truncated=False)
    reader = relation.to_arrow_reader(_BATCH_ROWS)
    batches: list[pa.RecordBatch] = []
    rows = 0
    for batch in reader:
        batches.append(batch)
        rows += batch.num_rows
        if limit is not None and rows > limit:
            break
    table = pa.Table.from_batches(batches, reader.schema)
    return Result(table if limit is None else table.slice(0, limit), truncated=limit is not None and rows > limit)


class _Timeout:
    """Interrupts a connection when the block lasts longer than `seconds`; never if that is None.

    Interrupts until the block ends: DuckDB forgets one that comes while a statement is planned, before it runs.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, seconds: float | None) -> None:
        self.expired = False
        self._connection = connection
        self._seconds = seconds
        self._ended = threading.Event()
        self._watch = None if seconds is None else threading.Thread(target=self._expire, daemon=True)

    def _expire(self) -> None:
        if self._ended.wait(self._seconds):
            return
        self.expired = True
        self._connection.interrupt()
        while not self._ended.wait(_AGAIN_SECONDS):
            self._connection.interrupt()

    def __enter__(self) -> None:
        if self._watch is not None:
            self._watch.start()

    def __exit__(self, *_: object) -> None:
        if self._watch is not None:
            self._ended.set()
            self._watch.join()


def _one_line(error: duckdb.Error) -> str:
    """DuckDB's message without the excerpt of the statement that follows it."""
    lines = [line.strip() for line in str(error).splitlines()]
    end = next((number for number, line in enumerate(lines) if line.startswith("LINE ")), len(lines))
    return " ".join(line for line in lines[:end] if line)
