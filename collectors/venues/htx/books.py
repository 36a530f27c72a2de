"""HTX's sequence rules and which of a symbol's book channels lands.

Put here: the rules of mbp and high_freq. Keep out: frames, the full-depth variant (`step0`).
"""

from __future__ import annotations

from typing import Final

from collectors.books import Follows

INCREMENTAL: Final = 2
FULL: Final = 1
REFRESHED: Final = 0
"""Ranks of book channels: while a book of a higher rank stands, frames of lower ones are left out."""


class MbpDiff:
    """Spot mbp: each update names the number before it; the first one after a snapshot S names S. Amounts are absolute."""

    def after_snapshot(self, snapshot: int, *, first: int, last: int, previous: int | None) -> Follows:
        """Updates up to S are dropped; prevSeqNum == S follows, and so does one the snapshot was taken within."""
        return Follows.STALE if last <= snapshot else self.after_update(snapshot, first=first, last=last, previous=previous)

    def after_update(self, applied: int, *, first: int, last: int, previous: int | None) -> Follows:
        """Each update names the last number before it; numbers that fall back have started over, which is a gap like any other."""
        if last == applied:
            return Follows.STALE
        before = first - 1 if previous is None else previous
        return Follows.NEXT if before <= applied < last else Follows.AHEAD


def counted(applied: int, previous: int | None, sequence: int) -> Follows:
    """Swap high_freq: `version` counts up by one a contract and socket; one that falls back has started over."""
    del previous
    if sequence == applied:
        return Follows.STALE
    return Follows.NEXT if sequence == applied + 1 else Follows.AHEAD
