"""The main job, end to end: simulator, collectors, Dagster's assets and checks, verify, on a short past."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    root = tmp_path_factory.mktemp("demo") / "home"
    command = [sys.executable, "-c", "from orchestration.cli import main; main()", "demo", "--once"]
    command += ["--home", str(root), "--history", "2h", "--live", "5s"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280, check=False)
    return root, done


def test_the_demo_once_through_holds(demo: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    _, done = demo

    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "Everything held." in done.stdout


def test_plain_duckdb_sees_live_and_past_trades_of_both_exchanges_once(demo: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    root, _ = demo

    with duckdb.connect(str(root / "lake.duckdb"), read_only=True) as reader:
        rows = reader.execute(
            "select exchange, count(*), count(distinct (symbol, trade_id)), date_diff('minute', min(timestamp), max(timestamp)) "
            "from trades group by exchange order by exchange"
        ).fetchall()

    assert [row[0] for row in rows] == ["binance", "kraken"]
    assert all(count == distinct and minutes >= 119 for _, count, distinct, minutes in rows)


def test_closed_hours_of_the_past_are_whole(demo: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    root, _ = demo

    with duckdb.connect(str(root / "lake.duckdb"), read_only=True) as reader:
        found = reader.execute(
            "select distinct condition from coverage where timestamp = (select min(timestamp) + interval 1 hour from coverage)"
        )

        assert found.fetchall() == [("available",)]


def test_every_materialised_candle_hour_of_an_hour_equals_its_minutes(demo: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    root, _ = demo

    with duckdb.connect(str(root / "lake.duckdb"), read_only=True) as reader:
        differing = reader.execute("""
            with minutes as (
                select exchange, symbol, time_bucket(interval 1 hour, timestamp) as timestamp, arg_min(open, timestamp) as open, max(high) as high,
                       min(low) as low, arg_max(close, timestamp) as close, sum(trade_count) as trade_count
                from candles where timeframe = '1m' group by all
            )
            select count(*) from minutes full join (select * from candles where timeframe = '1h') as hours using (exchange, symbol, timestamp)
            where (minutes.open, minutes.high, minutes.low, minutes.close, minutes.trade_count)
                is distinct from (hours.open, hours.high, hours.low, hours.close, hours.trade_count)
        """).fetchall()

    assert differing == [(0,)]
