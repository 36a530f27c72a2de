"""What Prometheus is told, by the server and by a collector of its own."""

from __future__ import annotations

import time
from pathlib import Path

import httpx
import pytest

from collectors import metrics
from collectors.errors import ConfigError
from collectors.status import CollectorStatus, ConnectionStatus, LogStatus, StreamStatus, write
from lake import layout, statuses
from lake.paths import Home
from serving.meters import Meters


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path)
    layout.ensure(made)
    now = time.time_ns() // 1000
    write(
        made,
        CollectorStatus(
            collector="main",
            pid=1,
            time=now,
            state="running",
            connections=[
                ConnectionStatus(
                    name="kraken-spot-0",
                    exchange="kraken",
                    market="spot",
                    state="connected",
                    connected_since=now,
                    frames=123,
                    reconnects=4,
                    last_frame=now,
                    dead_letters=5,
                )
            ],
            streams=[
                StreamStatus(
                    exchange="kraken",
                    symbol="BTC/USD",
                    channel="trades",
                    state="live",
                    rows=77,
                    rows_per_second=1.5,
                    last_event=now - 3_000_000,
                    gaps=2,
                    dead_letters=5,
                )
            ],
            wal=LogStatus(lag_seconds=12.5, bytes=4096, append_wait_seconds=0.25),
        ),
    )
    return made


WANTED = (
    'tickhouse_frames_total{collector="main",connection="kraken-spot-0",exchange="kraken"} 123.0',
    'tickhouse_reconnects_total{collector="main",connection="kraken-spot-0",exchange="kraken"} 4.0',
    'tickhouse_dead_letters_total{collector="main",connection="kraken-spot-0",exchange="kraken"} 5.0',
    'tickhouse_rows_total{channel="trades",collector="main",exchange="kraken",symbol="BTC/USD"} 77.0',
    'tickhouse_gaps_total{channel="trades",collector="main",exchange="kraken",symbol="BTC/USD"} 2.0',
    'tickhouse_wal_lag_seconds{collector="main"} 12.5',
    'tickhouse_wal_append_wait_seconds{collector="main"} 0.25',
    'tickhouse_collector_running{collector="main"} 1.0',
)


def age(text: str) -> float:
    line = next(line for line in text.splitlines() if line.startswith("tickhouse_last_message_age_seconds{"))
    assert 'symbol="BTC/USD"' in line
    return float(line.rpartition(" ")[2])


def test_the_server_tells_of_every_collector_of_its_home(home: Home) -> None:
    text = Meters(home).text().decode()

    assert [line for line in WANTED if line not in text] == []
    assert age(text) >= 3.0


def test_a_collector_tells_the_same_of_itself_on_its_own_port(home: Home) -> None:
    with metrics.served(home, "main", host="127.0.0.1", port=0) as port:
        text = httpx.get(f"http://127.0.0.1:{port}/metrics").text

    assert [line for line in WANTED if line not in text] == []


def test_a_collector_serves_nothing_unless_a_port_is_set(home: Home) -> None:
    with metrics.served(home, "main", host="127.0.0.1", port=None) as port:
        assert port is None


def test_a_port_that_is_taken_stops_the_collector_with_a_sentence(home: Home) -> None:
    with (
        metrics.served(home, "main", host="127.0.0.1", port=0) as port,
        pytest.raises(ConfigError, match=f"setting TICKHOUSE_COLLECTOR_METRICS_PORT is {port}, which cannot be listened on"),
        metrics.served(home, "other", host="127.0.0.1", port=port),
    ):
        pass


def test_a_status_of_another_version_is_read_as_far_as_it_is_known(home: Home) -> None:
    (home.status / "newer.json").write_text('{"collector": "newer", "time": 1, "state": "running", "novel": [1]}')
    (home.status / "broken.json").write_text("{")

    found = {status.collector: status.running for status in statuses.read(home)}

    assert found == {"main": True, "newer": False}
