"""What venues allow: request weight per minute, commands per second.

What belongs here: counting against a limit with time handed in. What does not: what a venue answers when it is exceeded.
"""

from __future__ import annotations

from collections import deque


class WeightLimit:
    """Request weight in the running clock minute, as venues count it; times in unix microseconds."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0
        self._minute = -1

    def spend(self, weight: int, now_us: int) -> int:
        """Count a request; returns 0 if it is allowed, else the whole seconds until the minute is over."""
        minute = now_us // 60_000_000
        if minute != self._minute:
            self._minute, self.used = minute, 0
        self.used += weight
        if self.used <= self.limit:
            return 0
        return 60 - now_us // 1_000_000 % 60


class CommandLimit:
    """Commands in any rolling second."""

    def __init__(self, per_second: int) -> None:
        self.per_second = per_second
        self._times: deque[int] = deque()

    def exceeded(self, now_us: int) -> bool:
        """Count a command; True if the last second now holds too many."""
        times = self._times
        times.append(now_us)
        while times[0] <= now_us - 1_000_000:
            times.popleft()
        return len(times) > self.per_second
