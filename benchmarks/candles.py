"""Candles from trades: against pandas' resample, and 55 million trades into every timeframe within bounded memory.

    python -m benchmarks.candles [--ticks 500000] [--trades 55000000] [--hours 24] [--pandas-rounds 2]

First part: the same ticks in memory, to one-minute candles: `candles_from_trades` (all columns, sums in one fixed order) and pandas'
`resample("1min")` of the same columns, of an hour of 500 markets (`groupby().resample()`) and of a day of a single one; results are
compared. The ratio is that of the 500 markets, the work an hour brings. Second part: trades of
several exchanges and symbols are generated hour by hour into a lake, every hour is made into 1m to 1h and every day and month into the
longer timeframes, in a process of its own whose peak memory is printed. Exit code 1 where a bound does not hold: 30 times, 2 GB.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
import pyarrow as pa

from lake import layout
from lake.derived import read_hour, write_hour, write_period
from lake.longer import longer_candles, longer_span
from lake.parquet import PART_LEVEL, Metadata, write_parquet
from lake.paths import HOUR_US, Home, Hour, PartName
from lake.periods import Period
from lake.registry import DAY_TIMEFRAMES, MONTH_TIMEFRAMES, TRADE_TIMEFRAMES, candle_dataset, dataset
from lake.transforms.candles import candles_from_trades

START: Final = 1_795_132_800_000_000
"""2026-11-20 00:00 UTC."""
MARKETS: Final = tuple((exchange, symbol) for exchange in ("binance", "kraken") for symbol in ("BTC/USDT", "ETH/USDT", "SOL/USDT"))
MARKETS_OF_AN_HOUR: Final = 500
WANTED_RATIO: Final = 30.0
WANTED_BYTES: Final = 2_000_000_000


def main() -> int:
    """Run both parts and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ticks", type=int, default=500_000)
    parser.add_argument("--trades", type=int, default=55_000_000)
    parser.add_argument("--hours", type=int, default=24)
    parser.add_argument("--pandas-rounds", type=int, default=2)
    options = parser.parse_args()
    found: dict[str, Any] = {"against_pandas": against_pandas(options.ticks, rounds=options.pandas_rounds)}
    if options.trades:
        found["through_the_lake"] = in_own_process(through_the_lake, options.trades, options.hours)
    print(json.dumps(found, indent=1))
    ratio, peak = found["against_pandas"]["ratio"], found.get("through_the_lake", {}).get("peak_rss_bytes", 0)
    return 0 if ratio >= WANTED_RATIO and peak < WANTED_BYTES else 1


def trades_of(hour: Hour, count: int, markets: tuple[tuple[str, str], ...] = MARKETS) -> pa.Table:
    """About `count` trades of an hour in the order of the lake: a random walk a market."""
    random = np.random.default_rng(hour.start // HOUR_US)
    each = count // len(markets)
    tables = []
    for exchange, symbol in markets:
        times = np.sort(random.integers(hour.start, hour.end, each))
        numbers = np.arange(each)
        tables.append(
            pa.table(
                {
                    "exchange": pa.array([exchange], pa.string()).take(pa.array(np.zeros(each, np.int8))),
                    "symbol": pa.array([symbol], pa.string()).take(pa.array(np.zeros(each, np.int8))),
                    "timestamp": pa.array(times).cast(pa.timestamp("us", tz="UTC")),
                    "local_timestamp": pa.array(times + 900).cast(pa.timestamp("us", tz="UTC")),
                    "ordinal": pa.array(numbers),
                    "trade_id": pa.array(numbers + hour.start // 1_000_000 * 1_000_000).cast(pa.string()),
                    "side": pa.array(["buy", "sell"]).take(pa.array(random.integers(0, 2, each))),
                    "price": pa.array(np.round(50_000 * np.exp(np.cumsum(random.normal(0, 1e-5, each))), 2)),
                    "amount": pa.array(np.round(random.exponential(0.05, each) + 1e-5, 5)),
                    "fill_count": pa.array(np.ones(each, np.int32)),
                    "source": pa.array(["stream"]).take(pa.array(np.zeros(each, np.int8))),
                    "clock_suspect": pa.array(np.zeros(each, bool)),
                }
            )
        )
    return pa.concat_tables(tables).cast(dataset("trades").schema).combine_chunks()


def against_pandas(ticks: int, *, rounds: int) -> dict[str, Any]:
    """Seconds of both for the same ticks: an hour of `MARKETS_OF_AN_HOUR` markets, and a day of one market."""
    many = tuple((exchange, f"S{number:03d}/USDT") for exchange in ("binance", "kraken") for number in range(MARKETS_OF_AN_HOUR // 2))
    hour = pl.DataFrame(trades_of(Hour(START), ticks, many))
    day = pl.concat(pl.DataFrame(trades_of(Hour(START + hour * HOUR_US), ticks // 24, MARKETS[:1])) for hour in range(24))
    of_many = compared(hour, rounds=rounds, grouped=True)
    of_one = compared(day, rounds=rounds, grouped=False)
    return {"markets": len(many), "many": of_many, "one": of_one, "ratio": of_many["ratio"]}


def compared(frame: pl.DataFrame, *, rounds: int, grouped: bool) -> dict[str, Any]:
    """Ours beside pandas: `groupby().resample()` of all markets, or `resample()` of a single one."""
    ours = candles_from_trades(frame, "1m")
    ours_seconds = best(lambda: candles_from_trades(frame, "1m"), rounds=5)
    indexed = as_pandas(frame)

    def resampled() -> Any:
        bars = (indexed.groupby(["exchange", "symbol"]) if grouped else indexed).resample("1min")
        return bars["price"].ohlc().join(bars[["amount", "quote", "fills", "bought", "sold"]].sum()).dropna()

    theirs = resampled()
    assert len(theirs) == ours.height
    assert (theirs["close"].to_numpy() == ours["close"].to_numpy()).all()
    np.testing.assert_allclose(theirs["amount"].to_numpy(), ours["volume"].to_numpy(), rtol=1e-9)
    pandas_seconds = best(resampled, rounds=rounds)
    return {
        "ticks": frame.height,
        "candles": ours.height,
        "seconds": round(ours_seconds, 4),
        "ticks_per_second": round(frame.height / ours_seconds),
        "pandas_seconds": round(pandas_seconds, 4),
        "ratio": round(pandas_seconds / ours_seconds, 1),
    }


def as_pandas(frame: pl.DataFrame) -> Any:
    """The ticks as pandas needs them, by time."""
    import pandas as pd

    bought = frame["side"].eq("buy").to_numpy()
    amount, price = frame["amount"].to_numpy(), frame["price"].to_numpy()
    return pd.DataFrame(
        {
            "exchange": frame["exchange"].to_numpy(),
            "symbol": frame["symbol"].to_numpy(),
            "price": price,
            "amount": amount,
            "quote": price * amount,
            "bought": np.where(bought, amount, 0.0),
            "sold": np.where(bought, 0.0, amount),
            "fills": frame["fill_count"].to_numpy(),
        },
        index=pd.DatetimeIndex(frame["timestamp"].dt.replace_time_zone(None).to_numpy()),
    )


def best(work: Callable[[], Any], *, rounds: int) -> float:
    """Seconds of the fastest of several rounds."""
    found = []
    for _ in range(rounds):
        begun = time.perf_counter()
        work()
        found.append(time.perf_counter() - begun)
    return min(found)


def through_the_lake(trades: int, hours: int) -> dict[str, Any]:
    """Generate, store and make candles of all timeframes; what it took, and the greatest memory of this process."""
    landed = made = candles = 0
    seconds = {"generate": 0.0, "1m to 1h": 0.0, "2h to 1M": 0.0}
    with tempfile.TemporaryDirectory() as root:
        home = Home(Path(root))
        layout.ensure(home)
        spec = dataset("trades")
        for number in range(hours):
            hour = Hour(START + number * HOUR_US)
            begun = time.perf_counter()
            rows = trades_of(hour, trades // hours)
            landed += rows.num_rows
            path = home.hour_dir("trades", hour) / str(PartName(hour.end, "bench", number))
            path.parent.mkdir(parents=True)
            write_parquet(spec, rows, path, Metadata(dataset="trades"), level=PART_LEVEL)
            del rows
            seconds["generate"] += time.perf_counter() - begun
            begun = time.perf_counter()
            table, watermark = read_hour(home, "trades", hour, at_us=hour.end + 1)
            frame = pl.DataFrame(table)
            del table
            for timeframe in TRADE_TIMEFRAMES:
                made_of = candles_from_trades(frame, timeframe)
                candles += made_of.height
                name = candle_dataset(timeframe)
                write_hour(home, name, hour, made_of.to_arrow().cast(dataset(name).schema), watermark=watermark, visible_after=0.2)
            del frame
            path.unlink()
            seconds["1m to 1h"] += time.perf_counter() - begun
            made += 1
        time.sleep(0.3)
        begun = time.perf_counter()
        for timeframe in (*DAY_TIMEFRAMES, *MONTH_TIMEFRAMES):
            for period in sorted({Period.of(START + number * HOUR_US, longer_span(timeframe)) for number in range(hours)}):
                rolled, watermark = longer_candles(home, timeframe, period)
                candles += rolled.height
                name = candle_dataset(timeframe)
                write_period(home, name, period, rolled.to_arrow().cast(dataset(name).schema), watermark=watermark, visible_after=0.2)
        seconds["2h to 1M"] += time.perf_counter() - begun
    return {
        "trades": landed,
        "hours": made,
        "candles": candles,
        "seconds": {name: round(value, 2) for name, value in seconds.items()},
        "trades_per_second": round(landed / (seconds["1m to 1h"] + seconds["2h to 1M"])),
        "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


def in_own_process(work: Callable[..., dict[str, Any]], *arguments: Any) -> dict[str, Any]:
    """The result of `work` in a fresh interpreter, so that its memory is its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(work, arguments)


if __name__ == "__main__":
    sys.exit(main())
