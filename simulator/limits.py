"""What venues allow: request weight per minute, commands per second.

What belongs here: counting against a limit with time handed in. What does not: what a venue answers when it is exceeded.
"""

from __future__ import annotations

from collections import deque


class WeightLimit:
    """Request weight in the running window of the clock (a minute unless said), as venues count it; times in unix microseconds."""

    def __init__(self, limit: int, *, seconds: int = 60) -> None:
        self.limit = limit
        self.seconds = seconds
        self.used = 0
        self._window = -1

    def spend(self, weight: int, now_us: int) -> int:
        """Count a request; returns 0 if it is allowed, else the whole seconds until the window is over."""
        second = now_us // 1_000_000
        window = second // self.seconds
        if window != self._window:
            self._window, self.used = window, 0
        self.used += weight
        if self.used <= self.limit:
            return 0
        return self.seconds - second % self.seconds


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
