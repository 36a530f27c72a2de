"""The server that the TimescaleDB tests run on, itself."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys

import asyncpg
import pytest

from tests.timescale_server import VARIABLE, Engine, answers, database, edition, own_server, run, with_database

EXTENSION = "CREATE EXTENSION IF NOT EXISTS timescaledb"


def test_every_test_has_a_database_that_nothing_else_has_touched(timescale_server: str, timescale_dsn: str) -> None:
    with database(timescale_server) as other:
        run(other, lambda connection: connection.execute("CREATE TABLE mine (a int)"))

        assert run(timescale_dsn, lambda connection: connection.fetchval("SELECT to_regclass('mine')")) is None


def test_a_database_goes_though_somebody_is_connected_to_it(timescale_server: str) -> None:
    async def there(connection: asyncpg.Connection, name: str) -> bool:
        return await connection.fetchval("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name)

    async def stay(connection: asyncpg.Connection) -> bool:
        await asyncio.to_thread(held.__exit__, None, None, None)
        return connection.is_closed()

    held = database(timescale_server)
    dsn = held.__enter__()
    name = dsn.rpartition("/")[2]
    assert run(timescale_server, lambda connection: there(connection, name))

    run(dsn, stay)

    assert not run(timescale_server, lambda connection: there(connection, name))


def test_hypertables_can_be_made_on_every_edition(timescale_dsn: str) -> None:
    kind = edition(timescale_dsn)

    async def make(connection: asyncpg.Connection) -> int:
        await connection.execute(EXTENSION)
        await connection.execute("CREATE TABLE ticks (at timestamptz NOT NULL, price numeric)")
        await connection.execute("SELECT create_hypertable('ticks', 'at')")
        await connection.execute("INSERT INTO ticks SELECT now() - n * interval '1 day', n FROM generate_series(1, 100) n")
        return await connection.fetchval("SELECT count(DISTINCT tableoid) FROM ticks")

    assert kind in {"community", "apache"}
    assert run(timescale_dsn, make) > 10


def test_a_server_of_the_tests_own_keeps_what_was_committed_when_it_is_killed(own_timescale: Engine) -> None:
    with database(own_timescale.dsn) as dsn:
        name = dsn.rpartition("/")[2]
        run(dsn, lambda connection: connection.execute("CREATE TABLE kept AS SELECT 42 AS n"))

        own_timescale.kill()
        assert not own_timescale.alive()
        own_timescale.start()

        assert run(with_database(own_timescale.dsn, name), lambda connection: connection.fetchval("SELECT n FROM kept")) == 42


def test_what_a_killed_run_left_behind_is_removed_by_the_next(timescale_server: str) -> None:
    if os.environ.get(VARIABLE):
        pytest.skip("a named server is not shared by counting")
    program = "import os, sys; from tests.timescale_server import own_server\nwith own_server() as engine: print(engine.dsn, flush=True); sys.stdin.read()"
    killed = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert killed.stdin is not None
    assert killed.stdout is not None
    with killed, killed.stdin, killed.stdout:
        dsn = killed.stdout.readline().strip()
        assert answers(dsn)
        killed.kill()
    assert answers(dsn)

    with own_server():
        assert not answers(dsn)
