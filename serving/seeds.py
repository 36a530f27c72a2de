# ruff: noqa: S608 - every name put into these statements comes from the registry; what is asked for is a bound parameter
"""What live state begins with, read from the lake: a book, the bars that form, indicators, a window.

Put here: those reads. Keep out: how state moves on with what is followed (`serving.bars`, `serving.books`, `serving.studies`).
"""

from __future__ import annotations

from typing import Final

import polars as pl
import pyarrow as pa

from lake.carried import TIMEFRAMES_OF
from lake.indicator_datasets import indicator_state_dataset
from lake.transforms.indicators.state import State
from lake.transforms.indicators.suite import compute
from lake.transforms.timeframes import open_time
from serving import tables
from serving.events import Book, Candle, Liquidation, Trade
from serving.expand import events
from serving.reader import Reader
from serving.tables import TABLES, Question
from serving.times import moment_of, now_us

_MINUTE_US: Final = 60_000_000
_HOUR_US: Final = 60 * _MINUTE_US
_DAY_US: Final = 24 * _HOUR_US
_BACK_BARS: Final = 3000


def book(reader: Reader, exchange: str, symbol: str, *, at: int | None = None) -> Book | None:
    """The whole book of a market now, or at an instant; None where it is not known."""
    moment = now_us() if at is None else at
    sql = "SELECT side, price, amount, changed_at FROM book_at(?, ?, ?) ORDER BY level"
    found = reader.rows_now(sql, [exchange, symbol, moment_of(moment)], together="book_at")
    if found.num_rows == 0:
        return None
    levels = list(zip(found["side"].to_pylist(), found["price"].to_pylist(), found["amount"].to_pylist(), strict=True))
    changed = max(found["changed_at"].cast(pa.int64()).to_pylist())
    sides = {side: [(price, amount) for own, price, amount in levels if own == side] for side in ("bid", "ask")}
    return Book(
        exchange=exchange,
        symbol=symbol,
        timestamp=None,
        local_timestamp=changed,
        ordinal=0,
        sequence=None,
        bids=sides["bid"],
        asks=sides["ask"],
        origin="rebuilt",
    )


def bars(reader: Reader, exchange: str, symbol: str, timeframe: str) -> tuple[list[Candle], list[Trade], int]:
    """Candles of parts of the present bar, the trades since the minute before last, and since when those are all."""
    now = now_us()
    since = open_time(now, "1m") - _MINUTE_US
    opened = open_time(since, timeframe)
    base: list[Candle] = []
    # Whole days, then whole hours, then minutes: a month that forms is not made of its minutes.
    day, hour = open_time(since, "1d"), open_time(since, "1h")
    for shorter, first, last in (("1d", opened, day), ("1h", max(opened, day), hour), ("1m", max(opened, hour), since)):
        if first < last:
            base += candles(reader, exchange, symbol, shorter, start=first, end=last)
    question = Question(table=TABLES["trades"], start=since, end=now + _DAY_US, exchanges=(exchange,), symbols=(symbol,))
    sql, values = question.statement()
    trades = events("trades", reader.rows_now(sql, values, together="trades"))
    return base, [trade for trade in trades if isinstance(trade, Trade)], since


def candles(reader: Reader, exchange: str, symbol: str, timeframe: str, *, start: int, end: int) -> list[Candle]:
    """Candles of a range, oldest first."""
    return [candle_of(row) for row in _candle_table(reader, exchange, symbol, timeframe, start=start, end=end).to_pylist()]


def candle_of(row: dict[str, object]) -> Candle:
    """A candle event of a row whose time is microseconds."""
    return Candle(**row)  # type: ignore[arg-type]  # the registry's columns are the event's fields


def _candle_table(reader: Reader, exchange: str, symbol: str, timeframe: str, *, start: int, end: int) -> pa.Table:
    question = Question(table=tables.candles(timeframe), start=start, end=end, exchanges=(exchange,), symbols=(symbol,))
    sql, values = question.statement()
    table = reader.rows_now(sql, values, together="candles_now")
    place = table.column_names.index("timestamp")
    return table.set_column(place, "timestamp", table["timestamp"].cast(pa.int64()))


def indicator_state(reader: Reader, exchange: str, symbol: str, timeframe: str) -> tuple[State, int]:
    """The state of the core suite after the last closed candle, and until when candles are in it (microseconds).

    It goes on from the newest state that stands in the lake; where none does, from the last 3,000 candles.
    """
    now = now_us()
    closed = open_time(now, timeframe)
    span = next(span for span, held in TIMEFRAMES_OF.items() if timeframe in held)
    name = indicator_state_dataset(span)
    sql = (
        f"SELECT * FROM {name} WHERE exchange = ? AND symbol = ? AND timeframe = ? AND source = 'trades' AND last_open < ? "
        "AND date >= ? ORDER BY timestamp DESC"
    )
    reach = 2 * _DAY_US if span == "hour" else 62 * _DAY_US
    values = [exchange, symbol, timeframe, moment_of(closed), moment_of(max(0, now - reach)).date()]
    found = reader.rows_now(sql, values, limit=1, together=name)
    if found.num_rows:
        state = State.from_arrow(found)
        start = int(found["last_open"].cast(pa.int64())[0].as_py()) + 1
    else:
        state, start = State.empty(), max(0, closed - _BACK_BARS * tables.span_of(timeframe))
    question = Question(table=tables.candles(timeframe), start=start, end=closed, exchanges=(exchange,), symbols=(symbol,))
    statement, parameters = question.statement()
    rows = pl.DataFrame(reader.rows_now(statement, parameters, together="candles_now")).filter(pl.col("source") == "trades")
    _, state = compute(rows, state)
    return state, closed


def liquidations(reader: Reader, exchange: str, symbol: str, *, since: int) -> list[Liquidation]:
    """Forced orders of a market since an instant."""
    question = Question(table=TABLES["liquidations"], start=since, end=now_us() + _DAY_US, exchanges=(exchange,), symbols=(symbol,))
    sql, values = question.statement()
    found = events("liquidations", reader.rows_now(sql, values, together="liquidations"))
    return [event for event in found if isinstance(event, Liquidation)]
