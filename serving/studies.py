"""Indicators of the forming bar: the core suite on top of the state after the last closed candle.

Put here: that state, and one row of the suite for the bar that forms. Keep out: formulas (`lake.transforms.indicators`), reading the lake.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import polars as pl

from lake.transforms.candles import CANDLE_SCHEMA
from lake.transforms.indicators.definitions import INDICATORS
from lake.transforms.indicators.state import State
from lake.transforms.indicators.suite import compute
from serving.events import Candle, Indicators

_FIELDS: Final = tuple(CANDLE_SCHEMA)


@dataclass(slots=True)
class Study:
    """The suite of one market and timeframe; `until` is the instant up to which closed candles are in `state`."""

    state: State
    until: int

    def take(self, candle: Candle) -> Indicators | None:
        """The indicators of a candle; a closed one moves the state on. None for one that the state holds already."""
        if candle.timestamp < self.until:
            return None
        row = {name: getattr(candle, name) for name in _FIELDS}
        row["timestamp"] = candle.timestamp
        frame = pl.DataFrame({name: [value] for name, value in row.items()}).with_columns(
            pl.col("timestamp").cast(pl.Datetime("us", "UTC"))
        )
        rows, after = compute(frame.select(list(CANDLE_SCHEMA)).cast(CANDLE_SCHEMA), self.state)
        if candle.closed:
            self.state, self.until = after, candle.timestamp + 1
        values = rows.select(INDICATORS).row(0, named=True)
        return Indicators(
            exchange=candle.exchange,
            symbol=candle.symbol,
            timeframe=candle.timeframe,
            timestamp=candle.timestamp,
            values=values,
            source=candle.source,
            closed=candle.closed,
        )
