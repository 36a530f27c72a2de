# ruff: noqa: S608 - every name put into these statements comes from the registry; what is asked for is a bound parameter
"""The past as one ordered stream of events, in bounded memory.

Put here: reading ranges piece by piece and merging channels. Keep out: speed and pauses (`serving.session`), HTTP (`serving.replaying`).

Each channel is read through the statements of the range queries (`serving.tables`), an hour at a time where much happened and longer where
little did; DuckDB sorts a piece within its memory limit, and rows come out of it a batch at a time. Channels are merged by time; of one
time gaps come first, then candles and their indicators that close then, then books, trades and the rest.
"""

from __future__ import annotations

import heapq
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final

import duckdb
import pyarrow as pa

from lake import query
from lake.transforms.timeframes import next_open
from serving import expand, seeds, tables
from serving.books import LiveBook
from serving.errors import TooExpensive
from serving.events import Book, BookDelta, Gap, Indicators, MarketEvent
from serving.reader import Reader
from serving.tables import TABLES, By, Question, Table

CHANNELS: Final = ("gaps", "candles", "indicators", "books", "tops", "trades", "liquidations", "derivatives", "alerts")
"""What can be replayed, in the order in which it comes at one time."""

_TABLE_OF: Final = {"books": "book-deltas", "tops": "books"}
_HOUR_US: Final = 3_600_000_000
_LONGEST_US: Final = 31 * 24 * _HOUR_US
_FEW: Final = 2_000
_MANY: Final = 200_000
_BATCH: Final = 8_192
_MEMORY: Final = "512MB"
_LATEST_US: Final = 60_000_000

Timed = tuple[int, MarketEvent]
"""An event and when it comes, microseconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """What is replayed: channels of markets, from `start` up to before `end` (microseconds)."""

    start: int
    end: int
    channels: tuple[str, ...]
    exchanges: tuple[str, ...] = ()
    symbols: tuple[str, ...] = ()
    timeframe: str = "1m"
    by: By = "exchange"

    def question(self, channel: str) -> Question:
        """The range query that gives the rows of a channel."""
        return Question(
            table=self._table(channel), start=self.start, end=self.end, exchanges=self.exchanges, symbols=self.symbols, by=self.by
        )

    def _table(self, channel: str) -> Table:
        if channel == "candles":
            return tables.candles(self.timeframe)
        if channel == "indicators":
            return tables.indicators(self.timeframe)
        return TABLES[_TABLE_OF.get(channel, channel)]


def chunks(reader: Reader, script: Script, *, size: int = 1000) -> Iterator[list[Timed]]:
    """The events of a script in order, `size` at a time. Blocks; close it to let go of what it reads."""
    ranked = [_ranked(reader, script, channel, rank) for rank, channel in enumerate(CHANNELS) if channel in script.channels]
    try:
        merged = heapq.merge(*ranked, key=lambda each: each[0])
        while chunk := [(place[0], event) for place, event in islice(merged, size)]:
            yield chunk
    finally:
        for each in ranked:
            each.close()  # type: ignore[attr-defined]  # they are generators


def _ranked(reader: Reader, script: Script, channel: str, rank: int) -> Iterator[tuple[tuple[int, int], MarketEvent]]:
    if channel == "books":
        for book in opening_books(reader, script):
            yield (script.start, rank), book
    for event in _events(reader, script, channel):
        yield (_time(script, event), rank), event


def _time(script: Script, event: MarketEvent) -> int:
    """When an event comes."""
    timeframe = getattr(event, "timeframe", None)
    if timeframe is not None:
        return next_open(event.timestamp or 0, timeframe)
    local: int = getattr(event, "local_timestamp", 0)
    if script.by == "receive":
        return local
    if isinstance(event, Gap):
        return event.from_time
    return local if event.timestamp is None else event.timestamp


def _events(reader: Reader, script: Script, channel: str) -> Iterator[MarketEvent]:
    """Events of one channel, piece by piece."""
    question = script.question(channel)
    width = _HOUR_US if channel not in {"candles", "indicators"} else 1000 * tables.span_of(script.timeframe)
    at = script.start
    while at < script.end:
        until = min(script.end, at - at % _HOUR_US + width)
        rows = 0
        for table in _tables(reader, replace(question, start=at, end=until), whole_frames=channel == "books"):
            rows += table.num_rows
            yield from _of(channel, script, table)
        at = until
        if rows < _FEW:
            width = min(_LONGEST_US, width * 2)
        elif rows > _MANY:
            width = max(_HOUR_US, width // 2)


def _of(channel: str, script: Script, table: pa.Table) -> list[MarketEvent]:
    if channel == "candles":
        return [seeds.candle_of(row) for row in _with_numbers(table).to_pylist()]
    if channel == "indicators":
        keys = ("exchange", "symbol", "timeframe", "timestamp", "source")
        rows = _with_numbers(table).to_pylist()
        return [
            Indicators(**{key: row[key] for key in keys}, values={name: value for name, value in row.items() if name not in keys})
            for row in rows
        ]
    return expand.events(script.question(channel).table.spec.name, table)


def _with_numbers(table: pa.Table) -> pa.Table:
    """The table with its times as microseconds."""
    columns = [column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column for column in table.columns]
    return pa.table(columns, names=table.column_names)


def _tables(reader: Reader, question: Question, *, whole_frames: bool) -> Iterator[pa.Table]:
    """Rows of a question, a batch at a time; with `whole_frames` no frame of a book is cut in two."""
    sql, values = question.statement()
    held: pa.Table | None = None
    with closing(query.connect(reader.home, statement=question.views)) as connection:
        connection.execute(f"SET memory_limit = '{_MEMORY}'")
        connection.execute("SET temp_directory = ?", [tempfile.gettempdir()])
        try:
            for batch in connection.sql(sql, params=values).to_arrow_reader(_BATCH):
                table = pa.Table.from_batches([batch]).select(question.table.columns)
                if whole_frames:
                    joined = table if held is None else pa.concat_tables([held, table]).combine_chunks()
                    whole = expand.whole_frames(joined)
                    table, held = joined.slice(0, whole), joined.slice(whole)
                yield table
        except duckdb.Error as error:
            raise TooExpensive(f"the replay cannot read {question.table.name}: {str(error).splitlines()[0]}") from error
    if held is not None:
        yield held


def opening_books(reader: Reader, script: Script) -> list[Book]:
    """The books of a script as they stood before its first event."""
    around = replace(script, start=max(0, script.start - _HOUR_US), end=script.start + _HOUR_US, by="receive").question("books")
    sql, values = around.statement()
    found = reader.rows_now(f"SELECT DISTINCT exchange, symbol FROM ({sql}) ORDER BY ALL", values, together=around.views)
    books = []
    for row in found.to_pylist():
        snapshot = seeds.book(reader, row["exchange"], row["symbol"], at=max(0, script.start - 1))
        if snapshot is not None:
            books.append(_overdue(reader, script, snapshot) if script.by == "exchange" else snapshot)
    return books


def _overdue(reader: Reader, script: Script, snapshot: Book) -> Book:
    """The book with changes of before the start by the exchange's time that reached us after it."""
    book = LiveBook(snapshot.exchange, snapshot.symbol)
    book.begin(snapshot)
    question = replace(
        script.question("books"),
        start=script.start,
        end=script.start + _LATEST_US,
        exchanges=(snapshot.exchange,),
        symbols=(snapshot.symbol,),
        by="receive",
    )
    sql, values = question.statement()
    for event in expand.events("book_deltas", reader.rows_now(sql, values, together=question.views)):
        assert isinstance(event, Book | BookDelta)
        if event.timestamp is not None and event.timestamp < script.start:
            book.apply(event)
    return book.snapshot()
