"""Compaction: the parts of an hour become one file, the hours of a settled day become one file.

Put here: choosing inputs, merging them, and naming the result. Keep out: deleting what is superseded (`lake.cleanup`).

A compaction takes what has appeared, names every part it took, and writes nothing where there is nothing new. Compactions of one
hour exclude one another, and a day excludes its hours: two files made from different inputs must never both claim to be the newest.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lake import files, parquet
from lake.errors import UnreadableFile
from lake.files import Clock, now_us
from lake.gather import Gathering, read_hour_rows
from lake.merge import merge_rows, sort_rows
from lake.parquet import Duplicates, HourShare, LakeWriter, Metadata, add_duplicates
from lake.parts import by_hour
from lake.paths import Home, Hour, SealedName
from lake.registry import Dataset, dataset
from lake.visible import HourFiles, VisibleFile, day_files, directory_files, hour_files

Wait = Callable[[float], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class CompactionResult:
    """What an hour or day holds now, and whether this call wrote it. Sizes and counts are those of the whole sealed file."""

    dataset: str
    path: Path
    rows: int
    bytes: int
    duplicates: Duplicates
    """Rows merged away since the first part, by exchange and symbol."""
    inputs: tuple[str, ...]
    watermark: int
    first_time: datetime | None
    last_time: datetime | None
    written: bool
    problems: tuple[str, ...] = ()
    """A sentence for each part that could not be read; it is tried again by the next compaction."""


@dataclass(slots=True)
class _Inputs:
    """Files to merge, and what of them counts toward the result."""

    sealed: list[VisibleFile]
    parts: list[VisibleFile]
    shares: dict[int, HourShare] = field(default_factory=dict)
    """What the sealed files hold already, by hour of day."""
    problems: list[str] = field(default_factory=list)

    @property
    def paths(self) -> list[Path]:
        return [file.path for file in (*self.sealed, *self.parts)]


@contextmanager
def hour_lock(home: Home, dataset_name: str, hour: Hour) -> Iterator[None]:
    """Exclude other writers of sealed files of this hour, and of its day."""
    with (
        files.locked(_day_lock(home, dataset_name, hour.date), shared=True),
        files.locked(home.locks / dataset_name / f"hour-{hour.moment:%H}"),
    ):
        yield


@contextmanager
def day_lock(home: Home, dataset_name: str, day: date) -> Iterator[None]:
    """Exclude other writers of sealed files of this day and all its hours."""
    with files.locked(_day_lock(home, dataset_name, day)):
        yield


def _day_lock(home: Home, dataset_name: str, day: date) -> Path:
    # By day of the month: a bounded number of lock files, for they can never be removed safely.
    return home.locks / dataset_name / f"day-{day:%d}"


def compact_hour(
    home: Home, dataset_name: str, hour: Hour, *, visible_after: float, clock: Clock = time.time, wait: Wait = time.sleep
) -> CompactionResult:
    """Make one sorted, unique file of all parts of an hour that have appeared; of an hour without parts, an empty one.

    Where the hour's day is one file already, that file is made anew and the result speaks of the hour's rows in it. Raises
    `CompactionError` when the former hour file cannot be read; an unreadable part only becomes a problem in the result.
    """
    spec = dataset(dataset_name)
    with hour_lock(home, dataset_name, hour):
        present = hour_files(home, dataset_name, hour)
        if not present.days:
            return _compact_hour(home, spec, hour, present, visible_after=visible_after, clock=clock)
    day = compact_day(home, dataset_name, hour.date, visible_after=visible_after, clock=clock, wait=wait)
    return _hour_of_day(spec, day, hour)


def _compact_hour(home: Home, spec: Dataset, hour: Hour, present: HourFiles, *, visible_after: float, clock: Clock) -> CompactionResult:
    now = now_us(clock)
    old = present.hours[-1] if present.hours else None
    inputs = _Inputs([old] if old else [], [])
    number = hour.moment.hour
    if old:
        metadata = parquet.read_metadata(old.path)
        inputs.shares[number] = HourShare(inputs=metadata.inputs, watermark=old.watermark, duplicates=metadata.duplicates)
    inputs.parts = _new_parts(present, now, frozenset(inputs.shares[number].inputs) if old else frozenset())
    if old and not inputs.parts:
        return _describe(spec, old, written=False)
    watermark = max([old.watermark if old else 0, *(part.visible_from for part in inputs.parts)])

    def finish(shares: dict[int, HourShare]) -> Metadata:
        share = shares.get(number, HourShare(inputs=(), watermark=0))
        return Metadata(dataset=spec.name, inputs=share.inputs, duplicates=share.duplicates)

    directory = home.hour_dir(spec.name, hour)
    staged = files.stage(directory, partial(_sealed, "hour", watermark), partial(_merge, spec, inputs, finish))
    if old and not inputs.parts and watermark == old.watermark:
        files.remove(staged.path)
        return _describe(spec, old, written=False, problems=inputs.problems)
    floor = max([watermark, *(file.visible_from for file in present.hours)])
    _, (path,) = files.appear([staged], visible_after=visible_after, clock=clock, floor=floor)
    return _describe(spec, _at(path, hour), written=True, problems=inputs.problems)


def compact_day(
    home: Home, dataset_name: str, day: date, *, visible_after: float, clock: Clock = time.time, wait: Wait = time.sleep
) -> CompactionResult:
    """Make one file of all hours and parts of a day that have appeared; rows are merged within their hour.

    Waits for an hour file that has not reached its instant. Raises `CompactionError` when a sealed file cannot be read.
    """
    spec = dataset(dataset_name)
    with day_lock(home, dataset_name, day):
        while pending := _pending(home, spec, day, now_us(clock)):
            # The instant may have passed while the directories were listed.
            wait(max(0, pending - now_us(clock)) / 1_000_000 + 0.001)
        return _compact_day(home, spec, day, visible_after=visible_after, clock=clock)


def _pending(home: Home, spec: Dataset, day: date, now: int) -> int:
    """The latest instant of an hour file of the day that still lies ahead, or 0."""
    instants = [file.visible_from for hour in Hour.of_day(day) for file in hour_files(home, spec.name, hour).hours]
    return max((instant for instant in instants if instant > now), default=0)


def _compact_day(home: Home, spec: Dataset, day: date, *, visible_after: float, clock: Clock) -> CompactionResult:
    now = now_us(clock)
    days = day_files(home, spec.name, day)
    old = days[-1] if days else None
    inputs = _Inputs([old] if old else [], [], dict(parquet.read_metadata(old.path).hours) if old else {})
    for hour in Hour.of_day(day):
        present = hour_files(home, spec.name, hour)
        if not old and present.hours:
            latest = present.hours[-1]
            metadata = parquet.read_metadata(latest.path)
            inputs.sealed.append(latest)
            inputs.shares[hour.moment.hour] = HourShare(inputs=metadata.inputs, watermark=latest.watermark, duplicates=metadata.duplicates)
        held = inputs.shares.get(hour.moment.hour)
        inputs.parts += _new_parts(present, now, frozenset(held.inputs) if held else frozenset())
    if old and not inputs.parts:
        return _describe(spec, old, written=False)
    watermark = max(
        [old.watermark if old else 0, *(file.visible_from for file in inputs.sealed if file.kind == "hour")]
        + [part.visible_from for part in inputs.parts]
    )

    def finish(shares: dict[int, HourShare]) -> Metadata:
        return day_metadata(spec, shares)

    directory = home.day_dir(spec.name, day)
    staged = files.stage(directory, partial(_sealed, "day", watermark), partial(_merge, spec, inputs, finish))
    if old and not inputs.parts and watermark == old.watermark:
        files.remove(staged.path)
        return _describe(spec, old, written=False, problems=inputs.problems)
    floor = max([watermark, *(file.visible_from for file in days)])
    _, (path,) = files.appear([staged], visible_after=visible_after, clock=clock, floor=floor)
    return _describe(spec, _at(path, None), written=True, problems=inputs.problems)


def day_metadata(spec: Dataset, shares: dict[int, HourShare]) -> Metadata:
    """Footer metadata of a day file from what its hours hold."""
    return Metadata(
        dataset=spec.name,
        inputs=tuple(sorted({each for share in shares.values() for each in share.inputs})),
        duplicates=add_duplicates(*(share.duplicates for share in shares.values())),
        hours=dict(sorted(shares.items())),
    )


def _new_parts(present: HourFiles, now: int, held: frozenset[str]) -> list[VisibleFile]:
    """Parts that have appeared and are in no sealed file yet, in order of their segments: the order ties are kept in."""
    return sorted((part for part in present.parts if part.visible_from <= now and part.id not in held), key=lambda part: part.id)


def _sealed(kind: str, watermark: int, instant: int) -> str:
    return str(SealedName(kind, instant, watermark))


def _merge(spec: Dataset, inputs: _Inputs, finish: Callable[[dict[int, HourShare]], Metadata], path: Path) -> None:
    """Write the merged rows of `inputs`; parts that cannot be read are taken out of them and become problems."""
    while True:
        try:
            shares = _shares(inputs)
            with LakeWriter(spec, path, level=parquet.SEALED_LEVEL) as writer:
                for hour, duplicates in _write_rows(spec, inputs, writer).items():
                    share = shares.get(hour, HourShare(inputs=(), watermark=0))
                    shares[hour] = HourShare(
                        inputs=share.inputs, watermark=share.watermark, duplicates=add_duplicates(share.duplicates, duplicates)
                    )
                writer.finish(finish(shares))
        except UnreadableFile as error:
            broken = [part for part in inputs.parts if part.path == error.path]
            if not broken:
                raise
            inputs.parts = [part for part in inputs.parts if part.path != error.path]
            inputs.problems.append(str(error))
            continue
        files.sync(path)
        return


def _shares(inputs: _Inputs) -> dict[int, HourShare]:
    """By hour of day: what the sealed files held, with the new parts."""
    shares = dict(inputs.shares)
    for part in inputs.parts:
        assert part.hour is not None
        number = part.hour.moment.hour
        share = shares.get(number, HourShare(inputs=(), watermark=0))
        shares[number] = HourShare(
            inputs=tuple(sorted({*share.inputs, part.id})),
            watermark=max(share.watermark, part.visible_from),
            duplicates=add_duplicates(share.duplicates, parquet.read_metadata(part.path).duplicates),
        )
    return shares


def _write_rows(spec: Dataset, inputs: _Inputs, writer: LakeWriter) -> dict[int, Duplicates]:
    """Merge and write all rows; returns the rows merged away by hour of day."""
    touched = {part.hour for part in inputs.parts}
    counted: dict[int, Duplicates] = {}
    for _, tables in Gathering(spec, inputs.paths).tables():
        table = pa.concat_tables(tables).combine_chunks()
        tables.clear()  # the rows are in `table` now; held twice they would double the memory of a busy hour
        if spec.merge == "none" or not touched:
            writer.write(sort_rows(spec, table))
            continue
        merged = []
        for hour, rows in by_hour(spec, table):
            if hour not in touched:
                merged.append(rows)
                continue
            kept, duplicates = merge_rows(spec, rows)
            merged.append(kept)
            counted[hour.moment.hour] = add_duplicates(counted.get(hour.moment.hour, {}), duplicates)
        writer.write(sort_rows(spec, pa.concat_tables(merged).combine_chunks()))
    return counted


def _at(path: Path, hour: Hour | None) -> VisibleFile:
    return next(file for file in directory_files(path.parent) if file.path == path and file.hour == hour)


def _describe(spec: Dataset, file: VisibleFile, *, written: bool, problems: list[str] | None = None) -> CompactionResult:
    """The result that speaks of a sealed file as it lies there."""
    metadata = parquet.read_metadata(file.path)
    footer = pq.read_metadata(file.path)
    first, last = time_range(spec, footer)
    return CompactionResult(
        dataset=spec.name,
        path=file.path,
        rows=footer.num_rows,
        bytes=file.path.stat().st_size,
        duplicates=metadata.duplicates,
        inputs=metadata.inputs,
        watermark=file.watermark,
        first_time=first,
        last_time=last,
        written=written,
        problems=tuple(problems or ()),
    )


def time_range(spec: Dataset, footer: pq.FileMetaData) -> tuple[datetime | None, datetime | None]:
    """First and last time of a file's rows, from its footer; None for a file without rows."""
    position = spec.schema.names.index(spec.time_column)
    assert not any(pa.types.is_nested(field.type) for field in list(spec.schema)[:position])
    bounds = [footer.row_group(number).column(position).statistics for number in range(footer.num_row_groups)]
    return min((each.min for each in bounds), default=None), max((each.max for each in bounds), default=None)


def _hour_of_day(spec: Dataset, day: CompactionResult, hour: Hour) -> CompactionResult:
    """The result for one hour of a day file."""
    share = parquet.read_metadata(day.path).hours.get(hour.moment.hour, HourShare(inputs=(), watermark=0))
    times = read_hour_rows(spec, day.path, hour, columns=[spec.time_column])[spec.time_column]
    bounds = pc.min_max(times)
    return replace(
        day,
        rows=len(times),
        duplicates=share.duplicates,
        inputs=share.inputs,
        watermark=share.watermark,
        first_time=bounds["min"].as_py(),
        last_time=bounds["max"].as_py(),
    )
