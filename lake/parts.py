"""From a closed log segment to parts: one small Parquet file for each hour its rows touch.

Put here: sealing. Keep out: compaction, and when to roll (`lake.landing`).

A part is a pure function of its segment, so a seal that died half-way is simply done again: hours that have the part already, or
a sealed file that holds it, are passed over.
"""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa

from lake import files
from lake.errors import UnreadableFile
from lake.files import Clock, Staged
from lake.merge import merge_rows, sort_rows
from lake.parquet import Metadata, write_parquet
from lake.paths import HOUR_US, Home, Hour, PartName
from lake.registry import Dataset, dataset
from lake.visible import VisibleFile, covers, hour_files, hour_numbers
from lake.wal import Segment, read_segment

__all__ = ["part_table", "seal_segment", "write_parquet"]


def seal_segment(home: Home, segment: Segment, *, visible_after: float, clock: Clock = time.time) -> list[Path]:
    """Write the parts of a closed segment, all with one instant `visible_after` seconds ahead, then its marker; returns new parts.

    Safe to repeat after a death anywhere. Raises `WalError` for a segment with foreign columns.
    """
    if segment.marker.exists():
        return []
    spec = dataset(segment.dataset)
    table = read_segment(segment.path)
    staged: list[Staged] = []
    floor = 0
    existing: list[VisibleFile] = []
    for hour, rows in by_hour(spec, table):
        present = hour_files(home, spec.name, hour)
        sealed = [*present.hours, *present.days]
        floor = max([floor, *(file.watermark for file in sealed)])
        name = partial(_name, segment)
        mine = [part for part in present.parts if part.id == segment.id]
        held = any(_holds(file, hour, segment) for file in sealed)
        if mine and not held and any(mine[-1].visible_from <= file.watermark for file in sealed):
            # It appeared after its instant, its writer died before it could move it on, and a compaction passed it by meanwhile.
            staged.append(Staged(mine[-1].path, name))
        elif mine:
            existing += mine
        elif not held:
            merged, metadata = part_table(spec, rows)
            directory = home.hour_dir(spec.name, hour)
            staged.append(files.stage(directory, name, partial(_write, spec, merged, metadata)))
    instant = max((part.visible_from for part in existing), default=0)
    paths: list[Path] = []
    if staged:
        new, paths = files.appear(staged, visible_after=visible_after, clock=clock, floor=floor)
        instant = max(instant, new)
    files.write_small(segment.marker, str(instant))
    return paths


def _holds(sealed: VisibleFile, hour: Hour, segment: Segment) -> bool:
    """Whether a sealed file has the rows of the segment; one that cannot be read has nobody's, and must not stop the landing."""
    try:
        return segment.id in covers(sealed, hour)[0]
    except UnreadableFile:
        return False


def _name(segment: Segment, instant: int) -> str:
    return str(PartName(instant, segment.collector, segment.number))


def _write(spec: Dataset, table: pa.Table, metadata: Metadata, path: Path) -> None:
    write_parquet(spec, table, path, metadata)
    files.sync(path)


def by_hour(spec: Dataset, table: pa.Table) -> list[tuple[Hour, pa.Table]]:
    """The rows of each hour of the dataset's time column, by hour, in their order."""
    if table.num_rows == 0:
        return []
    hours = hour_numbers(table, spec.time_column)
    numbers = np.unique(hours)
    if len(numbers) == 1:
        return [(Hour(int(numbers[0]) * HOUR_US), table)]
    return [(Hour(int(number) * HOUR_US), table.filter(pa.array(hours == number))) for number in numbers]


def part_table(spec: Dataset, rows: pa.Table) -> tuple[pa.Table, Metadata]:
    """Rows of one hour as they lie in a part: sorted, and without repeats where the first of a key counts."""
    rows = rows.combine_chunks()
    if spec.merge == "first":
        merged, duplicates = merge_rows(spec, rows)
        return merged, Metadata(dataset=spec.name, duplicates=duplicates)
    return sort_rows(spec, rows), Metadata(dataset=spec.name)
