"""Candles of one market and timeframe with the core suite of indicators.

Put here: which bars are read, and that stored indicators go before those worked out here. Keep out: formulas (`lake.transforms`), the bar
that forms, which the page follows live.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from lake.transforms.candles import CANDLE_SCHEMA
from lake.transforms.indicators.definitions import INDICATORS
from lake.transforms.indicators.state import State
from lake.transforms.indicators.suite import compute
from serving import tables
from serving.dashboard.asked import Answer, Asked, Page, Room, columns
from serving.tables import Question
from serving.times import moment_of, now_us

_SHOWN: Final = 500
_WARM: Final = 1000
"""Bars before the first one shown: after so many EMA 200 has forgotten what it began with to four digits."""

_CANDLES: Final = "SELECT * FROM candles_now(?, since := ?, until := ?) WHERE exchange = ? AND symbol = ? ORDER BY timestamp"
_BARS: Final = ("timestamp", "open", "high", "low", "close", "volume", "buy_volume", "sell_volume", "trade_count", "source")


def read(room: Room, asked: Asked) -> Answer:
    """The last 500 bars and their indicators: as stored where they are, else worked out over the bars at hand."""
    asked.with_symbol()
    span = tables.span_of(asked.timeframe)
    now = now_us()
    start = max(0, now - (_SHOWN + _WARM) * span)
    values = [asked.timeframe, moment_of(start), moment_of(now + span), asked.exchange, asked.symbol]
    table = room.reader.rows_now(_CANDLES, values, together="candles_now")
    bars = pl.DataFrame(table.select(list(CANDLE_SCHEMA))).cast(CANDLE_SCHEMA)
    if bars.is_empty():
        return {"bars": {}, "indicators": {}, "names": INDICATORS}
    # One history whatever the source of a bar: a line must not break where the exchange's own candle stands in for ours.
    computed, _ = compute(bars.with_columns(source=pl.lit("trades")), State.empty())
    shown = bars.tail(_SHOWN)
    lines = shown.select("timestamp", "source").join(computed.select("timestamp", *INDICATORS), on="timestamp", how="left")
    stored = _stored(room, asked, start=int(shown["timestamp"][0].timestamp() * 1e6), end=now + span)
    lines = lines.join(stored, on=["timestamp", "source"], how="left", suffix="_stored")
    chosen = lines.sort("timestamp").select(pl.coalesce(f"{name}_stored", name).alias(name) for name in INDICATORS)
    return {
        "bars": columns(shown.select(_BARS).to_arrow()),
        "indicators": {name: _finite(chosen[name]) for name in INDICATORS},
        "names": INDICATORS,
    }


def _stored(room: Room, asked: Asked, *, start: int, end: int) -> pl.DataFrame:
    question = Question(
        table=tables.indicators(asked.timeframe),
        start=start,
        end=end,
        exchanges=(asked.exchange,),
        symbols=(asked.symbol,),
        columns=("timestamp", "source", *INDICATORS),
    )
    sql, values = question.statement()
    found = pl.DataFrame(room.reader.rows_now(sql, values, together=question.views))
    return found.select("timestamp", "source", *INDICATORS).with_columns(pl.col("timestamp").cast(pl.Datetime("us", "UTC")))


def _finite(series: pl.Series) -> list[float | None]:
    """Values for JSON, which knows no NaN."""
    cast = series.cast(pl.Float64)
    return cast.set(~cast.is_finite().fill_null(value=False), None).to_list()


PAGE: Final = Page(name="chart", title="Chart", read=read, seconds=1.0, needs=("exchange", "symbol", "timeframe"))
