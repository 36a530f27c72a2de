"""What has been seen before: trade ids by symbol, and recent natural keys.

Put here: membership tests that stay small for ever. Keep out: rows, gaps, sockets.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from typing import Final

MAX_RUNS: Final = 16_384
"""Runs of ids kept; beyond, the two oldest become one, so that ids missed long ago count as seen."""


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
    """The last `size` keys seen, for events without a growing id."""

    __slots__ = ("_keys", "_size")

    def __init__(self, size: int = 10_000) -> None:
        self._size = size
        self._keys: dict[object, None] = {}

    def add(self, key: object) -> bool:
        """Note a key; False when it is among the last ones seen."""
        if key in self._keys:
            return False
        self._keys[key] = None
        if len(self._keys) > self._size:
            del self._keys[next(iter(self._keys))]
        return True
