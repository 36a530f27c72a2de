"""Backup and recovery of the database, with PostgreSQL's tools, on a real server."""

from __future__ import annotations

import json
import re
import shutil
import stat
import subprocess
from pathlib import Path

import asyncpg
import pytest

from lake.backup_database import dump, load
from lake.errors import BackupError
from lake.paths import DAY_US, HOUR_US, Hour
from lake.timescale.compare import compare
from lake.timescale.migrate import migrate
from lake.timescale.reading import Window
from lake.timescale.sync import sync
from tests.debian_server import Cluster
from tests.lake.laying import LaidLake
from tests.lake.making import MINUTE, START, trade
from tests.timescale_server import cache_folder, database, run


@pytest.fixture(scope="session")
def tools(timescale_server: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Directory of a pg_dump and a pg_restore that are not older than the server: the machine's, else those of the private server."""
    needed = int(run(timescale_server, lambda connection: connection.fetchval("SHOW server_version_num"))) // 10_000
    found = shutil.which("pg_dump")
    if found is not None and major([found]) >= needed:
        return Path(found).parent
    if not (cache_folder() / "root").exists():
        pytest.skip(f"no pg_dump of PostgreSQL {needed} or newer is installed")
    directory = tmp_path_factory.mktemp("tools")
    for name in ("pg_dump", "pg_restore"):
        words = Cluster(cache_folder() / "root", "shared").program(name)
        assert major(words) >= needed
        path = directory / name
        path.write_text(f'#!/bin/sh\nexec {" ".join(words)} "$@"\n')
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return directory


def major(program: list[str]) -> int:
    said = subprocess.run([*program, "--version"], capture_output=True, text=True, check=True).stdout
    return int(re.search(r"(\d+)", said)[1])


HOURS = [Hour(START - DAY_US + number * HOUR_US) for number in range(2)]
TABLES = ("trade_events", "h1_data", "ohlcv_data_hour")


async def fill(connection: asyncpg.Connection) -> None:
    await connection.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")
    await connection.execute("CREATE TABLE ticks (at timestamptz NOT NULL, price numeric NOT NULL, UNIQUE (at, price))")
    await connection.execute("SELECT create_hypertable('ticks', 'at')")
    await connection.execute(
        "INSERT INTO ticks SELECT timestamptz '2026-01-01' + n * interval '1 day', n + 0.1 FROM generate_series(1, 30) n"
    )
    await connection.execute("CREATE VIEW newest AS SELECT max(at) AS at FROM ticks")


async def held(connection: asyncpg.Connection) -> tuple[object, ...]:
    row = await connection.fetchrow("SELECT count(*), sum(price), (SELECT at FROM newest), count(DISTINCT tableoid) > 1 FROM ticks")
    return tuple(row.values())


def test_a_restored_database_holds_what_was_dumped_and_goes_on(
    timescale_server: str, timescale_dsn: str, tools: Path, tmp_path: Path
) -> None:
    run(timescale_dsn, fill)
    before = run(timescale_dsn, held)

    made = dump(timescale_dsn, tmp_path / "tickhouse.dump", tools=tools)
    with database(timescale_server) as other:
        loaded = load(tmp_path / "tickhouse.dump", other, tools=tools)
        after = run(other, held)
        run(other, lambda connection: connection.execute("INSERT INTO ticks VALUES ('2027-06-01', 1)"))
        restoring = run(other, lambda connection: connection.fetchval("SELECT current_setting('timescaledb.restoring')"))

    assert loaded == made
    assert made.timescaledb is not None
    assert after == before
    assert restoring == "off"


def test_the_tables_of_a_restored_database_equal_the_lake_and_go_on_with_it(
    timescale_server: str, timescale_dsn: str, tools: Path, tmp_path: Path
) -> None:
    laid = LaidLake(tmp_path / "home")
    laid.land("trades", *(trade(number, at=START - DAY_US + number * MINUTE) for number in range(90)))
    for hour in HOURS:
        laid.materialise(hour.start)
    laid.close()
    migrate(timescale_dsn)
    for name in TABLES:
        assert sync(laid.home, timescale_dsn, name, Window(HOURS[0].start, HOURS[-1].end)).rows_written > 0

    dump(timescale_dsn, tmp_path / "tickhouse.dump", tools=tools)
    with database(timescale_server) as other:
        load(tmp_path / "tickhouse.dump", other, tools=tools)
        migrated = migrate(other)
        compared = [compare(laid.home, other, name, hour) for name in TABLES for hour in HOURS]
        again = [sync(laid.home, other, name, hour).rows_written for name in TABLES for hour in HOURS]
        run(other, lambda connection: connection.execute("DELETE FROM trade_events"))
        refilled = sync(laid.home, other, "trade_events", HOURS[0])

    assert migrated.applied == ()
    assert [each.sentence for each in compared if not each.equal] == []
    assert set(again) == {0}
    assert (refilled.rows_written, refilled.equal) == (60, True)


def test_a_database_that_is_not_empty_is_refused(timescale_dsn: str, tools: Path, tmp_path: Path) -> None:
    run(timescale_dsn, fill)
    dump(timescale_dsn, tmp_path / "tickhouse.dump", tools=tools)

    with pytest.raises(BackupError, match="expected an empty one"):
        load(tmp_path / "tickhouse.dump", timescale_dsn, tools=tools)


def test_a_dump_of_another_version_is_refused_before_anything_is_done(timescale_dsn: str, tools: Path, tmp_path: Path) -> None:
    file = tmp_path / "tickhouse.dump"
    dump(timescale_dsn, file, tools=tools)
    note = file.with_name("tickhouse.dump.json")
    note.write_text(json.dumps(json.loads(note.read_text()) | {"timescaledb": "1.0.0"}))

    with pytest.raises(BackupError, match=r"of TimescaleDB 1\.0\.0 and the server offers"):
        load(file, timescale_dsn, tools=tools)


def test_a_dump_that_has_changed_or_lacks_its_note_is_refused(timescale_dsn: str, tools: Path, tmp_path: Path) -> None:
    file = tmp_path / "tickhouse.dump"
    dump(timescale_dsn, file, tools=tools)
    file.write_bytes(file.read_bytes()[:-1])

    with pytest.raises(BackupError, match="has changed since"):
        load(file, timescale_dsn, tools=tools)
    file.with_name("tickhouse.dump.json").unlink()
    with pytest.raises(BackupError, match="the note beside it"):
        load(file, timescale_dsn, tools=tools)


def test_a_machine_without_the_tools_is_told_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(BackupError, match=r"pg_dump is not in .*postgresql-client"):
        dump("postgresql://nobody@127.0.0.1:1/nothing", tmp_path / "x.dump", tools=tmp_path)


def test_a_server_that_does_not_answer_is_a_sentence_and_leaves_no_file(tools: Path, tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="the database refused"):
        dump("postgresql://nobody@127.0.0.1:1/nothing", tmp_path / "x.dump", tools=tools)
    assert list(tmp_path.iterdir()) == []
