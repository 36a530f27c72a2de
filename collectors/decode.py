"""Recordings decoded through the very code that live frames take, and what came of them.

Put here: driving a venue's recorded session, counting, the report. Keep out: protocol, printing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from collectors.errors import FrameError, RecordingError
from collectors.recording import BESIDES, Line, open_recording, parse
from collectors.registry import venue as venue_called
from collectors.rows import EventBuffer
from collectors.venue import Checksums, Outcome, RecordedSession
from lake.registry import DATASETS, LANDED

BOOK_DEPTH: Final = 10
DRAIN_EVERY: Final = 20_000
TICK_EVERY: Final = 250_000


class BookReport(msgspec.Struct, kw_only=True):
    """A book at the end, best level first, base units; `updates` counts the frames it took, snapshots not among them."""

    bids: list[tuple[float, float]] = msgspec.field(default_factory=list)
    asks: list[tuple[float, float]] = msgspec.field(default_factory=list)
    updates: int = 0


class SymbolReport(msgspec.Struct, kw_only=True):
    """What landed of one symbol; amounts by side of the taker, base units; prices by order of time and ordinal."""

    trades: int = 0
    buy_amount: float = 0.0
    sell_amount: float = 0.0
    first_price: float | None = None
    last_price: float | None = None
    book: BookReport = msgspec.field(default_factory=BookReport)


class ChecksumReport(msgspec.Struct, kw_only=True):
    """Checksums of book frames."""

    verified: int = 0
    failed: int = 0


class DeadLetter(msgspec.Struct, kw_only=True):
    """A line that could not be decoded; lines count from 1."""

    file: str
    line: int
    reason: str


class DecodeReport(msgspec.Struct, kw_only=True):
    """What became of a recording: frames is always control + ignored + decoded + dead_letters."""

    exchange: str
    frames: int = 0
    control: int = 0
    ignored: int = 0
    decoded: int = 0
    dead_letters: int = 0
    rows: dict[str, int] = msgspec.field(default_factory=dict)
    gaps: int = 0
    checksums: ChecksumReport = msgspec.field(default_factory=ChecksumReport)
    symbols: dict[str, SymbolReport] = msgspec.field(default_factory=dict)


class Decoding:
    """A recording being decoded: lines in, rows and counts out. `dead` names each line that could not be decoded."""

    def __init__(self, exchange: str, *, keep: bool = True) -> None:
        self.venue = venue_called(exchange)
        self.events = EventBuffer()
        self.session: RecordedSession = self.venue.recorded_session(self.events)
        self.dead: list[DeadLetter] = []
        self.counts = dict.fromkeys(Outcome, 0)
        self.frames = 0
        self._writer = self.events.writer(self.venue.exchange, "recorded")
        self._batches: dict[str, list[pa.RecordBatch]] = {name: [] for name in LANDED}
        self._keep = keep
        self._ticked: int | None = None

    def take(self, line: Line, *, file: str, number: int) -> None:
        """Take one line."""
        received = line.received
        if received is not None and (self._ticked is None or received - self._ticked >= TICK_EVERY):
            self._ticked = received
            self.session.tick(received)
        if line.kind in BESIDES:
            return
        if line.kind == "connect":
            self.session.connected(line.conn, received)
            return
        payload = line.payload
        if line.dir == "out":
            self.session.sent(line.conn, payload, received)
            return
        self.frames += 1
        try:
            if line.kind == "http":
                outcome = self.session.feed_http(line.conn, payload, received)
            else:
                outcome = self.session.feed(line.conn, payload, received)
        except FrameError as error:
            self.dead.append(DeadLetter(file=file, line=number, reason=error.reason))
            self._writer.dead_letter(payload, error.reason, local=received or 0)
        else:
            self.counts[outcome] += 1
        self.session.actions.clear()
        if self.frames % DRAIN_EVERY == 0:
            self.drain()

    def drain(self) -> None:
        """Move what has landed out of the buffer."""
        for name, batch in self.events.drain().items():
            self._batches[name].append(batch)

    def tables(self) -> dict[str, pa.Table]:
        """All rows by dataset; a gap that was healed is one row, as its dataset's merge rule says."""
        self.drain()
        tables = {name: pa.Table.from_batches(self._batches[name], DATASETS[name].schema) for name in LANDED}
        tables["gaps"] = _last_of_key(tables["gaps"], DATASETS["gaps"].unique_key)
        return tables

    def report(self, tables: dict[str, pa.Table]) -> DecodeReport:
        """The counts so far."""
        checksums: Checksums = self.session.checksums
        return DecodeReport(
            exchange=self.venue.exchange,
            frames=self.frames,
            control=self.counts[Outcome.CONTROL],
            ignored=self.counts[Outcome.IGNORED],
            decoded=self.counts[Outcome.DECODED],
            dead_letters=len(self.dead),
            rows={name: table.num_rows for name, table in tables.items() if table.num_rows},
            gaps=tables["gaps"].num_rows,
            checksums=ChecksumReport(verified=checksums.verified, failed=checksums.failed),
            symbols=self._symbols(tables),
        )

    def _symbols(self, tables: dict[str, pa.Table]) -> dict[str, SymbolReport]:
        named: set[str] = set()
        for name in ("trades", "book_deltas", "book_snapshots", "liquidations", "derivatives"):
            named.update(pc.unique(tables[name]["symbol"]).to_pylist())
        reports = {symbol: SymbolReport() for symbol in sorted(named)}
        _count_trades(tables["trades"], reports)
        for symbol, feed in self.session.books().items():
            if symbol not in reports:
                continue
            bids, asks = feed.book.top(BOOK_DEPTH) if feed.live else ([], [])
            reports[symbol].book = BookReport(bids=bids, asks=asks, updates=feed.updates)
        return reports


def decode(exchange: str, files: Sequence[Path], *, out: Path | None = None) -> DecodeReport:
    """Decode recordings of one exchange, in the order given; with `out`, write its rows there as `<dataset>.parquet`.

    Raises `UnknownExchange`, and `RecordingError` when a file cannot be read.
    """
    decoding = decode_files(exchange, files)
    tables = decoding.tables()
    if out is not None:
        write_tables(tables, out)
    return decoding.report(tables)


def decode_files(exchange: str, files: Sequence[Path]) -> Decoding:
    """Decode recordings and keep hold of the session, for those who want more than the report."""
    decoding = Decoding(exchange)
    for path in files:
        with open_recording(path) as lines:
            decode_lines(decoding, lines, source=str(path))
    return decoding


def decode_lines(decoding: Decoding, lines: Iterable[bytes], *, source: str) -> None:
    """Decode the lines of one recording."""
    for number, raw in enumerate(lines, start=1):
        if raw.strip():
            decoding.take(parse(raw, where=f"line {number} of {source}"), file=source, number=number)


def write_tables(tables: dict[str, pa.Table], out: Path) -> None:
    """Write one Parquet file for each dataset that has rows. Raises `RecordingError` where that is not possible."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, table in tables.items():
            if table.num_rows:
                pq.write_table(table, out / f"{name}.parquet", compression="zstd")
    except OSError as error:
        raise RecordingError(f"rows cannot be written to {out}: {error}") from error


def _last_of_key(table: pa.Table, key: tuple[str, ...]) -> pa.Table:
    rows: dict[tuple[Any, ...], dict[str, Any]] = {tuple(row[name] for name in key): row for row in table.to_pylist()}
    return pa.Table.from_pylist(list(rows.values()), schema=table.schema)


def _count_trades(trades: pa.Table, reports: dict[str, SymbolReport]) -> None:
    ordered = trades.sort_by([("symbol", "ascending"), ("timestamp", "ascending"), ("ordinal", "ascending")])
    sums = ordered.group_by(["symbol", "side"], use_threads=False).aggregate([("amount", "sum"), ("amount", "count")])
    for row in sums.to_pylist():
        report = reports[row["symbol"]]
        report.trades += row["amount_count"]
        setattr(report, f"{row['side']}_amount", row["amount_sum"])
    ends = ordered.group_by(["symbol"], use_threads=False).aggregate([("price", "first"), ("price", "last")])
    for row in ends.to_pylist():
        reports[row["symbol"]].first_price = row["price_first"]
        reports[row["symbol"]].last_price = row["price_last"]
