"""What has been seen before: trade ids by symbol, and recent natural keys.

Put here: membership tests that stay small for ever. Keep out: rows, gaps, sockets.
"""

from __future__ import annotations

import hashlib
from array import array
from bisect import bisect_right
from typing import Final

MAX_RUNS: Final = 16_384
"""Runs of ids kept; beyond, the two oldest become one, so that ids missed long ago count as seen."""

_FEWEST_SLOTS: Final = 64


class SeenIds:
    """Whole-number ids of 64 bits seen so far, as runs of neighbours: exact, and a handful of numbers however many ids there were."""

    __slots__ = ("_ends", "_starts", "last")

    def __init__(self) -> None:
        # Where ids leave numbers out every trade is a run of its own: sixteen bytes each instead of eighty.
        self._starts = array("q")
        self._ends = array("q")
        self.last: int | None = None
        """The greatest id seen."""

    def __getstate__(self) -> tuple[list[int], list[int], int | None]:
        return self._starts.tolist(), self._ends.tolist(), self.last

    def __setstate__(self, state: tuple[list[int], list[int], int | None]) -> None:
        starts, ends, self.last = state
        self._starts, self._ends = array("q", starts), array("q", ends)

    def add(self, number: int) -> bool:
        """Note an id; False when it had been seen."""
        last = self.last
        if last is not None and number == last + 1:
            self._ends[-1] = self.last = number
            return True
        if last is None or number > last:
            self._starts.append(number)
            self._ends.append(number)
            self.last = number
            self._bound()
            return True
        return self._add_before_last(number)

    def __contains__(self, number: int) -> bool:
        place = bisect_right(self._starts, number) - 1
        return place >= 0 and number <= self._ends[place]

    def after(self, number: int) -> int:
        """The least id above `number` that has not been seen."""
        place = bisect_right(self._starts, number + 1) - 1
        return self._ends[place] + 1 if place >= 0 and number < self._ends[place] else number + 1

    def missing(self, after: int, before: int) -> int:
        """How many ids strictly between two ids have not been seen."""
        seen = 0
        for start, end in zip(self._starts, self._ends, strict=True):
            seen += max(0, min(end, before - 1) - max(start, after + 1) + 1)
        return max(0, before - after - 1) - seen

    def _add_before_last(self, number: int) -> bool:
        place = bisect_right(self._starts, number) - 1
        if place >= 0 and number <= self._ends[place]:
            return False
        joins_left = place >= 0 and self._ends[place] == number - 1
        joins_right = place + 1 < len(self._starts) and self._starts[place + 1] == number + 1
        if joins_left and joins_right:
            self._ends[place] = self._ends.pop(place + 1)
            del self._starts[place + 1]
        elif joins_left:
            self._ends[place] = number
        elif joins_right:
            self._starts[place + 1] = number
        else:
            self._starts.insert(place + 1, number)
            self._ends.insert(place + 1, number)
            self._bound()
        return True

    def _bound(self) -> None:
        if len(self._starts) > MAX_RUNS:
            del self._starts[1]
            del self._ends[0]


class RecentKeys:
    """The last `size` keys seen, for events without a growing id: text, numbers, or tuples of them.

    A key is kept as 64 bits of its digest, 13 to 32 bytes each all told, where the keys themselves take two hundred and more: a market
    keeps ten thousand. That a new key has the digest of one of those happens once in 10**15.
    """

    __slots__ = ("_next", "_order", "_size", "_slots")

    def __init__(self, size: int = 10_000) -> None:
        self._size = size
        self._order = array("Q")
        """Digests as they came; once there are `size` of them, `_next` is the oldest and is written over."""
        self._next = 0
        self._slots = array("Q", bytes(8 * _FEWEST_SLOTS))
        """Hash table with linear probing; 0 is free."""

    def __getstate__(self) -> tuple[int, list[int]]:
        return self._size, (self._order[self._next :] + self._order[: self._next]).tolist()

    def __setstate__(self, state: tuple[int, list[int]]) -> None:
        RecentKeys.__init__(self, state[0])
        for digest in state[1]:
            self._add(digest)

    def __contains__(self, key: object) -> bool:
        return self._slots[self._place(_digest(key))] != 0

    def add(self, key: object) -> bool:
        """Note a key; False when it is among the last ones seen."""
        return self._add(_digest(key))

    def _add(self, digest: int) -> bool:
        place = self._place(digest)
        if self._slots[place]:
            return False
        self._slots[place] = digest
        if len(self._order) < self._size:
            self._order.append(digest)
            if 3 * len(self._order) > 2 * len(self._slots):
                self._grow()
            return True
        # Behind the new one, so that not even a size of one ever loses it.
        self._forget(self._order[self._next])
        self._order[self._next] = digest
        self._next = (self._next + 1) % self._size
        return True

    def _place(self, digest: int) -> int:
        """Where a digest stands, or would stand."""
        slots = self._slots
        mask = len(slots) - 1
        place = digest & mask
        while (found := slots[place]) and found != digest:
            place = (place + 1) & mask
        return place

    def _grow(self) -> None:
        self._slots = array("Q", bytes(16 * len(self._slots)))
        for digest in self._order:
            self._slots[self._place(digest)] = digest

    def _forget(self, digest: int) -> None:
        """Free its slot, and let those move up that probed past it (Knuth, The Art of Computer Programming 3, 6.4, algorithm R)."""
        slots = self._slots
        mask = len(slots) - 1
        free = place = self._place(digest)
        while True:
            place = (place + 1) & mask
            found = slots[place]
            if not found:
                break
            if (place - found) & mask >= (place - free) & mask:
                slots[free] = found
                free = place
        slots[free] = 0


def _digest(key: object) -> int:
    text = key if isinstance(key, str) else repr(key)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little") or 1
