"""A small lake with rows for every table that is synced, and ways to look at the database they are synced into."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

from lake.derived import read_hour, read_period, write_hour, write_period
from lake.edited import edit_period, with_rows
from lake.paths import DAY_US, HOUR_US, Home, Hour
from lake.periods import Period
from lake.registry import DAY_TIMEFRAMES, MONTH_TIMEFRAMES, candle_dataset, dataset
from lake.timescale.reading import Stretch, Window
from lake.timescale.settings import TimescaleSettings
from lake.timescale.status import partitions
from lake.timescale.tables import Table
from lake.transforms.indicators.definitions import DEFINITIONS
from tests.lake.laying import LaidLake
from tests.lake.making import MINUTE, START, rows
from tests.timescale_server import run

DAY = START - DAY_US
"""A day that is over: the 20th of November 2026."""
HOURS = 5
MARKETS = tuple((exchange, symbol) for exchange in ("binance", "bybit") for symbol in ("BTC/USDT", "ETH/USDT"))

# Doubles whose digits a conversion by way of float8::numeric would cut, and some far from one.
PRICES = (0.1 + 0.2, 64_123.456789012345, 1e-8 + 1e-17, 98_765_432.12345679, 1.7976931348623157e22, 3.3333333333333335)
AMOUNTS = (0.30000000000000004, 12.345678901234567, 1e-12, 7.000000000000001)

QUICK: dict[str, Any] = {"timescale_backoff_seconds": 0.05, "timescale_backoff_cap_seconds": 1.0, "timescale_attempts": 20}


def settings(**given: Any) -> TimescaleSettings:
    """Settings that wait little; nothing is read from outside but what the environment holds."""
    return TimescaleSettings(**{**QUICK, **given})


def lay(root: Path) -> Home:
    """Everything: trades and candles of five hours, indicators of them, books, and context."""
    laid = LaidLake(root)
    at = [DAY + number * 6 * MINUTE for number in range(HOURS * 10)]
    laid.land("trades", *(_trade(number, moment, market) for number, moment in enumerate(at) for market in MARKETS))
    laid.land("book_snapshots", *(_book(number, DAY + number * 10 * MINUTE) for number in range(HOURS * 6)))
    listed = {"local_timestamp": DAY, "exchange": "binance", "native": "X", "base": "BTC", "quote": "USDT", "status": "trading"}
    laid.land("listings", listed, {**listed, "symbol": "GONE/USDT", "status": "gone"})
    fired = {"rule": "forced", "alert_severity": "HIGH", "total_volume_usd": 1e6 / 3, "alert_id": "a1"}
    laid.land("liquidation_alerts", *({**fired, "timestamp": DAY - 5, "local_timestamp": DAY + number * HOUR_US} for number in range(2)))
    hours = [Hour(DAY + number * HOUR_US) for number in range(HOURS)]
    for hour in hours:
        laid.materialise(hour.start)
    laid.materialise_longer(DAY, DAY_TIMEFRAMES + MONTH_TIMEFRAMES)
    for hour in hours:
        _derive(laid, hour)
    indicators_of(laid, "day", DAY_TIMEFRAMES)
    indicators_of(laid, "month", MONTH_TIMEFRAMES)
    _context(laid.home)
    laid.close()
    return laid.home


def _trade(number: int, at: int, market: tuple[str, str]) -> dict[str, Any]:
    exchange, symbol = market
    price = PRICES[number % len(PRICES)] * (1 if symbol.startswith("BTC") else 0.5)
    return {
        "exchange": exchange,
        "symbol": symbol,
        "timestamp": at,
        "local_timestamp": at + 5,
        "ordinal": number,
        "trade_id": str(number),
        "price": price,
        "amount": AMOUNTS[number % len(AMOUNTS)],
        "side": "buy" if number % 3 else "sell",
    }


def _book(number: int, at: int) -> dict[str, Any]:
    """Every second book has no time of the venue's, one of them arrives an hour after it was."""
    sent = None if number % 2 else at - (HOUR_US if number == 6 else 7)
    return {
        "timestamp": sent,
        "local_timestamp": at,
        "ordinal": number,
        "sequence": None if number % 3 == 0 else number,
        "bid_prices": [100.1 - number / 7, 99.0],
        "bid_amounts": [1e-7, 2.5],
        "ask_prices": [] if number == 4 else [100.3, 101.123456789012345],
        "ask_amounts": [] if number == 4 else [3.0, 1.0 / 3.0],
    }


def _derive(laid: LaidLake, hour: Hour) -> None:
    """Rows of an hour that assets would make; what they hold matters less than that it arrives."""
    minutes = [hour.start + number * MINUTE for number in range(0, 60, 20)]
    made = {
        "trade_flow": [{"timestamp": at, "symbol": symbol} for at in minutes for symbol in ("BTC/USDT", "BTC/EUR")],
        "heatmap": [
            {"timestamp": at, "side": side, "price_bucket": price, "bucket_size": 0.1, "volume": price / 3}
            for at in minutes
            for side in ("bid", "ask")
            for price in (100.1, 100.2)
        ],
    }
    for name, given in made.items():
        put_hour(laid, name, hour, pa.Table.from_batches([rows(name, *given)]))
    candles = pl.concat([frame(read_hour(laid.home, candle_dataset(each), hour, at_us=laid.clock.us)[0]) for each in ("1m", "1h")])
    put_hour(laid, "indicators_hour", hour, _indicators(candles, "indicators_hour"))


def indicators_of(laid: LaidLake, span: str, timeframes: Iterable[str]) -> None:
    """Indicators of the longer candles that stand."""
    name = f"indicators_{span}"
    period = Period.of(DAY, dataset(name).span)
    stored = [read_period(laid.home, candle_dataset(each), period, at_us=laid.clock.us)[0] for each in timeframes]
    write_period(
        laid.home, name, period, _indicators(pl.concat(map(frame, stored)), name), watermark=1, visible_after=0.5, clock=laid.clock
    )
    laid.clock.advance(1)


def put_hour(laid: LaidLake, name: str, hour: Hour, table: pa.Table, *, watermark: int = 1) -> None:
    """An hour of a derived dataset that counts when this returns."""
    write_hour(laid.home, name, hour, table, watermark=watermark, visible_after=0.5, clock=laid.clock)
    laid.clock.advance(1)


def _indicators(candles: pl.DataFrame, name: str) -> pa.Table:
    """Numbers made of the closes; every other row has no long averages yet."""
    values = []
    for number, each in enumerate(DEFINITIONS):
        value = pl.col("close") / (number + 3) if each.kind == "float" else pl.col("trade_count") % 2
        values.append(pl.when(pl.int_range(pl.len()) % 2 == 1).then(value).alias(each.name) if each.needs > 100 else value.alias(each.name))
    made = candles.select("exchange", "symbol", "timeframe", "timestamp", "source", *values)
    return made.select(dataset(name).schema.names).to_arrow().cast(dataset(name).schema)


def _context(home: Home) -> None:
    for number in range(3):
        at = DAY + number * 3 * HOUR_US
        coins = [
            {"cg_id": f"coin{rank}", "symbol": f"C{rank}", "name": f'Coin {rank}, "{rank}"', "rank": rank, "close": rank / 3}
            for rank in (1, 2, 3)
        ]
        edit(home, "coingecko", DAY, *({**coin, "local_timestamp": at, "ath5": number == 1, "days_since_ath": 4} for coin in coins))
    edit(home, "declarations", DAY, {"exchange": "binance", "symbol": "BTC/USDT", "timestamp": DAY, "reason": ""})
    edit(home, "flags", DAY, {"base": "USDT", "timestamp": DAY, "flag": "stablecoin", "value": "true"})
    ran = {"run_id": "r1", "started": DAY + HOUR_US, "finished": DAY + HOUR_US + 5, "status": "success", "rows": 1}
    edit(home, "execution_log", DAY, *({**ran, "process": name} for name in ("declarations", "flags")))
    for name in ("coinglass_open_interest", "coinglass_weighted_funding"):
        made = rows(name, *({"symbol": "BTC", "timeframe": "4h", "timestamp": DAY + number * 4 * HOUR_US} for number in range(4)))
        month = Period.of(DAY, "month")
        write_period(home, name, month, pa.Table.from_batches([made]), watermark=1, visible_after=0.01)


def edit(home: Home, name: str, at: int, *given: dict[str, Any]) -> None:
    """Rows into the day `at` lies in; columns not given are null."""
    schema = dataset(name).schema
    table = pa.Table.from_arrays([pa.array([row.get(field.name) for row in given], field.type) for field in schema], schema=schema)
    edit_period(home, name, Period.of(at, "day"), lambda former: with_rows(name, former, table), visible_after=0.01)


def frame(table: pa.Table) -> pl.DataFrame:
    made = pl.from_arrow(table)
    assert isinstance(made, pl.DataFrame)
    return made


def periods(home: Home, table: Table) -> list[Stretch]:
    """Every partition of the lake that a table is synced from; hours as one."""
    starts = partitions(home, table)
    return [Window(DAY, DAY + HOURS * HOUR_US)] if table.span == "hour" else [Period.of(start, table.span) for start in starts]


def fetch(dsn: str, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
    """Rows of a statement."""
    return [tuple(row) for row in run(dsn, lambda connection: connection.fetch(statement, *parameters))]


def execute(dsn: str, statement: str) -> None:
    run(dsn, lambda connection: connection.execute(statement))
