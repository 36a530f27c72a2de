"""An order book in whole ticks and lots: two sorted sides, and what changed since someone last looked.

What belongs here: keeping levels sorted and uncrossed. What does not: why levels change (market.py) or how they are
spelled on a wire (venues).
"""

from __future__ import annotations

from bisect import bisect_left, insort


class Side:
    """One side of a book, best level first.

    Levels are kept under a key that grows away from the touch: the price for asks, its negative for bids, so that both sides
    share one code. `changes` maps price in ticks to the amount in lots it now has (0: gone).
    """

    __slots__ = ("amounts", "changes", "keys", "operations", "sign")

    def __init__(self, sign: int) -> None:
        self.sign = sign
        self.keys: list[int] = []
        self.amounts: dict[int, int] = {}
        self.changes: dict[int, int] = {}
        self.operations = 0

    def set(self, key: int, amount: int) -> None:
        """Give the level under `key` an amount in lots; 0 removes it."""
        if amount:
            if key not in self.amounts:
                insort(self.keys, key)
            self.amounts[key] = amount
        elif self.amounts.pop(key, None) is not None:
            del self.keys[bisect_left(self.keys, key)]
        else:
            return
        self.changes[self.sign * key] = amount
        self.operations += 1

    def change(self, key: int, amount: int) -> None:
        """Give a level that is there another amount in lots, above 0."""
        self.amounts[key] = amount
        self.changes[self.sign * key] = amount
        self.operations += 1

    def drop_before(self, key: int) -> None:
        """Remove every level better than `key`."""
        keys = self.keys
        if not keys or keys[0] >= key:
            return
        count = bisect_left(keys, key)
        for gone in keys[:count]:
            del self.amounts[gone]
            self.changes[self.sign * gone] = 0
        del keys[:count]
        self.operations += count

    def levels(self, depth: int | None = None) -> list[tuple[int, int]]:
        """(price in ticks, amount in lots), best first."""
        amounts, sign = self.amounts, self.sign
        return [(sign * key, amounts[key]) for key in self.keys[:depth]]

    def best(self) -> tuple[int, int]:
        """Price in ticks and amount in lots of the touch."""
        key = self.keys[0]
        return self.sign * key, self.amounts[key]


class Book:
    """Bids and asks of one market."""

    __slots__ = ("asks", "bids")

    def __init__(self) -> None:
        self.bids = Side(-1)
        self.asks = Side(1)

    def crossed(self) -> bool:
        """Whether the best bid is at or above the best ask."""
        return bool(self.bids.keys and self.asks.keys) and -self.bids.keys[0] >= self.asks.keys[0]
