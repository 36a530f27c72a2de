"""Liquidity over time and price: the lake's heatmap, and the minutes since from the best levels of each book.

Put here: which minutes come from where, and how they are gathered into cells a screen can show. Keep out: what a bucket is
(`lake.transforms.heatmap`).
"""

from __future__ import annotations

from typing import Any, Final

import polars as pl

from lake.transforms.heatmap import BucketSizes
from serving.dashboard.asked import HOUR_US, MINUTE_US, Answer, Asked, Page, Room
from serving.times import day_of, moment_of, now_us

_COLUMNS: Final = 72
_ROWS: Final = 64
_MOST_HOURS: Final = 48
_TAIL_US: Final = 3 * HOUR_US
"""So far back minutes the lake's heatmap does not have yet are taken from snapshots."""

_STORED: Final = """
SELECT timestamp, side, price_bucket, bucket_size, sum(volume) AS volume FROM heatmap
WHERE date >= ? AND timestamp >= ? AND symbol = ? AND (? = '' OR exchange = ?) GROUP BY ALL
"""
_SNAPSHOTS: Final = """
SELECT exchange, date_trunc('minute', local_timestamp) AS timestamp, last(bid_prices ORDER BY local_timestamp, ordinal) AS bid_prices,
       last(bid_amounts ORDER BY local_timestamp, ordinal) AS bid_amounts, last(ask_prices ORDER BY local_timestamp, ordinal) AS ask_prices,
       last(ask_amounts ORDER BY local_timestamp, ordinal) AS ask_amounts
FROM book_snapshots WHERE date >= ? AND local_timestamp >= ? AND symbol = ? AND (? = '' OR exchange = ?) GROUP BY ALL
"""
_PRICES: Final = """
SELECT timestamp, avg(close) AS price FROM candles_now('1m', since := ?, until := ?)
WHERE symbol = ? AND (? = '' OR exchange = ?) GROUP BY timestamp ORDER BY timestamp
"""


def read(room: Room, asked: Asked) -> Answer:
    """Mean resting volume by stretch of time and bucket of price around the prices of the range, of one exchange or all together."""
    asked.with_symbol()
    now = now_us()
    hours = min(asked.hours, _MOST_HOURS)
    width = max(1, hours * 60 // _COLUMNS) * MINUTE_US
    start = (now - hours * HOUR_US) // width * width
    market = [asked.symbol, asked.exchange, asked.exchange]
    with room.reader.connection("heatmap book_snapshots candles_now") as connection:
        stored = pl.DataFrame(room.reader.on(connection, _STORED, [day_of(start), moment_of(start), *market]))
        known = int(stored["timestamp"].max().timestamp() * 1e6) + MINUTE_US if stored.height else start  # type: ignore[union-attr]  # a time
        since = max(start, known, now - _TAIL_US)
        snapshots = pl.DataFrame(room.reader.on(connection, _SNAPSHOTS, [day_of(since), moment_of(since), *market]))
        prices = pl.DataFrame(room.reader.on(connection, _PRICES, [moment_of(start), moment_of(now + MINUTE_US), *market]))
    sizes = BucketSizes()
    size = float(stored["bucket_size"][-1]) if stored.height else sizes.of(asked.symbol, _price(prices))
    if size is None:
        return {"cells": [], "times": [], "prices": []}
    held = stored.filter(pl.col("bucket_size") == size).select("timestamp", "side", "price_bucket", "volume")
    cells = pl.concat([held, _buckets(snapshots, size=size)])
    if cells.is_empty():
        return {"cells": [], "times": [], "prices": []}
    return _screen(cells, prices, size=size, width=width, start=start, end=now) | {"stored_until": known // 1000 if stored.height else None}


def _price(prices: pl.DataFrame) -> float | None:
    return float(prices["price"][-1]) if prices.height else None


def _buckets(snapshots: pl.DataFrame, *, size: float) -> pl.DataFrame:
    """Snapshots as rows of the heatmap, all exchanges together."""
    sides = [
        snapshots.select("timestamp", pl.lit(side).alias("side"), price=pl.col(f"{side}_prices"), volume=pl.col(f"{side}_amounts"))
        .explode("price", "volume")
        .drop_nulls()
        for side in ("bid", "ask")
    ]
    rows = pl.concat(sides).with_columns(price_bucket=(pl.col("price") / size + 1e-9).floor() * size)
    return (
        rows.group_by("timestamp", "side", "price_bucket")
        .agg(pl.col("volume").sum())
        .with_columns(pl.col("timestamp").cast(pl.Datetime("us", "UTC")), pl.col("volume").cast(pl.Float64))
    )


def _screen(cells: pl.DataFrame, prices: pl.DataFrame, *, size: float, width: int, start: int, end: int) -> Answer:
    """Cells by column of time and row of price. Rows span the prices of the range and half a per cent around them."""
    micros = pl.col("timestamp").dt.epoch("us")
    low, high = _reach(cells, prices)
    bottom, top = int(low // size), int(high // size)
    together = max(1, -(-(top - bottom + 1) // _ROWS))
    bottom = bottom // together * together
    placed = (
        cells.with_columns(
            column=(micros - start) // width, row=((pl.col("price_bucket") / size).round().cast(pl.Int64) - bottom) // together
        )
        .filter((pl.col("row") >= 0) & (pl.col("price_bucket") <= high))
        .with_columns(minutes=pl.col("timestamp").n_unique().over("column"))
        .group_by("column", "row", "side")
        .agg(volume=pl.col("volume").sum() / pl.col("minutes").first())
        .sort("column", "row", "side")
    )
    count = (end - start) // width + 1
    rows = (top - bottom) // together + 1
    line = prices.with_columns(column=(micros - start) // width).group_by("column").agg(pl.col("price").last()).sort("column")
    at: dict[int, float] = dict(line.iter_rows())
    return {
        "times": [(start + number * width) // 1000 for number in range(count)],
        "prices": [(bottom + number * together) * size for number in range(rows)],
        "size": size * together,
        "cells": [_cell(*row) for row in placed.iter_rows()],
        "line": [at.get(number) for number in range(count)],
    }


def _cell(column: int, row: int, side: str, volume: float) -> list[Any]:
    return [column, row, volume, side]


def _reach(cells: pl.DataFrame, prices: pl.DataFrame) -> tuple[float, float]:
    if prices.height:
        low, high = float(prices["price"].min()), float(prices["price"].max())  # type: ignore[arg-type]  # prices are floats
    else:
        newest = cells.filter(pl.col("timestamp") == pl.col("timestamp").max())["price_bucket"]
        low = high = float(newest.median())  # type: ignore[arg-type]  # prices are floats
    return low * 0.995, high * 1.005


PAGE: Final = Page(name="heatmap", title="Heatmap", read=read, seconds=10.0, needs=("exchange", "symbol", "hours"))
