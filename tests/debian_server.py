"""A private PostgreSQL with TimescaleDB on Debian: its programs from Debian's packages in a folder of their own, its data beside them.

Put here: making that folder with debootstrap, and one database cluster in it. Keep out: who uses the server (`tests.timescale_server`).
Nothing is mounted and nothing is installed on the machine, so that a folder that is left behind is only a folder.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RELEASE = "trixie"
PACKAGE = "postgresql-17-timescaledb"
PROGRAMS = "/usr/lib/postgresql/17/bin"
CLUSTERS = "var/lib/tickhouse"
BUILD_SECONDS = 1800
START_SECONDS = 120

# The machine may lose power between two tests, but never a test's data: no fsync. No /dev/shm is mounted in the folder: shared memory is files.
CONFIGURATION = """
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
shared_preload_libraries = 'timescaledb'
timescaledb.telemetry_level = off
timescaledb.max_background_workers = 16
max_worker_processes = 40
max_connections = 200
dynamic_shared_memory_type = mmap
shared_buffers = 128MB
fsync = off
full_page_writes = off
max_wal_size = 1GB
log_min_messages = warning
"""


class Unavailable(Exception):
    """There is no server to test on; the message is the one reason."""


def why_not() -> str | None:
    """What this machine lacks for a private server, or None."""
    release = _os_release()
    if release.get("ID") != "debian":
        return f"this system is {release.get('ID', 'unknown')}, expected Debian"
    if os.geteuid() != 0:
        return "this is not root, which debootstrap needs"
    if shutil.which("debootstrap") is None:
        return "debootstrap is not installed"
    return None


def make_root(root: Path) -> None:
    """Fill `root` with Debian's server and what it needs, once; what an interrupted run left is removed. The caller holds the lock.

    Raises `Unavailable`.
    """
    if root.is_dir():
        return
    building = root.with_name("building")
    _remove(building)
    building.parent.mkdir(parents=True, exist_ok=True)
    command = ["debootstrap", "--variant=minbase", f"--include={PACKAGE}", RELEASE, str(building), _mirror()]
    try:
        done = _run(command, seconds=BUILD_SECONDS, env={**os.environ, **_proxy()})
    except subprocess.TimeoutExpired:
        raise Unavailable(f"debootstrap took longer than {BUILD_SECONDS} s") from None
    if done.returncode != 0:
        last = (done.stdout.strip().splitlines() or ["without a word"])[-1]
        _remove(building)
        raise Unavailable(f"debootstrap ended with {done.returncode}: {last}")
    shutil.rmtree(building / "var/cache/apt/archives", ignore_errors=True)
    (building / CLUSTERS).mkdir(parents=True, exist_ok=True)
    (building / CLUSTERS).chmod(0o755)
    building.rename(root)


def _mirror() -> str:
    """Where this machine takes Debian's packages from, by apt's own reading of its sources."""
    codename = _os_release().get("VERSION_CODENAME")
    listed = _run(["apt-get", "indextargets", "Created-By: Packages", "--format", "$(RELEASE) $(COMPONENT) $(REPO_URI)"], seconds=60)
    for line in listed.stdout.splitlines():
        release, component, uri = line.split(" ", 2)
        if release == codename and component == "main":
            return uri
    raise Unavailable(f"apt knows no source of the main packages of {codename}")


def _proxy() -> dict[str, str]:
    said = _run(["apt-config", "dump", "--format", "%v%n", "Acquire::http::Proxy"], seconds=60).stdout.strip()
    return {"http_proxy": said} if said and said != "DIRECT" else {}


def _os_release() -> dict[str, str]:
    path = Path("/etc/os-release")
    lines = path.read_text().splitlines() if path.exists() else []
    return {key: value.strip('"') for key, _, value in (line.partition("=") for line in lines)}


def _remove(directory: Path) -> None:
    # An interrupted debootstrap may have left its mounts.
    mounted = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    for each in sorted((each for each in mounted if Path(each).is_relative_to(directory.resolve())), reverse=True):
        _run(["umount", each], seconds=60, check=True)
    if directory.exists():
        _run(["rm", "-rf", "--one-file-system", str(directory)], seconds=300, check=True)


def _run(command: list[str], *, seconds: float, check: bool = False, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=seconds,
        check=check,
        env=env or {**os.environ, "LC_ALL": "C.UTF-8"},
    )


@dataclass(eq=False)
class Cluster:
    """One database cluster in the folder: its own data, port and password. What a former run left of it is used on, if it can be."""

    root: Path
    name: str

    @property
    def directory(self) -> Path:
        return self.root / CLUSTERS / self.name

    @property
    def dsn(self) -> str:
        """Of the database `postgres`, as superuser."""
        state = self._state()
        return f"postgresql://postgres:{state['password']}@127.0.0.1:{state['port']}/postgres"

    @property
    def port(self) -> int:
        return int(self._state()["port"])

    def alive(self) -> bool:
        return self._postmaster() is not None

    def start(self) -> None:
        """Start it, on the port it had if that is still free, and wait until it answers. Raises `Unavailable`."""
        if not (self.directory / "state.json").exists():
            self._create()
        state = self._state()
        self._write_state(state | {"port": _free_port(int(state["port"]))})
        (self.directory / "data/postmaster.pid").unlink(missing_ok=True)
        ends = time.monotonic() + START_SECONDS
        # A killed server's children hold its memory for a moment longer.
        while (
            done := self._pg_ctl("start", "-w", "-t", str(START_SECONDS), "-l", self._inside("log"), "-o", f"-p {self.port}")
        ).returncode:
            if time.monotonic() > ends:
                log = (self.directory / "log").read_text()[-1000:] if (self.directory / "log").exists() else done.stdout
                raise Unavailable(f"the private server does not start: {log}")
            time.sleep(0.2)

    def stop(self) -> None:
        """End every session and stop."""
        if self.alive():
            self._pg_ctl("stop", "-w", "-m", "fast")

    def kill(self) -> None:
        """As the system does when memory is short: nobody is told; what was not committed is gone."""
        postmaster = self._postmaster()
        assert postmaster is not None
        os.kill(postmaster, signal.SIGKILL)
        while self.alive():
            time.sleep(0.01)

    def remove(self) -> None:
        """Stop it and delete its data."""
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def program(self, name: str) -> list[str]:
        """The words that run a program of the server's version (pg_dump, pg_restore, psql): files it names are those of the folder."""
        return ["chroot", str(self.root), f"{PROGRAMS}/{name}"]

    def _create(self) -> None:
        shutil.rmtree(self.directory, ignore_errors=True)
        self.directory.mkdir(parents=True)
        uid, gid = self._postgres()
        os.chown(self.directory, uid, gid)
        password = secrets.token_urlsafe(16)
        secret = self.directory / "password"
        secret.touch(0o600)
        secret.write_text(password)
        os.chown(secret, uid, gid)
        options = ["--auth=scram-sha-256", "--username=postgres", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]
        done = self._as_postgres("initdb", "-D", self._inside("data"), f"--pwfile={self._inside('password')}", *options)
        if done.returncode:
            raise Unavailable(f"initdb ended with {done.returncode}: {done.stdout.strip()[-500:]}")
        with (self.directory / "data/postgresql.conf").open("a") as file:
            file.write(CONFIGURATION)
        self._write_state({"password": password, "port": 0})

    def _state(self) -> dict[str, Any]:
        state: dict[str, Any] = json.loads((self.directory / "state.json").read_text())
        return state

    def _write_state(self, state: dict[str, Any]) -> None:
        new = self.directory / "state.new"
        new.touch(0o600)
        new.write_text(json.dumps(state))
        new.rename(self.directory / "state.json")

    def _inside(self, name: str) -> str:
        return f"/{CLUSTERS}/{self.name}/{name}"

    def _postgres(self) -> tuple[int, int]:
        for line in (self.root / "etc/passwd").read_text().splitlines():
            name, _, uid, gid, *_ = line.split(":")
            if name == "postgres":
                return int(uid), int(gid)
        raise Unavailable(f"{self.root} has no user postgres: remove it")

    def _pg_ctl(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self._as_postgres("pg_ctl", "-D", self._inside("data"), *words)

    def _as_postgres(self, program: str, *words: str) -> subprocess.CompletedProcess[str]:
        uid, gid = self._postgres()
        command = ["chroot", f"--userspec={uid}:{gid}", "--groups=", str(self.root), f"{PROGRAMS}/{program}", *words]
        return _run(command, seconds=START_SECONDS + 60)

    def _postmaster(self) -> int | None:
        """The process that serves this data, if it is one of ours: a number left in a file may belong to another by now."""
        with suppress(FileNotFoundError, ProcessLookupError, ValueError, IndexError):
            pid = int((self.directory / "data/postmaster.pid").read_text().split()[0])
            if (Path("/proc") / str(pid) / "root").readlink() == self.root.resolve() and _state_of(pid) != "Z":
                return pid
        return None


def _state_of(pid: int) -> str:
    return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0]


def _free_port(wanted: int) -> int:
    """The wanted port if it can be had, else another."""
    with closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
