"""The part of a book that a subscription of some depth sees, and what it must be told when the book changes.

What belongs here: the rule that levels beyond the depth leave without a word and are sent anew when they return.
What does not: text and sockets.
"""

from __future__ import annotations

from bisect import bisect_right

from simulator.book import Book, Side
from simulator.market import Changes

NO_LIMIT = 1 << 62


def _edge(side: Side, depth: int) -> int:
    """Key of the last level inside the depth."""
    return side.keys[depth - 1] if len(side.keys) >= depth else NO_LIMIT


class Window:
    """One depth of one book. Call `update` with every change of the book, in order."""

    __slots__ = ("_ask_edge", "_bid_edge", "_book", "depth")

    def __init__(self, book: Book, depth: int) -> None:
        self.depth = depth
        self._book = book
        self._bid_edge = _edge(book.bids, depth)
        self._ask_edge = _edge(book.asks, depth)

    def update(self, changes: Changes) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """Levels to send, bids and asks: those that changed inside the depth, and those that came back into it."""
        bids, self._bid_edge = self._side(self._book.bids, changes.bids, self._bid_edge)
        asks, self._ask_edge = self._side(self._book.asks, changes.asks, self._ask_edge)
        return bids, asks

    def _side(self, side: Side, changed: dict[int, int], old_edge: int) -> tuple[list[tuple[int, int]], int]:
        new_edge = _edge(side, self.depth)
        sign = side.sign
        told = [(price, amount) for price, amount in changed.items() if (sign * price <= new_edge if amount else sign * price <= old_edge)]
        if new_edge > old_edge:
            start = bisect_right(side.keys, old_edge)
            told += [(sign * key, side.amounts[key]) for key in side.keys[start : self.depth] if sign * key not in changed]
        return told, new_edge
