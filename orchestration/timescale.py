"""A whole lake copied to TimescaleDB, and the questions people ask there: what the demo does with a server.

Put here: going through all tables and partitions at once. Keep out: one partition (`lake.timescale`), Dagster's runs (`assets.timescale`).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from lake.paths import HOUR_US, Home
from lake.periods import Period
from lake.registry import LANDED

if TYPE_CHECKING:
    from lake.columns import Span
    from lake.timescale.reading import Window
    from lake.timescale.settings import TimescaleSettings

QUESTIONS: Final[Mapping[str, str]] = {
    "the newest candle of an hour": (
        "SELECT * FROM h1_data WHERE asset = 'BTC/USDT' AND exchange = 'binance' ORDER BY timestamp DESC LIMIT 1;"
    ),
    "its indicators": (
        "SELECT i.* FROM h1_data h JOIN indicators i ON i.last_id = h.last_id AND i.timeframe = '1h' "
        "WHERE h.asset = 'BTC/USDT' AND h.exchange = 'binance' ORDER BY h.timestamp DESC LIMIT 1;"
    ),
    "the hundred largest coins": (
        "SELECT symbol, name, close, market_cap_rank, ath5, days_since_ath FROM cg_data "
        "WHERE sys_timestamp = (SELECT MAX(sys_timestamp) FROM cg_data) ORDER BY market_cap_rank ASC LIMIT 100;"
    ),
    "eight days of candles of four hours": (
        "SELECT * FROM h4_data WHERE asset = 'ETH/USDT' AND exchange = 'bybit' ORDER BY timestamp DESC LIMIT 48;"
    ),
}
"""Statements that people bring along, as they are."""

_AT_ONCE: Final = 48
"""Partitions copied as one stretch; of landed datasets, whose hours are large, one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Copied:
    """What a copy did; `differences` are sentences, one for each stretch of a table that does not equal the lake."""

    tables: int
    rows: int
    written: int
    differences: tuple[str, ...]
    seconds: float

    @property
    def sentence(self) -> str:
        """The figures in one line."""
        wrong = f"; {'; '.join(self.differences[:3])}" if self.differences else ", all equal to the lake"
        return f"{self.rows:,} rows of {self.tables} tables, {self.written:,} of them written{wrong}"


def copy_lake(home: Home, settings: TimescaleSettings) -> Copied:
    """Make the schema, copy every partition of every table, and compare each with the lake. Raises `TimescaleError`."""
    from lake.timescale.compare import compare
    from lake.timescale.migrate import migrate
    from lake.timescale.status import partitions
    from lake.timescale.sync import sync
    from lake.timescale.tables import tables

    begun = time.monotonic()
    dsn = settings.required_dsn
    migrate(dsn, settings=settings)
    rows = written = 0
    differences: list[str] = []
    for table in tables():
        for window in windows(partitions(home, table), table.span, most=1 if table.dataset in LANDED else _AT_ONCE):
            done = sync(home, dsn, table.name, window, settings=settings)
            rows, written = rows + done.rows_read, written + done.rows_written
            compared = compare(home, dsn, table.name, window, settings=settings)
            differences += [] if compared.equal else [compared.sentence]
    return Copied(tables=len(tables()), rows=rows, written=written, differences=tuple(differences), seconds=time.monotonic() - begun)


def windows(starts: Sequence[int], span: Span, *, most: int) -> Iterator[Window]:
    """Neighbouring partitions (by start, microseconds, in order) as one stretch, at most so many."""
    from lake.timescale.reading import Window

    first = 0
    for number, start in enumerate(starts):
        end = _end(start, span)
        if number + 1 == len(starts) or starts[number + 1] != end or number + 1 - first == most:
            yield Window(starts[first], end)
            first = number + 1


def _end(start: int, span: Span) -> int:
    return start + HOUR_US if span == "hour" else Period.of(start, span).end


def ask(settings: TimescaleSettings, statement: str) -> list[dict[str, Any]]:
    """The rows of one statement. Raises `TimescaleError`."""
    from lake.timescale.server import Server, run

    server = Server(settings.required_dsn, settings)

    async def asked() -> list[dict[str, Any]]:
        async with server.connection() as connection:
            return [dict(row) for row in await connection.fetch(statement)]

    return run(server.attempt("asking", asked))
