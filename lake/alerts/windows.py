"""Live windows: what happened in the last seconds of one market, kept event by event, without a look back at the events.

Put here: the rolling window, the volume history by minute, the count of occurrences. Keep out: rules, and where events come from.

A window is [end - length, end) and ends just behind its newest event, or where `advance` puts it. Its figures are those of
`lake.transforms.liquidation_windows` over the same events, whatever order they come in and however often:

* what rules judge after every event (count, sums of values and amounts, first and last price) is at hand: the sums are whole numbers (a
  float times 2**200 is one), so taking an event out leaves exactly what would be there without it;
* what only an alert tells (largest, bought, vwap, volatility) is computed when it is asked for, from the events that are held.

An event costs the same however long the window, in order or late, and about 60 bytes: a collector keeps hundreds of thousands of them.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections import deque
from math import sqrt
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

_UNIT: Final = 1 << 200
_SCALE: Final = float(_UNIT)
"""An amount of 1e-32 is a whole number of units still, and each conversion is exact."""
_MOST: Final = 1e150
_MINUTE_US: Final = 60_000_000
_PER_CENT: Final = 100.0
_SPARE: Final = 64
"""Events that have left are let go of when there are more than so many, and more than an eighth of those that stay."""
_LONGEST_NUMBER: Final = 64

Event: TypeAlias = tuple[int, int, int | str, float, float, float, bool]
"""(timestamp us, ordinal, id, price, amount, value, whether its side is buy); the first two order events of one market."""


class RollingWindow:
    """Figures of the events of one market within `length_us` microseconds. Values are in whatever unit `add` is given them."""

    __slots__ = (
        "_amount",
        "_amounts",
        "_bought",
        "_head",
        "_keys",
        "_ordinals",
        "_prices",
        "_times",
        "_total",
        "_values",
        "end",
        "length_us",
    )

    def __init__(self, length_us: int) -> None:
        self.length_us = length_us
        self.end = 0
        """First microsecond behind the window."""
        self._head = 0
        """Columns of the events in order; those before `_head` have left."""
        self._times = array("q")
        self._ordinals = array("q")
        self._keys = array("q")
        self._prices = array("d")
        self._amounts = array("d")
        self._values = array("d")
        self._bought = bytearray()
        self._amount = self._total = 0

    def add(self, event: Event) -> bool:
        """Take an event; False for one that is in the window already, lies before it, or has a price or amount that is none.

        Events are the same that have one timestamp and one id, a number or its digits.
        """
        timestamp, ordinal, identity, price, amount, value, bought = event
        if timestamp < self.end - self.length_us:
            return False
        if not (0.0 < price < _MOST and 0.0 < amount < _MOST and 0.0 <= value < _MOST):
            return False
        key = _key(identity)
        times = self._times
        if len(times) == self._head or timestamp > times[-1]:
            place = len(times)
        else:
            first = bisect_left(times, timestamp, self._head)
            place = bisect_right(times, timestamp, first)
            if key in self._keys[first:place]:
                return False
            while place > first and self._ordinals[place - 1] > ordinal:
                place -= 1
        if timestamp >= self.end:
            # Whoever is new ends the window, so that nothing behind `place` leaves; what leaves may be cut off before it.
            place -= self._advance(timestamp + 1)
        times.insert(place, timestamp)
        self._ordinals.insert(place, ordinal)
        self._keys.insert(place, key)
        self._prices.insert(place, price)
        self._amounts.insert(place, amount)
        self._values.insert(place, value)
        self._bought.insert(place, bought)
        self._amount += int(amount * _SCALE)
        self._total += int(value * _SCALE)
        return True

    def advance(self, end: int) -> None:
        """Let the window end at `end`, if that is later: what lies before its new beginning leaves it."""
        if end > self.end:
            self._advance(end)

    def _advance(self, end: int) -> int:
        """How many events were cut off."""
        self.end = end
        start, times, head = end - self.length_us, self._times, self._head
        if head == len(times) or times[head] >= start:
            return 0
        stays = bisect_left(times, start, head)
        amount = total = 0
        for gone in self._amounts[head:stays]:
            amount += int(gone * _SCALE)
        for gone in self._values[head:stays]:
            total += int(gone * _SCALE)
        self._amount -= amount
        self._total -= total
        self._head = stays
        if stays <= _SPARE or stays <= (len(times) - stays) // 8:
            return 0
        for column in (times, self._ordinals, self._keys, self._prices, self._amounts, self._values):
            del column[:stays]
        del self._bought[:stays]
        self._head = 0
        return stays

    def __len__(self) -> int:
        return len(self._times) - self._head

    @property
    def total(self) -> float:
        """Sum of the values."""
        return self._total / _UNIT

    @property
    def bought(self) -> float:
        """Sum of the values of events whose side is buy."""
        return float(self._of(self._values)[self._sides()].sum())

    @property
    def sold(self) -> float:
        """Sum of the values of the others."""
        return float(self._of(self._values)[~self._sides()].sum())

    @property
    def volume(self) -> float:
        """Sum of the amounts, base units."""
        return self._amount / _UNIT

    @property
    def vwap(self) -> float:
        """Sum of price x amount / sum of amount, quote units; of a window that holds an event."""
        return float((self._of(self._prices) * self._of(self._amounts)).sum()) / self.volume

    @property
    def largest(self) -> float:
        """Greatest value of an event; 0 for an empty window."""
        return float(self._of(self._values).max(initial=0.0))

    @property
    def price_change_pct(self) -> float:
        """From the first event to the last, per cent; 0 for an empty window."""
        if not len(self):
            return 0.0
        first = self._prices[self._head]
        return (self._prices[-1] - first) / first * _PER_CENT

    @property
    def volatility(self) -> float:
        """Realised: root of the sum of squared log price changes from event to event, per cent."""
        prices = self._of(self._prices)
        changes = np.log(prices[1:] / prices[:-1])
        return sqrt(float((changes * changes).sum())) * _PER_CENT

    def _of(self, column: array[float]) -> npt.NDArray[np.float64]:
        """A view on what is held of a column; an array that has views cannot grow, so none may be kept."""
        return np.frombuffer(column, np.float64)[self._head :]

    def _sides(self) -> npt.NDArray[np.bool_]:
        return np.frombuffer(self._bought, np.bool_)[self._head :]


def _key(identity: int | str) -> int:
    """Stands for an id among the events of one timestamp: the number itself, of digits the number, of other text its hash."""
    if isinstance(identity, str) and len(identity) <= _LONGEST_NUMBER and identity.isdecimal():
        return hash(int(identity))
    return hash(identity)


class VolumeHistory:
    """Volume of the whole minutes that precede a window, as a running sum."""

    __slots__ = ("_before", "_first", "_minutes", "_sum", "_volumes")

    def __init__(self, history_us: int) -> None:
        self._minutes = history_us // _MINUTE_US
        self._volumes: dict[int, int] = {}
        self._before = 0
        """The sum is of the minutes [_before - _minutes, _before)."""
        self._first: int | None = None
        self._sum = 0

    def add(self, timestamp: int, amount: float) -> None:
        """Take the amount of a trade, or of a whole minute."""
        minute = timestamp // _MINUTE_US
        if self._first is None or minute < self._first:
            self._first = minute
        if minute < self._before - self._minutes:
            return
        scaled = int(amount * _SCALE)
        self._volumes[minute] = self._volumes.get(minute, 0) + scaled
        if minute < self._before:
            self._sum += scaled

    def average(self, start: int, *, length_us: int) -> float | None:
        """What `length_us` had on average in the history before the minute `start` lies in; None until all of it is known, or is empty.

        `start` must not go back.
        """
        before = start // _MINUTE_US
        volumes = self._volumes
        if before - self._before > self._minutes:
            self._volumes = {minute: sum_ for minute, sum_ in volumes.items() if minute >= before - self._minutes}
            self._before = before
            self._sum = sum(sum_ for minute, sum_ in self._volumes.items() if minute < before)
        while self._before < before:
            self._sum += volumes.get(self._before, 0) - volumes.pop(self._before - self._minutes, 0)
            self._before += 1
        if self._first is None or before - self._minutes <= self._first or not self._sum:
            return None
        return self._sum / _UNIT * length_us / (self._minutes * _MINUTE_US)


class Occurrences:
    """How often something happened within `length_us`; instants do not go back by more than that."""

    __slots__ = ("_length_us", "_times")

    def __init__(self, length_us: int) -> None:
        self._length_us = length_us
        self._times: deque[int] = deque()

    def add(self, timestamp: int) -> int:
        """Count one at `timestamp`; how many the window that ends with it holds."""
        self._times.append(timestamp)
        while self._times[0] <= timestamp - self._length_us:
            self._times.popleft()
        return len(self._times)
