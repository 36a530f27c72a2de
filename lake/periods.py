"""Days and months of UTC: the partitions of datasets that are not filed by the hour.

Put here: which instants a partition holds, and its neighbours. Keep out: files (`lake.derived` reads and writes partitions).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from lake.errors import PeriodError
from lake.paths import DAY_US, HOUR_US, Hour
from lake.registry import Span


@dataclass(frozen=True, slots=True, order=True)
class Period:
    """One day or month of UTC, by its first day."""

    first: date
    span: Span = "day"

    def __post_init__(self) -> None:
        if self.span == "hour" or (self.span == "month" and self.first.day != 1):
            raise PeriodError(f"a {self.span} beginning {self.first:%Y-%m-%d} was received, expected a day, or a month from its first day")

    @classmethod
    def of(cls, time_us: int, span: Span) -> Period:
        """The day or month `time_us` lies in."""
        day = Hour.of(time_us).date
        return cls(day.replace(day=1) if span == "month" else day, span)

    @property
    def following(self) -> Period:
        """The next one."""
        if self.span == "month":
            return Period((self.first + timedelta(days=31)).replace(day=1), "month")
        return Period(self.first + timedelta(days=1))

    @property
    def former(self) -> Period:
        """The one before."""
        last = self.first - timedelta(days=1)
        return Period(last.replace(day=1) if self.span == "month" else last, self.span)

    @property
    def start(self) -> int:
        """Its first instant, microseconds since 1970."""
        return int(datetime(self.first.year, self.first.month, self.first.day, tzinfo=UTC).timestamp()) * 1_000_000

    @property
    def end(self) -> int:
        """The first instant after it, microseconds."""
        return self.following.start

    def hours(self) -> Iterator[Hour]:
        """Every hour of it, in order."""
        return map(Hour, range(self.start, self.end, HOUR_US))

    def days(self) -> Iterator[Period]:
        """Every day of it, in order."""
        return (Period.of(start, "day") for start in range(self.start, self.end, DAY_US))
