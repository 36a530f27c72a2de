"""The programs of a house, started, watched and stopped together.

Put here: supervision of child processes. Keep out: what they do, and what `up` prints about it.

Each program runs in a session of its own, so that Ctrl-C reaches us alone and we decide the order: every program is asked to end
with SIGTERM, and killed with all its children when it does not in time. A collector that dies is started again with back-off; when
another program dies, the rest is stopped: half a house is worse than none.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Final

from lake.settings import LakeSettings
from orchestration.errors import ChildFailed, PortTaken
from orchestration.instance import environment, workspace_file

BACKOFF_SECONDS: Final = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
HEALTHY_SECONDS: Final = 120.0
"""A program that lived this long starts at the first step of the back-off again."""

_POLL_SECONDS: Final = 0.1
_MISCONFIGURED: Final = 2
"""Exit code of a collector that was told something it cannot do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """One program: its name, command and environment; `restarts` starts it again when it ends, unless with a `hopeless` exit code."""

    name: str
    command: tuple[str, ...]
    env: dict[str, str]
    restarts: bool = False
    hopeless: frozenset[int] = frozenset()


@dataclass(slots=True)
class _Child:
    program: Program
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    failures: int = 0
    due: float = 0.0


@dataclass(slots=True)
class Supervisor:
    """Starts programs, watches them and stops them together; what it does it says through `say`.

    The output of each program goes to `<logs>/<name>.log`.
    """

    programs: Sequence[Program]
    logs: Path
    say: Callable[[str], None]
    shutdown_seconds: float = 20.0
    backoff: Sequence[float] = BACKOFF_SECONDS
    _children: list[_Child] = field(default_factory=list)
    _stopping: bool = False

    def start(self) -> None:
        """Start every program, in order."""
        self.logs.mkdir(parents=True, exist_ok=True)
        for program in self.programs:
            self.add(program)

    def add(self, program: Program) -> None:
        """Start one more program, and look after it like the others; safe to call while another thread watches."""
        child = _Child(program)
        self._spawn(child)
        self._children.append(child)

    def ask_to_stop(self) -> None:
        """Make `watch` stop everything and return; safe to call from a signal handler."""
        self._stopping = True

    def watch(self, *, until: Callable[[], bool] = lambda: False) -> None:
        """Watch the programs until `until` is true or someone asks to stop.

        Raises:
            ChildFailed: a program that is not started again has ended.

        """
        while not self._stopping and not until():
            for child in self._children:
                self._look_after(child)
            time.sleep(_POLL_SECONDS)

    def stop(self) -> None:
        """Ask every program to end, wait, and kill what is left of them and their children."""
        living = [child for child in self._children if child.process is not None and child.process.poll() is None]
        for child in living:
            _signal(child, signal.SIGTERM, group=False)
        ends = time.monotonic() + self.shutdown_seconds
        for child in living:
            assert child.process is not None
            try:
                child.process.wait(timeout=max(0.0, ends - time.monotonic()))
            except subprocess.TimeoutExpired:
                self.say(f"{child.program.name} did not end within {self.shutdown_seconds:g} s and is killed")
        for child in self._children:
            _signal(child, signal.SIGKILL, group=True)
            if child.process is not None:
                child.process.wait()

    @property
    def stopping(self) -> bool:
        """True once someone asked to stop."""
        return self._stopping

    @property
    def pids(self) -> dict[str, int]:
        """Process ids of the programs that run, by name."""
        return {
            child.program.name: child.process.pid for child in self._children if child.process is not None and child.process.poll() is None
        }

    def _look_after(self, child: _Child) -> None:
        if child.process is None:
            if time.monotonic() >= child.due:
                self._spawn(child)
            return
        code = child.process.poll()
        if code is None:
            return
        name = child.program.name
        if not child.program.restarts or code in child.program.hopeless:
            self.say(f"{name} ended with exit code {code}; its last words are in {self._log(child.program)}")
            raise ChildFailed(name, code)
        if time.monotonic() - child.started >= HEALTHY_SECONDS:
            child.failures = 0
        wait = self.backoff[min(child.failures, len(self.backoff) - 1)]
        child.failures += 1
        child.process = None
        child.due = time.monotonic() + wait
        self.say(f"{name} ended with exit code {code} and is started again in {wait:g} s; its last words are in {self._log(child.program)}")

    def _spawn(self, child: _Child) -> None:
        with self._log(child.program).open("ab") as log:
            child.process = subprocess.Popen(
                child.program.command, env=child.program.env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        child.started = time.monotonic()

    def _log(self, program: Program) -> Path:
        return self.logs / f"{program.name}.log"


def _signal(child: _Child, number: signal.Signals, *, group: bool) -> None:
    """Send a signal to a program, or to all that is left of its session."""
    if child.process is None:
        return
    try:
        if group:
            os.killpg(child.process.pid, number)
        else:
            child.process.send_signal(number)
    except ProcessLookupError:
        return


@contextmanager
def stopping_on_signals(supervisor: Supervisor) -> Iterator[None]:
    """SIGINT and SIGTERM ask `supervisor` to stop, for the block; a second one does no more."""

    def asked(_: int, __: FrameType | None) -> None:
        supervisor.ask_to_stop()

    former = {number: signal.signal(number, asked) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def dagster_programs(lake: LakeSettings, config: Path, *, host: str, port: int) -> tuple[Program, Program]:
    """Dagster's web server on `host` and `port` (one that is free), and its daemon, both on the instance of the home.

    `config` is the tickhouse.toml from which assets read what is configured there.
    """
    workspace = str(workspace_file(lake))
    env = {**environment(lake), "TICKHOUSE_CONFIG": str(config.resolve())}
    python = sys.executable
    return (
        Program(
            name="dagster-webserver",
            command=(python, "-m", "dagster_webserver", "-h", host, "-p", str(port), "-w", workspace),
            env=env,
        ),
        Program(name="dagster-daemon", command=(python, "-m", "dagster._daemon", "run", "-w", workspace), env=env),
    )


def collector_program(lake: LakeSettings, config: Path, *, name: str = "live") -> Program:
    """The collector called `name`, on the markets of the file `config`."""
    command = (sys.executable, "-m", "collectors", "--home", str(lake.house.root), "--config", str(config), "--collector", name)
    return Program(name=f"collector-{name}", command=command, env=environment(lake), restarts=True, hopeless=frozenset({_MISCONFIGURED}))


def server_program(lake: LakeSettings, *, host: str, port: int) -> Program:
    """The API and the dashboard over the home, on `host` and `port`; the house stands without it, so it is started again."""
    verb = "from orchestration.cli import main; main()"
    command = (sys.executable, "-c", verb, "serve", "--home", str(lake.house.root), "--host", host, "--port", str(port))
    return Program(name="server", command=command, env=environment(lake), restarts=True)


def free_port(host: str, port: int) -> int:
    """`port`, if nothing listens there on `host`; for 0 one that is free.

    Raises:
        PortTaken: something listens there.

    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise PortTaken(host=host, port=port) from error
        return int(probe.getsockname()[1])
