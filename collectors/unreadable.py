"""What a frame that nobody could read may have held: trades of any symbol of its socket, which no id of the venue's tells missing.

Put here: when the newest trades are fetched for that. Keep out: requests (sessions), gaps whose bounds are known (healing.py).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

SOON: Final = 300_000
"""Frames that cannot be read come together; this long after the first of them the trades are there to be fetched, microseconds."""
EVERY: Final = 10_000_000
"""A socket that goes on sending what nobody can read makes requests no more often than this, microseconds."""


class LookBehind:
    """Calls `fetch` once behind unreadable frames, and again behind later ones."""

    def __init__(self, fetch: Callable[[], None]) -> None:
        self._fetch = fetch
        self._due: int | None = None
        self._last: int | None = None

    def unreadable(self, now: int | None) -> None:
        """A frame came at `now` (microseconds, None where a recording has no clock) that could not be decoded."""
        if now is not None and self._due is None:
            self._due = now + SOON if self._last is None else max(now + SOON, self._last + EVERY)

    def tick(self, now: int) -> None:
        """Time passed."""
        if self._due is not None and now >= self._due:
            self._due, self._last = None, now
            self._fetch()
