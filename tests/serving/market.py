"""A simulated market that is collected: an hour of past, a judged hour before it, and what goes on, for tests of the dashboard."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from lake.derived import write_hour
from lake.paths import Home, Hour
from lake.settings import LakeSettings
from orchestration.simulation import land_history
from tests.collectors.simulating import Running, Simulator
from tests.lake.laying import LaidLake
from tests.lake.making import HOUR, MINUTE, rows

SYMBOLS = {"binance": ["BTC/USDT", "ETH/USDT", "BTC/USDT:USDT"], "kraken": ["BTC/USDT"]}
PAST = ["--exchanges", "binance,kraken", "--symbols", "BTC/USDT,ETH/USDT", "--trades-per-minute", "4", "--book-updates-per-minute", "2"]


@dataclass
class Market:
    """A home that a collector writes to."""

    home: Home
    simulator: Simulator
    collector: Running


@contextmanager
def collected(root: Path) -> Iterator[Market]:
    """The market, until the block ends."""
    home = Home(root / "home")
    land_history(LakeSettings(home=home.root, visible_after_seconds=0.3), hours=1, end=datetime.now(UTC), arguments=PAST)
    _judged(home)
    simulator = Simulator(root, rate=30.0, exchanges="binance,kraken")
    try:
        # Parts of many rows: pages ask all the time, and would open each of many small ones.
        collector = Running(root, simulator.endpoints, symbols=SYMBOLS, settings={"TICKHOUSE_ROLL_SECONDS": "10"})
        try:
            collector.wait_live()
            yield Market(home, simulator, collector)
        finally:
            collector.kill()
    finally:
        simulator.kill()


def _judged(home: Home) -> None:
    """What Dagster would have made of the hour before the last: coverage and a heatmap; and an alert that fired."""
    now = time.time_ns() // 1000
    start = Hour.of(now - 2 * HOUR).start
    lake = LaidLake(home.root, collector="judge")
    judged = [
        _coverage(
            start, exchange=exchange, dataset=dataset, condition="degraded" if (exchange, dataset) == ("kraken", "trades") else "available"
        )
        for exchange in SYMBOLS
        for dataset in ("trades", "book_deltas")
    ]
    resting = [_bucket(start, minute, step) for minute in range(60) for step in range(-5, 5)]
    for name, found in (("coverage", judged), ("heatmap", resting)):
        table = pa.Table.from_batches([rows(name, *found)])
        write_hour(home, name, Hour.of(start), table, watermark=1, visible_after=0.5, clock=lake.clock)
    alert = {
        "alert_id": "a1",
        "rule": "big-liquidations",
        "kind": "window",
        "severity": "HIGH",
        "message": "Longs of 2.5M USD were closed.",
        "details": "{}",
    }
    lake.land(
        "alerts",
        {
            **alert,
            "group_key": f"big-liquidations@{now}",
            "timestamp": now - 5 * MINUTE,
            "local_timestamp": now - 5 * MINUTE,
            "value": 2.5e6,
            "threshold": 1e6,
            "unit": "USD",
        },
    )
    lake.close()


def _coverage(start: int, *, exchange: str, dataset: str, condition: str) -> dict[str, Any]:
    whole = condition == "available"
    found = {"exchange": exchange, "symbol": "BTC/USDT", "timestamp": start, "dataset": dataset, "rows": 100, "duplicates": 0}
    return {**found, "gaps": 0 if whole else 1, "gap_seconds": 0.0 if whole else 90.0, "connected_seconds": 3600.0, "condition": condition}


def _bucket(start: int, minute: int, step: int) -> dict[str, Any]:
    side = "bid" if step < 0 else "ask"
    place = {"exchange": "binance", "symbol": "BTC/USDT", "timestamp": start + minute * MINUTE, "side": side}
    return {
        **place,
        "price_bucket": 67_000.0 + 10 * step,
        "bucket_size": 10.0,
        "volume": 2.0 + abs(step),
        "intensity": 0.5,
        "exchange_count": 1,
    }
