"""Many sorted files in, one stream of sorted rows out, in bounded memory.

Put here: reading lake files together in the order of their dataset. Keep out: which files, and what becomes of the rows.

The footers say which exchange, symbol and times each row group holds. Work is cut by them into stretches of at most about
`STRETCH_ROWS` rows that follow one another in the sort order: several small symbols together, or a time slice of a large one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lake.errors import UnreadableFile
from lake.parquet import check_schema
from lake.paths import HOUR_US, Hour
from lake.registry import TIMESTAMP, Dataset

STRETCH_ROWS: Final = 1_000_000

Key = tuple[str, str]
"""Exchange and symbol (empty for a dataset without symbols)."""

_BROKEN = (OSError, pa.ArrowException)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class _Group:
    """One row group: where it is, what keys it spans, how many rows, and the times in it."""

    file: int
    number: int
    low: Key
    high: Key
    rows: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Stretch:
    """Neighbouring rows in sort order: keys from `low` to `high`, and of those the times from `start` up to `end` (exclusive)."""

    low: Key
    high: Key
    start: int | None = None
    end: int | None = None


class Gathering:
    """Lake files of one dataset, opened together. Raises `UnreadableFile` on construction or while reading."""

    def __init__(self, dataset: Dataset, paths: list[Path], *, stretch_rows: int = STRETCH_ROWS) -> None:
        self._dataset = dataset
        self._paths = paths
        self._stretch_rows = stretch_rows
        self._by = [name for name in ("exchange", "symbol") if name in dataset.schema.names]
        self._footers: list[pq.FileMetaData] = []
        self._groups: list[_Group] = []
        for number, path in enumerate(paths):
            try:
                footer = pq.read_metadata(path)
                check_schema(dataset, footer.schema.to_arrow_schema().remove_metadata())
            except _BROKEN as error:
                raise UnreadableFile(path, str(error)) from error
            self._footers.append(footer)
            self._groups += [self._describe(number, footer, group) for group in range(footer.num_row_groups)]

    @property
    def rows(self) -> int:
        """Rows of all files together."""
        return sum(footer.num_rows for footer in self._footers)

    def tables(self) -> Iterator[tuple[Stretch, list[pa.Table]]]:
        """Each stretch in sort order, with its rows from each file that has some, in order of the files."""
        for stretch in self.stretches():
            yield stretch, self.read(stretch)

    def stretches(self) -> list[Stretch]:
        """The cut of all rows into neighbouring stretches."""
        found: list[Stretch] = []
        low: Key | None = None
        high: Key | None = None
        filled = 0
        for key, rows in sorted(self._key_rows().items()):
            if low is not None and high is not None and filled + rows > self._stretch_rows:
                found.append(Stretch(low, high))
                low, filled = None, 0
            if rows > self._stretch_rows and self._by_time:
                found += self._slices(key)
                continue
            low, high, filled = low or key, key, filled + rows
        if low is not None and high is not None:
            found.append(Stretch(low, high))
        return found

    def read(self, stretch: Stretch) -> list[pa.Table]:
        """The rows of a stretch, one table a file that has some."""
        chosen: dict[int, list[_Group]] = {}
        for group in self._groups:
            if group.high < stretch.low or group.low > stretch.high:
                continue
            if stretch.start is not None and stretch.end is not None and (group.last < stretch.start or group.first >= stretch.end):
                continue
            chosen.setdefault(group.file, []).append(group)
        tables = []
        for file, groups in chosen.items():
            table = self._read_groups(file, [group.number for group in groups])
            inside = all(stretch.low <= group.low and group.high <= stretch.high for group in groups)
            table = _cut(table, stretch, self._by, self._dataset.time_column, keys=not inside)
            if table.num_rows:
                tables.append(table)
        return tables

    def groups_within(self, start: int, end: int) -> list[int]:
        """Numbers of the first file's row groups that may hold times from `start` up to `end` (exclusive), microseconds."""
        return [group.number for group in self._groups if group.file == 0 and group.last >= start and group.first < end]

    @property
    def _by_time(self) -> bool:
        """Whether rows of one exchange and symbol are in order of the time that says their hour."""
        return list(self._dataset.sort_key[: len(self._by) + 1]) == [*self._by, self._dataset.time_column]

    def _read_groups(self, file: int, groups: list[int]) -> pa.Table:
        path = self._paths[file]
        try:
            with pq.ParquetFile(path, metadata=self._footers[file], page_checksum_verification=True) as opened:
                return opened.read_row_groups(groups).cast(self._dataset.schema)
        except _BROKEN as error:
            raise UnreadableFile(path, str(error)) from error

    def _describe(self, file: int, footer: pq.FileMetaData, number: int) -> _Group:
        group = footer.row_group(number)
        columns = {group.column(index).path_in_schema: index for index in range(group.num_columns)}
        bounds = [group.column(columns[name]).statistics for name in (*self._by, self._dataset.time_column)]
        if any(each is None or not each.has_min_max for each in bounds):
            raise UnreadableFile(self._paths[file], f"row group {number} has no statistics")
        keys, time = bounds[:-1], bounds[-1]
        low, high = _key([each.min for each in keys]), _key([each.max for each in keys])
        return _Group(file, number, low, high, group.num_rows, _us(time.min), _us(time.max))

    def _key_rows(self) -> Counter[Key]:
        """Rows of each key: from the footers where a row group has one key, else by reading the key columns."""
        counted: Counter[Key] = Counter()
        for number, path in enumerate(self._paths):
            mixed = []
            for group in self._groups:
                if group.file == number and group.low == group.high:
                    counted[group.low] += group.rows
                elif group.file == number:
                    mixed.append(group.number)
            if not mixed:
                continue
            try:
                with pq.ParquetFile(path, metadata=self._footers[number], page_checksum_verification=True) as opened:
                    keys = opened.read_row_groups(mixed, columns=self._by)
            except _BROKEN as error:
                raise UnreadableFile(path, str(error)) from error
            for row in keys.group_by(self._by).aggregate([([], "count_all")]).to_pylist():
                counted[_key([row[name] for name in self._by])] += row["count_all"]
        return counted

    def _slices(self, key: Key) -> list[Stretch]:
        """Time slices of a key of many rows; whole hours where rows are merged, for a key is unique within its hour."""
        groups = [group for group in self._groups if group.low <= key <= group.high]
        step = 1 if self._dataset.merge == "none" else HOUR_US
        first, last = min(group.first for group in groups), max(group.last for group in groups)
        # Rows are taken as spread evenly over the time of their group.
        edges = sorted({edge for group in groups for edge in (group.first, group.last + 1)})
        borders = [first]
        filled = 0.0
        for start, end in pairwise(edges):
            here = sum(
                group.rows * (end - start) / (group.last + 1 - group.first)
                for group in groups
                if group.first <= start and group.last + 1 >= end
            )
            if filled + here > self._stretch_rows and filled > 0 and borders[-1] < (border := start - start % step):
                borders.append(border)
                filled = 0.0
            pieces = int(here // self._stretch_rows)
            for piece in range(1, pieces + 1):
                border = start + (end - start) * piece // (pieces + 1)
                if borders[-1] < (border := border - border % step):
                    borders.append(border)
            filled = here / (pieces + 1) + (0.0 if pieces else filled)
        return [Stretch(key, key, start, end) for start, end in zip(borders, [*borders[1:], last + 1], strict=True)]


def read_hour_rows(dataset: Dataset, path: Path, hour: Hour, *, columns: list[str] | None = None) -> pa.Table:
    """Rows of one hour in a lake file, reading only row groups that hold some; columns in the order asked. Raises `UnreadableFile`."""
    names = columns or dataset.schema.names
    with_time = list(dict.fromkeys([*names, dataset.time_column]))
    gathering = Gathering(dataset, [path])
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as opened:
            groups = gathering.groups_within(hour.start, hour.end)
            table = opened.read_row_groups(groups, columns=with_time)
    except _BROKEN as error:
        raise UnreadableFile(path, str(error)) from error
    every = Stretch(("", ""), ("", ""), hour.start, hour.end)
    return _cut(table, every, [], dataset.time_column, keys=False).select(names).cast(pa.schema([dataset.schema.field(n) for n in names]))


def _key(values: list[str]) -> Key:
    """The key of what a dataset has of exchange and symbol, in that order; of one without either all rows share a key."""
    first, second, *_ = [*values, "", ""]
    return first, second


def _us(moment: datetime) -> int:
    past = moment - _EPOCH
    return (past.days * 86_400 + past.seconds) * 1_000_000 + past.microseconds


def _cut(table: pa.Table, stretch: Stretch, by: list[str], time_column: str, *, keys: bool) -> pa.Table:
    """The rows of a table that belong to a stretch."""
    condition: Any = None
    if keys:
        low, high = stretch.low, stretch.high
        condition = _at_least(by, low) & _at_most(by, high)
    if stretch.start is not None and stretch.end is not None:
        times = pc.field(time_column)
        within = (times >= pa.scalar(stretch.start, TIMESTAMP)) & (times < pa.scalar(stretch.end, TIMESTAMP))
        condition = within if condition is None else condition & within
    return table if condition is None else table.filter(condition)


def _at_least(by: list[str], key: Key) -> Any:
    first = pc.field(by[0])
    if len(by) == 1:
        return first >= key[0]
    return (first > key[0]) | ((first == key[0]) & (pc.field(by[1]) >= key[1]))


def _at_most(by: list[str], key: Key) -> Any:
    first = pc.field(by[0])
    if len(by) == 1:
        return first <= key[0]
    return (first < key[0]) | ((first == key[0]) & (pc.field(by[1]) <= key[1]))
