"""Order books and the sequence rules that keep them whole: pure, small, knowing neither rows nor sockets.

Put here: price levels by side, best levels, and per rule family the question "does this update follow?".
Keep out: checksums over wire text (`textbook`), snapshots to be fetched (`alignment`), landing (`feeds`).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from enum import Enum
from math import isfinite
from operator import itemgetter
from typing import Final, Protocol, TypeAlias

Level: TypeAlias = tuple[float, float]
Levels: TypeAlias = Sequence[Level]

Columns: TypeAlias = tuple[list[float], list[float]]
"""Prices and amounts of one side, best first."""

WINDOW: Final = 128
"""Levels next to the touch that are kept in order."""
_PRICE: Final = itemgetter(0)
SETTLE_AFTER: Final = 8192
"""Levels taken until they are looked through, at the latest."""


def sound(levels: Levels) -> bool:
    """Whether every price is above 0, every amount at least 0, and all are finite."""
    if not levels:
        return True
    prices, amounts = zip(*levels, strict=True)
    # The sum holds whatever is not finite; the least of several numbers may miss one that is not a number.
    return min(prices) > 0.0 and min(amounts) >= 0.0 and isfinite(sum(prices) + sum(amounts))


class Side:
    """One side of a book. An update costs one `dict.update`; order is kept only next to the touch, and only when somebody looks."""

    __slots__ = ("_amounts", "_bound", "_descending", "_loose", "_pending", "_prices", "_touched")

    def __init__(self, *, descending: bool) -> None:
        self._descending = descending
        self._amounts: dict[float, float] = {}
        self._prices: list[float] = []
        self._bound: float | None = None
        """The worst price of the window; None while the window holds every level."""
        self._touched: list[Levels] = []
        self._pending = 0
        self._loose = 0

    def load(self, levels: Iterable[Level]) -> None:
        """Replace the side."""
        self._amounts = dict(levels)
        self._order()

    def apply(self, levels: Levels) -> None:
        """Set the amount resting at each price; 0 deletes, and deleting an unknown price is harmless."""
        self._amounts.update(levels)
        self._touched.append(levels)
        self._pending += len(levels)
        if self._pending > SETTLE_AFTER:
            self._settle()

    def columns(self, count: int) -> Columns:
        """Prices and amounts of the best `count` levels, best first."""
        self._settle()
        ordered = self._prices
        if count > len(ordered) and self._bound is not None:
            ordered = self._rebuild()
        prices = ordered[: -count - 1 : -1] if self._descending else ordered[:count]
        return prices, list(map(self._amounts.__getitem__, prices))

    def top(self, count: int) -> list[Level]:
        """The best `count` levels, best first."""
        return list(zip(*self.columns(count), strict=True))

    def levels(self) -> list[Level]:
        """All levels, best first."""
        found = [level for level in self._amounts.items() if level[1] > 0]
        found.sort(key=_PRICE, reverse=self._descending)
        return found

    def best(self) -> float | None:
        """The best price, None when the side is empty."""
        prices, _ = self.columns(1)
        return prices[0] if prices else None

    def __len__(self) -> int:
        return len(self.levels())

    def _settle(self) -> None:
        """Bring the window up to date; levels beyond it wait for the next rebuild."""
        self._loose += self._pending
        if self._loose > SETTLE_AFTER + len(self._amounts):
            self._rebuild()
            return
        amounts, prices, bound = self._amounts, self._prices, self._bound
        if bound is None:
            near = {price for levels in self._touched for price, _ in levels}
        elif self._descending:
            near = {price for levels in self._touched for price, _ in levels if price >= bound}
        else:
            near = {price for levels in self._touched for price, _ in levels if price <= bound}
        self._touched.clear()
        self._pending = 0
        for price in near:
            place = bisect_left(prices, price)
            listed = place < len(prices) and prices[place] == price
            if amounts[price] > 0:
                if not listed:
                    prices.insert(place, price)
            else:
                del amounts[price]
                if listed:
                    del prices[place]
        if len(prices) > 2 * WINDOW:
            self._narrow(prices)

    def _rebuild(self) -> list[float]:
        """Throw out what rests at no amount and start the window anew; returns all prices, ascending."""
        self._amounts = {price: amount for price, amount in self._amounts.items() if amount > 0}
        return self._order()

    def _order(self) -> list[float]:
        if self._amounts and min(self._amounts.values()) <= 0:
            return self._rebuild()
        prices = sorted(self._amounts)
        self._touched.clear()
        self._pending = self._loose = 0
        self._bound = None
        self._narrow(prices)
        return prices

    def _narrow(self, prices: list[float]) -> None:
        if len(prices) > WINDOW:
            self._prices = prices[-WINDOW:] if self._descending else prices[:WINDOW]
            self._bound = self._prices[0] if self._descending else self._prices[-1]
        else:
            self._prices = prices


class AnyBook(Protocol):
    """What a feed asks of a book, however it is kept."""

    def top(self, count: int) -> tuple[list[Level], list[Level]]: ...
    def columns(self, count: int) -> tuple[Columns, Columns]: ...
    def levels(self) -> tuple[list[Level], list[Level]]: ...


class Book:
    """Both sides by price, base units."""

    __slots__ = ("asks", "bids")

    def __init__(self) -> None:
        self.bids = Side(descending=True)
        self.asks = Side(descending=False)

    def load(self, bids: Iterable[Level], asks: Iterable[Level]) -> None:
        """Replace the book."""
        self.bids.load(bids)
        self.asks.load(asks)

    def apply(self, bids: Levels, asks: Levels) -> None:
        """Take one update."""
        self.bids.apply(bids)
        self.asks.apply(asks)

    def columns(self, count: int) -> tuple[Columns, Columns]:
        """Prices and amounts of the best `count` levels of bids and asks, best first."""
        return self.bids.columns(count), self.asks.columns(count)

    def top(self, count: int) -> tuple[list[Level], list[Level]]:
        """The best `count` levels of both sides, best first."""
        return self.bids.top(count), self.asks.top(count)

    def levels(self) -> tuple[list[Level], list[Level]]:
        """All levels of both sides, best first."""
        return self.bids.levels(), self.asks.levels()

    @property
    def crossed(self) -> bool:
        """True when somebody would buy above what somebody sells for."""
        bid, ask = self.bids.best(), self.asks.best()
        return bid is not None and ask is not None and bid >= ask


class Follows(Enum):
    """How an update stands to the book it is meant for."""

    STALE = "stale"
    """The book already holds it."""
    NEXT = "next"
    AHEAD = "ahead"
    """Something between was missed."""


class Sequencer(Protocol):
    """A sequence rule: how updates (first, last, previous) stand to a snapshot and to each other."""

    def after_snapshot(self, snapshot: int, *, first: int, last: int, previous: int | None) -> Follows:
        """How an update stands to a snapshot no update has been applied to."""

    def after_update(self, applied: int, *, first: int, last: int, previous: int | None) -> Follows:
        """How an update stands to the last one applied."""


class SpotDiff:
    """Binance spot, its steps 3 and 4: the first update spans snapshot + 1; then each begins right after the last."""

    def after_snapshot(self, snapshot: int, *, first: int, last: int, previous: int | None) -> Follows:
        """U <= lastUpdateId + 1 <= u."""
        return self.after_update(snapshot, first=first, last=last, previous=previous)

    def after_update(self, applied: int, *, first: int, last: int, previous: int | None) -> Follows:
        """U == previous u + 1; an overlap that reaches further holds absolute amounts and is taken."""
        del previous
        if last <= applied:
            return Follows.STALE
        return Follows.NEXT if first <= applied + 1 else Follows.AHEAD


class FuturesDiff:
    """Binance USD-M: ids skip, so each update names the one before it (pu); U is looked at against the snapshot only."""

    def after_snapshot(self, snapshot: int, *, first: int, last: int, previous: int | None) -> Follows:
        """U <= lastUpdateId <= u, or pu == lastUpdateId; u < lastUpdateId is dropped."""
        if last < snapshot:
            return Follows.STALE
        return Follows.NEXT if first <= snapshot or previous == snapshot else Follows.AHEAD

    def after_update(self, applied: int, *, first: int, last: int, previous: int | None) -> Follows:
        """The update's pu equals the last one's u; a frame sent again is stale."""
        del first
        if previous == applied:
            return Follows.NEXT
        return Follows.STALE if last <= applied else Follows.AHEAD
