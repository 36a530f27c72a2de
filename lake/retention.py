"""Retention: partitions older than a dataset's setting are removed, whole files only; nothing has one unless tickhouse.toml says so.

Put here: reading `[retention]`, which files it lets go, and letting them go. Keep out: superseded files (`lake.cleanup`).

A file goes when everything it holds is older than the setting: an hour by its end, a settled day or a month by its own. As with superseded
files, views leave it out first and it is removed by a later call, so that no query meets one as it goes.
"""

from __future__ import annotations

import re
import time
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from lake import condemned, files
from lake.catalog import condemn
from lake.errors import RetentionError
from lake.files import Clock, now_us
from lake.paths import DAY_US, Home
from lake.periods import Period
from lake.registry import DATASETS
from lake.sweep import LINGER_SECONDS
from lake.visible import VisibleFile, directory_files

_DAYS: Final = re.compile(r"(?P<days>[1-9]\d{0,5})d")


@dataclass(slots=True)
class Expired:
    """What is older than its setting: `files` by dataset, of which `removed` are gone and the others go with a later call."""

    files: dict[str, list[Path]] = field(default_factory=dict)
    removed: list[Path] = field(default_factory=list)
    bytes: int = 0


def retention_days(path: Path) -> dict[str, int]:
    """Days by dataset from `[retention]` of the file at `path` (trades = "90d"); nothing where there is none. Raises `RetentionError`."""
    if not path.exists():
        return {}
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8")).get("retention", {})
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise RetentionError(f"configuration {path} cannot be read: {error}") from error
    if not isinstance(table, dict):
        raise RetentionError(f"retention in {path} is {table!r}, expected a table")
    return {name: _days(path, name, value) for name, value in table.items()}


def _days(path: Path, name: str, value: object) -> int:
    if name not in DATASETS:
        raise RetentionError(f"dataset {name!r} in retention of {path} is unknown, expected one of {', '.join(DATASETS)}")
    found = _DAYS.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise RetentionError(f'retention.{name} in {path} is {value!r}, allowed is a number of days, as "90d"')
    return int(found["days"])


def expired(home: Home, days: Mapping[str, int], *, clock: Clock = time.time) -> Expired:
    """The files whose every row is older than the days of their dataset; removes nothing."""
    found = Expired()
    for name, count in days.items():
        before = now_us(clock) - count * DAY_US
        directories = [
            home.lake / name / day / hour for day in files.names(home.lake / name) for hour in files.names(home.lake / name / day)
        ]
        directories += [home.days / name / day for day in files.names(home.days / name)]
        gone = [file.path for each in directories for file in directory_files(each) if file.visible_from and _end(name, file) <= before]
        if gone:
            found.files[name] = sorted(gone)
            found.bytes += sum(path.stat().st_size for path in gone)
    return found


def expire(home: Home, days: Mapping[str, int], *, linger: float = LINGER_SECONDS, clock: Clock = time.time) -> Expired:
    """Remove what `expired` names and views have left out since `linger` seconds; have them leave out the rest. Raises `CatalogError`."""
    found = expired(home, days, clock=clock)
    every = [path for paths in found.files.values() for path in paths]
    leave = condemned.read(home)
    if leave and clock() - home.condemned.stat().st_mtime >= linger:
        free = {path for path in every if (tier := leave.get(condemned.tier_of(home, path))) and tier.covers(path)}
        # Parts, then hours, then days: what a sealed file supersedes would count again without it.
        for path in sorted(free, key=lambda one: ("part", "hour", "day").index(condemned.tier_of(home, one)[1])):
            if _is_last(home, path):
                files.remove(path)
                files.remove_if_empty(path.parent)
                files.remove_if_empty(path.parent.parent)
                found.removed.append(path)
    waiting = sorted(set(every) - set(found.removed))
    if waiting:
        condemn(home, waiting)
    return found


def _is_last(home: Home, path: Path) -> bool:
    """Whether nothing is left on disk that this file supersedes, other files of its own tier aside."""
    name, kind = condemned.tier_of(home, path)
    if kind == "part":
        return True
    if kind == "hour":
        return not any(path.parent.glob("part-*"))
    return not any((home.lake / name / path.parent.name).glob("*/*.parquet"))


def _end(name: str, file: VisibleFile) -> int:
    if file.hour is not None:
        return file.hour.end
    span = DATASETS[name].span
    return Period(file.day, "month" if span == "month" else "day").end
