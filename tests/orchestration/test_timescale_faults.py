"""Syncing as processes: in parallel, killed, their network cut and their server with them; the tables equal the lake after all."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from lake.paths import DAY_US, Home
from lake.timescale.migrate import migrate
from tests.lake.laying import LaidLake
from tests.lake.making import HOUR, MINUTE, START, trade
from tests.tcp_proxy import TcpProxy
from tests.timescale_server import Engine, database, run, with_database, with_port

pytestmark = pytest.mark.lengthy

ROOT = Path(__file__).resolve().parents[2]
PATIENT = {
    "TICKHOUSE_TIMESCALE_ATTEMPTS": "20",
    "TICKHOUSE_TIMESCALE_BACKOFF_SECONDS": "0.05",
    "TICKHOUSE_TIMESCALE_BACKOFF_CAP_SECONDS": "2",
}
SECONDS = 240


TABLES = ("trade_events", "h1_data", "ohlcv_data_hour")
HOURS = 8


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Eight hours of trades, and their candles up to an hour."""
    laid = LaidLake(tmp_path_factory.mktemp("faults") / "home")
    laid.land("trades", *(trade(number, at=START - DAY_US + number * MINUTE) for number in range(HOURS * 60)))
    for number in range(HOURS):
        laid.materialise(START - DAY_US + number * HOUR)
    laid.close()
    return laid.home


def command(home: Home, dsn: str, *words: str) -> list[str]:
    program = [sys.executable, "-c", "from orchestration.cli import main; main()", "timescale", "sync", *TABLES]
    return [*program, "--dsn", dsn, "--home", str(home.root), "--json", *words]


@contextmanager
def syncing(home: Home, dsn: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        command(home, dsn),
        cwd=ROOT,
        env={**os.environ, **PATIENT},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def synced(dsn: str) -> int:
    """Partitions that have been synced since the schema was made, those that were synced again counted once."""
    return run(dsn, lambda connection: connection.fetchval("SELECT count(*) FROM synced_partitions"))


def wait_for(holds: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    ends = time.monotonic() + SECONDS
    while not holds():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < ends
        time.sleep(0.01)


def assert_equal(home: Home, dsn: str) -> None:
    """A further sync finds nothing to write, and counts and sums of every partition are the lake's."""
    done = subprocess.run(command(home, dsn, "--check"), cwd=ROOT, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    assert (told["problems"], told["rows_written"], told["rows_deleted"]) == ([], 0, 0)
    assert told["rows_read"] > HOURS * 60 * 2


def test_two_syncs_at_once_of_which_one_is_killed_and_the_other_cut_off_leave_the_tables_equal(home: Home, timescale_dsn: str) -> None:
    parts = urlsplit(timescale_dsn)
    migrate(timescale_dsn)

    with TcpProxy(parts.hostname or "127.0.0.1", parts.port or 5432) as proxy:
        by_proxy = with_port(timescale_dsn, proxy.port)
        with syncing(home, by_proxy) as cut_off, syncing(home, timescale_dsn) as killed:
            wait_for(lambda: synced(timescale_dsn) >= 3, killed)
            killed.send_signal(signal.SIGKILL)
            proxy.cut_after(1)
            said, complaint = cut_off.communicate(timeout=SECONDS)

    assert killed.returncode == -signal.SIGKILL
    assert cut_off.returncode == 0, said + complaint
    assert proxy.dropped > 0
    assert_equal(home, timescale_dsn)


def test_a_sync_goes_on_when_its_server_is_killed_and_started_again(home: Home, own_timescale: Engine) -> None:
    with database(own_timescale.dsn) as dsn:
        name = dsn.rpartition("/")[2]
        migrate(dsn)

        with syncing(home, dsn) as killed, syncing(home, dsn) as going_on:
            wait_for(lambda: synced(dsn) >= 3, killed)
            killed.send_signal(signal.SIGKILL)
            assert going_on.poll() is None
            own_timescale.kill()
            own_timescale.start()
            assert with_database(own_timescale.dsn, name) == dsn, "the server came back elsewhere"
            said, complaint = going_on.communicate(timeout=SECONDS)

        assert going_on.returncode == 0, said + complaint
        assert json.loads(said)["problems"] == []
        assert_equal(home, dsn)
