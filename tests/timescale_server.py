"""The server that the TimescaleDB tests run on: one that is named, else Docker's, else a private one; each test has a database of its own.

Put here: which server it is, who uses it, and its databases. Keep out: how the private one is made (`tests.debian_server`).
All processes of a test run (and of several runs) share one server. The last one out stops it; what killed runs left is used or removed.

    python -m tests.timescale_server prepare     make the private server's folder, which takes some minutes once
    python -m tests.timescale_server run         print the DSN of a database, and keep it until Ctrl-C
"""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fcntl import LOCK_EX, LOCK_NB, LOCK_SH, LOCK_UN, flock
from functools import cache
from pathlib import Path
from typing import Literal, Protocol, TypeVar
from urllib.parse import urlsplit, urlunsplit

from tests.debian_server import CLUSTERS, Cluster, Unavailable, make_root, why_not

VARIABLE = "TICKHOUSE_TEST_TIMESCALE_DSN"
IMAGE = "timescale/timescaledb:2.29.0-pg17"
CONTAINER = "tickhouse-test-timescale"
PREFIX = "tickhouse_test_"
OWN = "own-"
NO_SERVER = "no TimescaleDB to test on"

Edition = Literal["community", "apache", "plain"]
T = TypeVar("T")


class Engine(Protocol):
    """A server of ours, that can be started and stopped."""

    @property
    def dsn(self) -> str: ...
    def alive(self) -> bool: ...
    def start(self) -> None: ...
    def stop(self) -> None: ...
    def kill(self) -> None: ...
    def remove(self) -> None: ...


@dataclass(eq=False)
class Container:
    """A server in a Docker container, which keeps its data only while it is there."""

    name: str = CONTAINER

    @property
    def dsn(self) -> str:
        environment = _docker("inspect", "--format", "{{range .Config.Env}}{{println .}}{{end}}", self.name).splitlines()
        password = next(line.partition("=")[2] for line in environment if line.startswith("POSTGRES_PASSWORD="))
        return f"postgresql://postgres:{password}@{_docker('port', self.name, '5432/tcp').splitlines()[0].strip()}/postgres"

    def alive(self) -> bool:
        return bool(_docker("ps", "--quiet", "--filter", f"name=^{self.name}$").strip())

    def start(self) -> None:
        if not _docker("ps", "--all", "--quiet", "--filter", f"name=^{self.name}$").strip():
            settings = ["-e", f"POSTGRES_PASSWORD={secrets.token_urlsafe(16)}", "-e", "TIMESCALEDB_TELEMETRY=off"]
            served = ["postgres", "-c", "fsync=off", "-c", "max_connections=200"]
            _docker("run", "--detach", "--name", self.name, *settings, "--publish", "127.0.0.1::5432", IMAGE, *served)
        else:
            _docker("start", self.name)
        ends = time.monotonic() + 120
        while not answers(self.dsn):
            if time.monotonic() > ends:
                raise Unavailable(f"the container {self.name} does not answer: {_docker('logs', '--tail', '5', self.name)}")
            time.sleep(0.2)

    def stop(self) -> None:
        _docker("rm", "--force", "--volumes", self.name)

    def kill(self) -> None:
        _docker("kill", self.name)

    def remove(self) -> None:
        self.stop()


def cache_folder() -> Path:
    """Where the private server lies between runs; `make clean` leaves it."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "tickhouse" / "timescale"


@cache
def _has_docker() -> bool:
    if shutil.which("docker") is None:
        return False
    try:
        return subprocess.run(["docker", "info"], capture_output=True, timeout=30, check=False).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def prepare() -> None:
    """Whatever takes minutes the first time: outside of any test's time limit. Raises `Unavailable`."""
    if os.environ.get(VARIABLE):
        return
    if _has_docker():
        if not _docker("images", "--quiet", IMAGE).strip():
            _docker("pull", "--quiet", IMAGE)
        return
    if lack := why_not():
        raise Unavailable(f"{NO_SERVER}: {VARIABLE} is not set, Docker has no engine here, and {lack}")
    with _locked():
        make_root(cache_folder() / "root")


@contextmanager
def server() -> Iterator[str]:
    """The DSN of a server's maintenance database, shared with whoever else is testing. Raises `Unavailable`."""
    if named := os.environ.get(VARIABLE):
        yield named
        return
    prepare()
    engine: Engine = Container() if _has_docker() else Cluster(cache_folder() / "root", "shared")
    users = os.open(cache_folder() / "users", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        with _locked():
            first = _alone(users)
            if not engine.alive():
                engine.start()
            elif first:
                run(engine.dsn, _drop_left)
            flock(users, LOCK_SH)
        yield engine.dsn
    finally:
        with _locked():
            flock(users, LOCK_UN)
            if _alone(users):
                engine.stop()
        os.close(users)


@contextmanager
def own_server() -> Iterator[Engine]:
    """A server that nobody else uses, to be stopped, killed and started at will. Raises `Unavailable` where only a named one is there."""
    if os.environ.get(VARIABLE):
        raise Unavailable(f"{VARIABLE} names a server that is not ours to stop")
    prepare()
    with _locked():
        for left in _own_servers():
            left.remove()
    name = f"{OWN}{os.getpid()}"
    engine: Engine = Container(f"{CONTAINER}-{name}") if _has_docker() else Cluster(cache_folder() / "root", name)
    try:
        engine.start()
        yield engine
    finally:
        engine.remove()


def _own_servers() -> Iterator[Engine]:
    """Servers of processes that are gone."""
    if _has_docker():
        names = _docker("ps", "--all", "--format", "{{.Names}}", "--filter", f"name=^{CONTAINER}-{OWN}").split()
        yield from (Container(name) for name in names if _gone(int(name.rpartition("-")[2])))
        return
    root = cache_folder() / "root"
    for directory in (root / CLUSTERS).glob(f"{OWN}*"):
        if _gone(int(directory.name.removeprefix(OWN))):
            yield Cluster(root, directory.name)


def _gone(pid: int) -> bool:
    return not (Path("/proc") / str(pid)).exists()


@contextmanager
def database(server_dsn: str) -> Iterator[str]:
    """The DSN of an empty database that goes when it is no longer needed, whoever is still connected to it."""
    name = f"{PREFIX}{os.getpid()}_{secrets.token_hex(6)}"
    run(server_dsn, lambda admin: admin.execute(f"CREATE DATABASE {name}"))
    try:
        yield with_database(server_dsn, name)
    finally:
        run(server_dsn, lambda admin: admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))


def with_database(dsn: str, name: str) -> str:
    """The same server and user, another database."""
    return urlunsplit(urlsplit(dsn)._replace(path=f"/{name}"))


def with_port(dsn: str, port: int) -> str:
    """The same user and database, by way of a port on this machine."""
    parts = urlsplit(dsn)
    user, at, _ = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{user}{at}127.0.0.1:{port}"))


def edition(dsn: str) -> Edition:
    """What a server offers: TimescaleDB under its community licence, under Apache's, or PostgreSQL alone."""

    async def ask(connection: object) -> Edition:
        there = await connection.fetchval("SELECT count(*) FROM pg_available_extensions WHERE name = 'timescaledb'")  # type: ignore[attr-defined]
        licence = await connection.fetchval("SELECT current_setting('timescaledb.license', true)")  # type: ignore[attr-defined]
        if not there:
            return "plain"
        return "community" if licence == "timescale" else "apache"

    return run(dsn, ask)


def run(dsn: str, work: Callable[..., Awaitable[T]]) -> T:
    """Do something on a connection of asyncpg and return what it returned."""

    async def connected() -> T:
        import asyncpg

        connection = await asyncpg.connect(dsn, timeout=60)
        try:
            return await work(connection)
        finally:
            await connection.close()

    return asyncio.run(connected())


def answers(dsn: str) -> bool:
    """Whether the server can be connected to."""
    import asyncpg

    try:
        return run(dsn, lambda connection: connection.fetchval("SELECT 1")) == 1
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return False


async def _drop_left(admin: object) -> None:
    for row in await admin.fetch("SELECT datname FROM pg_database WHERE starts_with(datname, $1)", PREFIX):  # type: ignore[attr-defined]
        await admin.execute(f"DROP DATABASE IF EXISTS {row['datname']} WITH (FORCE)")  # type: ignore[attr-defined]


def _docker(*words: str) -> str:
    done = subprocess.run(["docker", *words], capture_output=True, text=True, timeout=600, check=False)
    if done.returncode:
        raise Unavailable(f"docker {words[0]} ended with {done.returncode}: {done.stderr.strip()}")
    return done.stdout


@contextmanager
def _locked() -> Iterator[None]:
    cache_folder().mkdir(parents=True, exist_ok=True)
    descriptor = os.open(cache_folder() / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        flock(descriptor, LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _alone(users: int) -> bool:
    """Whether no other process uses the server; a process that dies, however it dies, no longer does."""
    try:
        flock(users, LOCK_EX | LOCK_NB)
    except BlockingIOError:
        return False
    return True


def main(words: list[str]) -> int:
    try:
        if words == ["prepare"]:
            prepare()
        elif words == ["run"]:
            with server() as dsn, database(dsn) as made:
                print(made, flush=True)
                sys.stdin.read()
        else:
            print(__doc__)
            return 2
    except Unavailable as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        pass
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
