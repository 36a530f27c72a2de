"""Syncing trades to TimescaleDB beside a bare binary COPY of the same rows, and five questions asked of both databases.

    python -m benchmarks.timescale [--dsn postgresql://…] [--rows 200000] [--rounds 5]

A server is named by `--dsn` or TICKHOUSE_TEST_TIMESCALE_DSN; else it is the one the tests make. Each round is an hour of its own: bare
asyncpg copies its rows, ready in memory, into a hypertable with the same columns, chunks and key; `sync` reads the same hour from the lake,
loads it, notes it, and is then run again over the hour unchanged, with a tenth of its rows missing from the table, and with every row
different. Rows a second and ratios are medians of the rounds. Then the same five questions are put to the lake through DuckDB and to the
tables; answers must be equal. Exit code 1 where they are not, or where a ratio misses its aim (first load 0.8, upsert of a tenth 0.35).
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path
from statistics import median
from typing import Any, Final

import duckdb
import polars as pl
import pyarrow as pa

from benchmarks.candles import START, trades_of
from lake import layout
from lake.catalog import publish
from lake.parquet import Metadata, write_parquet
from lake.paths import HOUR_US, Home, Hour, SealedName
from lake.registry import TRADE_TIMEFRAMES, candle_dataset, dataset
from lake.timescale.migrate import migrate
from lake.timescale.reading import read
from lake.timescale.settings import TimescaleSettings, timescale_settings
from lake.timescale.sync import sync
from lake.timescale.tables import table
from lake.transforms.candles import candles_from_trades

MARKETS: Final = tuple((exchange, f"{base}/USDT") for exchange in ("binance", "bybit", "okx") for base in ("BTC", "ETH", "SOL", "XRP"))
TABLE: Final = "trade_events"
AIMS: Final = {"first load": 0.80, "upsert, a tenth new": 0.35}

ONE: Final = "exchange = 'binance' AND symbol = 'BTC/USDT'"
QUESTIONS: Final = {
    "candles of a quarter of an hour of one market": (
        f"SELECT time_bucket(INTERVAL '15 minutes', timestamp) AS bucket, min(price), max(price), count(*) FROM trades WHERE {ONE} "
        "GROUP BY bucket ORDER BY bucket"
    ),
    "volume-weighted price of every market": (
        "SELECT exchange, symbol, sum(price * amount) / sum(amount) FROM trades GROUP BY exchange, symbol ORDER BY exchange, symbol"
    ),
    "bought and sold by the hour": (
        "SELECT date_trunc('hour', timestamp) AS opened, symbol, side, sum(amount), count(*) FROM trades "
        "GROUP BY opened, symbol, side ORDER BY opened, symbol, side"
    ),
    "the hundred largest trades": (
        "SELECT exchange, symbol, trade_id, price * amount AS value FROM trades ORDER BY value DESC, exchange, symbol, trade_id LIMIT 100"
    ),
    "average of twenty minutes of every market": (
        "SELECT exchange, symbol, timestamp, avg(close) OVER (PARTITION BY exchange, symbol ORDER BY timestamp ROWS 19 PRECEDING) "
        "FROM minutes ORDER BY exchange, symbol, timestamp"
    ),
}
"""Of `trades` and `minutes`, which stand for what each side calls so."""

THEIRS: Final = (
    "WITH trades AS (SELECT exchange, symbol, timestamp, side, price, size AS amount, trade_id FROM trade_events), "
    "minutes AS (SELECT exchange, symbol, timestamp, close_price AS close FROM ohlcv_data WHERE timeframe = '1m') "
)
OURS: Final = "WITH minutes AS (SELECT exchange, symbol, timestamp, close FROM candles_1m) "


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dsn", default=os.environ.get("TICKHOUSE_TEST_TIMESCALE_DSN"))
    parser.add_argument("--rows", type=int, default=200_000, help="an hour")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    from tests.timescale_server import database, edition, server

    with ExitStack() as stack:
        dsn = stack.enter_context(database(options.dsn or stack.enter_context(server())))
        root = stack.enter_context(tempfile.TemporaryDirectory())
        settings = timescale_settings(timescale_dsn=dsn)
        print(f"TimescaleDB, {edition(dsn)} edition; {options.rounds} hours of {options.rows:,} trades of {len(MARKETS)} markets")
        home = Home(Path(root))
        hours = [Hour(START + number * HOUR_US) for number in range(options.rounds)]
        lay(home, hours, options.rows)
        migrate(dsn, settings=settings)
        kept = load(home, hours, dsn, settings)
        return 0 if ask(home, hours, dsn, settings) and kept else 1


def lay(home: Home, hours: list[Hour], rows: int) -> None:
    """A lake of compacted hours of trades, and the candles of them."""
    layout.ensure(home)
    for hour in hours:
        trades = trades_of(hour, rows, MARKETS)
        _put(home, "trades", hour, trades)
        for timeframe in TRADE_TIMEFRAMES:
            _put(home, candle_dataset(timeframe), hour, candles_from_trades(pl.DataFrame(trades), timeframe).to_arrow())
    publish(home)


def _put(home: Home, name: str, hour: Hour, rows: pa.Table) -> None:
    spec = dataset(name)
    path = home.hour_dir(name, hour) / str(SealedName("hour", hour.end, 5))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_parquet(spec, rows.cast(spec.schema), path, Metadata(dataset=name))


def load(home: Home, hours: list[Hour], dsn: str, settings: TimescaleSettings) -> bool:
    """Print rows a second of each way to load, and its ratio to the bare COPY; whether the aims were met."""
    asyncio.run(_connected(dsn, _make_bare))
    found: dict[str, list[float]] = {}

    def syncing(name: str, hour: Hour, rows: int) -> None:
        begun = time.perf_counter()
        done = sync(home, dsn, TABLE, hour, settings=settings)
        found.setdefault(name, []).append(rows / (time.perf_counter() - begun))
        assert done.equal

    for hour in hours:
        rows = read(home, table(TABLE), hour)
        records = [tuple(Decimal(repr(each)) if isinstance(each, float) else each for each in row.values()) for row in rows.to_pylist()]
        bare = asyncio.run(_connected(dsn, lambda connection, of=records, names=rows.column_names: _bare(connection, of, names)))
        found.setdefault("bare binary COPY", []).append(len(records) / bare)
        syncing("first load", hour, len(records))
        syncing("upsert, nothing new", hour, len(records))
        window = f"timestamp >= '{hour.moment.isoformat()}' AND timestamp < '{hour.next().moment.isoformat()}'"
        _execute(dsn, f"DELETE FROM {TABLE} WHERE {window} AND right(trade_id, 1) = '3'")
        syncing("upsert, a tenth new", hour, len(records))
        _execute(dsn, f"UPDATE {TABLE} SET size = size + 1 WHERE {window}")
        syncing("upsert, every row different", hour, len(records))
    kept = True
    for name, rates in found.items():
        ratio = median(ours / bare for ours, bare in zip(rates, found["bare binary COPY"], strict=True))
        aim = AIMS.get(name)
        kept = kept and (aim is None or ratio >= aim)
        print(f"{name:<30} {median(rates):>12,.0f} rows/s {ratio:>8.2f} of the bare COPY{'' if aim is None else f' (aim {aim:.2f})'}")
    return kept


async def _make_bare(connection: Any) -> None:
    await connection.execute(f"CREATE TABLE bare (LIKE {TABLE} INCLUDING ALL)")
    chunk = table(TABLE).relation.chunk_days
    if await connection.fetchval("SELECT count(*) FROM pg_extension WHERE extname = 'timescaledb'"):
        made = f"by_range('timestamp', INTERVAL '{chunk} days')"
        await connection.execute(f"SELECT create_hypertable('bare', {made}, create_default_indexes => false)")


async def _bare(connection: Any, records: list[tuple[Any, ...]], names: list[str]) -> float:
    begun = time.perf_counter()
    await connection.copy_records_to_table("bare", records=records, columns=names)
    return time.perf_counter() - begun


def _execute(dsn: str, statement: str) -> None:
    asyncio.run(_connected(dsn, lambda connection: connection.execute(statement)))


async def _connected(dsn: str, work: Callable[[Any], Awaitable[Any]]) -> Any:
    import asyncpg

    connection = await asyncpg.connect(dsn)
    try:
        return await work(connection)
    finally:
        await connection.close()


def ask(home: Home, hours: list[Hour], dsn: str, settings: TimescaleSettings, *, rounds: int = 5) -> bool:
    """Print milliseconds of each question on both sides; whether the answers are equal."""
    for hour in hours:
        sync(home, dsn, "ohlcv_data_hour", hour, settings=settings)
    _execute(dsn, "VACUUM ANALYZE trade_events")
    _execute(dsn, "VACUUM ANALYZE ohlcv_data")
    return asyncio.run(_connected(dsn, lambda connection: _asked(home, connection, rounds)))


async def _asked(home: Home, connection: Any, rounds: int) -> bool:
    same = True
    await connection.execute("SET TimeZone = 'UTC'")
    with duckdb.connect(str(home.catalog), read_only=True) as lake:
        lake.execute("SET TimeZone = 'UTC'")
        for what, question in QUESTIONS.items():
            ours, theirs = [], []
            for _ in range(rounds):
                begun = time.perf_counter()
                here = lake.execute(OURS + question).fetchall()
                ours.append(time.perf_counter() - begun)
                begun = time.perf_counter()
                there = await connection.fetch(THEIRS + question)
                theirs.append(time.perf_counter() - begun)
            equal = len(here) == len(there) and all(_alike(one, tuple(other)) for one, other in zip(here, there, strict=True))
            same = same and equal
            times = f"{median(ours) * 1000:>8.1f} ms in the lake {median(theirs) * 1000:>9.1f} ms in TimescaleDB"
            print(f"{what:<48} {times} {median(theirs) / median(ours):>7.1f} times{'' if equal else '  ANSWERS DIFFER'}")
    return same


def _alike(one: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
    return all(
        abs(float(a) - float(b)) <= 1e-9 * abs(float(a)) if isinstance(a, float) else a == b for a, b in zip(one, other, strict=True)
    )


if __name__ == "__main__":
    sys.exit(main())
