"""Rows of landed datasets as events.

Put here: how columns become event objects, a batch at a time. Keep out: where rows come from (`serving.follower`, `serving.replay`).

A frame of a book is many rows in the lake and one event here: rows that follow one another with the same market, times and
sequence. Markets nobody wants are left out before a single Python object is made.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from serving.events import Alert, Book, BookDelta, BookTop, Derivative, Gap, Liquidation, MarketEvent, Trade

Market = tuple[str, str]
"""(exchange, symbol)."""

CHANNEL_OF: Final[Mapping[str, str]] = {
    "trades": "trades",
    "book_deltas": "books",
    "book_snapshots": "tops",
    "liquidations": "liquidations",
    "derivatives": "derivatives",
    "gaps": "gaps",
    "alerts": "alerts",
}
"""The channel that brings the rows of a landed dataset."""

DATASET_OF: Final[Mapping[str, str]] = {channel: name for name, channel in CHANNEL_OF.items()}

_PLAIN: Final[Mapping[str, type[MarketEvent]]] = {
    "trades": Trade,
    "liquidations": Liquidation,
    "derivatives": Derivative,
    "gaps": Gap,
    "alerts": Alert,
}


def markets(batch: pa.RecordBatch | pa.Table) -> list[Market]:
    """The markets a batch has rows of."""
    pairs = pa.table({"e": batch["exchange"], "s": batch["symbol"]}).group_by(["e", "s"]).aggregate([])
    return list(zip(pairs["e"].to_pylist(), pairs["s"].to_pylist(), strict=True))


def only(table: pa.Table, wanted: Collection[Market]) -> pa.Table:
    """The rows of some markets."""
    by_exchange: dict[str, list[str]] = {}
    for exchange, symbol in wanted:
        by_exchange.setdefault(exchange, []).append(symbol)
    mask = None
    for exchange, symbols in by_exchange.items():
        own = pc.and_(pc.equal(table["exchange"], exchange), pc.is_in(table["symbol"], pa.array(symbols, pa.string())))
        mask = own if mask is None else pc.or_(mask, own)
    return table.slice(0, 0) if mask is None else table.filter(mask)


def events(name: str, table: pa.Table) -> list[MarketEvent]:
    """The events of rows of dataset `name`, in their order."""
    return list(_MAKERS[name](table)) if table.num_rows else []


def whole_frames(table: pa.Table) -> int:
    """How many rows stand before the last book frame, which may go on in the next batch."""
    starts = _frame_starts(table)
    return int(starts[-1]) if len(starts) else 0


def _columns(table: pa.Table, names: tuple[str, ...]) -> list[list[Any]]:
    found = []
    for name in names:
        column = table[name]
        if pa.types.is_timestamp(column.type):
            column = column.cast(pa.int64())
        found.append(column.to_pylist())
    return found


def _plain(kind: type[MarketEvent]) -> Callable[[pa.Table], Iterator[MarketEvent]]:
    names = tuple(kind.__struct_fields__)

    def made(table: pa.Table) -> Iterator[MarketEvent]:
        for values in zip(*_columns(table, names), strict=True):
            yield kind(**dict(zip(names, values, strict=True)))

    return made


def _tops(table: pa.Table) -> Iterator[MarketEvent]:
    names = ("exchange", "symbol", "timestamp", "local_timestamp", "ordinal", "sequence")
    sides = ("bid_prices", "bid_amounts", "ask_prices", "ask_amounts")
    for exchange, symbol, time, local, ordinal, sequence, bids, bid_amounts, asks, ask_amounts in zip(
        *_columns(table, (*names, *sides)), strict=True
    ):
        yield BookTop(
            exchange=exchange,
            symbol=symbol,
            timestamp=time,
            local_timestamp=local,
            ordinal=ordinal,
            sequence=sequence,
            bids=list(zip(bids, bid_amounts, strict=True)),
            asks=list(zip(asks, ask_amounts, strict=True)),
        )


def _frame_starts(table: pa.Table) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Where each book frame begins."""
    rows = table.num_rows
    if rows == 0:
        return np.empty(0, np.int64)
    begins = np.zeros(rows, np.bool_)
    begins[0] = True
    for name in ("exchange", "symbol", "timestamp", "local_timestamp", "sequence", "is_snapshot"):
        column = table[name].combine_chunks() if isinstance(table[name], pa.ChunkedArray) else table[name]
        if pa.types.is_string(column.type):
            column = column.dictionary_encode().indices
        elif pa.types.is_timestamp(column.type):
            column = column.cast(pa.int64())
        values = np.asarray(pc.fill_null(column, False if pa.types.is_boolean(column.type) else -1))
        begins[1:] |= values[1:] != values[:-1]
    return np.flatnonzero(begins)


def _deltas(table: pa.Table) -> Iterator[MarketEvent]:
    starts = _frame_starts(table)
    ends = np.append(starts[1:], table.num_rows)
    heads = table.take(pa.array(starts))
    names = ("exchange", "symbol", "timestamp", "local_timestamp", "ordinal", "sequence", "is_snapshot")
    asks_of = np.asarray(pc.equal(table["side"], "ask")).tolist()
    levels = list(zip(table["price"].to_pylist(), table["amount"].to_pylist(), strict=True))
    for start, end, exchange, symbol, time, local, ordinal, sequence, snapshot in zip(
        starts.tolist(), ends.tolist(), *_columns(heads, names), strict=True
    ):
        bids = [level for level, ask in zip(levels[start:end], asks_of[start:end], strict=True) if not ask]
        asks = [level for level, ask in zip(levels[start:end], asks_of[start:end], strict=True) if ask]
        if snapshot:
            bids.sort(reverse=True)
            asks.sort()
        kind = Book if snapshot else BookDelta
        yield kind(
            exchange=exchange,
            symbol=symbol,
            timestamp=time,
            local_timestamp=local,
            ordinal=ordinal,
            sequence=sequence,
            bids=bids,
            asks=asks,
        )


_MAKERS: Final[Mapping[str, Callable[[pa.Table], Iterator[MarketEvent]]]] = {
    **{name: _plain(kind) for name, kind in _PLAIN.items()},
    "book_snapshots": _tops,
    "book_deltas": _deltas,
}
