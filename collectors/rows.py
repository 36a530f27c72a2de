"""Rows on their way from venue sessions to the log: cheap tuples in, Arrow batches in registry schema out, every row counted.

Put here: the row shapes, the buffer, its vectorised expansion, the row counters of each connection.
Keep out: what a frame means (venues), what was seen before (`dedup`, `continuity`), where batches go (`lake.landing`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from collectors.books import Columns, Levels
from collectors.continuity import Continuity
from lake.registry import DATASETS, LANDED, TIMESTAMP

TradeRow: TypeAlias = tuple[int, int, int, int, int | str, bool, float, float, int, bool, bool]
"""(key, timestamp us, local_timestamp us, ordinal, trade id, taker sold, price, amount, fill count, from REST, clock suspect)."""

DeltaFrame: TypeAlias = tuple[int, int | None, int, int | None, bool, Levels, Levels]
"""(key, timestamp us, local_timestamp us, sequence, is snapshot, bids, asks): one book frame, expanded into rows by `drain`."""

SnapshotRow: TypeAlias = tuple[int, int | None, int, int, int | None, Columns, Columns]
"""(key, timestamp us, local_timestamp us, ordinal, sequence, bids, asks), each side as (prices, amounts), best first."""

_SCHEMAS: Final = {name: DATASETS[name].schema for name in LANDED}
_TAKER_SIDES: Final = pa.array(["buy", "sell"])
_BOOK_SIDES: Final = pa.array(["bid", "ask"])
_SOURCES: Final = pa.array(["stream", "rest"])
_TUPLED: Final = ("liquidations", "derivatives", "listings", "gaps", "dead_letters")


@dataclass(slots=True)
class RowCount:
    """Rows of one dataset from one connection; decoded is always landed + duplicates + all that was discarded."""

    landed: int = 0
    duplicates: int = 0
    discarded: dict[str, int] = field(default_factory=dict)

    @property
    def decoded(self) -> int:
        return self.landed + self.duplicates + sum(self.discarded.values())


class RowWriter:
    """The pen of one connection: lands rows in the buffer and counts them. Times are microseconds since 1970, amounts base units."""

    __slots__ = ("_buffer", "_deltas", "_trades", "connection", "continuity", "counts", "deltas", "exchange", "trades")

    def __init__(self, buffer: EventBuffer, exchange: str, *, connection: str) -> None:
        self.exchange = exchange
        self.connection = connection
        self.continuity: Continuity = buffer.continuity(exchange)
        self.counts: dict[str, RowCount] = {name: RowCount() for name in LANDED}
        self._buffer = buffer
        self._trades = buffer.trades
        self._deltas = buffer.deltas
        self.trades = self.counts["trades"]
        self.deltas = self.counts["book_deltas"]

    def key(self, symbol: str) -> int:
        """The number that stands for (exchange, symbol) in row tuples."""
        return self._buffer.key(self.exchange, symbol)

    def next_ordinal(self) -> int:
        """Counts the arrival of rows that carry no number of their venue."""
        return self._buffer.next_ordinal()

    def trade(self, row: TradeRow) -> None:
        self._trades.append(row)
        self.trades.landed += 1

    def book(self, frame: DeltaFrame) -> None:
        """Land one book frame, a row for each of its levels."""
        self._deltas.append(frame)
        self.deltas.landed += len(frame[5]) + len(frame[6])

    def book_snapshot(self, row: SnapshotRow) -> None:
        """Land the top of a book."""
        self._buffer.snapshots.append(row)
        self.counts["book_snapshots"].landed += 1

    def liquidation(
        self,
        symbol: str,
        timestamp: int,
        *,
        local: int,
        side: str,
        price: float,
        amount: float,
        value_usd: float | None,
        liquidation_id: str,
        sampled: bool | None,
    ) -> None:
        """Land one forced order; `side` is the side of the order."""
        ordinal = self._buffer.next_ordinal()
        row = (self.exchange, symbol, timestamp, local, ordinal, side, price, amount, value_usd, liquidation_id, sampled)
        self._land("liquidations", row)

    def derivative(
        self,
        symbol: str,
        timestamp: int,
        *,
        local: int,
        funding_rate: float | None = None,
        next_funding: int | None = None,
        open_interest: float | None = None,
        mark_price: float | None = None,
        index_price: float | None = None,
    ) -> None:
        """Land what is known of a perpetual at `timestamp`; None for what the message does not say."""
        known = (funding_rate, next_funding, open_interest, mark_price, index_price)
        self._land("derivatives", (self.exchange, symbol, timestamp, local, self._buffer.next_ordinal(), *known))

    def listing(self, symbol: str, *, local: int, state: tuple[object, ...]) -> None:
        """Land the state of an instrument: (native, market, …, status, active), as the columns of `listings` stand after `ordinal`."""
        self._land("listings", (self.exchange, symbol, None, local, self._buffer.next_ordinal(), *state))

    def duplicate(self, dataset: str, rows: int = 1) -> None:
        """Count rows that had landed before."""
        self.counts[dataset].duplicates += rows

    def discard(self, dataset: str, reason: str, *, rows: int = 1) -> None:
        """Count rows that are left out, by reason."""
        if rows:
            discarded = self.counts[dataset].discarded
            discarded[reason] = discarded.get(reason, 0) + rows

    def gap(self, row: tuple[object, ...]) -> None:
        """Land a row of `gaps`, exchange left out: (symbol, timestamp, local_timestamp, ordinal, channel, …, healed_by)."""
        self._land("gaps", (self.exchange, *row))

    def dead_letter(self, raw: bytes, reason: str, *, local: int) -> None:
        """Land a frame that could not be decoded."""
        self._land("dead_letters", (self.exchange, local, self._buffer.next_ordinal(), self.connection, reason, raw))

    def _land(self, dataset: str, row: tuple[object, ...]) -> None:
        self._buffer.rows[dataset].append(row)
        self.counts[dataset].landed += 1


class EventBuffer:
    """Rows of all landed datasets between two drains, and what outlives a socket, by exchange. One per collector; not thread-safe."""

    def __init__(self) -> None:
        self.trades: list[TradeRow] = []
        self.deltas: list[DeltaFrame] = []
        self.snapshots: list[SnapshotRow] = []
        self.rows: dict[str, list[tuple[object, ...]]] = {name: [] for name in _TUPLED}
        self.writers: dict[tuple[str, str], RowWriter] = {}
        self._continuities: dict[str, Continuity] = {}
        self._keys: dict[tuple[str, str], int] = {}
        self._exchanges: list[str] = []
        self._symbols: list[str] = []
        self._arrivals = 0
        self._ordinal = 0

    def writer(self, exchange: str, connection: str) -> RowWriter:
        """The writer of a connection, the same one for every socket it opens."""
        known = self.writers.get((exchange, connection))
        if known is None:
            known = self.writers[exchange, connection] = RowWriter(self, exchange, connection=connection)
        return known

    def continuity(self, exchange: str) -> Continuity:
        """What outlives the sockets of an exchange: ids seen, open gaps, who carries which book."""
        known = self._continuities.get(exchange)
        if known is None:
            known = self._continuities[exchange] = Continuity(exchange)
        return known

    def key(self, exchange: str, symbol: str) -> int:
        """The number that stands for (exchange, symbol) in row tuples."""
        known = self._keys.setdefault((exchange, symbol), len(self._symbols))
        if known == len(self._symbols):
            self._exchanges.append(exchange)
            self._symbols.append(symbol)
        return known

    @property
    def known(self) -> int:
        """How many keys have been given out."""
        return len(self._symbols)

    @property
    def symbols(self) -> list[tuple[str, str]]:
        """Exchange and symbol of every key given out, in order of the keys."""
        return list(zip(self._exchanges, self._symbols, strict=True))

    def next_ordinal(self) -> int:
        """Counts the arrival of rows that carry no number of their venue."""
        self._ordinal += 1
        return self._ordinal

    @property
    def pending(self) -> bool:
        """True while there is something to drain."""
        return bool(self.trades or self.deltas or self.snapshots or any(self.rows.values()))

    def drain(self) -> dict[str, pa.RecordBatch]:
        """All rows since the last drain, in registry schema and arrival order, one batch for each dataset that has any."""
        batches: dict[str, pa.RecordBatch] = {}
        if self.trades:
            batches["trades"] = self._trade_batch(self.trades)
            self.trades.clear()
        if self.deltas:
            batches["book_deltas"] = self._delta_batch(self.deltas)
            self.deltas.clear()
        if self.snapshots:
            batches["book_snapshots"] = self._snapshot_batch(self.snapshots)
            self.snapshots.clear()
        for name, rows in self.rows.items():
            if rows:
                schema = _SCHEMAS[name]
                columns = [pa.array(column, type_) for column, type_ in zip(zip(*rows, strict=True), schema.types, strict=True)]
                batches[name] = pa.RecordBatch.from_arrays(columns, schema=schema)
                rows.clear()
        return batches

    def _named(self, keys: npt.NDArray[np.int64]) -> tuple[pa.Array, pa.Array]:
        return pa.array(self._exchanges, pa.string()).take(pa.array(keys)), pa.array(self._symbols, pa.string()).take(pa.array(keys))

    def _trade_batch(self, rows: list[TradeRow]) -> pa.RecordBatch:
        keys, times, locals_, ordinals, ids, sold, prices, amounts, fills, rest, suspect = zip(*rows, strict=True)
        exchange, symbol = self._named(np.array(keys, np.int64))
        numeric = set(map(type, ids)) == {int}
        columns = [
            exchange,
            symbol,
            pa.array(times, TIMESTAMP),
            pa.array(locals_, TIMESTAMP),
            pa.array(ordinals, pa.int64()),
            pa.array(ids, pa.int64()).cast(pa.string()) if numeric else pa.array(map(str, ids), pa.string()),
            _TAKER_SIDES.take(pa.array(sold).cast(pa.int8())),
            pa.array(prices, pa.float64()),
            pa.array(amounts, pa.float64()),
            pa.array(fills, pa.int32()),
            _SOURCES.take(pa.array(rest).cast(pa.int8())),
            pa.array(suspect),
        ]
        return pa.RecordBatch.from_arrays(columns, schema=_SCHEMAS["trades"])

    def _delta_batch(self, frames: list[DeltaFrame]) -> pa.RecordBatch:
        keys, times, locals_, sequences, snapshots, bids, asks = zip(*frames, strict=True)
        sides = np.empty((len(frames), 2), np.int64)
        sides[:, 0] = list(map(len, bids))
        sides[:, 1] = list(map(len, asks))
        counts = sides.sum(axis=1)
        total = int(counts.sum())
        levels = chain.from_iterable(chain.from_iterable(zip(bids, asks, strict=True)))
        numbers = np.fromiter(chain.from_iterable(levels), np.float64, count=2 * total).reshape(total, 2)
        side = np.repeat(np.tile(np.array([0, 1], np.int8), len(frames)), sides.ravel())
        exchange, symbol = self._named(np.repeat(np.array(keys, np.int64), counts))
        ordinals = np.arange(self._arrivals, self._arrivals + total, dtype=np.int64)
        self._arrivals += total
        columns = [
            exchange,
            symbol,
            _repeated(times, counts).view(TIMESTAMP),
            pa.array(np.repeat(np.array(locals_, np.int64), counts)).view(TIMESTAMP),
            pa.array(ordinals),
            _repeated(sequences, counts),
            _BOOK_SIDES.take(pa.array(side)),
            pa.array(np.ascontiguousarray(numbers[:, 0])),
            pa.array(np.ascontiguousarray(numbers[:, 1])),
            pa.nulls(total, pa.int32()),
            pa.array(np.repeat(np.array(snapshots, np.bool_), counts)),
        ]
        return pa.RecordBatch.from_arrays(columns, schema=_SCHEMAS["book_deltas"])

    def _snapshot_batch(self, rows: list[SnapshotRow]) -> pa.RecordBatch:
        keys, times, locals_, ordinals, sequences, bids, asks = zip(*rows, strict=True)
        exchange, symbol = self._named(np.array(keys, np.int64))
        columns = [
            exchange,
            symbol,
            pa.array(times, TIMESTAMP),
            pa.array(locals_, TIMESTAMP),
            pa.array(ordinals, pa.int64()),
            pa.array(sequences, pa.int64()),
            *_listed(bids),
            *_listed(asks),
        ]
        return pa.RecordBatch.from_arrays(columns, schema=_SCHEMAS["book_snapshots"])


def _listed(sides: Sequence[Columns]) -> tuple[pa.Array, pa.Array]:
    """Prices and amounts of each side as lists."""
    prices, amounts = zip(*sides, strict=True)
    offsets = np.zeros(len(sides) + 1, np.int32)
    np.cumsum(list(map(len, prices)), out=offsets[1:])
    total = int(offsets[-1])
    flat = (pa.array(np.fromiter(chain.from_iterable(column), np.float64, count=total)) for column in (prices, amounts))
    return tuple(pa.ListArray.from_arrays(pa.array(offsets), values) for values in flat)


def _repeated(values: Sequence[int | None], counts: npt.NDArray[np.int64]) -> pa.Array:
    """Each of `values` repeated as often as `counts` says, as int64 with nulls."""
    if None in values:
        mask = np.array([value is None for value in values])
        filled = np.array([0 if value is None else value for value in values], np.int64)
        return pa.array(np.repeat(filled, counts), mask=np.repeat(mask, counts))
    return pa.array(np.repeat(np.array(values, np.int64), counts))
