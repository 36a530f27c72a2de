"""Calls a month: counted on disk, so that restarts and other processes on the home count together, and spread evenly.

Put here: the count and whether more may be asked. Keep out: the asking.

A call counts before it is sent, whatever becomes of it: the stricter reading of CoinGecko's pages (some say that only answers count).
"""

from __future__ import annotations

import calendar
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from lake import files
from sources.errors import QuotaSpent


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthlyQuota:
    """At most `calls` a calendar month (UTC; None: no bound) of `source`, counted in the file `path`."""

    source: str
    path: Path
    calls: int | None
    clock: Callable[[], float] = time.time

    def used(self) -> int:
        """Calls counted this month."""
        return self._read(self._month())

    def take(self) -> None:
        """Count one call; `QuotaSpent` where the month has none left."""
        month = self._month()
        with files.locked(self.path.with_suffix(".lock")):
            used = self._read(month)
            if self.calls is not None and used >= self.calls:
                raise QuotaSpent(f"{used} calls of {self.source} were made in {month}, expected at most {self.calls}")
            files.write_small(self.path, json.dumps({"month": month, "calls": used + 1}) + "\n")

    def check_pace(self, calls: int) -> None:
        """Raise `QuotaSpent` where `calls` more would be ahead of an even spread over the month, with room for one such run."""
        if self.calls is None:
            return
        now = datetime.fromtimestamp(self.clock(), UTC)
        days = calendar.monthrange(now.year, now.month)[1]
        begun = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        share = (now - begun).total_seconds() / (days * 86_400)
        due = min(self.calls, int(self.calls * share) + calls)
        used = self.used()
        if used + calls > due:
            raise QuotaSpent(
                f"{used} calls of {self.source} were made this month and {calls} more are wanted, "
                f"expected at most {due} by now of {self.calls} in all"
            )

    def _month(self) -> str:
        return f"{datetime.fromtimestamp(self.clock(), UTC):%Y-%m}"

    def _read(self, month: str) -> int:
        try:
            kept = json.loads(self.path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return 0
        return int(kept["calls"]) if kept["month"] == month else 0
