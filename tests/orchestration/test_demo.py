"""The main job, end to end: simulator, collectors, Dagster's assets and checks, verify, a copy to TimescaleDB, on a short past."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from orchestration.timescale import QUESTIONS
from tests.debian_server import Unavailable
from tests.timescale_server import database, edition, run, server

pytestmark = pytest.mark.lengthy

ROOT = Path(__file__).resolve().parents[2]


BEGAN = datetime.now(UTC)


@pytest.fixture(scope="module")
def copy() -> Iterator[str | None]:
    """A database that the demo copies to; None where there is no server, for which the tests that ask it skip."""
    with ExitStack() as stack:
        try:
            yield stack.enter_context(database(stack.enter_context(server())))
        except Unavailable:
            yield None


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory, copy: str | None) -> tuple[Path, subprocess.CompletedProcess[str]]:
    root = tmp_path_factory.mktemp("demo") / "home"
    command = [sys.executable, "-c", "from orchestration.cli import main; main()", "demo", "--once"]
    command += ["--home", str(root), "--history", "2h", "--live", "5s", *(["--timescale", copy] if copy else [])]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280, check=False)
    return root, done


def test_the_demo_once_through_holds(demo: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    _, done = demo

    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "Everything held." in done.stdout


def test_plain_duckdb_sees_live_and_past_trades_of_all_exchanges_once(demo: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    root, _ = demo

    with duckdb.connect(str(root / "lake.duckdb"), read_only=True) as reader:
        rows = reader.execute(
            "select exchange, count(*), count(distinct (symbol, trade_id)), date_diff('minute', min(timestamp), max(timestamp)) "
            "from trades group by exchange order by exchange"
        ).fetchall()

    assert [row[0] for row in rows] == ["binance", "bybit", "kraken"]
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


class Asked:
    """What the four statements answer on the demo's copy, and the lake for comparison."""

    def __init__(self, root: Path, dsn: str) -> None:
        self.root, self.dsn = root, dsn
        self.answers = {what: self.server(statement) for what, statement in QUESTIONS.items()}

    def server(self, statement: str) -> list[dict[str, Any]]:
        return [dict(row) for row in run(self.dsn, lambda connection: connection.fetch(statement))]

    def lake(self, statement: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.root / "lake.duckdb"), read_only=True) as reader:
            reader.execute("SET TimeZone = 'UTC'")
            return reader.execute(statement).fetchall()


@pytest.fixture(scope="module")
def asked(timescale_server: str, demo: tuple[Path, subprocess.CompletedProcess[str]], copy: str | None) -> Asked:
    root, done = demo
    assert copy is not None
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return Asked(root, copy)


PRICES = ("open", "high", "low", "close", "volume")


def exact(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Doubles of the lake as the decimal numbers that their digits say."""
    return tuple(Decimal(repr(value)) if isinstance(value, float) else value for value in values)


def test_the_newest_closed_hour_is_the_lakes(asked: Asked) -> None:
    [row] = asked.answers["the newest candle of an hour"]

    [lake] = asked.lake(
        "select open, high, low, close, volume from candles where timeframe = '1h' and exchange = 'binance' "
        f"and symbol = 'BTC/USDT' and timestamp = '{row['timestamp'].isoformat()}'"
    )
    assert tuple(row[name] for name in PRICES) == exact(lake)
    assert BEGAN - timedelta(hours=2) < row["timestamp"] <= datetime.now(UTC) - timedelta(hours=1)


def test_its_indicators_join_by_the_id_and_are_the_lakes(asked: Asked) -> None:
    [candle], [row] = asked.answers["the newest candle of an hour"], asked.answers["its indicators"]

    [lake] = asked.lake(
        "select range_pct, high_low_range_pct, volume_usd, td_seq_up, td_seq_down from indicators_hour where timeframe = '1h' "
        f"and exchange = 'binance' and symbol = 'BTC/USDT' and timestamp = '{candle['timestamp'].isoformat()}'"
    )
    assert (row["last_id"], row["timeframe"]) == (candle["last_id"], "1h")
    assert tuple(row[name] for name in ("range_pct", "high_low_range_pct", "volume_usd", "td_seq_up", "td_seq_down")) == exact(lake)
    assert row["volume_usd"] > 0


def test_the_largest_coins_are_those_of_the_newest_snapshot_by_rank(asked: Asked) -> None:
    rows = asked.answers["the hundred largest coins"]

    lake = asked.lake(
        "select symbol, name, close, rank, ath5, days_since_ath from coingecko "
        "where local_timestamp = (select max(local_timestamp) from coingecko) order by rank limit 100"
    )
    assert [tuple(row.values()) for row in rows] == [exact(each) for each in lake]
    assert [row["market_cap_rank"] for row in rows] == list(range(1, 101))


def test_candles_of_four_hours_are_the_lakes(asked: Asked) -> None:
    rows = asked.answers["eight days of candles of four hours"]

    if edition(asked.dsn) == "community":
        # Aggregates are made of the closed hours.
        newest = asked.server("SELECT max(timestamp) AS at FROM h1_data")[0]["at"].isoformat()
        source = f"(select * from candles where timeframe = '1h' and timestamp <= '{newest}')"
    else:
        source = "(select * from candles where timeframe = '1m')"
    lake = asked.lake(
        "select time_bucket(interval 4 hour, timestamp) as bucket, arg_min(open, timestamp), max(high), min(low), arg_max(close, timestamp), "
        f"fsum(volume) from {source} where symbol = 'ETH/USDT' and exchange = 'bybit' group by bucket order by bucket desc"
    )
    assert [(row["timestamp"], row["open"], row["high"], row["low"], row["close"]) for row in rows] == [exact(each)[:5] for each in lake]
    assert [float(row["volume"]) for row in rows] == pytest.approx([each[5] for each in lake], rel=1e-12)
    assert rows
