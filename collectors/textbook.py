"""Order books whose integrity is a checksum over the wire's own spelling of prices and amounts.

Put here: levels that remember their digits, truncation to a depth, the top as text. Keep out: which checksum, over how many levels.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable
from typing import TypeAlias

from collectors.books import Columns, Level

TextLevel: TypeAlias = tuple[float, float, bytes]
"""(price, amount, digits as the checksum wants them)."""


def decimals_of(text: bytes) -> int:
    """Decimals a number is spelled with: 4 for 0.5000."""
    return len(text.partition(b".")[2])


def digits(text: bytes, decimals: int) -> bytes:
    """A number with exactly `decimals` decimals, without its point and leading zeros: 0.0500 at 4 gives 500."""
    if b"e" in text or b"E" in text:
        text = f"{float(text):.{decimals}f}".encode()
    whole, _, fraction = text.partition(b".")
    if len(fraction) != decimals:
        fraction = fraction[:decimals].ljust(decimals, b"0")
    return (whole + fraction).lstrip(b"0")


class TextSide:
    """One side, always in order; the best `depth` levels are kept."""

    __slots__ = ("_descending", "_levels", "_prices", "depth")

    def __init__(self, *, descending: bool, depth: int) -> None:
        self.depth = depth
        self._descending = descending
        self._prices: list[float] = []
        self._levels: dict[float, TextLevel] = {}

    def load(self, levels: Iterable[TextLevel]) -> None:
        """Replace the side."""
        self._levels = {level[0]: level for level in levels if level[1] > 0}
        self._prices = sorted(self._levels)
        self.truncate()

    def apply(self, levels: Iterable[TextLevel]) -> None:
        """Take levels in their order, one price may come twice; 0 deletes, and deleting an unknown price is harmless."""
        known, prices = self._levels, self._prices
        for level in levels:
            price = level[0]
            if level[1] > 0:
                if price not in known:
                    insort(prices, price)
                known[price] = level
            elif known.pop(price, None) is not None:
                del prices[bisect_left(prices, price)]
        if len(prices) > self.depth:
            self.truncate()

    def truncate(self) -> None:
        """Forget levels beyond the depth; the venue sends no deletes for them."""
        surplus = len(self._prices) - self.depth
        if surplus > 0:
            gone = self._prices[:surplus] if self._descending else self._prices[-surplus:]
            del self._prices[slice(0, surplus) if self._descending else slice(-surplus, None)]
            for price in gone:
                del self._levels[price]

    def respell(self, spell: dict[float, TextLevel]) -> None:
        """Replace the digits of levels that are there."""
        self._levels.update({price: level for price, level in spell.items() if price in self._levels})

    def text(self, count: int) -> bytes:
        """Digits of the best `count` levels in one string, best first."""
        prices = self._prices[: -count - 1 : -1] if self._descending else self._prices[:count]
        levels = self._levels
        return b"".join([levels[price][2] for price in prices])

    def spelled(self, count: int) -> list[bytes]:
        """Digits of each of the best `count` levels, best first."""
        prices = self._prices[: -count - 1 : -1] if self._descending else self._prices[:count]
        levels = self._levels
        return [levels[price][2] for price in prices]

    def columns(self, count: int) -> Columns:
        """Prices and amounts of the best `count` levels, best first."""
        prices = self._prices[: -count - 1 : -1] if self._descending else self._prices[:count]
        levels = self._levels
        return prices, [levels[price][1] for price in prices]

    def top(self, count: int) -> list[Level]:
        """The best `count` levels, best first."""
        return list(zip(*self.columns(count), strict=True))

    def __len__(self) -> int:
        return len(self._prices)


class TextBook:
    """Both sides, base units, with the digits a checksum is made of."""

    __slots__ = ("asks", "bids")

    def __init__(self, depth: int) -> None:
        self.bids = TextSide(descending=True, depth=depth)
        self.asks = TextSide(descending=False, depth=depth)

    def load(self, bids: Iterable[TextLevel], asks: Iterable[TextLevel]) -> None:
        """Replace the book."""
        self.bids.load(bids)
        self.asks.load(asks)

    def apply(self, bids: Iterable[TextLevel], asks: Iterable[TextLevel]) -> None:
        """Take one update."""
        self.bids.apply(bids)
        self.asks.apply(asks)

    def resize(self, depth: int) -> None:
        """Keep another number of levels from now on."""
        self.bids.depth = self.asks.depth = depth

    def columns(self, count: int) -> tuple[Columns, Columns]:
        """Prices and amounts of the best `count` levels of bids and asks, best first."""
        return self.bids.columns(count), self.asks.columns(count)

    def top(self, count: int) -> tuple[list[Level], list[Level]]:
        """The best `count` levels of both sides, best first."""
        return self.bids.top(count), self.asks.top(count)

    def levels(self) -> tuple[list[Level], list[Level]]:
        """All levels of both sides, best first."""
        return self.bids.top(len(self.bids)), self.asks.top(len(self.asks))
