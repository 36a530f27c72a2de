"""Supervision with real child processes: start, restart with back-off, stop together, leave nothing behind."""

import os
import signal
import socket
import sys
import threading
import time

import psutil
import pytest

from orchestration.errors import ChildFailed, PortTaken
from orchestration.processes import Program, Supervisor, free_port, stopping_on_signals

SLEEPS = "import time; time.sleep(600)"
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
PARENT = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {STUBBORN!r}]).wait()"


def program(name, code, **more):
    return Program(name=name, command=(sys.executable, "-c", code), env=dict(os.environ), **more)


@pytest.fixture
def supervise(tmp_path):
    made = []

    def make(*programs, **more):
        said = []
        supervisor = Supervisor(programs, tmp_path / "logs", said.append, **more)
        made.append(supervisor)
        supervisor.start()
        return supervisor, said

    yield make
    for supervisor in made:
        supervisor.shutdown_seconds = 0.1
        supervisor.stop()


def wait_for(condition, *, seconds=20.0):
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends, "what was waited for did not come"
        time.sleep(0.02)


def gone(pid):
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_all_programs_start_and_stop_together(supervise):
    supervisor, _ = supervise(program("one", SLEEPS), program("two", SLEEPS))
    pids = supervisor.pids
    assert set(pids) == {"one", "two"}

    supervisor.stop()

    assert supervisor.pids == {}
    assert all(gone(pid) for pid in pids.values())


def test_a_program_that_dies_stops_the_watch_and_is_named(supervise):
    supervisor, said = supervise(program("steady", SLEEPS), program("brittle", "raise SystemExit(7)"))

    with pytest.raises(ChildFailed, match="brittle ended with exit code 7"):
        supervisor.watch()

    assert any("brittle ended with exit code 7" in line for line in said)


def test_a_program_that_restarts_comes_back_with_growing_waits(supervise, tmp_path):
    runs = tmp_path / "runs"
    supervisor, said = supervise(
        program("collector", f"open({str(runs)!r}, 'a').write('x'); raise SystemExit(1)", restarts=True), backoff=(0.05, 0.1, 0.2)
    )

    supervisor.watch(until=lambda: len(said) >= 4)

    assert len(runs.read_text()) >= 4
    assert [line.split(" again in ")[1].split(" s;")[0] for line in said[:4]] == ["0.05", "0.1", "0.2", "0.2"]


def test_a_program_that_says_it_is_misconfigured_is_not_started_again(supervise):
    supervisor, _ = supervise(program("collector", "raise SystemExit(2)", restarts=True, hopeless=frozenset({2})))

    with pytest.raises(ChildFailed, match="collector ended with exit code 2"):
        supervisor.watch()


def test_a_program_that_ignores_the_request_is_killed_with_its_children(supervise, tmp_path):
    supervisor, _ = supervise(program("parent", PARENT), shutdown_seconds=0.5)
    wait_for(lambda: "deaf" in (tmp_path / "logs" / "parent.log").read_text())
    children = psutil.Process(supervisor.pids["parent"]).children(recursive=True)
    assert children

    supervisor.stop()

    wait_for(lambda: all(gone(child.pid) for child in children))
    assert not supervisor.pids


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_watch(supervise, number):
    supervisor, _ = supervise(program("one", SLEEPS))
    before = signal.getsignal(number)

    with stopping_on_signals(supervisor):
        threading.Timer(0.2, os.kill, (os.getpid(), number)).start()
        supervisor.watch()

    assert signal.getsignal(number) == before


def test_what_a_program_says_is_in_its_log(supervise, tmp_path):
    supervisor, _ = supervise(program("talker", "print('hello'); raise SystemExit(3)"))

    with pytest.raises(ChildFailed):
        supervisor.watch()

    assert (tmp_path / "logs" / "talker.log").read_text() == "hello\n"


def test_a_taken_port_is_refused_by_name_and_zero_picks_a_free_one():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        with pytest.raises(PortTaken, match=f"port {port} on 127.0.0.1 is in use"):
            free_port("127.0.0.1", port)

    assert free_port("127.0.0.1", 0) > 0
