"""Which hours have something to report: pure reading of names under the lake, no Dagster.

Put here: what has landed since a cursor, which hours are over, which still wait for compaction. Keep out: reporting it.

A part counts from the instant in its name. Parts of an hour that is still running are not reported: when the hour is over (and the
grace has passed) all its landed datasets are, also those without a part, so that an outage never blocks what needs all of them.
Parts that count later than that re-open their hour. A report may come to nothing (a run that died with its machine, say), so hours that
still hold loose parts a while later are reported once more.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from lake import files
from lake.paths import HOUR_US, Home, Hour, day_of_directory, hour_of_directory
from lake.registry import DATASETS, LANDED
from lake.visible import directory_files, hour_inputs

_APPEARS_BEFORE_US: Final = 600_000_000
"""A part appears in its directory at most this long before the instant it counts from; older directories need not be opened."""

OVERLOOKED_US: Final = 900_000_000
"""After this time a part of a closed hour should have been compacted; if it was not, its hour is reported a second time, and only that."""

_BY_RECEIPT: Final = tuple(name for name in LANDED if DATASETS[name].time_column == "local_timestamp" or name == "ledger")


@dataclass(frozen=True, slots=True)
class Cursor:
    """What has been reported: parts that count up to `seen`, and all hours from `first` up to, not including, `until`.

    Whether a report came to something has been looked at up to `swept`. All in microseconds since 1970; `first` equals `until` when no
    hour has been reported.
    """

    seen: int = 0
    first: int = 0
    until: int = 0
    swept: int = 0

    @classmethod
    def parse(cls, text: str | None) -> "Cursor":
        """The cursor a sensor stored, or one that has seen nothing."""
        return cls(**json.loads(text)) if text else cls()

    def __str__(self) -> str:
        return json.dumps(asdict(self))


@dataclass(frozen=True, slots=True)
class Arrival:
    """Parts of one dataset and hour, zero for one that ended empty; `late` when the hour had been reported, or never ran here."""

    dataset: str
    hour: Hour
    late: bool
    parts: int = 0
    bytes: int = 0
    newest: int = 0


def arrivals(home: Home, cursor: Cursor, *, now: int, grace: int, start: Hour, limit: int) -> tuple[list[Arrival], Cursor]:
    """What to report at `now`, and the cursor to keep once it is reported.

    Args:
        home: the home to look at.
        cursor: what has been reported before.
        now: the instant of this look, microseconds.
        grace: how long after its end an hour counts as over, microseconds.
        start: the first hour that is a partition; earlier ones are left alone.
        limit: most hours reported as over in one look; the others come with the next.

    """
    closing = Hour.of(now - grace).start
    began = _began(home, start=start)
    began_us = closing if began is None else began.start
    first, until = (cursor.first, cursor.until) if cursor.first < cursor.until else (min(began_us, closing),) * 2
    ahead = range(until, closing, HOUR_US)[:limit]
    behind = range(began_us, first, HOUR_US)[::-1][: max(0, limit - len(ahead))]

    found = [_whole(home, name, Hour(hour), now=now) for hour in sorted((*behind, *ahead)) for name in LANDED]
    fresh = _fresh(home, cursor.seen, now=now)
    found += [_whole(home, name, hour, now=now, late=True) for name, hour in fresh if first <= hour.start < until]
    before = sorted({hour for _, hour in fresh if start.start <= hour.start < first} - {Hour(hour) for hour in behind})
    found += [_whole(home, name, hour, now=now, late=True) for hour in before for name in LANDED]
    told = {(arrival.dataset, arrival.hour) for arrival in found}
    swept = now - OVERLOOKED_US
    for name, hour in _overlooked(home, cursor.swept or swept, swept, now=now, span=range(first, until), grace=grace):
        if (name, hour) not in told:
            found.append(_whole(home, name, hour, now=now, late=True))
    return found, Cursor(now, min((first, *behind)), max((until, *(hour + HOUR_US for hour in ahead))), swept)


def uncompacted(home: Home, *, now: int, until: Hour, start: Hour) -> list[tuple[str, Hour]]:
    """Datasets and hours from `start` to before `until` with a part that counts and that no sealed file covers."""
    return sorted(
        (
            (name, hour)
            for name, hour in _hour_directories(home, LANDED)
            if start <= hour < until and any(file.kind == "part" for file in hour_inputs(home, name, hour, now))
        ),
        key=lambda one: (one[1], one[0]),
    )


def _whole(home: Home, name: str, hour: Hour, *, now: int, late: bool = False) -> Arrival:
    """Everything that landed in one hour of a dataset and counts at `now`, whether sealed since or not."""
    parts = [file for file in directory_files(home.hour_dir(name, hour)) if file.kind == "part" and file.visible_from <= now]
    newest = max((file.visible_from for file in parts), default=0)
    return Arrival(name, hour, late=late, parts=len(parts), bytes=sum(_size(file.path) for file in parts), newest=newest)


def _fresh(home: Home, seen: int, *, now: int) -> list[tuple[str, Hour]]:
    """Datasets and hours with a part that counts after `seen` and up to `now`, by hour."""
    found = [
        (name, hour)
        for name, hour in _hour_directories(home, LANDED, changed_since=seen - _APPEARS_BEFORE_US)
        if any(file.kind == "part" and seen < file.visible_from <= now for file in directory_files(home.hour_dir(name, hour)))
    ]
    return sorted(found, key=lambda one: (one[1], one[0]))


def _overlooked(home: Home, after: int, upto: int, *, now: int, span: range, grace: int) -> list[tuple[str, Hour]]:
    """Reported hours that became due in (after, upto] and at `now` still hold a part of then that no sealed file covers.

    An hour is due when it is over, and again when a part counts later than that: each part brings its hour here once.
    """
    closed = {(name, Hour(hour)) for hour in range(Hour.of(after - grace).start, Hour.of(upto - grace).start, HOUR_US) for name in LANDED}
    late = set(_hour_directories(home, LANDED, changed_since=after - _APPEARS_BEFORE_US))
    found = []
    for name, hour in sorted(closed | late, key=lambda one: (one[1], one[0])):
        if hour.start in span and hour.end + grace <= upto:
            loose = [file.visible_from for file in hour_inputs(home, name, hour, now) if file.kind == "part" and file.visible_from <= upto]
            if loose and ((name, hour) in closed or max(loose) > after):
                found.append((name, hour))
    return found


def _began(home: Home, *, start: Hour) -> Hour | None:
    """The first hour at or after `start` in which something was received: from then on, an hour without a part is an outage.

    Datasets that go by the time of receipt say so. A trade may be older than that, where a venue sends some history on subscribing.
    """
    return _earliest(home, _BY_RECEIPT, start=start) or _earliest(home, LANDED, start=start)


def _earliest(home: Home, names: tuple[str, ...], *, start: Hour) -> Hour | None:
    hours = [hour for _, hour in _hour_directories(home, names) if hour >= start]
    days = [day_of_directory(home.days / name / each) for name in names for each in files.names(home.days / name)]
    hours += [hour for day in days if day is not None for hour in Hour.of_day(day)[:1] if hour >= start]
    return min(hours, default=None)


def _hour_directories(home: Home, names: tuple[str, ...], *, changed_since: int = 0) -> Iterator[tuple[str, Hour]]:
    """Datasets and hours with a directory in which a file appeared, by its own time, at or after an instant."""
    for name in names:
        root = home.lake / name
        for day in files.names(root):
            for each in files.names(root / day):
                hour = hour_of_directory(root / day / each)
                if hour is not None and (changed_since <= 0 or _changed(root / day / each) >= changed_since):
                    yield name, hour


def _changed(directory: Path) -> int:
    """When a file last appeared in a directory, microseconds; 0 where it is gone: clean-up removes empty ones at any time."""
    try:
        return directory.stat().st_mtime_ns // 1000
    except FileNotFoundError:
        return 0


def _size(path: Path) -> int:
    """Size of a file, 0 where clean-up has just removed it."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
