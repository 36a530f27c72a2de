"""What a frame that nobody could read may have held: trades of any symbol of its socket, which no id of the venue's tells missing.

Put here: when the newest trades are fetched for that, and from when on they may have been in such a frame. Keep out: requests (sessions),
gaps whose bounds are known (healing.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

SOON: Final = 300_000
"""Frames that cannot be read come together; this long after the first of them the trades are there to be fetched, microseconds."""
EVERY: Final = 10_000_000
"""A socket that goes on sending what nobody can read makes requests no more often than this, microseconds."""
BEHIND: Final = 10_000_000
"""How long before an unreadable frame arrived its trades may have happened, microseconds."""


class LookBehind:
    """Calls `fetch` once behind unreadable frames, and again behind later ones; it returns the symbols whose newest trades it asked for."""

    def __init__(self, fetch: Callable[[], Iterable[str]]) -> None:
        self._fetch = fetch
        self._opened = 0
        self._first: int | None = None
        """When the first frame came that has not been looked behind."""
        self._due: int | None = None
        self._last: int | None = None
        self._since: dict[str, int] = {}

    def opened(self, now: int) -> None:
        """The socket opened at `now`: it brought no trades of before."""
        self._opened = now

    def unreadable(self, now: int | None) -> None:
        """A frame came at `now` (microseconds, None where a recording has no clock) that could not be decoded."""
        if now is None:
            return
        self._first = now if self._first is None else self._first
        if self._due is None:
            self._due = now + SOON if self._last is None else max(now + SOON, self._last + EVERY)

    def tick(self, now: int) -> None:
        """Time passed."""
        if self._due is None or self._first is None or now < self._due:
            return
        since = max(self._first - BEHIND, self._opened)
        self._first, self._due, self._last = None, None, now
        self._since = dict.fromkeys(self._fetch(), since)

    def since(self, symbol: str) -> int | None:
        """From when on trades of a symbol may have been in such a frame, microseconds; told once a fetch, None where none was made."""
        return self._since.pop(symbol, None)
