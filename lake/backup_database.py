"""Backup and recovery of the database with PostgreSQL's own tools, and what TimescaleDB asks for around them.

Put here: running pg_dump and pg_restore, and what must be true before and after. Keep out: the lake (`lake.backup`), the tables themselves.

The tools are those of the server's major version or newer. They are given the password by environment, never as an argument, which
everybody on the machine could read. TimescaleDB restores into the version that was dumped only: that stands in a note beside the dump.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import unquote, urlsplit, urlunsplit

from lake import files
from lake.errors import BackupError

if TYPE_CHECKING:
    import asyncpg

_T = TypeVar("_T")

_VERSION: Final = "SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'"
_TABLES: Final = """
SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm') AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_|timescaledb'
AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
"""
_OFFERED: Final = "SELECT version FROM pg_available_extension_versions WHERE name = 'timescaledb'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dump:
    """What a dump is of: version of the server, of TimescaleDB (None without), and the file's bytes and their hash."""

    server: str
    timescaledb: str | None
    size: int
    sha256: str


def dump(dsn: str, target: Path, *, tools: Path | None = None) -> Dump:
    """Write the whole database to `target` (custom format) and a note beside it; both appear when they are whole.

    `tools` is the directory of pg_dump, by default whichever the PATH names. Raises `BackupError`.
    """
    program = _tool("pg_dump", tools)
    server, timescaledb = _ask(dsn, _versions)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f"{files.TEMPORARY}{os.getpid()}-{token_hex(6)}")
    try:
        with temporary.open("xb") as file:
            _run([program, "--format=custom", "--no-password", f"--dbname={_without_password(dsn)}"], dsn, stdout=file.fileno())
        files.sync(temporary)
        made = Dump(server=server, timescaledb=timescaledb, size=temporary.stat().st_size, sha256=_hash(temporary))
        files.write_small(_note(target), json.dumps(asdict(made)) + "\n")
        temporary.replace(target)
    except OSError as error:
        raise BackupError(f"the dump {target} cannot be written: {error.strerror}") from error
    finally:
        temporary.unlink(missing_ok=True)
    return made


def load(source: Path, dsn: str, *, tools: Path | None = None) -> Dump:
    """Fill an empty database from a dump that `dump` made. Raises `BackupError`; the database is of no use then, but as one to drop."""
    program = _tool("pg_restore", tools)
    made = _checked(source)
    _ask(dsn, lambda connection: _make_ready(connection, made))
    try:
        with source.open("rb") as file:
            options = ["--exit-on-error", "--no-owner", "--no-password"]
            command = [program, *options, f"--dbname={_without_password(dsn)}"]
            _run(command, dsn, stdin=file.fileno())
    finally:
        if made.timescaledb is not None:
            _ask(dsn, lambda connection: connection.execute("SELECT timescaledb_post_restore()"))
    _ask(dsn, lambda connection: connection.execute("ANALYZE"))
    return made


async def _versions(connection: asyncpg.Connection) -> tuple[str, str | None]:
    return await connection.fetchval("SHOW server_version"), await connection.fetchval(_VERSION)


async def _make_ready(connection: asyncpg.Connection, made: Dump) -> None:
    if tables := await connection.fetchval(_TABLES):
        raise BackupError(f"the database has {tables} tables or views, expected an empty one: make another with CREATE DATABASE")
    if made.timescaledb is None:
        return
    versions = [row["version"] for row in await connection.fetch(_OFFERED)]
    if made.timescaledb not in versions:
        offered = ", ".join(sorted(versions)) or "none"
        raise BackupError(
            f"the dump is of TimescaleDB {made.timescaledb} and the server offers {offered}, expected the same version: "
            "restore on that one, then ALTER EXTENSION timescaledb UPDATE"
        )
    present = await connection.fetchval(_VERSION)
    if present not in (None, made.timescaledb):
        raise BackupError(f"the database has TimescaleDB {present}, expected {made.timescaledb} as in the dump, or none yet")
    # The version comes from the server's own list above: DDL takes no parameters.
    await connection.execute(f"CREATE EXTENSION IF NOT EXISTS timescaledb VERSION '{made.timescaledb}'")
    await connection.execute("SELECT timescaledb_pre_restore()")


def _checked(source: Path) -> Dump:
    try:
        made = Dump(**json.loads(_note(source).read_text(encoding="utf-8")))
        found = _hash(source)
    except FileNotFoundError as error:
        raise BackupError(f"{error.filename} is not there, expected a dump and the note beside it") from error
    except (OSError, ValueError, TypeError) as error:
        raise BackupError(f"{_note(source)} cannot be read: {error}") from error
    if found != made.sha256:
        raise BackupError(f"{source} has hash {found[:12]}…, expected {made.sha256[:12]}…: it has changed since it was dumped")
    return made


def _note(dump_file: Path) -> Path:
    return dump_file.with_name(dump_file.name + ".json")


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _tool(name: str, tools: Path | None) -> str:
    found = shutil.which(name, path=None if tools is None else str(tools))
    if found is None:
        where = "on the PATH" if tools is None else f"in {tools}"
        install = "install PostgreSQL's client programs (postgresql-client), or name their directory with --tools"
        raise BackupError(f"{name} is not {where}: {install}")
    return found


def _run(command: list[str], dsn: str, *, stdin: int = subprocess.DEVNULL, stdout: int = subprocess.DEVNULL) -> None:
    password = urlsplit(dsn).password
    environment = {**os.environ, **({"PGPASSWORD": unquote(password)} if password else {})}
    done = subprocess.run(command, stdin=stdin, stdout=stdout, stderr=subprocess.PIPE, text=True, env=environment, check=False)
    if done.returncode != 0:
        said = [line for line in done.stderr.splitlines() if "error" in line.lower()] or done.stderr.splitlines() or ["nothing"]
        raise BackupError(f"{Path(command[0]).name} ended with {done.returncode} and said: {said[0].strip()}")


def _without_password(dsn: str) -> str:
    parts = urlsplit(dsn)
    user, at, place = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{user.partition(':')[0]}{at}{place}"))


def _ask(dsn: str, work: Callable[[Any], Awaitable[_T]]) -> _T:
    import asyncpg

    async def connected() -> _T:
        connection = await asyncpg.connect(dsn, timeout=60)
        try:
            return await work(connection)
        finally:
            await connection.close()

    try:
        return asyncio.run(connected())
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise BackupError(f"the database refused: {' '.join(str(error).split()) or type(error).__name__}") from error
