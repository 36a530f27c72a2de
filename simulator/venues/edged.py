"""The top of a book for clients that never trim theirs: what leaves the depth is deleted in so many words.

What belongs here: what changed inside a depth since the last frame. What does not: text, sockets, and venues whose clients trim
by themselves (simulator.window).
"""

from __future__ import annotations

from bisect import bisect_right

from simulator.book import Book, Side
from simulator.market import Changes
from simulator.window import NO_LIMIT

Levels = list[tuple[int, int]]


class EdgedSide:
    """One side inside a depth. Levels are (price in ticks, amount in lots); amount 0 deletes."""

    __slots__ = ("_depth", "_edge", "_side", "_touched")

    def __init__(self, side: Side, depth: int) -> None:
        self._side = side
        self._depth = depth
        self._touched: dict[int, None] = {}
        self._edge = self._last()

    def touch(self, prices: dict[int, int]) -> None:
        """Prices in ticks changed; what they are now is read when a frame is made."""
        self._touched.update(dict.fromkeys(prices))

    def take(self) -> Levels:
        """What a client must be told since the last call."""
        side, old, new = self._side, self._edge, self._last()
        amounts, sign, keys = side.amounts, side.sign, side.keys
        told: Levels = []
        for price in self._touched:
            key = sign * price
            if key <= new:
                amount = amounts.get(key, 0)
                if amount or key <= old:
                    told.append((price, amount))
            elif key <= old:
                told.append((price, 0))
        if new > old:
            entered = keys[bisect_right(keys, old) : bisect_right(keys, new)]
            told += [(sign * key, amounts[key]) for key in entered if sign * key not in self._touched]
        elif new < old:
            left = keys[bisect_right(keys, new) : bisect_right(keys, old)]
            told += [(sign * key, 0) for key in left if sign * key not in self._touched]
        self._touched.clear()
        self._edge = new
        return told

    def _last(self) -> int:
        keys = self._side.keys
        return keys[self._depth - 1] if len(keys) >= self._depth else NO_LIMIT


class Edged:
    """Both sides inside a depth. `note` every change of the book in order, `take` what a frame must hold."""

    __slots__ = ("asks", "bids", "changed")

    def __init__(self, book: Book, depth: int) -> None:
        self.bids = EdgedSide(book.bids, depth)
        self.asks = EdgedSide(book.asks, depth)
        self.changed = False
        """Whether anything was noted since the last frame."""

    def note(self, changes: Changes) -> None:
        self.bids.touch(changes.bids)
        self.asks.touch(changes.asks)
        self.changed = True

    def take(self) -> tuple[Levels, Levels]:
        """Bids and asks to send; both may be empty."""
        self.changed = False
        return self.bids.take(), self.asks.take()
