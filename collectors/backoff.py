"""How long to wait before trying again: exponential growth under a cap, with full jitter.

Put here: the policy and its counter. Keep out: sleeping, sockets, and the decision whether to try again at all (classify.py).
Full jitter (a uniform draw from zero to the bound) spreads clients that a venue cut at the same instant.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from collectors.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class BackoffPolicy:
    """Bounds of the wait, in seconds: attempt n draws from 0 to min(cap, first * 2**n)."""

    first_seconds: float = 0.5
    cap_seconds: float = 30.0
    healthy_seconds: float = 30.0
    """A connection that lived this long starts again from the first bound."""

    def __post_init__(self) -> None:
        if not 0 < self.first_seconds <= self.cap_seconds:
            raise ConfigError(
                f"a back-off grows from its first bound to its cap: received first_seconds {self.first_seconds} and cap_seconds "
                f"{self.cap_seconds}, expected 0 < first_seconds <= cap_seconds"
            )
        if self.healthy_seconds < 0:
            raise ConfigError(f"healthy_seconds is {self.healthy_seconds}, expected 0 or more")

    def bound(self, failures: int) -> float:
        """Longest wait after `failures` failures in a row (the first failure is 0), seconds."""
        # 2.0**60 seconds is past any cap; the exponent is bounded so that a year of failures cannot overflow.
        return min(self.cap_seconds, self.first_seconds * 2.0 ** min(failures, 60))


@dataclass(slots=True)
class Backoff:
    """Counts failures in a row and draws the next wait. `random` is injectable so that tests can fix the draw."""

    policy: BackoffPolicy
    random: random.Random = field(default_factory=random.Random)
    failures: int = 0

    def next_delay(self) -> float:
        """Seconds to wait now; counts one more failure."""
        bound = self.policy.bound(self.failures)
        self.failures += 1
        return self.random.uniform(0.0, bound)

    def lived(self, seconds: float) -> None:
        """A connection stood for `seconds` before it ended; long enough forgets the failures before it."""
        if seconds >= self.policy.healthy_seconds:
            self.failures = 0
