"""Asking once more: how often, and how long to wait before.

Put here: the waits and the loop. Keep out: which failures are worth it (each client says so by what it raises).
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from sources.errors import SourceUnavailable

T = TypeVar("T")

RETRIES: Final = 5
LONGEST_WAIT_SECONDS: Final = 300.0


class TryAgain(Exception):
    """One attempt that failed in a way that may pass; `wait` is how many seconds the source asked for, if it did."""

    def __init__(self, reason: str, *, wait: float | None = None, least: float = 0.0) -> None:
        self.reason = reason
        self.wait = wait
        self.least = least
        super().__init__(reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """`retries` further attempts; the wait before the n-th is `first_seconds` x 2^(n-1) and up to a quarter more, or what was asked for."""

    first_seconds: float = 1.0
    retries: int = RETRIES
    sleep: Callable[[float], None] = time.sleep

    def run(self, attempt: Callable[[], T], *, what: str) -> T:
        """The result of the first attempt that has one; `SourceUnavailable` when none had, naming `what` was asked for."""
        for number in range(self.retries + 1):
            try:
                return attempt()
            except TryAgain as failure:
                if number == self.retries:
                    raise SourceUnavailable(f"{what} failed {number + 1} times, the last time with {failure.reason}") from failure
                wait = self._wait(number, failure)
            self.sleep(wait)
        raise AssertionError

    def _wait(self, number: int, failure: TryAgain) -> float:
        if failure.wait is not None:
            return min(LONGEST_WAIT_SECONDS, max(0.0, failure.wait))
        growing = max(self.first_seconds, failure.least) * 2.0**number
        return min(LONGEST_WAIT_SECONDS, growing * (1 + random.random() / 4))
