"""What depends on the edition of the server: hypertables, the longer candles, compression and retention.

Put here: laying that out, again whenever the edition or the settings have changed. Keep out: tables of every edition (migrations).

Plain PostgreSQL that gets TimescaleDB: tables become hypertables, rows and all. The Apache edition that becomes the full one: tables of
longer candles give way to aggregates over h1_data. The full edition that becomes the Apache one is refused: nothing would keep its
aggregates.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from typing import Final

from lake.timescale import aggregates
from lake.timescale.editions import Edition, Versions
from lake.timescale.errors import SchemaMismatched
from lake.timescale.relations import LONGER, RELATIONS, Relation
from lake.timescale.server import Connection
from lake.timescale.settings import TimescaleSettings

_POLICIES: Final = ("policy_compression", "policy_retention")


async def arrange(connection: Connection, versions: Versions, settings: TimescaleSettings) -> bool:
    """Lay out what depends on the edition; False where it stands already. Safe to repeat after any interruption.

    Expects the caller to hold the lock of migrations. Raises `SchemaMismatched` for a server that can no longer keep what it holds.
    """
    wanted = _fingerprint(versions, settings)
    former = await connection.fetchrow("SELECT fingerprint, edition FROM schema_arrangement")
    if former is not None and former["fingerprint"] == wanted:
        return False
    full = versions.edition is Edition.FULL
    async with connection.transaction():
        await _longer(connection, versions.edition)
        if versions.edition is not Edition.PLAIN:
            await _hypertables(connection)
    if full and (former is None or former["edition"] != Edition.FULL):
        await aggregates.first_refresh(connection)
    async with connection.transaction():
        if full:
            for statement in await _policies(connection, settings):
                await connection.execute(statement)
        await connection.execute("DELETE FROM schema_arrangement")
        await connection.execute(
            "INSERT INTO schema_arrangement (fingerprint, edition, arranged_at) VALUES ($1, $2, now())", wanted, str(versions.edition)
        )
    return True


def _fingerprint(versions: Versions, settings: TimescaleSettings) -> str:
    """Tells two arrangements apart: edition, settings, and every statement that the full edition gets."""
    kept = sorted(settings.retention_days.items())
    made = [statement for view in LONGER for statement in aggregates.create(view)]
    tables = [(each.name, each.key, each.time, each.chunk_days, each.segments) for each in RELATIONS.values()]
    refreshed = list(aggregates.policies(settings.retention_days.get("h1_data")))
    told = repr((str(versions.edition), settings.timescale_compression_after_days, kept, made, tables, refreshed))
    return sha256(told.encode()).hexdigest()


async def _longer(connection: Connection, edition: Edition) -> None:
    """The longer candles: views over aggregates, or tables in the columns of h1_data."""
    kinds = {
        row["relname"]: row["kind"]
        for row in await connection.fetch(
            "SELECT relname, relkind::text AS kind FROM pg_class "
            "WHERE oid = ANY (SELECT to_regclass(name)::oid FROM unnest($1::text[]) name)",
            list(LONGER),
        )
    }
    if edition is not Edition.FULL:
        if "v" in kinds.values():
            raise SchemaMismatched(
                f"the database holds continuous aggregates and its server now runs the {edition} edition, expected the full one: "
                "start it with timescaledb.license = 'timescale', or migrate an empty database and sync it"
            )
        for name in LONGER:
            await connection.execute(f"CREATE TABLE IF NOT EXISTS {name} (LIKE h1_data INCLUDING CONSTRAINTS INCLUDING INDEXES)")
        return
    for name in LONGER:
        if kinds.get(name) == "r":
            await connection.execute(f"DROP TABLE {name}")
            await connection.execute("DELETE FROM synced_partitions WHERE table_name = $1", name)
        if kinds.get(name) != "v":
            for statement in aggregates.create(name):
                await connection.execute(statement)


async def _hypertables(connection: Connection) -> None:
    """Make hypertables of what is none yet, moving the rows it holds."""
    tables = {
        row["relname"]
        for row in await connection.fetch(
            "SELECT relname FROM pg_class WHERE relkind = 'r' "
            "AND oid = ANY (SELECT to_regclass(name)::oid FROM unnest($1::text[]) name) AND relname NOT IN "
            "(SELECT hypertable_name FROM timescaledb_information.hypertables WHERE hypertable_schema = current_schema())",
            list(RELATIONS),
        )
    }
    for relation in RELATIONS.values():
        if relation.chunk_days is not None and relation.name in tables:
            await connection.execute(
                f"SELECT create_hypertable('{relation.name}', by_range('{relation.time}', INTERVAL '{relation.chunk_days} days'), "
                "create_default_indexes => false, migrate_data => true)"
            )


async def _policies(connection: Connection, settings: TimescaleSettings) -> list[str]:
    """Statements that put the full edition's policies in force as the settings say, and end those they no longer ask for."""
    rows = await connection.fetch(
        "SELECT proc_name, hypertable_name FROM timescaledb_information.jobs WHERE proc_name = ANY ($1::text[])", list(_POLICIES)
    )
    standing = {(row["proc_name"], row["hypertable_name"]) for row in rows}
    columnstore = await connection.fetchval("SELECT EXISTS (SELECT FROM pg_proc WHERE proname = 'add_columnstore_policy')")
    statements = list(aggregates.policies(settings.retention_days.get("h1_data")))
    after = settings.timescale_compression_after_days
    for relation in RELATIONS.values():
        if relation.chunk_days is not None and relation.name not in LONGER:
            compressed = ("policy_compression", relation.name) in standing
            statements += _compression(relation, after, standing=compressed, columnstore=columnstore)
    for name, relation in RELATIONS.items():
        target = aggregates.aggregate_of(name) if name in LONGER else name
        if relation.chunk_days is None:
            continue
        statements.append(f"SELECT remove_retention_policy('{target}', if_exists => true)")
        if days := settings.retention_days.get(name):
            statements.append(f"SELECT add_retention_policy('{target}', drop_after => INTERVAL '{int(days * 24)} hours')")
    return statements


def _compression(relation: Relation, after: float | None, *, standing: bool, columnstore: bool) -> Iterator[str]:
    """Statements for one hypertable, in the words of the server: columnstore from 2.18 on, compression before."""
    rest = [f'"{name}"' for name in relation.key if name not in relation.segments and name != relation.time]
    order = ", ".join([f'"{relation.time}" DESC', *rest])
    segments = ", ".join(f'"{name}"' for name in relation.segments)
    name = relation.name
    removed = (
        f"CALL remove_columnstore_policy('{name}', if_exists => true)"
        if columnstore
        else f"SELECT remove_compression_policy('{name}', true)"
    )
    if after is None:
        if standing:
            yield removed
        return
    interval = f"INTERVAL '{int(after * 24)} hours'"
    if columnstore:
        laid = f"timescaledb.enable_columnstore = true, timescaledb.segmentby = '{segments}', timescaledb.orderby = '{order}'"
        added = f"CALL add_columnstore_policy('{name}', after => {interval})"
    else:
        laid = f"timescaledb.compress, timescaledb.compress_segmentby = '{segments}', timescaledb.compress_orderby = '{order}'"
        added = f"SELECT add_compression_policy('{name}', {interval})"
    yield from (f"ALTER TABLE {name} SET ({laid})", removed, added)
