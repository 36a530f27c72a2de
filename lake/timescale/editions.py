"""Which edition a server runs, and what each can do.

Put here: detection. Keep out: the statements that differ (`lake.timescale.arrange`, `lake.timescale.aggregates`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from lake.timescale.server import Connection


class Edition(StrEnum):
    """What the server is."""

    FULL = "full"
    """TimescaleDB under the community licence: continuous aggregates, compression, policies."""
    APACHE = "apache"
    """TimescaleDB under the Apache licence: hypertables."""
    PLAIN = "plain"
    """PostgreSQL without TimescaleDB: tables."""


@dataclass(frozen=True, slots=True)
class Versions:
    """The edition, and the versions of PostgreSQL and of TimescaleDB (None on plain PostgreSQL)."""

    edition: Edition
    postgres: str
    timescaledb: str | None


async def edition(connection: Connection) -> Edition:
    """The edition of the database a connection is to: whether the extension is in it, and under which licence the server runs."""
    return (await versions(connection)).edition


async def versions(connection: Connection) -> Versions:
    """The edition with the versions."""
    row = await connection.fetchrow(
        "SELECT current_setting('server_version') AS postgres, current_setting('timescaledb.license', true) AS license, "
        "(SELECT extversion FROM pg_extension WHERE extname = 'timescaledb') AS extension"
    )
    assert row is not None
    if row["extension"] is None:
        return Versions(Edition.PLAIN, row["postgres"], None)
    found = Edition.FULL if row["license"] == "timescale" else Edition.APACHE
    return Versions(found, row["postgres"], row["extension"])
