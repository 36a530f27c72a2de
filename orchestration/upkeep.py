"""Upkeep of the lake: settled days become one file a dataset, superseded files go after their grace.

Put here: deciding which days are settled and doing both. Keep out: how a day is compacted or a file removed (`lake`), and when this
runs (`orchestration.jobs`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from lake.compact import compact_day
from lake.paths import day_of_directory
from lake.registry import DATASETS
from lake.settings import LakeSettings


@dataclass(slots=True)
class Settled:
    """Which days became one file a dataset, and what stood in the way."""

    files: int = 0
    rows: int = 0
    days: set[date] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)

    @property
    def sentence(self) -> str:
        """The counts in one line."""
        days = ", ".join(day.isoformat() for day in sorted(self.days)) or "no day"
        trouble = f"; {'; '.join(self.problems)}" if self.problems else ""
        return f"{days}: {self.files} files, {self.rows:,} rows{trouble}"


def settle_days(settings: LakeSettings, *, clock: Callable[[], float] = time.time) -> Settled:
    """Compact every day that ended `settle_hours` ago into one file a dataset; days already so are left alone."""
    house = settings.house
    limit = datetime.fromtimestamp(clock(), UTC) - timedelta(hours=settings.settle_hours)
    settled = Settled()
    for name, dataset in DATASETS.items():
        if dataset.span != "hour":
            continue
        for directory in sorted((house.lake / name).glob("date=*")):
            day = day_of_directory(directory)
            if day is None or day.year < 2009 or datetime.combine(day + timedelta(days=1), datetime.min.time(), UTC) > limit:
                continue
            result = compact_day(house, name, day, visible_after=settings.visible_after_seconds, clock=clock)
            settled.problems += result.problems
            if result.written:
                settled.files += 1
                settled.rows += result.rows
                settled.days.add(day)
    return settled
