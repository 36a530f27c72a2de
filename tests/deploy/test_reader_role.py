"""The role by which Grafana reads: made by psql as often as asked, reads every table, writes none."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
from urllib.parse import quote, urlsplit, urlunsplit

import asyncpg
import pytest

from lake.timescale.migrate import migrate
from tests.conftest import absent
from tests.deploy.watched import DEPLOY, ROOT, read
from tests.lake.timescale_lake import settings
from tests.timescale_server import run


def psql(dsn: str, role: str, password: str | None) -> subprocess.CompletedProcess[str]:
    program = shutil.which("psql")
    if program is None:
        absent("there is no psql: install Debian's package postgresql-client")
    environment = {name: value for name, value in os.environ.items() if name != "READER_PASSWORD"}
    if password is not None:
        environment["READER_PASSWORD"] = password
    words = [program, "--no-psqlrc", "--set", f"role={role}", "--file", str(DEPLOY / "timescale" / "reader.sql"), dsn]
    return subprocess.run(words, env=environment, capture_output=True, text=True, timeout=120, check=False)


def as_reader(dsn: str, role: str, password: str) -> str:
    parts = urlsplit(dsn)
    return urlunsplit(parts._replace(netloc=f"{role}:{quote(password, safe='')}@{parts.netloc.rpartition('@')[2]}"))


async def refused(connection: asyncpg.Connection, text: str) -> bool:
    try:
        await connection.execute(text)
    except (asyncpg.InsufficientPrivilegeError, asyncpg.ReadOnlySQLTransactionError):
        return True
    return False


def test_the_role_reads_every_table_and_writes_none(timescale_dsn: str) -> None:
    migrate(timescale_dsn, settings=settings())
    role, password = f"tickhouse_test_{secrets.token_hex(6)}", 'it\'s "a" $ecret/with@all:of it'

    async def look(connection: asyncpg.Connection) -> list[bool]:
        tables = await connection.fetch("SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables WHERE schemaname = 'public'")
        assert len(tables) > 15
        for table in tables:
            assert await connection.fetchval(f"SELECT count(*) >= 0 FROM {table['name']}")
        by_default = await refused(connection, "INSERT INTO h4_oi (symbol, timeframe, timestamp) VALUES ('BTC', '4h', now())")
        await connection.execute("SET default_transaction_read_only = off")
        tried = ("DELETE FROM h1_data", "DROP TABLE flags_history", "CREATE TABLE mine (a int)", "CREATE ROLE another")
        return [by_default, *[await refused(connection, each) for each in tried]]

    try:
        first, again = psql(timescale_dsn, role, "another one"), psql(timescale_dsn, role, password)
        found = run(as_reader(timescale_dsn, role, password), look)
    finally:
        run(timescale_dsn, lambda connection: connection.execute(f"DROP ROLE IF EXISTS {role}"))

    assert (first.returncode, again.returncode) == (0, 0), first.stderr + again.stderr
    assert found == [True] * 5


def test_without_a_password_no_role_is_made(timescale_dsn: str) -> None:
    role = f"tickhouse_test_{secrets.token_hex(6)}"

    done = psql(timescale_dsn, role, None)

    assert done.returncode != 0
    assert "READER_PASSWORD is not set" in done.stderr
    assert run(timescale_dsn, lambda connection: connection.fetchval("SELECT count(*) FROM pg_roles WHERE rolname = $1", role)) == 0


def test_grafana_uses_the_role_that_is_made_unless_another_is_named() -> None:
    source = next(
        each for each in read(DEPLOY / "grafana" / "provisioning" / "datasources" / "tickhouse.yml")["datasources"] if "user" in each
    )
    service = read(ROOT / "docker-compose.yml")["services"]["reader"]

    assert f"\\set role {source['user']}\n" in (DEPLOY / "timescale" / "reader.sql").read_text()
    assert "--set" not in service["command"]
    assert service["environment"]["READER_PASSWORD"].startswith("${GRAFANA_DB_PASSWORD:?")


@pytest.fixture(autouse=True)
def _no_password_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PGPASSWORD", raising=False)
