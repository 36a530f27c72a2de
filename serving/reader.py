"""Statements over the lake, off the event loop: a few threads, each statement interrupted when it takes too long.

Put here: connections and their age, threads, timeouts, what is remembered of listings. Keep out: what is asked (`serving.tables`).

A connection is one picture of the lake (`lake.query`), the log included; it is kept for a moment, so that pages of a dashboard or
requests that come together share the price of making it.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar

import duckdb
import pyarrow as pa

from lake import query
from lake.errors import QueryError
from lake.paths import Home
from serving.errors import TooExpensive
from serving.symbols import Listed, SymbolIndex

if TYPE_CHECKING:
    from collections.abc import Iterator

T = TypeVar("T")

_LISTINGS: Final = "SELECT exchange, symbol, native, is_spot FROM listings_now"
_LISTINGS_SECONDS: Final = 60.0
_KEPT: Final = 16


class Reader:
    """Runs statements on `home`; every public method may be called from any thread. Close it after use."""

    def __init__(self, home: Home, *, threads: int = 4, timeout_seconds: float = 10.0, picture_seconds: float = 0.25) -> None:
        self.home = home
        self.timeout_seconds = timeout_seconds
        self._picture_seconds = picture_seconds
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="reader")
        self._lock = threading.Lock()
        self._idle: list[tuple[float, str, duckdb.DuckDBPyConnection]] = []
        self._symbols: tuple[float, SymbolIndex] | None = None

    async def rows(self, sql: str, parameters: Sequence[Any] = (), *, limit: int | None = None) -> pa.Table:
        """Rows of a statement with bound parameters, at most `limit`. Raises `TooExpensive`."""
        return await self.call(lambda: self.rows_now(sql, parameters, limit=limit))

    async def call(self, work: Callable[[], T]) -> T:
        """`work()` in one of the reader's threads."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    def rows_now(self, sql: str, parameters: Sequence[Any] = (), *, limit: int | None = None, together: str | None = None) -> pa.Table:
        """As `rows`, in the thread of the caller. Statements that name the same `together` (all their texts) see one picture."""
        with self.connection(together or sql) as connection:
            return self.on(connection, sql, parameters, limit=limit)

    def on(self, connection: duckdb.DuckDBPyConnection, sql: str, parameters: Sequence[Any] = (), *, limit: int | None = None) -> pa.Table:
        """Rows of a statement on a connection at hand."""
        try:
            return query.execute(connection, sql, parameters=parameters, limit=limit, timeout_seconds=self.timeout_seconds).table
        except QueryError as error:
            raise TooExpensive(f"the question cannot be answered: {error}") from error

    @contextmanager
    def connection(self, statement: str) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection that knows the views of `statement`, for one thread at a time."""
        made, connection = self._taken(statement)
        try:
            yield connection
        except BaseException:
            connection.close()
            raise
        self._give(made, statement, connection)

    def symbols(self) -> SymbolIndex:
        """Unified symbols by the venues' names, at most a minute old."""
        known = self._symbols
        if known is None or time.monotonic() - known[0] > _LISTINGS_SECONDS:
            table = self.rows_now(_LISTINGS)
            index = SymbolIndex.of(Listed(**row) for row in table.to_pylist())
            known = self._symbols = (time.monotonic(), index)
        return known[1]

    def close(self) -> None:
        """End the threads and close what is kept."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        with self._lock:
            idle, self._idle = self._idle, []
        for _, _, connection in idle:
            connection.close()

    def _taken(self, statement: str) -> tuple[float, duckdb.DuckDBPyConnection]:
        now = time.monotonic()
        with self._lock:
            fresh = [each for each in self._idle if now - each[0] <= self._picture_seconds]
            old = [each for each in self._idle if each not in fresh]
            found = next((each for each in fresh if each[1] == statement), None)
            self._idle = [each for each in fresh if each is not found]
        for _, _, connection in old:
            connection.close()
        if found is not None:
            return found[0], found[2]
        return now, query.connect(self.home, statement=statement)

    def _give(self, made: float, statement: str, connection: duckdb.DuckDBPyConnection) -> None:
        with self._lock:
            if len(self._idle) < _KEPT and time.monotonic() - made <= self._picture_seconds:
                self._idle.append((made, statement, connection))
                return
        connection.close()
