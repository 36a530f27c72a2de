"""What the suite remembers of each history, so that the next partition goes on where the last one ended.

Put here: the state as a table, to and from Arrow, and whether two states agree. Keep out: how its values come about.

One row a history (exchange, symbol, timeframe, source): the look-back its windows need and the last value of every recursion. As long as a
history has no more than `LOOK_BACK` candles all of them are remembered and it is computed anew; beyond that every recursion is seeded.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import polars as pl
import pyarrow as pa

from lake.indicator_datasets import STATE_COLUMNS
from lake.transforms.indicators.definitions import CARRIED, KEY, LOOK_BACK, WINDOWS

_TIMESTAMP: Final = pl.Datetime("us", "UTC")
_TYPES: Final[dict[str, Any]] = {
    **dict.fromkeys(KEY, pl.String),
    "last_open": _TIMESTAMP,
    "candles": pl.Int64,
    "usdt_rate": pl.Float64,
    **dict.fromkeys(CARRIED, pl.Float64),
    **dict.fromkeys(WINDOWS, pl.List(pl.Float64)),
}
STATE_SCHEMA: Final = pl.Schema(_TYPES)
"""Columns of the table, in order."""

_ARROW: Final = pa.schema([pa.field(column.name, column.type, column.nullable) for column in STATE_COLUMNS])

AGREEMENT: Final = 1e-12
"""Relative difference below which two states count as one: then every later value agrees to far better than 1e-8."""


@dataclass(frozen=True, slots=True)
class State:
    """A table of `STATE_SCHEMA`, sorted by key, one row a history."""

    table: pl.DataFrame

    @classmethod
    def empty(cls) -> State:
        """The state before the first candle."""
        return cls(STATE_SCHEMA.to_frame())

    @classmethod
    def from_arrow(cls, table: pa.Table) -> State:
        """The state whose `to_arrow` was `table`, of one checkpoint."""
        frame = pl.from_arrow(table.select(list(STATE_SCHEMA)))
        assert isinstance(frame, pl.DataFrame)
        return cls(frame.cast(STATE_SCHEMA).sort(KEY))

    def to_arrow(self, timestamp: datetime) -> pa.Table:
        """The table as the datasets `indicator_state_…` hold it; `timestamp` (UTC) is the start of the partition after which it stands."""
        stamped = self.table.with_columns(timestamp=pl.lit(timestamp).cast(_TIMESTAMP))
        return stamped.select([column.name for column in STATE_COLUMNS]).to_arrow(compat_level=pl.CompatLevel.oldest()).cast(_ARROW)

    def updated(self, histories: pl.DataFrame) -> State:
        """The state with the rows of `histories` (of `STATE_SCHEMA`) in place of their former ones."""
        others = self.table.join(histories.select(KEY), on=KEY, how="anti")
        return State(pl.concat([others, histories.select(list(STATE_SCHEMA))]).sort(KEY))

    def agrees(self, other: State, *, tolerance: float = AGREEMENT) -> bool:
        """Whether both go on alike: the same histories at the same candle, every number equal to `tolerance`, relative.

        Counts of candles may differ once neither history is computed anew; averages of prices are held against the last close.
        """
        mine, theirs = self.table, other.table
        if mine.height != theirs.height or not mine.select(*KEY, "last_open").equals(theirs.select(*KEY, "last_open")):
            return False
        young = pl.col("candles") <= LOOK_BACK
        if not mine.select(pl.when(young).then("candles")).equals(theirs.select(pl.when(young).then("candles"))):
            return False
        if not mine.select(WINDOWS).equals(theirs.select(WINDOWS)):
            return False
        scale = mine["window_close"].list.last().abs()
        for name in (*CARRIED, "usdt_rate"):
            one, two = mine[name], theirs[name]
            if not one.is_null().equals(two.is_null(), check_names=False):
                return False
            allowed = tolerance * (two.abs() if name in _OWN_SCALE else scale)
            if not ((one - two).abs() <= allowed).fill_null(value=True).all():
                return False
        return True


_OWN_SCALE: Final = frozenset({"gain14", "loss14", "atr7", "usdt_rate", "st73_direction", "td_seq_up", "td_seq_down"})
"""Held against themselves: ratios are made of them, which a small part of the price may change by much."""
