"""The core suite of indicators over many markets, beside the same suite through pandas-ta-classic one history at a time, in the same run.

    python -m benchmarks.indicators [--symbols 500] [--timeframes 8] [--bars 1000] [--rounds 3] [--sample 200]

Ours takes all candles as one frame; the peer takes the columns of each history as pandas series that are there already, and gives its
series without putting them together. It does a sample of the histories in every round and is scaled up: they are alike in length, and
it goes through them one by one. Its results are compared with ours on that sample. Memory is that of a process of its own.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import psutil

from lake.transforms.indicators.suite import compute

TIMEFRAMES = ("1m", "3m", "5m", "15m", "30m", "1h", "4h", "1d", "2h", "6h", "8h", "12h", "3d", "1w", "1M")
HOUR_BARS = 60


def candles(symbols: int, timeframes: int, bars: int) -> pl.DataFrame:
    """Random walks, one a symbol and timeframe, as the lake gives them: history after history."""
    rng = np.random.default_rng(7)
    count = symbols * timeframes
    steps = rng.normal(0.0, 0.002, (count, bars))
    close = (100.0 * np.exp(np.cumsum(steps, axis=1))).ravel()
    opened = close / np.exp(steps.ravel())
    times = np.tile(np.arange(bars) * 60_000_000 + 1_700_000_000_000_000, count)
    names = pl.DataFrame({"symbol": [f"C{number:03}/USDT" for number in range(symbols)]}).join(
        pl.DataFrame({"timeframe": TIMEFRAMES[:timeframes]}), how="cross"
    )
    keys = names[np.repeat(np.arange(count), bars)]
    return keys.with_columns(
        exchange=pl.lit("binance"),
        source=pl.lit("trades"),
        timestamp=pl.Series(times).cast(pl.Datetime("us", "UTC")),
        open=opened,
        high=np.maximum(opened, close) * (1 + rng.random(len(close)) * 0.001),
        low=np.minimum(opened, close) * (1 - rng.random(len(close)) * 0.001),
        close=close,
        volume=rng.random(len(close)) * 10,
    )


def theirs(opened: Any, high: Any, low: Any, close: Any, volume: Any) -> dict[str, Any]:
    """The suite of one history by pandas-ta-classic, formulas it does not have by pandas."""
    import pandas_ta_classic as ta

    found = {f"ema{n}": ta.ema(close, length=n) for n in (10, 36, 200)}
    found |= {f"sma{n}": ta.sma(close, length=n) for n in (20, 50, 200)}
    found["ehma180"] = ta.ema(2 * ta.ema(close, length=90) - ta.ema(close, length=180), length=int(math.sqrt(180)))
    found["rsi14"] = ta.rsi(close, length=14)
    macd = ta.macd(close, fast=12, slow=26, signal=9)
    found |= {"macd": macd.iloc[:, 0], "macd_hist": macd.iloc[:, 1], "macd_signal": macd.iloc[:, 2]}
    bands = ta.bbands(close, length=20, std=2)
    found |= {"bbl202": bands.iloc[:, 0], "bbm202": bands.iloc[:, 1], "bbu202": bands.iloc[:, 2], "bbw202": bands.iloc[:, 3]}
    counts = ta.td_seq(close)
    found |= {"td_seq_up": counts.iloc[:, 0], "td_seq_down": counts.iloc[:, 1]}
    trend = ta.supertrend(high, low, close, length=7, multiplier=3)
    found |= {"st73": trend.iloc[:, 0], "st73_direction": trend.iloc[:, 1]}
    found["diff_ema200_pct"] = (close - found["ema200"]) / close * 100
    found["range_pct"] = (close - opened) / opened * 100
    found["high_low_range_pct"] = (high - low) / low * 100
    found["volume_usd"] = volume * close
    return found


def sampled(frame: pl.DataFrame, bars: int, sample: int) -> list[tuple[int, list[Any]]]:
    """Histories spread over all, as pandas series: number and open, high, low, close, volume."""
    import pandas as pd

    histories = frame.height // bars
    chosen = np.unique(np.linspace(0, histories - 1, min(sample, histories)).astype(int))
    names = ("open", "high", "low", "close", "volume")
    return [(int(number), [pd.Series(frame[name][number * bars : (number + 1) * bars].to_numpy()) for name in names]) for number in chosen]


def compared(rows: pl.DataFrame, bars: int, results: list[tuple[int, dict[str, Any]]]) -> float:
    """The greatest relative difference from ours where both have values; macd only where its other seed is forgotten."""
    worst = 0.0
    for number, result in results:
        part = rows[number * bars : (number + 1) * bars]
        for name, series in result.items():
            ours, their = part[name].cast(pl.Float64).fill_null(np.nan).to_numpy(), series.to_numpy(dtype=float)
            if name.startswith("td_seq"):
                ours = np.minimum(ours, 13)
            first = 250 if name.startswith("macd") else 8
            scale = np.abs(their) if not name.startswith(("macd", "diff")) else part["ema10"].fill_null(np.nan).to_numpy()
            apart = np.abs(ours - their)[first:] / scale[first:]
            worst = max(worst, float(np.nanmax(apart)))
    return worst


def measured(arguments: argparse.Namespace) -> dict[str, float]:
    """Medians of the rounds; ours and the peer in turn, so that both see the same machine."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pandas_ta_classic as ta
    frame = candles(arguments.symbols, arguments.timeframes, arguments.bars)
    chosen = sampled(frame, arguments.bars, arguments.sample)
    theirs(*chosen[0][1])
    seconds, peer, hourly = [], [], []
    for _ in range(arguments.rounds):
        began = time.perf_counter()
        rows, state = compute(frame)
        seconds.append(time.perf_counter() - began)
        began = time.perf_counter()
        results = [(number, theirs(*series)) for number, series in chosen]
        peer.append((time.perf_counter() - began) / len(chosen) * arguments.symbols * arguments.timeframes)
        later = frame.filter(pl.col("timestamp") < frame["timestamp"][HOUR_BARS]).with_columns(pl.col("timestamp") + pl.duration(days=400))
        began = time.perf_counter()
        compute(later, state)
        hourly.append(time.perf_counter() - began)
        print(f"  ours {seconds[-1]:.2f} s, peer {peer[-1]:.2f} s")
    return {
        "ours": statistics.median(seconds),
        "peer": statistics.median(peer),
        "ratio": statistics.median(p / s for p, s in zip(peer, seconds, strict=True)),
        "apart": compared(rows, arguments.bars, results),
        "hour": statistics.median(hourly),
        "state": state.to_arrow(datetime(2026, 1, 1, tzinfo=UTC)).nbytes / 1e6,
        "version": ta.version,
    }


def remembered(path: Path) -> dict[str, float]:
    """Memory of this process, MB: with the candles read, and at most."""
    frame = pl.read_parquet(path)
    before = psutil.Process().memory_info().rss / 1e6
    rows, _ = compute(frame)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    return {"candles": frame.estimated_size() / 1e6, "rows": rows.estimated_size() / 1e6, "before": before, "peak": peak}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    for name, default in (("symbols", 500), ("timeframes", 8), ("bars", 1000), ("rounds", 3), ("sample", 200)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--memory", type=Path, help="measure memory alone over this Parquet file of candles, as JSON")
    arguments = parser.parse_args()
    if arguments.memory:
        print(json.dumps(remembered(arguments.memory)))
        return
    histories = arguments.symbols * arguments.timeframes
    print(f"python {platform.python_version()}, polars {pl.__version__}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print(
        f"{arguments.symbols} symbols x {arguments.timeframes} timeframes x {arguments.bars} bars = {histories * arguments.bars:,} candles"
    )
    found = measured(arguments)
    speed = histories * arguments.bars / found["ours"] / 1e6
    print(f"ours, all at once:                 {found['ours']:8.2f} s   {speed:6.2f} million candles/s")
    scaled = f"{min(arguments.sample, histories)} of {histories} histories, scaled"
    print(f"pandas-ta-classic {found['version']}, one by one: {found['peer']:8.2f} s   ({scaled})")
    print(f"ratio, median of the rounds:       {found['ratio']:8.1f}")
    print(f"greatest difference on the sample: {found['apart']:8.1e} relative (differences of prices: to the price)")
    print(f"an hour of {HOUR_BARS} more bars each:       {found['hour']:8.2f} s   state of {found['state']:.1f} MB")
    with tempfile.TemporaryDirectory(prefix="tickhouse-bench-") as place:
        path = Path(place) / "candles.parquet"
        candles(arguments.symbols, arguments.timeframes, arguments.bars).write_parquet(path)
        command = [sys.executable, "-m", "benchmarks.indicators", "--memory", str(path)]
        memory = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    sizes = f"{memory['candles']:.0f} MB candles, {memory['rows']:.0f} MB results"
    print(f"memory: {memory['peak']:,.0f} MB at most, {memory['before']:,.0f} MB before ({sizes})")


if __name__ == "__main__":
    main()
