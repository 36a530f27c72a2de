"""The ledger: what became of every frame and of every decoded row, per minute and connection.

Put here: the frame counters of a connection and their way into rows of `ledger`, as differences that sum to the truth.
Keep out: the row counters themselves (rows.py keeps them where rows are made).

Two laws hold in every row written, so in every sum: frames = control + ignored + decoded + dead_letters, and
rows_decoded = rows_landed + duplicates + discarded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import pyarrow as pa

from collectors.rows import RowCount
from lake.registry import DATASETS

MINUTE_US: Final = 60_000_000
_SCHEMA: Final = DATASETS["ledger"].schema


@dataclass(slots=True)
class FrameCount:
    """What became of the frames and REST answers of one connection, over all its sockets."""

    control: int = 0
    ignored: int = 0
    decoded: int = 0
    dead_letters: int = 0

    @property
    def frames(self) -> int:
        return self.control + self.ignored + self.decoded + self.dead_letters


@dataclass(slots=True)
class _Written:
    """What of a connection's counters is in the ledger already."""

    frames: tuple[int, int, int, int] = (0, 0, 0, 0)
    rows: dict[str, tuple[int, int]] = field(default_factory=dict)
    discarded: dict[tuple[str, str], int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Counted:
    """One connection and its counters, as the ledger reads them."""

    exchange: str
    connection: str
    frames: FrameCount
    rows: Mapping[str, RowCount]


class Ledger:
    """Turns growing counters into ledger rows; each call gives what was added since the call before."""

    def __init__(self) -> None:
        self._written: dict[tuple[str, str], _Written] = {}

    def batch(self, counted: list[Counted], now: int) -> pa.RecordBatch | None:
        """Rows of the minute `now` (microseconds) lies in, in registry schema; None when nothing was counted since."""
        minute = now - now % MINUTE_US
        rows: list[tuple[object, ...]] = []
        for each in counted:
            written = self._written.setdefault((each.exchange, each.connection), _Written())
            head = (each.exchange, minute, each.connection)
            rows += [(*head, *row) for row in (*_frame_rows(each.frames, written), *_row_rows(each.rows, written))]
        if not rows:
            return None
        columns = [pa.array(column, type_) for column, type_ in zip(zip(*rows, strict=True), _SCHEMA.types, strict=True)]
        return pa.RecordBatch.from_arrays(columns, schema=_SCHEMA)


def _frame_rows(count: FrameCount, written: _Written) -> list[tuple[object, ...]]:
    now = (count.control, count.ignored, count.decoded, count.dead_letters)
    if now == written.frames:
        return []
    added = [after - before for after, before in zip(now, written.frames, strict=True)]
    written.frames = now
    return [("", sum(added), *added, 0, 0, 0, 0, "")]


def _row_rows(counts: Mapping[str, RowCount], written: _Written) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    for dataset, count in counts.items():
        before = written.rows.get(dataset, (0, 0))
        now = (count.landed, count.duplicates)
        if now != before:
            landed, duplicates = now[0] - before[0], now[1] - before[1]
            written.rows[dataset] = now
            rows.append((dataset, 0, 0, 0, 0, 0, landed + duplicates, landed, duplicates, 0, ""))
        for reason, total in count.discarded.items():
            added = total - written.discarded.get((dataset, reason), 0)
            if added:
                written.discarded[dataset, reason] = total
                rows.append((dataset, 0, 0, 0, 0, 0, added, 0, 0, added, reason))
    return rows
