"""How long a stream pauses between two signs of life, learnt from the stream itself: the measure of its silence.

Put here: the learner and its bounds, fed with pauses in seconds. Keep out: clocks, streams and what is done about a silence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from collectors.errors import ConfigError

HALF_LIFE_SECONDS: Final = 1800.0
HALF_LIFE_PAUSES: Final = 50
"""The longest pause counts half after this long, and after so many pauses at the soonest: markets grow lively and quiet over hours,
and a slow stream shows what it does only over many."""
FACTOR: Final = 4.0
"""Silence begins at so many times the longest pause. Were events independent, a pause of twice the longest of half an hour would still
come every few days, one of four times in years."""
ENOUGH_PAUSES: Final = 20
TRUST: Final = 10.0
"""A threshold counts once the stream has been watched for so many times its length: a burst at the start tells little."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SilencePolicy:
    """Bounds of every threshold, seconds; `first_seconds` holds until a stream's rhythm is known."""

    floor_seconds: float = 5.0
    cap_seconds: float = 1800.0
    first_seconds: float = 600.0

    def __post_init__(self) -> None:
        if not 0 < self.floor_seconds <= self.first_seconds <= self.cap_seconds:
            raise ConfigError(
                f"silence is bounded by floor_seconds {self.floor_seconds}, first_seconds {self.first_seconds} and cap_seconds "
                f"{self.cap_seconds}, expected 0 < floor_seconds <= first_seconds <= cap_seconds"
            )


class Rhythm:
    """The longest pause of a stream, fading with time."""

    __slots__ = ("longest", "pauses", "watched")

    def __init__(self) -> None:
        self.longest = 0.0
        self.pauses = 0
        self.watched = 0.0
        """Seconds over which pauses were learnt."""

    def heard(self, pause: float) -> None:
        """Learn a pause, seconds."""
        self.longest = max(pause, self.longest * 0.5 ** min(pause / HALF_LIFE_SECONDS, 1 / HALF_LIFE_PAUSES))
        self.pauses += 1
        self.watched += pause

    def alarmed(self, pause: float, policy: SilencePolicy) -> None:
        """Learn a pause that was called silent. It may have been a fault, so it counts for no more than doubles the threshold."""
        self.heard(min(pause, 2.0 * self.threshold(policy) / FACTOR))

    def threshold(self, policy: SilencePolicy) -> float:
        """Seconds of silence from which on the stream counts as silent."""
        wanted = FACTOR * self.longest
        known = self.pauses >= ENOUGH_PAUSES and self.watched >= TRUST * max(wanted, policy.floor_seconds)
        least = policy.floor_seconds if known else policy.first_seconds
        return min(policy.cap_seconds, max(least, wanted))
