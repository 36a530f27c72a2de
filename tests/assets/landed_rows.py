"""Rows of every landed dataset for tests of assets, landed through the write-ahead log and parts as a collector does."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa

from lake.layout import ensure
from lake.parts import seal_segment
from lake.paths import HOUR_US, Hour, parse_name
from lake.registry import dataset
from lake.settings import LakeSettings
from lake.wal import WalWriter

MINUTE_US = 60_000_000
MARKETS = (("binance", "BTC/USDT", 50_000.0), ("binance", "ETH/USDT", 2_000.0), ("kraken", "BTC/USD", 50_010.0))
VISIBLE_AFTER = 0.2


def lake_settings(root: Path) -> LakeSettings:
    """A fresh lake whose files count soon."""
    settings = LakeSettings(home=root, visible_after_seconds=VISIBLE_AFTER, roll_seconds=1, _env_file=None)
    ensure(settings.house)
    return settings


RUNNING = Hour.of(time.time_ns() // 1000)
"""The hour that ran when the tests began: it stands still, so that no test breaks in the minute an hour ends."""


def hours_ago(number: int, *, running: Hour = RUNNING) -> Hour:
    """The hour that began `number` hours before the running one."""
    return Hour(running.start - number * HOUR_US)


def batch(name: str, columns: dict[str, object], rows: int) -> pa.RecordBatch:
    """Rows of a dataset; scalars are repeated, columns left out are null."""
    schema = dataset(name).schema
    arrays = []
    for field in schema:
        value = columns.get(field.name)
        values = value if isinstance(value, (list, np.ndarray)) else [value] * rows
        arrays.append(pa.array(values, type=field.type))
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def trades(hour: Hour, *, seed: int = 0, per_market: int = 300, first_id: int = 0, **more: object) -> pa.RecordBatch:
    """A random walk for each market, spread over the hour."""
    random = np.random.default_rng(hour.start // HOUR_US * 7 + seed)
    rows = []
    for exchange, symbol, price in MARKETS:
        times = np.sort(random.integers(hour.start, hour.end, per_market))
        walk = np.round(price * np.exp(np.cumsum(random.normal(0, 1e-4, per_market))), 2)
        columns = {
            "exchange": exchange,
            "symbol": symbol,
            "timestamp": times,
            "local_timestamp": times + 900,
            "ordinal": np.arange(per_market) + first_id,
            "trade_id": [str(number + first_id) for number in range(per_market)],
            "side": list(np.where(random.random(per_market) < 0.5, "buy", "sell")),
            "price": walk,
            "amount": np.round(random.exponential(0.5, per_market) + 1e-4, 6),
            "fill_count": random.integers(1, 4, per_market),
            "source": "stream",
            "clock_suspect": False,
        }
        rows.append(batch("trades", {**columns, **more}, per_market))
    return pa.Table.from_batches(rows).combine_chunks().to_batches()[0]


def book(hour: Hour, *, seconds: int = 60, crossed: bool = False) -> dict[str, pa.RecordBatch]:
    """Snapshots, one a second, and the deltas of the first of them."""
    times = [hour.start + number * 1_000_000 for number in range(seconds)]
    common = {"exchange": "binance", "symbol": "BTC/USDT"}
    bids, asks = [100.0, 99.0], [101.0, 102.0]
    snapshots = {
        **common,
        "local_timestamp": times,
        "ordinal": list(range(seconds)),
        "bid_prices": [bids] * seconds,
        "bid_amounts": [[1.0, 2.0]] * seconds,
        "ask_prices": [[99.5, 102.0] if crossed else asks] * seconds,
        "ask_amounts": [[1.5, 2.5]] * seconds,
    }
    deltas = {
        **common,
        "local_timestamp": hour.start,
        "ordinal": [0, 1, 2, 3],
        "side": ["bid", "bid", "ask", "ask"],
        "price": [*bids, *asks],
        "amount": [1.0, 2.0, 1.5, 0.0],
        "is_snapshot": True,
    }
    return {"book_snapshots": batch("book_snapshots", snapshots, seconds), "book_deltas": batch("book_deltas", deltas, 4)}


def ledger(hour: Hour, *, lost_frames: int = 0, lost_rows: int = 0) -> pa.RecordBatch:
    """A minute of one connection: its frames, and its trades."""
    columns = {
        "exchange": "binance",
        "timestamp": hour.start,
        "connection": "binance-spot-0",
        "dataset": ["", "trades"],
        "frames": [100 + lost_frames, 0],
        "control": [10, 0],
        "ignored": [5, 0],
        "decoded": [84, 0],
        "dead_letters": [1, 0],
        "rows_decoded": [0, 80 + lost_rows],
        "rows_landed": [0, 70],
        "duplicates": [0, 9],
        "discarded": [0, 1],
        "discard_reason": ["", "insurance fund"],
    }
    return batch("ledger", columns, 2)


def gap(hour: Hour, *, healed: bool) -> pa.RecordBatch:
    """One gap in the trades of the hour."""
    columns = {
        "exchange": "binance",
        "symbol": "BTC/USDT",
        "local_timestamp": hour.start + MINUTE_US,
        "ordinal": 0,
        "channel": "trades",
        "kind": "disconnect",
        "from_time": hour.start,
        "to_time": hour.start + MINUTE_US if healed else None,
        "healed_at": hour.start + MINUTE_US if healed else None,
        "healed_by": "rest" if healed else None,
    }
    return batch("gaps", columns, 1)


def whole_hour(hour: Hour, *, seed: int = 0) -> dict[str, pa.RecordBatch]:
    """A little of everything that lands in an hour."""
    return {"trades": trades(hour, seed=seed), **book(hour), "ledger": ledger(hour), "gaps": gap(hour, healed=True)}


def land(
    settings: LakeSettings, *landed: dict[str, pa.RecordBatch], collector: str = "test", clock: Callable[[], float] = time.time
) -> None:
    """Append the batches to the log, seal it, and wait until the parts count (by a `clock` of its own: as long as that takes)."""
    writer = WalWriter(settings.house, collector)
    for batches in landed:
        for name, rows in batches.items():
            writer.append(name, rows)
    for segment in writer.roll():
        seal_segment(settings.house, segment, visible_after=settings.visible_after_seconds, clock=clock)
    writer.close()
    if clock is time.time:
        wait_until_visible(settings)


def wait_until_visible(settings: LakeSettings) -> None:
    """Wait until every file that has appeared counts."""
    names = [parse_name(path.name) for path in settings.house.root.rglob("*.parquet")]
    latest = max((name.visible_from for name in names if name), default=0)
    while time.time_ns() // 1000 <= latest:
        time.sleep(0.01)
