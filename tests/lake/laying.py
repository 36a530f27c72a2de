"""A small lake that tests lay down file by file, with a clock that runs in the past so that every file counts at once."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

from lake import layout
from lake.compact import CompactionResult, compact_day, compact_hour
from lake.derived import WriteResult, read_hour, write_hour, write_period
from lake.longer import longer_candles, longer_span
from lake.parts import seal_segment
from lake.paths import Home, Hour
from lake.periods import Period
from lake.registry import TRADE_TIMEFRAMES, candle_dataset, dataset
from lake.transforms.candles import candles_from_trades
from lake.wal import WalWriter
from tests.lake.making import Clock, rows


def emptied(published: tuple[Home, Path]) -> Home:
    """The home of the fixture `published`, laid down anew as it was before any test."""
    home, before = published
    shutil.rmtree(home.root)
    shutil.copytree(before, home.root)
    return home


class LaidLake:
    """Lands, seals, compacts and materialises; each step happens a second after the former, hours before now."""

    def __init__(self, root: Path, *, collector: str = "main") -> None:
        self.home = Home(root)
        layout.ensure(self.home)
        self.clock = Clock(time.time() - 20_000)
        self.writer = WalWriter(self.home, collector)

    def log(self, name: str, *given: dict[str, Any]) -> None:
        """Put rows into the log only."""
        self.writer.append(name, rows(name, *given))

    def seal(self) -> list[Path]:
        """Make parts of what is in the log; they count when this returns."""
        paths = [path for segment in self.writer.roll() for path in seal_segment(self.home, segment, visible_after=0.5, clock=self.clock)]
        self.clock.advance(1)
        return paths

    def land(self, name: str, *given: dict[str, Any]) -> list[Path]:
        """Rows, as parts that count."""
        self.log(name, *given)
        return self.seal()

    def compact(self, name: str, at: int) -> CompactionResult:
        """The hour `at` lies in, as one file that counts."""
        result = compact_hour(self.home, name, Hour.of(at), visible_after=0.5, clock=self.clock)
        self.clock.advance(1)
        return result

    def compact_day(self, name: str, day: date) -> CompactionResult:
        """A whole day as one file that counts."""
        result = compact_day(self.home, name, day, visible_after=0.5, clock=self.clock)
        self.clock.advance(1)
        return result

    def materialise(
        self,
        at: int,
        timeframes: tuple[str, ...] = TRADE_TIMEFRAMES,
        *,
        change: Callable[[pl.DataFrame], pl.DataFrame] = lambda candles: candles,
    ) -> None:
        """Candles of the hour `at` lies in, from the trades that count by the clock, stored after `change`."""
        hour = Hour.of(at)
        table, watermark = read_hour(self.home, "trades", hour, at_us=self.clock.us)
        frame = pl.from_arrow(table)
        assert isinstance(frame, pl.DataFrame)
        for timeframe in timeframes:
            spec = dataset(candle_dataset(timeframe))
            made: pa.Table = change(candles_from_trades(frame, timeframe)).to_arrow().cast(spec.schema)
            write_hour(self.home, spec.name, hour, made, watermark=watermark, visible_after=0.5, clock=self.clock)
        self.clock.advance(1)

    def materialise_longer(
        self, at: int, timeframes: tuple[str, ...], *, change: Callable[[pl.DataFrame], pl.DataFrame] = lambda candles: candles
    ) -> list[WriteResult]:
        """Candles of 2h and longer of the day or month `at` lies in, of what counts by the clock, stored after `change`."""
        results = []
        for timeframe in timeframes:
            spec = dataset(candle_dataset(timeframe))
            period = Period.of(at, longer_span(timeframe))
            made, watermark = longer_candles(self.home, timeframe, period, at_us=self.clock.us)
            table: pa.Table = change(made).to_arrow().cast(spec.schema)
            results.append(write_period(self.home, spec.name, period, table, watermark=watermark, visible_after=0.5, clock=self.clock))
            self.clock.advance(1)
        return results

    def close(self) -> None:
        self.writer.close()
