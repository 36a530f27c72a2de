"""How the server is and how far each table on it is: what `tickhouse timescale status` shows.

Put here: reading that, and which partitions of the lake there are to sync. Keep out: printing.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final

from lake.columns import Span
from lake.one_source import EXCHANGE_CANDLES
from lake.paths import DAY_US, HOUR_US, Home, Hour, day_of_directory, hour_of_directory
from lake.periods import Period
from lake.timescale.editions import Edition, versions
from lake.timescale.migrate import migrations
from lake.timescale.server import Connection, Server, run
from lake.timescale.settings import TimescaleSettings, timescale_settings
from lake.timescale.tables import Table, tables

_SENTINEL: Final = date(1970, 1, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class TableStatus:
    """How far one table is. `rows` are those of its synced partitions; `missing` counts partitions of the lake that were never synced."""

    table: str
    relation: str
    layout: str
    """table, hypertable, aggregate (a view over a continuous aggregate), or missing."""
    partitions: int
    rows: int
    newest: datetime | None
    synced_at: datetime | None
    missing: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """The server, its schema, and its tables; without a schema no tables are listed."""

    address: str
    edition: Edition
    postgres: str
    timescaledb: str | None
    schema: int
    known: int
    waiting: int
    """Partitions of h1_data whose aggregates still have to be refreshed."""
    tables: tuple[TableStatus, ...]

    @property
    def sentence(self) -> str:
        """Edition and schema, in one sentence."""
        server = f"PostgreSQL {self.postgres.split()[0]}"
        if self.timescaledb is not None:
            server = f"TimescaleDB {self.timescaledb} ({self.edition} edition) on {server}"
        if self.schema == 0:
            return f"{self.address} is {server}, without a schema yet: run `tickhouse timescale migrate`."
        note = "" if self.schema == self.known else f", expected {self.known}"
        return f"{self.address} is {server}, schema version {self.schema}{note}."


def status(dsn: str, home: Home | None = None, *, settings: TimescaleSettings | None = None) -> Status:
    """How the server at `dsn` is; with a `home` also what of its lake was never synced. Raises `ServerUnavailable`, `ServerRefused`."""
    server = Server(dsn, settings or timescale_settings())
    return run(server.attempt("asking for the status", lambda: _status(server, home)))


def partitions(home: Home, table: Table) -> list[int]:
    """Starts of the partitions of the lake that a table may have rows of, microseconds, in order, by the names of directories."""
    found = set(_starts(home, table.dataset, table.span))
    if table.kind == "candles" and table.span != "month":
        # Where nothing of ours was collected the exchanges' candles stand; those lie in files of a month.
        step = HOUR_US if table.span == "hour" else DAY_US
        for start in _starts(home, EXCHANGE_CANDLES, "month"):
            found |= set(range(start, min(Period.of(start, "month").end, time.time_ns() // 1000), step))
    return sorted(found)


def _starts(home: Home, dataset: str, span: Span) -> Iterator[int]:
    for directory in home.days.joinpath(dataset).glob("date=*"):
        day = day_of_directory(directory)
        if day is None or day == _SENTINEL:
            continue
        yield from (hour.start for hour in Hour.of_day(day)) if span == "hour" else [Period(day, span).start]
    if span == "hour":
        for directory in home.lake.joinpath(dataset).glob("date=*/hour=*"):
            hour = hour_of_directory(directory)
            if hour is not None and hour.start > 0:
                yield hour.start


async def _status(server: Server, home: Home | None) -> Status:
    async with server.connection() as connection:
        found = await versions(connection)
        schema = 0
        if await connection.fetchval("SELECT to_regclass('schema_migrations') IS NOT NULL"):
            schema = await connection.fetchval("SELECT coalesce(max(version), 0) FROM schema_migrations")
        listed = await _tables(connection, found.edition, home) if schema else ()
        waiting = await connection.fetchval("SELECT count(*) FROM synced_partitions WHERE NOT refreshed") if schema else 0
        return Status(
            address=server.address,
            edition=found.edition,
            postgres=found.postgres,
            timescaledb=found.timescaledb,
            schema=schema,
            known=migrations()[-1].version,
            waiting=waiting,
            tables=listed,
        )


async def _tables(connection: Connection, edition: Edition, home: Home | None) -> tuple[TableStatus, ...]:
    noted: dict[str, list[tuple[int, int, datetime]]] = {}
    for row in await connection.fetch("SELECT table_name, partition_start, row_count, synced_at FROM synced_partitions"):
        start = int(row["partition_start"].timestamp()) * 1_000_000
        noted.setdefault(row["table_name"], []).append((start, row["row_count"], row["synced_at"]))
    hypertables: set[str] = set()
    if edition is not Edition.PLAIN:
        rows = await connection.fetch(
            "SELECT hypertable_name FROM timescaledb_information.hypertables WHERE hypertable_schema = current_schema()"
        )
        hypertables = {row["hypertable_name"] for row in rows}
    names = sorted({each.relation.name for each in tables()})
    kinds = {
        row["name"]: row["kind"]
        for row in await connection.fetch(
            "SELECT name, relkind::text AS kind FROM unnest($1::text[]) name JOIN pg_class ON oid = to_regclass(name)::oid", names
        )
    }
    found = []
    for table in tables():
        name, own = table.relation.name, noted.get(table.name, [])
        layout = {"v": "aggregate", "r": "table"}.get(kinds.get(name, ""), "missing")
        aggregate = layout == "aggregate"
        lacking = 0 if home is None or aggregate else len(set(partitions(home, table)) - {start for start, _, _ in own})
        found.append(
            TableStatus(
                table=table.name,
                relation=name,
                layout="hypertable" if name in hypertables else layout,
                partitions=len(own),
                rows=sum(count for _, count, _ in own),
                newest=datetime.fromtimestamp(max(start for start, _, _ in own) / 1e6, UTC) if own else None,
                synced_at=max(at for _, _, at in own) if own else None,
                missing=lacking,
            )
        )
    return tuple(found)
