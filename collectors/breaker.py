"""Circuit breaker of one exchange: after repeated failures all its connections stand still but one probe.

Put here: the state machine, fed with a monotonic clock. Keep out: sleeping, sockets, and what counts as a failure.

closed     every attempt may go; `threshold` failures in a row open it
open       nothing may go until the cool-down is over
half-open  one probe may go: success closes, failure opens again with twice the cool-down, up to its cap
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from collectors.errors import ConfigError


class BreakerState(Enum):
    """Where the breaker stands."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerPolicy:
    """When the breaker opens and how long it stays open, in seconds."""

    threshold: int = 6
    cooldown_seconds: float = 10.0
    cooldown_cap_seconds: float = 120.0

    def __post_init__(self) -> None:
        if self.threshold < 1:
            raise ConfigError(f"breaker threshold is {self.threshold}, expected 1 or more")
        if not 0 < self.cooldown_seconds <= self.cooldown_cap_seconds:
            raise ConfigError(
                f"breaker cool-down is {self.cooldown_seconds} seconds with cap {self.cooldown_cap_seconds}, expected 0 < cool-down <= cap"
            )


class CircuitBreaker:
    """The breaker of one exchange; times are seconds of one monotonic clock."""

    def __init__(self, policy: BreakerPolicy) -> None:
        self.policy = policy
        self.state = BreakerState.CLOSED
        self.failures = 0
        self._cooldown = policy.cooldown_seconds
        self._opened_until = 0.0
        self._probe_until = 0.0

    def wait(self, now: float) -> float:
        """Seconds until an attempt may be made; 0 means go, and in half-open the caller that gets the 0 is the probe.

        A probe that neither succeeds nor fails within the cool-down is taken for lost, and the next caller probes.
        """
        if self.state is BreakerState.CLOSED:
            return 0.0
        if self.state is BreakerState.OPEN:
            if now < self._opened_until:
                return self._opened_until - now
            self.state = BreakerState.HALF_OPEN
            self._probe_until = 0.0
        if now < self._probe_until:
            return self._probe_until - now
        self._probe_until = now + self._cooldown
        return 0.0

    def succeeded(self) -> None:
        """A connection stood and delivered: everything may go again."""
        self.state = BreakerState.CLOSED
        self.failures = 0
        self._cooldown = self.policy.cooldown_seconds

    def failed(self, now: float) -> bool:
        """An attempt came to nothing. True when this failure opened the breaker."""
        self.failures += 1
        if self.state is BreakerState.HALF_OPEN:
            self._cooldown = min(self._cooldown * 2, self.policy.cooldown_cap_seconds)
        elif self.state is BreakerState.OPEN or self.failures < self.policy.threshold:
            return False
        self._open(now, self._cooldown)
        return True

    def refused(self, now: float) -> None:
        """The venue refused this client (a ban, a blocked country): open at once, for the longest cool-down."""
        self.failures += 1
        self._cooldown = self.policy.cooldown_cap_seconds
        self._open(now, self._cooldown)

    def _open(self, now: float, seconds: float) -> None:
        self.state = BreakerState.OPEN
        self._opened_until = now + seconds
