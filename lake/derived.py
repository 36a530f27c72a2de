"""Rows of one partition, in and out: what assets read from landed datasets and write into derived ones.

Put here: reading an hour as a reader of the views would see it, writing a derived hour, and the same for days and months. Keep out: what
is computed.

A partition of a day or a month is one file, `days/<dataset>/date=<its first day>/day-<instant>-<watermark>.parquet`: the tier of settled
days, so that views, the sweep and `tickhouse files` treat it like any other sealed file. The newest that counts is the partition.
"""

from __future__ import annotations

import filecmp
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa

from lake import files, parquet
from lake.compact import day_lock, day_metadata, hour_lock
from lake.errors import CompactionError, PeriodError
from lake.files import Clock, now_us
from lake.gather import Gathering, read_hour_rows
from lake.merge import merge_rows, sort_rows
from lake.parquet import HourShare, Metadata, write_parquet
from lake.paths import Home, Hour, SealedName
from lake.periods import Period
from lake.registry import Dataset, dataset
from lake.visible import VisibleFile, by_instant, covers, day_files, hour_files, hour_inputs, hour_numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteResult:
    """The file that holds a derived hour now, and whether this call wrote it; `bytes` is the size of the whole file."""

    path: Path
    rows: int
    bytes: int
    watermark: int
    written: bool


def read_hour(
    home: Home, dataset_name: str, hour: Hour, *, at_us: int | None = None, columns: list[str] | None = None
) -> tuple[pa.Table, int]:
    """Rows of an hour that count at `at_us` (default: now), sorted, one a unique key, and the hour's watermark (0: nothing landed).

    The watermark is the greatest instant among the parts the rows come from, the same before and after compaction. Columns are
    those of the registry, or `columns` in the order asked. Raises `UnreadableFile`.
    """
    spec = dataset(dataset_name)
    counted = hour_inputs(home, dataset_name, hour, now_us() if at_us is None else at_us)
    marks = [file.visible_from if file.kind == "part" else covers(file, hour)[1] for file in counted]
    only_sealed = len(counted) == 1 and counted[0].kind != "part"
    needed = columns if only_sealed else None
    tables = [read_hour_rows(spec, file.path, hour, columns=needed) for file in counted]
    if not tables:
        empty = spec.schema.empty_table()
        return (empty.select(columns) if columns else empty), 0
    table = pa.concat_tables(tables).combine_chunks()
    if not only_sealed:
        table, _ = merge_rows(spec, table)
        table = table.select(columns) if columns else table
    return table, max(marks)


def write_hour(
    home: Home, dataset_name: str, hour: Hour, table: pa.Table, *, watermark: int, visible_after: float, clock: Clock = time.time
) -> WriteResult:
    """Make `table` the rows of a derived hour from an instant `visible_after` seconds ahead, superseding the former ones.

    `watermark` is that of the input it was computed from. Nothing is written where the same rows stand with that watermark, or
    rows of a later watermark do (a slower run on older input). Where the day is one file, that file is made anew with this hour.
    Raises `SchemaMismatch`, `CompactionError` for a dataset that collectors land or rows of another hour.
    """
    spec = dataset(dataset_name)
    if spec.landed:
        raise CompactionError(f"dataset {dataset_name!r} is landed by collectors, expected a derived one: its hours are made by compaction")
    parquet.check_schema(spec, table.schema)
    rows = sort_rows(spec, table.cast(spec.schema).combine_chunks())
    if rows.num_rows and bool((hour_numbers(rows, spec.time_column) * 3_600_000_000 != hour.start).any()):
        raise CompactionError(f"rows for {dataset_name} of {hour.moment:%Y-%m-%d %H:00} lie outside that hour, expected all within")
    with hour_lock(home, dataset_name, hour):
        if not day_files(home, dataset_name, hour.date):
            return _write_hour(home, spec, hour, rows, watermark=watermark, visible_after=visible_after, clock=clock)
    with day_lock(home, dataset_name, hour.date):
        return _write_into_day(home, spec, hour, rows, watermark=watermark, visible_after=visible_after, clock=clock)


def _write_hour(
    home: Home, spec: Dataset, hour: Hour, rows: pa.Table, *, watermark: int, visible_after: float, clock: Clock
) -> WriteResult:
    former = hour_files(home, spec.name, hour).hours
    latest = former[-1] if former else None
    if latest and latest.watermark > watermark:
        return _standing(spec, latest.path, hour, latest.watermark)
    name = partial(_sealed, "hour", watermark)
    staged = files.stage(home.hour_dir(spec.name, hour), name, partial(_write, spec, rows, Metadata(dataset=spec.name)))
    if latest and latest.watermark == watermark and filecmp.cmp(latest.path, staged.path, shallow=False):
        files.remove(staged.path)
        return _standing(spec, latest.path, hour, watermark)
    floor = max([watermark, *(file.visible_from for file in former)])
    _, (path,) = files.appear([staged], visible_after=visible_after, clock=clock, floor=floor)
    return WriteResult(path=path, rows=rows.num_rows, bytes=path.stat().st_size, watermark=watermark, written=True)


def _write_into_day(
    home: Home, spec: Dataset, hour: Hour, rows: pa.Table, *, watermark: int, visible_after: float, clock: Clock
) -> WriteResult:
    former = day_files(home, spec.name, hour.date)
    latest = former[-1]
    shares = dict(parquet.read_metadata(latest.path).hours)
    standing = shares.get(hour.moment.hour, HourShare(inputs=(), watermark=-1))
    if standing.watermark > watermark:
        return _standing(spec, latest.path, hour, standing.watermark)
    shares[hour.moment.hour] = HourShare(inputs=(), watermark=watermark)
    others = [read_hour_rows(spec, latest.path, other) for other in Hour.of_day(hour.date) if other != hour]
    whole = sort_rows(spec, pa.concat_tables([*others, rows]).combine_chunks())
    name = partial(_sealed, "day", latest.watermark)
    staged = files.stage(home.day_dir(spec.name, hour.date), name, partial(_write, spec, whole, day_metadata(spec, shares)))
    if filecmp.cmp(latest.path, staged.path, shallow=False):
        files.remove(staged.path)
        return _standing(spec, latest.path, hour, watermark)
    _, (path,) = files.appear([staged], visible_after=visible_after, clock=clock, floor=latest.visible_from)
    return WriteResult(path=path, rows=rows.num_rows, bytes=path.stat().st_size, watermark=watermark, written=True)


def _sealed(kind: str, watermark: int, instant: int) -> str:
    return str(SealedName(kind, instant, watermark))


def _write(spec: Dataset, rows: pa.Table, metadata: Metadata, path: Path) -> None:
    write_parquet(spec, rows, path, metadata, level=parquet.SEALED_LEVEL)
    files.sync(path)


def _standing(spec: Dataset, path: Path, hour: Hour, watermark: int) -> WriteResult:
    rows = read_hour_rows(spec, path, hour, columns=[spec.time_column]).num_rows
    return WriteResult(path=path, rows=rows, bytes=path.stat().st_size, watermark=watermark, written=False)


def period_file(home: Home, dataset_name: str, period: Period, *, at_us: int | None = None) -> VisibleFile | None:
    """The file that is a partition at `at_us` (default: now), or None where it was never made."""
    _partitioned(dataset_name, period)
    at = now_us() if at_us is None else at_us
    counting = [file for file in day_files(home, dataset_name, period.first) if 0 < file.visible_from <= at]
    return max(counting, key=by_instant, default=None)


def read_period(
    home: Home, dataset_name: str, period: Period, *, at_us: int | None = None, columns: list[str] | None = None
) -> tuple[pa.Table, int]:
    """Rows of a partition at `at_us` (default: now) in sort order, and its watermark; no rows and 0 where it was never made.

    Columns are those of the registry, or `columns` in the order asked. Raises `UnreadableFile`, `PeriodError`.
    """
    spec = _partitioned(dataset_name, period)
    file = period_file(home, dataset_name, period, at_us=at_us)
    names = columns or spec.schema.names
    if file is None:
        return spec.schema.empty_table().select(names), 0
    tables = [table for _, found in Gathering(spec, [file.path]).tables() for table in found]
    return pa.concat_tables([spec.schema.empty_table(), *tables]).combine_chunks().select(names), file.watermark


def write_period(
    home: Home, dataset_name: str, period: Period, table: pa.Table, *, watermark: int, visible_after: float, clock: Clock = time.time
) -> WriteResult:
    """Make `table` the rows of a partition from an instant `visible_after` seconds ahead, superseding the former ones.

    `watermark` says which input it covers: everything that counted up to then. Nothing is written where the same rows stand with
    that watermark, or rows of a later watermark do (a slower run on older input).
    Raises `SchemaMismatch`, `PeriodError` for a dataset with other partitions, or rows of another period.
    """
    spec = _partitioned(dataset_name, period)
    parquet.check_schema(spec, table.schema)
    rows = sort_rows(spec, table.cast(spec.schema).combine_chunks())
    times: np.ndarray[tuple[int], np.dtype[np.int64]] = np.asarray(rows[spec.time_column].cast(pa.int64()))
    if ((times < period.start) | (times >= period.end)).any():
        raise PeriodError(f"rows for {dataset_name} lie outside the {period.span} of {period.first:%Y-%m-%d}, expected all within")
    with day_lock(home, dataset_name, period.first):
        former = day_files(home, dataset_name, period.first)
        latest = former[-1] if former else None
        if latest and latest.watermark > watermark:
            return _period_standing(latest)
        staged = files.stage(
            home.day_dir(spec.name, period.first),
            partial(_sealed, "day", watermark),
            partial(_write, spec, rows, Metadata(dataset=spec.name)),
        )
        if latest and latest.watermark == watermark and filecmp.cmp(latest.path, staged.path, shallow=False):
            files.remove(staged.path)
            return _period_standing(latest)
        floor = max([watermark, *(file.visible_from for file in former)])
        _, (path,) = files.appear([staged], visible_after=visible_after, clock=clock, floor=floor)
        return WriteResult(path=path, rows=rows.num_rows, bytes=path.stat().st_size, watermark=watermark, written=True)


def _partitioned(dataset_name: str, period: Period) -> Dataset:
    spec = dataset(dataset_name)
    if spec.span != period.span or spec.landed:
        raise PeriodError(f"a {period.span} of dataset {dataset_name!r} was asked for, expected {spec.span}s: those are its partitions")
    return spec


def _period_standing(file: VisibleFile) -> WriteResult:
    rows = parquet.row_count(file.path)
    return WriteResult(path=file.path, rows=rows, bytes=file.path.stat().st_size, watermark=file.watermark, written=False)
