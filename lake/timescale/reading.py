# ruff: noqa: S608 - every name put into these statements comes from the list of tables
"""Rows of the lake in the columns of a table on the server: what a sync sends and a comparison compares with.

Put here: reading partitions. Keep out: the server.

Stored datasets are read partition by partition, as compaction would leave them. Candles are those that the lake's view `candles` shows,
one source a key, up to what has landed; indicators those of the very candles it shows.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

import duckdb
import polars as pl
import pyarrow as pa

from lake import query
from lake.columns import Span
from lake.derived import period_file, read_hour, read_period
from lake.errors import PeriodError
from lake.files import now_us
from lake.longer import longer_candles
from lake.one_source import EXCHANGE_CANDLES
from lake.parquet import row_count
from lake.paths import DAY_US, HOUR_US, Home, Hour
from lake.periods import Period
from lake.registry import candle_dataset
from lake.timescale.tables import Table
from lake.transforms.candles import CANDLE_SCHEMA, candles_from_trades
from lake.transforms.timeframes import bucket_sql
from lake.visible import hour_watermark

_WEEK: Final = 7 * DAY_US
_SAME: Final = ("exchange", "symbol", "timeframe", "timestamp", "source")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Stretch(Protocol):
    """From `start` up to `end` (exclusive), microseconds: an `Hour`, a `Period`, or a `Window` of several."""

    @property
    def start(self) -> int: ...

    @property
    def end(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Window:
    """Several partitions in a row, as one."""

    start: int
    end: int


def partition_starts(span: Span, stretch: Stretch) -> list[int]:
    """Starts of the partitions that `stretch` is made of; `PeriodError` where it is not made of whole ones."""
    starts = list(_starts(span, stretch))
    last = starts[-1] if starts else stretch.end
    if not starts or starts[0] != stretch.start or _following(span, last) != stretch.end:
        raise PeriodError(f"{moment(stretch.start)} to {moment(stretch.end)} was received, expected whole {span}s")
    return starts


def _starts(span: Span, stretch: Stretch) -> Iterator[int]:
    start = stretch.start
    while start < stretch.end:
        yield start
        start = _following(span, start)


def _following(span: Span, start: int) -> int:
    return Hour.of(start).end if span == "hour" else Period.of(start, span).end


def moment(time_us: int) -> datetime:
    """An instant of the lake as an aware datetime."""
    return _EPOCH + timedelta(microseconds=time_us)


def read(home: Home, table: Table, stretch: Stretch) -> pa.Table:
    """Rows of whole partitions in the columns of the table, in the order of the lake; `PeriodError`, `UnreadableFile`, `QueryError`."""
    starts = partition_starts(table.span, stretch)
    alone = table.kind != "rows" and not _published(home, stretch)
    if table.kind == "candles":
        if table.span == "month" or not alone:
            return shown_candles(home, table, stretch)
        return _mapped(table, _own_candles(home, table, starts), _closed(table))
    rows = _stored(home, table, starts)
    if table.kind == "rows":
        return _mapped(table, rows, table.where or "true")
    if alone:
        return _mapped(table, rows, "source = 'trades'")
    shown = _shown(home, table, stretch, ", ".join(_SAME))
    return _mapped(table, pl.DataFrame(rows).join(pl.DataFrame(shown), on=_SAME, how="semi", maintain_order="left").to_arrow(), "true")


def read_rolled(home: Home, table: Table, stretch: Stretch) -> pa.Table:
    """Longer candles as aggregates over closed candles of 1h make them: what the full edition shows of a partition of `table`."""
    bucket = bucket_sql(table.timeframes[0], "opened")
    reach = Window(stretch.start, stretch.end + (_WEEK if table.span == "month" else 0))
    now = int(datetime.now(UTC).timestamp() * 1_000_000)
    text = (
        f"SELECT {_selected(table)} FROM (SELECT exchange, symbol, '{table.timeframes[0]}' AS timeframe, {bucket} AS timestamp, "
        "first(open ORDER BY opened) AS open, max(high) AS high, min(low) AS low, last(close ORDER BY opened) AS close, "
        "fsum(volume) AS volume "
        "FROM (SELECT * EXCLUDE (timestamp), timestamp AS opened FROM candles_now('1h') "
        f"WHERE {_within(reach)} AND epoch_us(timestamp) + {HOUR_US} <= {now}) GROUP BY ALL) "
        f"WHERE epoch_us(timestamp) >= {stretch.start} AND epoch_us(timestamp) < {stretch.end} ORDER BY exchange, symbol, timestamp"
    )
    return query.run_sql(home, text, with_wal=False).table


def _stored(home: Home, table: Table, starts: list[int]) -> pa.Table:
    if table.span == "hour":
        tables = [read_hour(home, table.dataset, Hour(start))[0] for start in starts]
    else:
        tables = [read_period(home, table.dataset, Period.of(start, table.span))[0] for start in starts]
    return pa.concat_tables(tables)


def shown_candles(home: Home, table: Table, stretch: Stretch) -> pa.Table:
    """Candles of a table as the view shows them without the log: what lies in files that count."""
    return _shown(home, table, stretch, _selected(table))


def _shown(home: Home, table: Table, stretch: Stretch, selected: str) -> pa.Table:
    source = f"candles_now('{table.timeframes[0]}')" if len(table.timeframes) == 1 else "candles"
    listed = ", ".join(f"'{each}'" for each in table.timeframes)
    text = (
        f"SELECT {selected} FROM {source} WHERE timeframe IN ({listed}) AND {_within(stretch)} AND {_closed(table)} "
        "ORDER BY exchange, symbol, timeframe, timestamp"
    )
    return query.run_sql(home, text, with_wal=False).table


def _closed(table: Table) -> str:
    """Condition on candles, of 1h where only closed ones are wanted."""
    now = int(datetime.now(UTC).timestamp() * 1_000_000)
    return f"epoch_us(timestamp) + {HOUR_US} <= {now}" if table.closed_only else "true"


def _own_candles(home: Home, table: Table, starts: list[int]) -> pa.Table:
    """What the view shows where no exchange publishes candles, without the time it takes to plan: ours, as new as the trades."""
    at = now_us()
    frames = [CANDLE_SCHEMA.to_frame()]
    for start in starts:
        frames += _own_hour(home, table, Hour(start), at) if table.span == "hour" else _own_day(home, table, Period.of(start, "day"), at)
    return pl.concat(frames).to_arrow()


def _own_hour(home: Home, table: Table, hour: Hour, at: int) -> Iterator[pl.DataFrame]:
    landed = hour_watermark(home, "trades", hour, at)
    trades: pl.DataFrame | None = None
    for timeframe in table.timeframes:
        made = hour_watermark(home, candle_dataset(timeframe), hour, at)
        if made is not None and made >= (landed or 0):
            yield pl.DataFrame(read_hour(home, candle_dataset(timeframe), hour, at_us=at)[0])
        elif landed is not None:
            trades = pl.DataFrame(read_hour(home, "trades", hour, at_us=at)[0]) if trades is None else trades
            yield candles_from_trades(trades, timeframe)


def _own_day(home: Home, table: Table, day: Period, at: int) -> Iterator[pl.DataFrame]:
    landed = max((hour_watermark(home, "trades", hour, at) or 0 for hour in day.hours()), default=0)
    for timeframe in table.timeframes:
        stored = period_file(home, candle_dataset(timeframe), day, at_us=at)
        if stored is not None and stored.watermark >= landed:
            yield pl.DataFrame(read_period(home, candle_dataset(timeframe), day, at_us=at)[0])
        else:
            yield longer_candles(home, timeframe, day, at_us=at)[0]


def _published(home: Home, stretch: Stretch) -> bool:
    """Whether exchange candles are stored of a month the stretch touches."""
    month = Period.of(stretch.start, "month")
    while month.start < stretch.end:
        file = period_file(home, EXCHANGE_CANDLES, month)
        if file is not None and row_count(file.path):
            return True
        month = month.following
    return False


def _within(stretch: Stretch) -> str:
    """Condition on the view `candles`; the one on `date` leaves the files of other days unread."""
    first, last = (moment(each).date().isoformat() for each in (stretch.start, stretch.end - 1))
    return (
        f"timestamp >= make_timestamptz({stretch.start}) AND timestamp < make_timestamptz({stretch.end}) "
        f"AND date >= DATE '{first}' AND date <= DATE '{last}'"
    )


def _selected(table: Table) -> str:
    return ", ".join(f'{expression} AS "{name}"' for name, expression in table.columns)


def _mapped(table: Table, rows: pa.Table, where: str) -> pa.Table:
    """Rows of the dataset in the columns of the table."""
    with closing(duckdb.connect()) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.register("stored", rows)
        return query.execute(connection, f"SELECT {_selected(table)} FROM stored WHERE {where}").table
