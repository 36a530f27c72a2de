"""What an event costs in the live windows of alerts, beside recomputing the same window of the same events anew.

    python -m benchmarks.windows [--laps 5] [--asked 200]

Recorded trades of the Binance BTC perpetual, lap after lap, go one by one through a rolling window of 300 s, in the order they came and
with every twentieth up to 20 s late; then through the rules price_move and volume_spike as a collector runs them, with quiet markets and
with thresholds so low that every event stands above them and the cooldown holds it back. Each line gives microseconds of processor time an
event (what else the machine does is not the event's): median, 99th and 99.9th percentile. The tail are events after a lull: what came
before it leaves with them. Peers, in the same run: Polars and pandas told at an event to compute the figures of the last 300 s of what
has come (a sample of events), which is what a live answer costs there, and both told to roll over the whole recording at once, which
no live answer can do, per event. Exit code 1 where the 99th percentile of a window is not below 20 microseconds, or where the figures of
ours and of the peers differ by more than 1e-12.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import random
import sys
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from math import isclose
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import polars as pl

from collectors.decode import decode_files
from lake.alerts.engine import Engine
from lake.alerts.firing import Firing
from lake.alerts.rules import parse_rules
from lake.alerts.settings import AlertSettings
from lake.alerts.windows import Event, RollingWindow

RECORDING: Final = "binance/usdm_btcusdt_depth_trade_bookticker_20240808.jsonl.gz"
WANTED_US: Final = 20.0
SECONDS: Final = 300
LENGTH_US: Final = SECONDS * 1_000_000

RULES: Final = """
[rules.move]
kind = "price_move"
window_seconds = 300
thresholds = {{ LOW = {move} }}
[rules.spike]
kind = "volume_spike"
window_seconds = 300
history_seconds = 600
thresholds = {{ LOW = {spike} }}
"""


def main() -> int:
    """Run everything and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--laps", type=int, default=5)
    parser.add_argument("--asked", type=int, default=200)
    options = parser.parse_args()
    lap = recorded()
    events = laps(lap, options.laps)
    # As a collector does: rows never form cycles.
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
    windows = {"in order": each(bare(), events), "one in twenty late": each(bare(), late(events))}
    rules = {
        "quiet": each(ruled(move=1e9, spike=1e9), events),
        "above the threshold": each(ruled(move=1e-9, spike=1e-9), events),
    }
    window = RollingWindow(LENGTH_US)
    for event in lap:
        window.add(event)
    peers, agreed = compared(lap, window, asked=options.asked)
    found = {
        "events": len(events),
        "in the window at the end": len(window),
        "window, microseconds an event": windows,
        "window and two rules, microseconds an event": rules,
        "peers, microseconds an event": peers,
        "equal to 1e-12": agreed,
    }
    print(json.dumps(found, indent=1))
    return 0 if agreed and all(line["p99"] < WANTED_US for line in windows.values()) else 1


def recorded() -> list[Event]:
    """Trades of the recording in the order they were received."""
    path = Path(os.environ.get("TICKHOUSE_RECORDINGS", "../shared/recordings")) / RECORDING
    rows = decode_files("binance", [path]).tables()["trades"].to_pylist()
    made = []
    for row in rows:
        at, price, amount = round(row["timestamp"].timestamp() * 1e6), row["price"], row["amount"]
        made.append((at, row["ordinal"], row["trade_id"], price, amount, price * amount, row["side"] == "buy"))
    return made


def laps(lap: Sequence[Event], number: int) -> list[Event]:
    """The recording one time after the other, ids and times moved on."""
    length = lap[-1][0] - lap[0][0] + 1_000
    return [(each[0] + turn * length, each[1], f"{turn}-{each[2]}", *each[3:]) for turn in range(number) for each in lap]


def late(events: Sequence[Event]) -> list[Event]:
    """Every twentieth event up to 20 s later than the others."""
    draw = random.Random(7)
    delays = [draw.uniform(0, 20e6) if number % 20 == 0 else 0.0 for number in range(len(events))]
    order = sorted(range(len(events)), key=lambda number: events[number][0] + delays[number])
    return [events[number] for number in order]


def bare() -> Callable[[Event, int], object]:
    """A window alone."""
    window = RollingWindow(LENGTH_US)
    return lambda event, _: window.add(event)


def ruled(*, move: float, spike: float) -> Callable[[Event, int], object]:
    """A market of an engine with two rules, as a collector feeds it."""
    settings = AlertSettings()
    market = Engine(parse_rules(RULES.format(move=move, spike=spike), settings).values(), Firing()).market("binance", "BTC/USDT:USDT")

    def take(event: Event, newest: int) -> None:
        at, ordinal, identity, price, amount, _, bought = event
        market.trade(at, ordinal, identity, price=price, amount=amount, sold=not bought, local=newest)

    return take


def each(take: Callable[[Event, int], object], events: Sequence[Event]) -> dict[str, float]:
    """Microseconds of processor time of each call, once the first window is full."""
    clock = time.thread_time_ns
    spent = np.empty(len(events), dtype=np.int64)
    newest = 0
    for number, event in enumerate(events):
        newest = max(newest, event[0])
        began = clock()
        take(event, newest)
        spent[number] = clock() - began
    full = spent[len(spent) // 10 :] / 1000
    return {name: round(float(np.percentile(full, share)), 2) for name, share in (("median", 50), ("p99", 99), ("p99.9", 99.9))}


def compared(lap: Sequence[Event], window: RollingWindow, *, asked: int) -> tuple[dict[str, Any], bool]:
    """The peers' times, and whether their figures of the last window are ours."""
    names = ["at", "ordinal", "id", "price", "amount", "value", "bought"]
    frame = pl.DataFrame(lap, schema=names, orient="row").with_columns(pl.col("at").cast(pl.Datetime("us"))).sort("at", "ordinal", "id")
    other = frame.to_pandas().set_index("at")
    ends = np.linspace(len(lap) // 2, len(lap) - 1, asked).astype(int)
    instants = frame["at"].dt.epoch("us").to_numpy()
    polars_times, pandas_times = [], []
    answer: dict[str, float] = {}
    figures: dict[str, float] = {}
    for end in ends.tolist():
        first = int(np.searchsorted(instants, instants[end] + 1 - LENGTH_US))
        began = time.process_time_ns()
        answer = of_polars(frame.slice(first, end + 1 - first))
        polars_times.append(time.process_time_ns() - began)
        began = time.process_time_ns()
        figures = of_pandas(other.iloc[first : end + 1])
        pandas_times.append(time.process_time_ns() - began)
    ours = {"volume": window.volume, "vwap": window.vwap, "largest": window.largest, "change": window.price_change_pct}
    ours["volatility"] = window.volatility
    agreed = all(isclose(ours[name], theirs[name], rel_tol=1e-12) for theirs in (answer, figures) for name in ours)
    began = time.process_time_ns()
    frame.rolling("at", period=timedelta(seconds=SECONDS)).agg(pl.sum("amount", "value"), pl.max("value").alias("largest"))
    rolled = time.process_time_ns() - began
    began = time.process_time_ns()
    for column, reduce in (("amount", "sum"), ("value", "sum"), ("value", "max")):
        getattr(other[column].rolling(f"{SECONDS}s"), reduce)()
    rolled_pandas = time.process_time_ns() - began
    return {
        "polars, the window anew": quantiles(polars_times),
        "pandas, the window anew": quantiles(pandas_times),
        "polars, rolling over all at once": round(rolled / len(lap) / 1000, 2),
        "pandas, rolling over all at once": round(rolled_pandas / len(lap) / 1000, 2),
    }, agreed


def of_polars(rows: pl.DataFrame) -> dict[str, float]:
    """The figures of a window, by Polars."""
    steps = (pl.col("price") / pl.col("price").shift(1)).log()
    row = rows.select(
        volume=pl.col("amount").sum(),
        vwap=(pl.col("price") * pl.col("amount")).sum() / pl.col("amount").sum(),
        largest=pl.col("value").max(),
        change=(pl.col("price").last() - pl.col("price").first()) / pl.col("price").first() * 100,
        volatility=(steps * steps).sum().sqrt() * 100,
    ).row(0, named=True)
    return dict(row)


def of_pandas(rows: pd.DataFrame) -> dict[str, float]:
    """The figures of a window, by pandas."""
    price, amount = rows["price"], rows["amount"]
    steps = np.log(price.to_numpy()[1:] / price.to_numpy()[:-1])
    return {
        "volume": amount.sum(),
        "vwap": (price * amount).sum() / amount.sum(),
        "largest": rows["value"].max(),
        "change": (price.iloc[-1] - price.iloc[0]) / price.iloc[0] * 100,
        "volatility": float(np.sqrt((steps**2).sum())) * 100,
    }


def quantiles(nanoseconds: Sequence[int]) -> dict[str, float]:
    """Median and 99th percentile, microseconds."""
    return {name: round(float(np.percentile(nanoseconds, share)) / 1000, 1) for name, share in (("median", 50), ("p99", 99))}


if __name__ == "__main__":
    sys.exit(main())
