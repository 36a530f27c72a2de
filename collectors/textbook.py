"""Order books whose integrity is a checksum over the wire's own spelling of prices and amounts.

Put here: levels that remember their digits, truncation to a depth, the top as text. Keep out: which checksum, over how many levels.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence
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

    __slots__ = ("_amounts", "_count", "_descending", "_prices", "_spelled", "_texts", "depth")

    def __init__(self, *, descending: bool, depth: int) -> None:
        self.depth = depth
        self._descending = descending
        self._prices: list[float] = []
        self._amounts: dict[float, float] = {}
        self._texts: dict[float, bytes] = {}
        self._spelled: list[bytes] | None = None
        self._count = 0

    def load(self, levels: Iterable[TextLevel]) -> None:
        """Replace the side."""
        kept = [level for level in levels if level[1] > 0]
        self._spelled = None
        self._amounts = {price: amount for price, amount, _ in kept}
        self._texts = {price: text for price, _, text in kept}
        self._prices = sorted(self._amounts)
        self.truncate()

    def apply(self, levels: Iterable[TextLevel]) -> list[Level]:
        """Take levels in their order, one price may come twice; 0 deletes, and deleting an unknown price is harmless.

        Returns what they pushed beyond the depth, as deletes: those who rebuild the book from its rows do not know the depth.
        """
        amounts, texts, prices = self._amounts, self._texts, self._prices
        self._spelled = None
        for price, amount, text in levels:
            if amount > 0:
                if price not in amounts:
                    insort(prices, price)
                amounts[price] = amount
                texts[price] = text
            elif amounts.pop(price, None) is not None:
                del texts[price]
                del prices[bisect_left(prices, price)]
        return self.truncate() if len(prices) > self.depth else []

    def truncate(self) -> list[Level]:
        """Forget levels beyond the depth, for which the venue sends no deletes; returns them as such."""
        surplus = len(self._prices) - self.depth
        if surplus <= 0:
            return []
        self._spelled = None
        gone = self._prices[:surplus] if self._descending else self._prices[-surplus:]
        del self._prices[slice(0, surplus) if self._descending else slice(-surplus, None)]
        for price in gone:
            del self._amounts[price]
            del self._texts[price]
        return [(price, 0.0) for price in gone]

    def respell(self, spell: dict[float, TextLevel]) -> None:
        """Replace the digits of levels that are there."""
        self._spelled = None
        for price, level in spell.items():
            if price in self._texts:
                self._texts[price] = level[2]

    def text(self, count: int) -> bytes:
        """Digits of the best `count` levels in one string, best first."""
        return b"".join(self.spelled(count))

    def spelled(self, count: int) -> list[bytes]:
        """Digits of each of the best `count` levels, best first; for reading only, they are kept until the side changes."""
        if self._spelled is None or self._count != count:
            self._count = count
            self._spelled = list(map(self._texts.__getitem__, self._best(count)))
        return self._spelled

    def columns(self, count: int) -> Columns:
        """Prices and amounts of the best `count` levels, best first."""
        prices = self._best(count)
        return prices, list(map(self._amounts.__getitem__, prices))

    def top(self, count: int) -> list[Level]:
        """The best `count` levels, best first."""
        return list(zip(*self.columns(count), strict=True))

    def _best(self, count: int) -> list[float]:
        return self._prices[: -count - 1 : -1] if self._descending else self._prices[:count]

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

    def apply(self, bids: Sequence[TextLevel], asks: Sequence[TextLevel]) -> tuple[list[Level], list[Level]]:
        """Take one update; returns the bids and asks it pushed beyond the depth, as deletes."""
        return self.bids.apply(bids) if bids else [], self.asks.apply(asks) if asks else []

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
