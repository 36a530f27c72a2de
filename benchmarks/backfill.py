"""A back-fill of hours as one run for each set of partitions: seconds, cost of a partition and peak memory.

    python benchmarks/backfill.py [--days 30] [--symbols 50] [--trades 60] [--assets candles_1m,...] [--home DIR]

Trades are laid down through the lake's own writers, sealed hour files of every symbol (`--trades` an hour and symbol), then made
into everything that follows from them. The second call shows what resuming costs when nothing is missing.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

from lake.layout import ensure
from lake.parts import seal_segment
from lake.paths import HOUR_US, Hour
from lake.registry import dataset
from lake.settings import LakeSettings
from lake.wal import WalWriter
from orchestration.instance import open_instance
from orchestration.run import materialize_range
from orchestration.settings import OrchestrationSettings


def hour_of_trades(hour: Hour, symbols: int, trades: int) -> pa.RecordBatch:
    """Random walks of every symbol through an hour, in the columns of `trades`."""
    random = np.random.default_rng(hour.start // HOUR_US)
    count = symbols * trades
    times = np.sort(random.integers(hour.start, hour.end, (symbols, trades)), axis=1).ravel()
    walk = np.exp(np.cumsum(random.normal(0, 1e-4, (symbols, trades)), axis=1)) * np.linspace(1, 50_000, symbols)[:, None]
    values = {
        "exchange": ["binance"] * count,
        "symbol": [f"C{number:03d}/USDT" for number in range(symbols) for _ in range(trades)],
        "timestamp": times,
        "local_timestamp": times + 900,
        "ordinal": np.tile(np.arange(trades), symbols),
        "trade_id": [f"{hour.start // HOUR_US}-{number}" for number in range(count)],
        "side": np.where(random.random(count) < 0.5, "buy", "sell").tolist(),
        "price": np.round(walk.ravel(), 6),
        "amount": np.round(random.exponential(0.5, count) + 1e-4, 6),
        "fill_count": np.ones(count, dtype=np.int32),
        "source": ["stream"] * count,
        "clock_suspect": [False] * count,
    }
    schema = dataset("trades").schema
    return pa.RecordBatch.from_arrays([pa.array(values[field.name], type=field.type) for field in schema], schema=schema)


def lay(lake: LakeSettings, hours: list[Hour], *, symbols: int, trades: int) -> float:
    """Land the hours through the log and its parts, a day at a time; seconds it took."""
    begun = time.monotonic()
    writer = WalWriter(lake.house, "bench")
    for first in range(0, len(hours), 24):
        for hour in hours[first : first + 24]:
            writer.append("trades", hour_of_trades(hour, symbols, trades))
        for segment in writer.roll():
            seal_segment(lake.house, segment, visible_after=lake.visible_after_seconds)
    writer.close()
    time.sleep(lake.visible_after_seconds)
    return time.monotonic() - begun


def main() -> None:
    """Print what it takes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--symbols", type=int, default=50)
    parser.add_argument("--trades", type=int, default=60)
    parser.add_argument("--assets", help="comma-separated; by default the trades, candles and indicators of hours")
    parser.add_argument("--home", type=Path)
    asked = parser.parse_args()
    home = asked.home or Path(tempfile.mkdtemp(prefix="tickhouse-backfill-"))
    lake, settings = LakeSettings(home=home, visible_after_seconds=1.0), OrchestrationSettings()
    ensure(lake.house)
    last = Hour(Hour.of(time.time_ns() // 1000).start - HOUR_US)
    hours = [Hour(last.start - number * HOUR_US) for number in range(asked.days * 24)][::-1]
    seconds = lay(lake, hours, symbols=asked.symbols, trades=asked.trades)
    rows = len(hours) * asked.symbols * asked.trades
    print(f"{len(hours):,} hours of {asked.symbols} symbols, {rows:,} trades, laid down in {seconds:.1f} s", flush=True)
    hourly = [f"candles_{timeframe}" for timeframe in ("1m", "3m", "5m", "15m", "30m", "1h")]
    names = asked.assets.split(",") if asked.assets else ["trades", *hourly, "indicators_hour"]
    with open_instance(lake, settings) as instance:
        for title in ("back-fill", "the same again, nothing missing"):
            done = materialize_range(lake, names, hours[0], last, settings=settings, instance=instance, force=False)
            each = f", {done.seconds / done.partitions * 1000:.1f} ms a partition" if done.partitions else ""
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(f"{title}: {done.sentence}; {len(done.run_ids)} runs{each}; peak {peak:.0f} MB", flush=True)


if __name__ == "__main__":
    main()
