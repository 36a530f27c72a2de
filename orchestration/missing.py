"""Which partitions of an asset are missing from the lake, or older than what they are made from: read from file names, no Dagster.

Put here: what a back-fill still has to do. Keep out: doing it (`orchestration.run`), and which assets follow which (`orchestration.plan`).

The lake says what was made, not Dagster's records: those of a run that was killed stop at its last whole asset.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from lake import parquet
from lake.derived import period_file
from lake.paths import HOUR_US, Home, Hour
from lake.periods import Period
from lake.registry import DATASETS, Span
from lake.visible import VisibleFile, visible_files

ANY_TIME: Final = 1 << 52
"""An instant after every file's, so that what was just written counts as made."""


def starts(span: Span, start: int, end: int) -> Iterator[int]:
    """Starts of the partitions of a span that touch [start, end), microseconds, in order."""
    if span == "hour":
        yield from range(start - start % HOUR_US, end, HOUR_US)
        return
    period = Period.of(start, span)
    while period.start < end:
        yield period.start
        period = period.following


def end_of(span: Span, start: int) -> int:
    """End of the partition of a span that begins at `start`."""
    return start + HOUR_US if span == "hour" else Period.of(start, span).end


@dataclass(slots=True)
class Made:
    """What the files of one dataset say: when each partition was made, and the newest input in it; by start, microseconds."""

    made: dict[int, int] = field(default_factory=dict)
    marks: dict[int, int] = field(default_factory=dict)
    loose: set[int] = field(default_factory=set)
    """Hours with a part that no sealed file covers."""


def look(home: Home, name: str, start: int, end: int) -> Made:
    """What stands of the dataset `name` in the partitions that touch [start, end). Opens the footers of settled days alone."""
    span = DATASETS[name].span
    found = Made()
    if span != "hour":
        for each in starts(span, start, end):
            file = period_file(home, name, Period.of(each, span), at_us=ANY_TIME)
            if file is not None:
                found.made[each], found.marks[each] = file.visible_from, file.watermark
        return found
    first = start - start % HOUR_US
    for file in visible_files(home, name, at_us=ANY_TIME, hours=(Hour(first), Hour(end))):
        for hour, mark in _hours_in(file):
            if not first <= hour < end:
                continue
            found.marks[hour] = max(found.marks.get(hour, 0), mark)
            if file.kind == "part":
                found.loose.add(hour)
            else:
                found.made[hour] = max(found.made.get(hour, 0), file.visible_from)
    return found


def _hours_in(file: VisibleFile) -> Iterable[tuple[int, int]]:
    """The hours a file holds, each with the greatest instant among its inputs."""
    if file.kind == "part":
        return [] if file.hour is None else [(file.hour.start, file.visible_from)]
    if file.hour is not None:
        return [(file.hour.start, file.watermark)]
    first = Hour.of_day(file.day)[0].start
    return [(first + number * HOUR_US, share.watermark) for number, share in parquet.read_metadata(file.path).hours.items()]


def missing(
    name: str, looked: Mapping[str, Made], deps: Iterable[str], *, start: int, end: int, remade: Mapping[str, set[int]]
) -> set[int]:
    """Starts of the partitions of `name` touching [start, end) that were never made, or before something they are made from.

    `looked` holds `look` of it and of its `deps`; `remade` those partitions of deps that are about to be made themselves.
    """
    span, mine = DATASETS[name].span, looked[name]
    lacking = {each for each in starts(span, start, end) if each not in mine.made or each in mine.loose}
    for dep in deps:
        theirs, shorter = looked[dep], DATASETS[dep].span
        renewed = remade.get(dep, set()) | {each for each, mark in theirs.marks.items() if mark > mine.made.get(_start(span, each), 0)}
        lacking |= {_start(span, each) for each in renewed if start < end_of(shorter, each) and each < end}
    return lacking


def _start(span: Span, instant: int) -> int:
    return instant - instant % HOUR_US if span == "hour" else Period.of(instant, span).start
