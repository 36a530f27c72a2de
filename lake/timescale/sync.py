# ruff: noqa: S608 - every name put into these statements comes from the list of tables
"""Making partitions on the server equal to the lake.

Put here: `sync`, its transaction, and what follows it. Keep out: reading the lake (`lake.timescale.reading`), telling whether both sides
are equal (`lake.timescale.compare`).

A partition is one transaction under a lock of its own: the lake is read once the lock is held, so that of two syncs the later one has the
newer rows. Where the server holds nothing of it, rows are copied straight into the table; else into a staging table, by which rows that are
gone or different are taken out, and those that are missing then put in. Killed at any moment, the former rows or the new ones stand.

Aggregates cannot be refreshed inside a transaction. So the transaction notes what is waiting, and whoever syncs next finishes what a
killed process left.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Final

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from lake.paths import HOUR_US, Home
from lake.timescale import aggregates
from lake.timescale.editions import Edition, edition
from lake.timescale.errors import BehindRetention, ServerRefused
from lake.timescale.migrate import check_schema
from lake.timescale.reading import Stretch, Window, moment, partition_starts, read
from lake.timescale.relations import LONGER, Relation
from lake.timescale.server import Connection, Server, run
from lake.timescale.settings import TimescaleSettings, timescale_settings
from lake.timescale.tables import Table, table
from lake.transforms.timeframes import open_time

_BATCH_ROWS: Final = 50_000
_STAGING: Final = "tickhouse_staging"
_REFRESHING: Final = 0x7469636B72656672
"""The advisory lock of refreshes: `tickrefr` in ASCII; it goes with the connection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing counted on both sides."""

    name: str
    lake: int
    server: int

    @property
    def equal(self) -> bool:
        return self.lake == self.server


@dataclass(frozen=True, slots=True, kw_only=True)
class Synced:
    """What a sync did. `rows_written` were new or different, `rows_deleted` are gone or gave way to different ones; the others stood."""

    table: str
    start: datetime
    end: datetime
    rows_read: int
    rows_written: int
    rows_deleted: int
    checks: tuple[Check, ...]

    @property
    def equal(self) -> bool:
        """Whether every check held."""
        return all(check.equal for check in self.checks)


def sync(home: Home, dsn: str, table_name: str, period: Stretch, *, settings: TimescaleSettings | None = None) -> Synced:
    """Make one partition (an `Hour`, a `Period`), or a `Window` of several, equal to the lake; safe to repeat, and beside others.

    Tries again while the server is away, restarting, slow or full. Raises `ServerUnavailable` after the last attempt, `ServerRefused`,
    `SchemaTooOld`, `SchemaTooNew`, `BehindRetention`, `PeriodError`, `UnknownTable`, and what reading the lake raises.
    """
    spec, server = table(table_name), Server(dsn, settings or timescale_settings())
    partition_starts(spec.span, period)
    doing = f"syncing {table_name} of {moment(period.start):%Y-%m-%d %H:%M}"
    return run(server.attempt(doing, lambda: _sync(server, home, spec, period)))


async def _sync(server: Server, home: Home, spec: Table, period: Stretch) -> Synced:
    async with server.connection() as connection:
        await check_schema(connection, server)
        aggregated = await aggregates.aggregated(connection)
        _before_retention(server, spec, period)
        if aggregated and spec.name in LONGER:
            await _finish(connection, server)
            return _synced(spec, period, read=0, written=0, deleted=0, checks=())
        async with connection.transaction():
            done = await _replace(connection, server, home, spec, period, refreshed=not (aggregated and spec.name == "h1_data"))
        if aggregated and spec.name == "h1_data":
            await _finish(connection, server)
        await _expire(connection, server, spec.relation)
        return done


async def _replace(connection: Connection, server: Server, home: Home, spec: Table, period: Stretch, *, refreshed: bool) -> Synced:
    """The transaction: lock, read, write, note."""
    starts = partition_starts(spec.span, period)
    latest_only = spec.relation.name == "indicators" and server.settings.timescale_latest_indicators_only
    await _lock(connection, spec, starts, whole=latest_only)
    rows = await asyncio.to_thread(read, home, spec, period)
    sent = latest_rows(rows) if latest_only else rows
    window = await window_condition(connection, spec, period, sent)
    if not latest_only and not await connection.fetchval(f"SELECT EXISTS (SELECT FROM {spec.relation.name} WHERE {window})"):
        written, deleted = await _copy(connection, spec.relation.name, sent), 0
        standing = written
    else:
        await connection.execute(f"CREATE TEMP TABLE {_STAGING} (LIKE {spec.relation.name}) ON COMMIT DROP")
        await _copy(connection, _STAGING, sent)
        await connection.execute(f"ANALYZE {_STAGING}")
        if await edition(connection) is Edition.FULL:
            await connection.execute("SET LOCAL timescaledb.max_tuples_decompressed_per_dml_transaction = 0")
        deleted = _count(await connection.execute(_prune(spec, window)))
        if latest_only:
            await connection.execute(_DROP_OLDER)
            deleted += _count(await connection.execute(_PRUNE_OLDER))
        written = _count(await connection.execute(_insert(spec, window)))
        standing = await connection.fetchval(f"SELECT count(*) FROM {spec.relation.name} WHERE {window}")
    await _note(connection, spec, starts, period, rows, refreshed=refreshed)
    checks = () if latest_only else (Check(name="rows", lake=rows.num_rows, server=standing),)
    return _synced(spec, period, read=rows.num_rows, written=written, deleted=deleted, checks=checks)


def _synced(spec: Table, period: Stretch, *, read: int, written: int, deleted: int, checks: tuple[Check, ...]) -> Synced:
    return Synced(
        table=spec.name,
        start=moment(period.start),
        end=moment(period.end),
        rows_read=read,
        rows_written=written,
        rows_deleted=deleted,
        checks=checks,
    )


async def _lock(connection: Connection, spec: Table, starts: list[int], *, whole: bool) -> None:
    """Hold the partitions until the transaction ends, always in the same order; the `whole` relation where partitions touch each other."""
    name = spec.relation.name if whole else spec.name
    which = int.from_bytes(sha256(name.encode()).digest()[:4], signed=True)
    for start in [0] if whole else starts:
        await connection.execute("SELECT pg_advisory_xact_lock($1::int, $2::int)", which, start // HOUR_US)


async def window_condition(connection: Connection, spec: Table, period: Stretch, rows: pa.Table) -> str:
    """Condition by which the table's rows of these partitions are found.

    Where they are not found by the column hypertables are cut by, times that were noted say between which instants of that they lie.
    """
    relation = spec.relation
    found = f"\"{relation.window_column}\" >= '{moment(period.start)}' AND \"{relation.window_column}\" < '{moment(period.end)}'"
    if spec.timeframes and "timeframe" in relation.names:
        listed = ", ".join(f"'{each}'" for each in spec.timeframes)
        found += f" AND timeframe IN ({listed})"
    if relation.window_column == relation.time:
        return found
    noted = await connection.fetchrow(
        "SELECT min(first_time) AS first, max(last_time) AS last FROM synced_partitions "
        "WHERE table_name = $1 AND partition_start >= $2 AND partition_start < $3",
        spec.name,
        moment(period.start),
        moment(period.end),
    )
    assert noted is not None
    times = rows[relation.time]
    bounds = [each for each in (noted["first"], noted["last"], pc.min(times).as_py(), pc.max(times).as_py()) if each is not None]
    if not bounds:
        return f"{found} AND false"
    return f"{found} AND \"{relation.time}\" >= '{min(bounds)}' AND \"{relation.time}\" <= '{max(bounds)}'"


async def _copy(connection: Connection, target: str, rows: pa.Table) -> int:
    """Send rows as text: Polars writes floats with the digits of their repr, which is what the table must hold."""
    if rows.num_rows == 0:
        return 0

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, rows.num_rows, _BATCH_ROWS):
            frame = pl.from_arrow(rows.slice(start, _BATCH_ROWS))
            assert isinstance(frame, pl.DataFrame)
            yield frame.write_csv(include_header=False).encode()

    return _count(await connection.copy_to_table(target, source=chunks(), columns=rows.column_names, format="csv"))


def _prune(spec: Table, window: str) -> str:
    """Take out rows that the lake no longer has, or has otherwise.

    Deleting and inserting what is different, by two joins, takes a hypertable half the time of an upsert that looks up row by row.
    """
    relation = spec.relation
    same = " AND ".join(f't."{name}" = s."{name}"' for name in relation.key)
    others = [name for name in relation.names if name not in relation.key]
    standing, given = (", ".join(f'{side}."{name}"' for name in others) for side in ("t", "s"))
    equal = f" AND ({standing}) IS NOT DISTINCT FROM ({given})" if others else ""
    return f"DELETE FROM {relation.name} t WHERE {window} AND NOT EXISTS (SELECT FROM {_STAGING} s WHERE {same}{equal})"


_PRUNE_OLDER: Final = (
    f"DELETE FROM indicators t USING {_STAGING} s WHERE t.exchange = s.exchange AND t.asset = s.asset AND t.timeframe = s.timeframe "
    'AND t."timestamp" < s."timestamp"'
)
_DROP_OLDER: Final = (
    f"DELETE FROM {_STAGING} s USING indicators t WHERE t.exchange = s.exchange AND t.asset = s.asset AND t.timeframe = s.timeframe "
    'AND t."timestamp" > s."timestamp"'
)


def _insert(spec: Table, window: str) -> str:
    """Put in what is not there."""
    relation = spec.relation
    same = " AND ".join(f't."{name}" = s."{name}"' for name in relation.key)
    standing = f"SELECT FROM {relation.name} t WHERE {window} AND {same}"
    return f"INSERT INTO {relation.name} SELECT * FROM {_STAGING} s WHERE NOT EXISTS ({standing})"


def latest_rows(rows: pa.Table) -> pa.Table:
    """Of each series the row that opened last."""
    frame = pl.from_arrow(rows)
    assert isinstance(frame, pl.DataFrame)
    return frame.sort("timestamp").unique(["exchange", "asset", "timeframe"], keep="last", maintain_order=True).to_arrow().cast(rows.schema)


async def _note(connection: Connection, spec: Table, starts: list[int], period: Stretch, rows: pa.Table, *, refreshed: bool) -> None:
    """Record what each partition holds, in the transaction that wrote it."""
    windows, times = (_microseconds(rows, name) for name in (spec.relation.window_column, spec.relation.time))
    index = np.searchsorted(np.asarray(starts), windows, side="right") - 1
    counts = np.bincount(index, minlength=len(starts))
    noted = []
    for number, start in enumerate(starts):
        own = times[index == number] if counts[number] else None
        first, last = (None, None) if own is None else (moment(int(own.min())), moment(int(own.max())))
        noted.append((spec.name, moment(start), int(counts[number]), first, last, refreshed))
    await connection.executemany(
        "INSERT INTO synced_partitions (table_name, partition_start, row_count, first_time, last_time, refreshed, synced_at) "
        "VALUES ($1, $2, $3, $4, $5, $6, now()) ON CONFLICT (table_name, partition_start) DO UPDATE SET row_count = excluded.row_count, "
        "first_time = excluded.first_time, last_time = excluded.last_time, refreshed = excluded.refreshed, synced_at = excluded.synced_at",
        noted,
    )


def _microseconds(rows: pa.Table, name: str) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.asarray(rows[name].cast(pa.timestamp("us", tz="UTC")).cast(pa.int64()))


async def _finish(connection: Connection, server: Server) -> None:
    """Refresh the aggregates over every partition of h1_data that waits for it, also those a killed process left.

    One at a time: two refreshes of one aggregate get into each other's way. What lies behind the retention by now stays as it was
    materialised: refreshing it would delete it.
    """
    await connection.execute(f"SELECT pg_advisory_lock({_REFRESHING})")
    waiting = await connection.fetch(
        "SELECT partition_start, synced_at FROM synced_partitions WHERE table_name = 'h1_data' AND NOT refreshed ORDER BY partition_start"
    )
    if waiting and await edition(connection) is not Edition.FULL:
        raise ServerRefused(address=server.address, doing="refreshing aggregates", reason="the server no longer runs the full edition")
    starts = [int(row["partition_start"].timestamp()) * 1_000_000 for row in waiting]
    days = server.settings.retention_days.get("h1_data")
    horizon = 0 if days is None else int((datetime.now(UTC) - timedelta(days=days)).timestamp() * 1_000_000)
    for each in _joined([start for start in starts if open_time(start, "1d") >= horizon]):
        await aggregates.refresh(connection, each.start, each.end)
    # One that was synced again meanwhile has another time, and waits on.
    await connection.executemany(
        "UPDATE synced_partitions SET refreshed = true WHERE table_name = 'h1_data' AND partition_start = $1 AND synced_at = $2",
        [(row["partition_start"], row["synced_at"]) for row in waiting],
    )


def _joined(starts: list[int]) -> list[Window]:
    """Hours that follow one another, as one window each."""
    found: list[Window] = []
    for start in starts:
        if found and found[-1].end == start:
            found[-1] = Window(found[-1].start, start + HOUR_US)
        else:
            found.append(Window(start, start + HOUR_US))
    return found


def _before_retention(server: Server, spec: Table, period: Stretch) -> None:
    """Refuse what retention would take away again. Of h1_data the whole day counts: its aggregate is made of all its hours."""
    days = server.settings.retention_days.get(spec.relation.name)
    if days is None:
        return
    begins = open_time(period.start, "1d") if spec.name == "h1_data" else period.start
    if moment(begins) < datetime.now(UTC) - timedelta(days=days):
        raise BehindRetention(
            table=spec.name, start=f"{moment(period.start):%Y-%m-%d %H:%M}", days=days, setting="TICKHOUSE_TIMESCALE_RETENTION_DAYS"
        )


async def _expire(connection: Connection, server: Server, relation: Relation) -> None:
    """Let go what is older than its retention, where the server has no policy for that: chunks on the Apache edition, else rows."""
    days = server.settings.retention_days.get(relation.name)
    if days is None:
        return
    found = await edition(connection)
    if relation.chunk_days is None or found is Edition.PLAIN:
        await connection.execute(f'DELETE FROM {relation.name} WHERE "{relation.time}" < $1', datetime.now(UTC) - timedelta(days=days))
    elif found is Edition.APACHE:
        await connection.execute(f"SELECT drop_chunks('{relation.name}', older_than => INTERVAL '{int(days * 24)} hours')")


def _count(tag: str) -> int:
    """Rows of a command tag: `INSERT 0 5`, `DELETE 5`, `COPY 5`."""
    return int(tag.split()[-1])
