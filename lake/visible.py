"""Which files and log rows count at an instant: the rule of visibility, in Python.

Put here: what a reader may see, and what compaction, verification and the sensor conclude from names. Keep out: writing.

A file counts from the instant in its name. An hour file supersedes parts of its directory up to its watermark and earlier hour
files; a day file supersedes parts and hour files of its day up to its watermark, and earlier day files. Superseding starts when the
superseding file counts, so at every instant each event is in exactly one file that counts, or in the log.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa

from lake import files, parquet
from lake.paths import HOUR_US, Home, Hour, PartName, SealedName, day_of_directory, hour_of_directory, parse_name
from lake.periods import Period
from lake.registry import dataset as registered
from lake.wal import Segment, list_segments, read_segment

Kind = Literal["part", "hour", "day"]


@dataclass(frozen=True, slots=True, kw_only=True)
class VisibleFile:
    """One file of the lake: where, of which hour (None for a day file), from when, and up to which inputs (0 for a part)."""

    path: Path
    kind: Kind
    day: date
    hour: Hour | None
    visible_from: int
    watermark: int
    id: str = ""
    """`<collector>-<segment>` of a part."""


@dataclass(frozen=True, slots=True)
class HourFiles:
    """Every file on disk that concerns one hour, superseded or not, each list by instant."""

    parts: tuple[VisibleFile, ...]
    hours: tuple[VisibleFile, ...]
    days: tuple[VisibleFile, ...]

    def at(self, at_us: int) -> list[VisibleFile]:
        """Those that count at `at_us`: at most one sealed file, and the parts beyond it."""
        day = _latest(self.days, at_us)
        below = day.watermark if day else -1
        hour = next((file for file in [_latest(self.hours, at_us)] if file and file.visible_from > below), None)
        if hour:
            below = max(below, hour.watermark)
        sealed = [file for file in (day, hour) if file]
        return sealed + [part for part in self.parts if below < part.visible_from <= at_us]


def by_instant(file: VisibleFile) -> tuple[int, int]:
    """Key that puts the newest sealed file last."""
    return file.visible_from, file.watermark


def _latest(candidates: Iterable[VisibleFile], at_us: int) -> VisibleFile | None:
    return max((file for file in candidates if file.visible_from <= at_us), key=by_instant, default=None)


def directory_files(directory: Path) -> list[VisibleFile]:
    """The lake files in one directory, by name; other files are left out."""
    day = day_of_directory(directory)
    hour = hour_of_directory(directory)
    found = []
    for text in files.names(directory):
        name = parse_name(text)
        if name is None or day is None:
            continue
        if isinstance(name, PartName) and hour is not None:
            found.append(
                VisibleFile(path=directory / text, kind="part", day=day, hour=hour, visible_from=name.visible_from, watermark=0, id=name.id)
            )
        elif isinstance(name, SealedName) and (name.kind == "hour") == (hour is not None):
            kind: Kind = "hour" if hour is not None else "day"
            found.append(
                VisibleFile(path=directory / text, kind=kind, day=day, hour=hour, visible_from=name.visible_from, watermark=name.watermark)
            )
    return found


def day_files(home: Home, dataset_name: str, day: date) -> tuple[VisibleFile, ...]:
    """Day files of a day, superseded or not, by instant."""
    return tuple(directory_files(home.day_dir(dataset_name, day)))


def hour_files(home: Home, dataset_name: str, hour: Hour) -> HourFiles:
    """Every file that concerns an hour. Lists the hour before the day: a day file never covers what appears after it."""
    listed = directory_files(home.hour_dir(dataset_name, hour))
    return HourFiles(
        tuple(file for file in listed if file.kind == "part"),
        tuple(file for file in listed if file.kind == "hour"),
        day_files(home, dataset_name, hour.date),
    )


def visible_files(home: Home, dataset_name: str, *, at_us: int, hours: tuple[Hour, Hour] | None = None) -> list[VisibleFile]:
    """The files that count at `at_us` (microseconds), by hour, together each event once; `hours` is from (inclusive), to (exclusive).

    A day file is listed once, when any of its hours is asked for. `at_us` must lie within the grace of superseded files.
    """
    registered(dataset_name)
    found: list[VisibleFile] = []
    for day, listed in _by_day(home, dataset_name, hours):
        days = day_files(home, dataset_name, day)
        day_file = _latest(days, at_us)
        if day_file and day_file.visible_from > 0:
            found.append(day_file)
        for each in listed:
            tier = HourFiles(tuple(file for file in each if file.kind == "part"), tuple(file for file in each if file.kind == "hour"), days)
            found += [file for file in tier.at(at_us) if file.kind != "day" and file.visible_from > 0]
    return found


def _by_day(home: Home, dataset_name: str, hours: tuple[Hour, Hour] | None) -> list[tuple[date, list[list[VisibleFile]]]]:
    """Files of each hour directory, grouped by day, in order of time; days that are only day files too."""
    spec = registered(dataset_name)
    root = home.lake / dataset_name
    names = sorted({*files.names(root), *files.names(home.days / dataset_name)})
    grouped = []
    for name in names:
        day = day_of_directory(root / name)
        if day is None:
            continue
        directories = [hour for hour in (hour_of_directory(root / name / each) for each in files.names(root / name)) if hour]
        if hours is not None:
            first, end = hours
            held = Period(day, "month" if spec.span == "month" else "day")
            if not (first.start < held.end and held.start < end.start):
                continue
            directories = [hour for hour in directories if first <= hour < end]
        grouped.append((day, [directory_files(root / hour.directory) for hour in directories]))
    return grouped


def hour_inputs(home: Home, dataset_name: str, hour: Hour, at_us: int) -> list[VisibleFile]:
    """The files that count for one hour at `at_us`: at most one sealed one (hour, or the day it lies in), then parts."""
    return hour_files(home, dataset_name, hour).at(at_us)


def covers(sealed: VisibleFile, hour: Hour) -> tuple[frozenset[str], int]:
    """What a sealed file holds of an hour: ids of the parts in it, and the greatest instant among them. Reads its footer once."""
    metadata = parquet.read_metadata(sealed.path)
    if sealed.kind == "day":
        share = metadata.hours.get(hour.moment.hour)
        return (frozenset(share.inputs), share.watermark) if share else (frozenset(), 0)
    return frozenset(metadata.inputs), sealed.watermark


def hour_watermark(home: Home, dataset_name: str, hour: Hour, at_us: int) -> int | None:
    """The greatest instant among the parts that are in what counts of an hour, sealed or not; None where nothing landed or was sealed.

    It does not change when the same rows are compacted into an hour or a day.
    """
    counted = hour_inputs(home, dataset_name, hour, at_us)
    marks = [file.visible_from if file.kind == "part" else covers(file, hour)[1] for file in counted]
    return max(marks, default=None)


def landed_hours(home: Home, dataset_name: str, *, at_us: int) -> dict[Hour, int]:
    """Every hour of a dataset that counts at `at_us`, with its watermark (see `hour_watermark`)."""
    found: dict[Hour, int] = {}
    for file in visible_files(home, dataset_name, at_us=at_us):
        if file.hour is not None:
            mark = file.visible_from if file.kind == "part" else file.watermark
            found[file.hour] = max(found.get(file.hour, 0), mark)
        else:
            for hour in Hour.of_day(file.day):
                share = parquet.read_metadata(file.path).hours.get(hour.moment.hour)
                if share is not None:
                    found[hour] = max(found.get(hour, 0), share.watermark)
    return dict(sorted(found.items()))


def stale_hours(home: Home, dataset_name: str, derived: str, *, at_us: int) -> list[Hour]:
    """Hours in which `dataset_name` holds parts that the file of `derived` (made from it) does not cover, or that it lacks."""
    made = landed_hours(home, derived, at_us=at_us)
    return [hour for hour, mark in landed_hours(home, dataset_name, at_us=at_us).items() if made.get(hour, -1) < mark]


def counted_ids(home: Home, dataset_name: str, hour: Hour, at_us: int) -> frozenset[str]:
    """Ids of all segments whose rows of an hour are in files that count at `at_us`, as parts or inside sealed files."""
    ids: set[str] = set()
    for file in hour_inputs(home, dataset_name, hour, at_us):
        ids |= {file.id} if file.kind == "part" else covers(file, hour)[0]
    return frozenset(ids)


def wal_rows(home: Home, dataset_name: str, *, at_us: int) -> pa.Table:
    """Rows in the log that no file counts at `at_us`: together with `visible_files(at_us=…)` they are every acknowledged row, once.

    Take `at_us` first, then list files and call this, in any order. Rows appended after `at_us` may be among them.
    """
    spec = registered(dataset_name)
    tables = [uncounted_rows(home, segment, at_us=at_us) for segment in list_segments(home, dataset_name)]
    return pa.concat_tables([spec.schema.empty_table(), *tables])


def uncounted_rows(home: Home, segment: Segment, *, at_us: int) -> pa.Table:
    """The rows of one segment that no file counts at `at_us`."""
    spec = registered(segment.dataset)
    sealed_at = segment.sealed_at()
    if sealed_at is not None and sealed_at <= at_us:
        return spec.schema.empty_table()
    table = read_segment(segment.path)
    if table.num_rows == 0:
        return table
    hours = hour_numbers(table, spec.time_column)
    counted = [
        number for number in np.unique(hours) if segment.id in counted_ids(home, segment.dataset, Hour(int(number) * HOUR_US), at_us)
    ]
    return table.filter(pa.array(~np.isin(hours, counted))) if counted else table


def hour_numbers(table: pa.Table, time_column: str) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """For each row the hour it belongs to, in hours since 1970."""
    times: np.ndarray[tuple[int], np.dtype[np.int64]] = np.asarray(table[time_column].cast(pa.int64()))
    return times // HOUR_US
