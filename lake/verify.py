"""Verification: a walk through the whole lake that opens every file and says, one sentence each, what is wrong.

Put here: what must hold between files, names, footers and rows. Keep out: repairing any of it.

Order and hours are checked in every file; uniqueness and counts in what counts now, hour by hour.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lake import layout
from lake.derived import read_hour
from lake.errors import LakeFormatError, SchemaMismatch, UnreadableFile, WalError
from lake.files import Clock, now_us
from lake.gather import Gathering
from lake.merge import is_sorted, repeated_keys
from lake.parquet import Metadata, check_schema
from lake.paths import HOUR_US, Home, Hour, hour_of_directory
from lake.periods import Period
from lake.registry import DATASETS, Dataset, Span
from lake.visible import VisibleFile, by_instant, covers, directory_files, hour_files, hour_numbers, visible_files
from lake.wal import list_segments, read_segment

DERIVED_FROM_TRADES: Final = "candles_"

Progress = Callable[[Path], None]


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong with one file, as a sentence that names it."""

    path: Path
    sentence: str

    def __str__(self) -> str:
        return self.sentence


@dataclass(slots=True)
class Report:
    """What a verification saw: files opened, rows in them, log segments read, and what was wrong."""

    files: int = 0
    rows: int = 0
    segments: int = 0
    problems: list[Problem] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.problems

    def add(self, path: Path, what: str) -> None:
        """Note a problem; `what` continues a sentence that begins with the path."""
        self.problems.append(Problem(path, f"{path} {what}"))


def verify(home: Home, *, progress: Progress | None = None, clock: Clock = time.time) -> Report:
    """Open every file of the lake and every log segment and report what does not hold. Reads only; `progress` hears of each path."""
    report = Report()
    try:
        layout.check_format(home)
    except LakeFormatError as error:
        report.add(home.format_file, f"cannot be used: {error}")
        return report
    at = now_us(clock)
    for spec in DATASETS.values():
        broken: set[Path] = set()
        for file in _every_file(home, spec):
            if progress:
                progress(file.path)
            if not _check_file(spec, file, report):
                broken.add(file.path)
        _check_names(home, spec, at, broken, report)
        _check_unique(home, spec, at, broken, report)
    _check_coverage(home, at, report)
    _check_candles(home, at, report)
    for segment in list_segments(home):
        if progress:
            progress(segment.path)
        report.segments += 1
        try:
            read_segment(segment.path)
        except WalError as error:
            report.add(segment.path, f"cannot be read: {error}")
    return report


def _every_file(home: Home, spec: Dataset) -> Iterator[VisibleFile]:
    for root, depth in ((home.lake / spec.name, 2), (home.days / spec.name, 1)):
        for directory in sorted(root.glob("/".join("*" * depth))):
            yield from directory_files(directory)


def _check_file(spec: Dataset, file: VisibleFile, report: Report) -> bool:
    """Schema, metadata, order and hours of one file; False where it cannot be read."""
    report.files += 1
    try:
        with pq.ParquetFile(file.path, page_checksum_verification=True) as opened:
            check_schema(spec, opened.schema_arrow.remove_metadata())
            metadata = Metadata.decode(opened.metadata.metadata)
            sound = _check_rows(spec, file, opened, report)
    except SchemaMismatch as error:
        report.add(file.path, f"has another schema: {error}")
        return False
    except (OSError, pa.ArrowException, ValueError) as error:
        report.add(file.path, f"cannot be read: {' '.join(str(error).split())}")
        return False
    if metadata.dataset != spec.name:
        report.add(file.path, f"says it holds {metadata.dataset!r}, expected {spec.name!r}")
    return sound


def _check_rows(spec: Dataset, file: VisibleFile, opened: pq.ParquetFile, report: Report) -> bool:
    last: pa.Table | None = None
    names = list(dict.fromkeys([*spec.sort_key, spec.time_column]))
    ordered = within = True
    for number in range(opened.num_row_groups):
        table = opened.read_row_group(number)
        report.rows += table.num_rows
        keys = table.select(names)
        joined = keys if last is None else pa.concat_tables([last, keys])
        ordered = ordered and is_sorted(spec, joined.combine_chunks())
        last = keys.slice(keys.num_rows - 1)
        hours = hour_numbers(table, spec.time_column)
        within = within and bool(np.isin(hours, hours_of(spec, file)).all())
    if not ordered:
        report.add(file.path, f"is not sorted by {', '.join(spec.sort_key)}")
    if not within:
        report.add(file.path, f"has rows whose {spec.time_column} lies outside its {span_of(spec, file)}")
    return True


def span_of(spec: Dataset, file: VisibleFile) -> Span:
    """What a file of a dataset holds: an hour, a day, or a month."""
    if file.hour is not None:
        return "hour"
    return "month" if spec.span == "month" else "day"


def hours_of(spec: Dataset, file: VisibleFile) -> list[int]:
    """The hours a file may hold, in hours since 1970."""
    if file.hour is not None:
        return [file.hour.start // HOUR_US]
    span = span_of(spec, file)
    return [hour.start // HOUR_US for hour in Period(file.day.replace(day=1) if span == "month" else file.day, span).hours()]


def _check_names(home: Home, spec: Dataset, at: int, broken: set[Path], report: Report) -> None:
    """Parts that appeared behind a watermark unseen, and sealed files that contradict one another."""
    for directory in sorted((home.lake / spec.name).glob("*/*")):
        hour = hour_of_directory(directory)
        if hour is None:
            continue
        present = hour_files(home, spec.name, hour)
        sealed = [file for file in (*present.hours, *present.days) if file.path not in broken and file.visible_from <= at]
        ids = [part.id for part in present.parts]
        for part in present.parts:
            if ids.count(part.id) > 1:
                report.add(part.path, f"is one of {ids.count(part.id)} parts of segment {part.id} in this hour, expected one")
            if part.path in broken or not 0 < part.visible_from <= at:
                continue
            passed = [file for file in sealed if part.visible_from <= file.watermark]
            if passed and not any(part.id in covers(file, hour)[0] for file in passed):
                report.add(part.path, f"lies behind the watermark of {passed[-1].path.name} without being in it: compact its hour")
        newest = max((file for file in present.days if file.visible_from <= at), key=by_instant, default=None)
        for file in present.hours:
            if newest and newest.watermark < file.visible_from <= at and file.visible_from > 0:
                report.add(file.path, f"counts beside the day file {newest.path.name} that should hold its hour")
        for file in (*present.hours, *present.days):
            if file.watermark > file.visible_from:
                report.add(file.path, f"has a watermark {file.watermark} after its own instant {file.visible_from}")


def _check_unique(home: Home, spec: Dataset, at: int, broken: set[Path], report: Report) -> None:
    """No key twice in what counts of an hour. Parts may repeat a key (merged when read); sealed files may not."""
    if not spec.unique_key:
        return
    for file in visible_files(home, spec.name, at_us=at):
        if file.kind == "part" or file.path in broken:
            continue
        for stretch, tables in Gathering(spec, [file.path]).tables():
            for number, rows in _rows_by_hour(spec, tables):
                if repeated := repeated_keys(spec, rows):
                    report.add(
                        file.path,
                        f"has {repeated} rows that repeat {', '.join(spec.unique_key)} in hour {number % 24:02d} ({stretch.low[0]})",
                    )


def _rows_by_hour(spec: Dataset, tables: list[pa.Table]) -> Iterator[tuple[int, pa.Table]]:
    table = pa.concat_tables(tables).combine_chunks()
    hours = hour_numbers(table, spec.time_column)
    for number in np.unique(hours):
        yield int(number), table.filter(pa.array(hours == number))


def _check_coverage(home: Home, at: int, report: Report) -> None:
    """Rows counted in coverage are the rows there are, where coverage saw all that is there now."""
    for file in visible_files(home, "coverage", at_us=at):
        for hour in [file.hour] if file.hour else Hour.of_day(file.day):
            try:
                _compare_coverage(home, hour, at, file.path, report)
            except UnreadableFile:
                continue  # reported where it lies


def _compare_coverage(home: Home, hour: Hour, at: int, path: Path, report: Report) -> None:
    counted, watermark = read_hour(home, "coverage", hour, at_us=at)
    for name in pc.unique(counted["dataset"]).to_pylist():
        if name not in DATASETS or "symbol" not in DATASETS[name].schema.names:
            continue
        rows, mark = read_hour(home, name, hour, at_us=at, columns=["exchange", "symbol"])
        if mark > watermark:
            continue  # rows came after coverage was taken: stale, and made anew by its asset
        held = {
            (row["exchange"], row["symbol"]): row["count_all"]
            for row in rows.group_by(["exchange", "symbol"]).aggregate([([], "count_all")]).to_pylist()
        }
        said = {
            (row["exchange"], row["symbol"]): row["rows"]
            for row in counted.filter(pc.field("dataset") == name).select(["exchange", "symbol", "rows"]).to_pylist()
        }
        for key in sorted({*held, *said}):
            if held.get(key, 0) != said.get(key, 0):
                report.add(
                    path,
                    f"counts {said.get(key, 0)} rows of {name} for {key[0]} {key[1]} in {hour.moment:%Y-%m-%d %H}:00, "
                    f"expected the {held.get(key, 0)} there are",
                )


def _check_candles(home: Home, at: int, report: Report) -> None:
    """A candle file's watermark never lies beyond the trades there are."""
    for name in DATASETS:
        if not name.startswith(DERIVED_FROM_TRADES):
            continue
        for file in visible_files(home, name, at_us=at):
            if file.hour is None:
                continue
            trades = hour_files(home, "trades", file.hour).at(at)
            try:
                reach = max((each.visible_from if each.kind == "part" else covers(each, file.hour)[1] for each in trades), default=0)
            except UnreadableFile:
                continue  # reported where it lies
            if file.watermark > reach:
                report.add(file.path, f"has watermark {file.watermark}, expected at most {reach}, the newest input of its trades")
