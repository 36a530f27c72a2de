"""HTX's sequence rules, the edge of its books and which of a symbol's book channels lands.

Put here: the rules of mbp and high_freq. Keep out: frames, the full-depth variant (`step0`).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from typing import Final

from collectors.bookfeed import BookFeed
from collectors.books import Book, Follows, Level, Levels
from collectors.rows import RowWriter

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


class Rim:
    """One side's prices inside a depth, best first. The venue does not say what becomes of a level that leaves the depth, so it goes."""

    __slots__ = ("_depth", "_keys", "_sign")

    def __init__(self, depth: int, *, sign: int) -> None:
        self._depth = depth
        self._sign = sign
        self._keys: list[float] = []

    def load(self, levels: Iterable[Level]) -> list[Level]:
        """Begin with a whole side; returns deletes of what lies beyond the depth."""
        self._keys = sorted(self._sign * price for price, amount in levels if amount)
        return self._cut()

    def apply(self, levels: Levels) -> list[Level]:
        """Take an update; returns deletes of what it pushed beyond the depth."""
        keys, sign = self._keys, self._sign
        for price, amount in levels:
            key = sign * price
            place = bisect_left(keys, key)
            known = place < len(keys) and keys[place] == key
            if amount and not known:
                keys.insert(place, key)
            elif known and not amount:
                del keys[place]
        return self._cut()

    def _cut(self) -> list[Level]:
        gone = [(self._sign * key, 0.0) for key in self._keys[self._depth :]]
        del self._keys[self._depth :]
        return gone


class BoundedFeed(BookFeed):
    """A book of which the venue tells `depth` levels a side: whatever an update pushes beyond lands as deleted with that update."""

    __slots__ = ("_rims",)

    def __init__(self, writer: RowWriter, symbol: str, *, session: object, depth: int) -> None:
        super().__init__(writer, symbol, session=session, book=Book())
        self._rims = Rim(depth, sign=-1), Rim(depth, sign=1)

    def opened(self, *, timestamp: int | None, received: int | None, sequence: int | None) -> None:
        """The book was replaced: cut it to the depth and land it."""
        self._apply(*(rim.load(side) for rim, side in zip(self._rims, self.book.levels(), strict=True)))
        super().opened(timestamp=timestamp, received=received, sequence=sequence)

    def changed(self, bids: Levels, asks: Levels, *, timestamp: int | None, received: int | None, sequence: int | None) -> None:
        """The book took one update: land its levels, and what they pushed out."""
        gone_bids, gone_asks = self._rims[0].apply(bids), self._rims[1].apply(asks)
        if gone_bids or gone_asks:
            self._apply(gone_bids, gone_asks)
            bids, asks = [*bids, *gone_bids], [*asks, *gone_asks]
        super().changed(bids, asks, timestamp=timestamp, received=received, sequence=sequence)

    def _apply(self, bids: Levels, asks: Levels) -> None:
        assert isinstance(self.book, Book)
        self.book.apply(bids, asks)
