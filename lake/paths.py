"""The path layout: the only module that knows how files of a home are called and what their names say.

Put here: names and their parsing. Keep out: reading or writing contents.

A file name carries the instant from which it counts (`visible_from`), so that every reader decides by the name and its own
`now()` alone; hour and day files also carry the watermark of their inputs. All instants are microseconds since 1970, 16 digits, so
that text order is time order.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final

_Date = date  # `Hour.date` hides the class inside Hour

HOUR_US: Final = 3_600_000_000
DAY_US: Final = 24 * HOUR_US

_PART = re.compile(r"part-(?P<v>\d{16})-(?P<collector>[a-z0-9_]+)-(?P<segment>\d{8})\.parquet")
_SEALED = re.compile(r"(?P<kind>hour|day)-(?P<v>\d{16})-(?P<w>\d{16})\.parquet")
_DIRECTORY = re.compile(r"date=(?P<date>\d{4}-\d\d-\d\d)(?:/hour=(?P<hour>\d\d))?$")
COLLECTOR_NAME: Final = re.compile(r"[a-z0-9_]{1,40}")


@dataclass(frozen=True, slots=True, order=True)
class Hour:
    """One hour of UTC, by its start in microseconds since 1970."""

    start: int

    @classmethod
    def of(cls, time_us: int) -> Hour:
        """The hour `time_us` lies in."""
        return cls(time_us - time_us % HOUR_US)

    @classmethod
    def at(cls, moment: datetime) -> Hour:
        """The hour an aware `moment` lies in."""
        return cls.of(int(moment.timestamp()) * 1_000_000)

    @property
    def end(self) -> int:
        """Start of the next hour, microseconds."""
        return self.start + HOUR_US

    @property
    def moment(self) -> datetime:
        """The start as an aware datetime."""
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=self.start)

    @property
    def date(self) -> date:
        """The UTC day the hour lies in."""
        return self.moment.date()

    @property
    def directory(self) -> str:
        """`date=YYYY-MM-DD/hour=HH`."""
        return self.moment.strftime("date=%Y-%m-%d/hour=%H")

    @classmethod
    def of_day(cls, day: _Date) -> list[Hour]:
        """The 24 hours of a UTC day, in order."""
        first = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1_000_000
        return [cls(first + number * HOUR_US) for number in range(24)]

    def next(self) -> Hour:
        """The hour after."""
        return Hour(self.end)


def input_id(collector: str, segment: int) -> str:
    """`<collector>-<segment>`, the identity of what one log segment put into one hour."""
    return f"{collector}-{segment:08d}"


@dataclass(frozen=True, slots=True)
class PartName:
    """Name of a part: `part-<visible_from>-<collector>-<segment>.parquet`."""

    visible_from: int
    collector: str
    segment: int

    @property
    def id(self) -> str:
        """`<collector>-<segment>`: the name under which a sealed file lists this part among its inputs."""
        return input_id(self.collector, self.segment)

    def __str__(self) -> str:
        return f"part-{self.visible_from:016d}-{self.collector}-{self.segment:08d}.parquet"


@dataclass(frozen=True, slots=True)
class SealedName:
    """Name of a compacted file: `hour-<visible_from>-<watermark>.parquet`, or `day-…`.

    It supersedes, from `visible_from` on, every part of its directories whose own instant is at most `watermark`, and every
    sealed file of them with an earlier instant.
    """

    kind: str
    visible_from: int
    watermark: int

    def __str__(self) -> str:
        return f"{self.kind}-{self.visible_from:016d}-{self.watermark:016d}.parquet"


def parse_name(name: str) -> PartName | SealedName | None:
    """What a file name says, or None for a file that is not ours."""
    if found := _PART.fullmatch(name):
        return PartName(int(found["v"]), found["collector"], int(found["segment"]))
    if found := _SEALED.fullmatch(name):
        return SealedName(found["kind"], int(found["v"]), int(found["w"]))
    return None


@dataclass(frozen=True, slots=True)
class Home:
    """A Tickhouse home directory and everything in it, by name."""

    root: Path

    @property
    def format_file(self) -> Path:
        """States the format of the lake, so that an older program refuses a newer lake."""
        return self.root / "format.json"

    @property
    def wal(self) -> Path:
        return self.root / "wal"

    @property
    def lake(self) -> Path:
        return self.root / "lake"

    @property
    def days(self) -> Path:
        return self.root / "days"

    @property
    def catalog(self) -> Path:
        return self.root / "lake.duckdb"

    @property
    def condemned(self) -> Path:
        """Superseded files that the catalog leaves out because they are about to be removed."""
        return self.root / "condemned.json"

    @property
    def status(self) -> Path:
        """One JSON file per collector with its live state, replaced atomically."""
        return self.root / "status"

    @property
    def counters(self) -> Path:
        """The last segment number each collector used; outside the log, so that emptying the log never repeats a number."""
        return self.root / "counters"

    @property
    def locks(self) -> Path:
        """Lock files of compactions, by dataset and day of the month, and by dataset and hour of the day."""
        return self.root / "locks"

    @property
    def instruments(self) -> Path:
        """Instrument lists as the venues answered them, cached."""
        return self.root / "instruments"

    @property
    def context(self) -> Path:
        """What clients of outside sources remember: calls of a month, intervals known to be empty."""
        return self.root / "context"

    @property
    def dagster(self) -> Path:
        """DAGSTER_HOME of this home."""
        return self.root / "dagster"

    def collector_wal(self, collector: str) -> Path:
        return self.wal / collector

    def segment(self, collector: str, dataset: str, segment: int) -> Path:
        """Arrow IPC stream of one dataset: `wal/<collector>/<dataset>/<segment>.arrow`."""
        return self.wal / collector / dataset / f"{segment:08d}.arrow"

    def hour_dir(self, dataset: str, hour: Hour) -> Path:
        return self.lake / dataset / hour.directory

    def day_dir(self, dataset: str, day: date) -> Path:
        return self.days / dataset / f"date={day:%Y-%m-%d}"

    def lake_glob(self, dataset: str, kind: str) -> str:
        """Glob of the hourly tier; `kind` is part or hour."""
        return str(self.lake / dataset / "*" / "*" / f"{kind}-*.parquet")

    def day_glob(self, dataset: str) -> str:
        return str(self.days / dataset / "*" / "day-*.parquet")


def hour_of_directory(directory: Path) -> Hour | None:
    """The hour a `date=…/hour=…` directory stands for, or None."""
    found = _DIRECTORY.search(directory.as_posix())
    if not found or found["hour"] is None:
        return None
    return Hour.at(datetime.fromisoformat(f"{found['date']}T{found['hour']}:00:00+00:00"))


def day_of_directory(directory: Path) -> date | None:
    """The day a `date=…` directory (or an hour directory in it) stands for, or None."""
    found = _DIRECTORY.search(directory.as_posix())
    return date.fromisoformat(found["date"]) if found else None
