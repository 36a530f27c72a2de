"""The schema on the server: migrations in order, each once, and then what its edition asks for.

Put here: which migrations there are, applying them under a lock, and refusing a schema that is not ours to change. Keep out: their
statements (`migrations/*.sql`), what depends on the edition (`lake.timescale.arrange`).

Migrations go forward only and are never edited once they are out: the server keeps a checksum of each. Several processes may start at
once: one of them migrates, the others wait and find it done.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from typing import Final

import asyncpg

from lake.timescale.arrange import arrange
from lake.timescale.editions import Edition, versions
from lake.timescale.errors import SchemaMismatched, SchemaTooNew, SchemaTooOld, ServerUnavailable
from lake.timescale.server import Connection, Server, run
from lake.timescale.settings import TimescaleSettings, timescale_settings

_LOCK: Final = 0x7469636B686F7573
"""The advisory lock of migrations: `tickhous` in ASCII."""
_LOCK_POLL_SECONDS: Final = 0.2

_RECORDS: Final = (
    "CREATE TABLE IF NOT EXISTS schema_migrations (version integer PRIMARY KEY, name text NOT NULL, checksum text NOT NULL, "
    "applied_at timestamptz NOT NULL DEFAULT now())",
    "CREATE TABLE IF NOT EXISTS schema_arrangement (fingerprint text NOT NULL, edition text NOT NULL, arranged_at timestamptz NOT NULL)",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """One migration: its number, its name, and its statements."""

    version: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        return sha256(self.sql.encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Migrated:
    """The schema after `migrate`: its version, migrations this call applied, the edition, and whether its layout was renewed."""

    version: int
    applied: tuple[str, ...]
    edition: Edition
    arranged: bool


def migrations() -> tuple[Migration, ...]:
    """Every migration of this version, in order."""
    found = []
    for entry in sorted(files("lake.timescale").joinpath("migrations").iterdir(), key=lambda each: each.name):
        number, _, name = entry.name.removesuffix(".sql").partition("_")
        if entry.name.endswith(".sql"):
            found.append(Migration(version=int(number), name=name, sql=entry.read_text(encoding="utf-8")))
    return tuple(found)


def migrate(dsn: str, *, settings: TimescaleSettings | None = None) -> Migrated:
    """Make or renew the schema of the database at `dsn`; cheap where it is as it should be.

    Raises `SchemaTooNew` for a schema of a newer version, `SchemaMismatched` for one that was changed, `ServerUnavailable` and
    `ServerRefused`.
    """
    server = Server(dsn, settings or timescale_settings())
    return run(server.attempt("migrating the schema", lambda: _migrate(server)))


async def check_schema(connection: Connection, server: Server) -> None:
    """Raise `SchemaTooOld` or `SchemaTooNew` unless the schema is the one of this version."""
    known = migrations()[-1].version
    try:
        found = await connection.fetchval("SELECT coalesce(max(version), 0) FROM schema_migrations")
    except asyncpg.UndefinedTableError:
        found = 0
    if found > known:
        raise SchemaTooNew(address=server.address, found=found, known=known)
    if found < known:
        raise SchemaTooOld(address=server.address, found=found, known=known)


async def _migrate(server: Server) -> Migrated:
    known = migrations()
    async with server.connection() as connection, _locked(connection, server):
        await connection.execute("SET statement_timeout = 0")
        encoding = await connection.fetchval("SELECT current_setting('server_encoding')")
        if encoding != "UTF8":
            raise SchemaMismatched(
                f"the database on {server.address} has the encoding {encoding}, expected UTF8: last_id is made of UTF-8 text"
            )
        for statement in _RECORDS:
            await connection.execute(statement)
        recorded = {row["version"]: row for row in await connection.fetch("SELECT version, name, checksum FROM schema_migrations")}
        newest = max(recorded, default=0)
        if newest > known[-1].version:
            raise SchemaTooNew(address=server.address, found=newest, known=known[-1].version)
        await _extension(connection)
        applied = []
        for migration in known:
            if migration.version in recorded:
                _same(migration, recorded[migration.version], server)
                continue
            async with connection.transaction():
                await connection.execute(migration.sql)
                await connection.execute(
                    "INSERT INTO schema_migrations (version, name, checksum) VALUES ($1, $2, $3)",
                    migration.version,
                    migration.name,
                    migration.checksum,
                )
            applied.append(migration.name)
        found = await versions(connection)
        arranged = await arrange(connection, found, server.settings)
        return Migrated(version=known[-1].version, applied=tuple(applied), edition=found.edition, arranged=arranged)


def _same(migration: Migration, recorded: asyncpg.Record, server: Server) -> None:
    if recorded["checksum"] != migration.checksum:
        raise SchemaMismatched(
            f"migration {migration.version} ({migration.name}) on {server.address} was applied with the checksum "
            f"{recorded['checksum'][:12]}, expected {migration.checksum[:12]}: a migration must not change once it is out"
        )


async def _extension(connection: Connection) -> None:
    """Put TimescaleDB into the database where the server has it loaded; one who may not do that goes on with plain tables."""
    ready = await connection.fetchval(
        "SELECT current_setting('timescaledb.disable_load', true) = 'off' "
        "AND EXISTS (SELECT FROM pg_available_extensions WHERE name = 'timescaledb' AND installed_version IS NULL)"
    )
    if ready:
        try:
            await connection.execute("CREATE EXTENSION timescaledb")
        except asyncpg.InsufficientPrivilegeError:
            return


@asynccontextmanager
async def _locked(connection: Connection, server: Server) -> AsyncIterator[None]:
    """Hold the lock of migrations. Asked for again and again: a statement that waits would hold a snapshot all the while."""
    loop = asyncio.get_running_loop()
    until = loop.time() + server.settings.timescale_statement_seconds
    while not await connection.fetchval("SELECT pg_try_advisory_lock($1)", _LOCK):
        if loop.time() > until:
            raise ServerUnavailable(
                address=server.address,
                doing="migrating the schema",
                attempts=1,
                reason="another process is migrating it and did not end in time",
            )
        await asyncio.sleep(_LOCK_POLL_SECONDS)
    try:
        yield
    finally:
        if not connection.is_closed():
            await connection.execute("SELECT pg_advisory_unlock($1)", _LOCK)
