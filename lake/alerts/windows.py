"""Live windows: what happened in the last seconds of one market, kept event by event, without a look back at the events.

Put here: the rolling window, the volume history by minute, the count of occurrences. Keep out: rules, and where events come from.

A window is [end - length, end) and ends just behind its newest event, or where `advance` puts it. Its figures are those of
`lake.transforms.liquidation_windows` over the same events, whatever order they come in and however often:

* sums are whole numbers (a float times 2**200 is one), so taking an event out leaves exactly what would be there without it;
* what lies between neighbours (price changes) is corrected where an event is put in or taken out;
* the largest value is the head of a queue that only holds what nothing later exceeds.

An event in order costs the same however long the window; one that comes late costs a step for each event it should have come before.
"""

from __future__ import annotations

from collections import deque
from math import log, sqrt
from typing import Final, TypeAlias

_UNIT: Final = 1 << 200
_SCALE: Final = float(_UNIT)
"""An amount of 1e-32 is a whole number of units still, and each conversion is exact."""
_MOST: Final = 1e150
_MINUTE_US: Final = 60_000_000
_PER_CENT: Final = 100.0

Event: TypeAlias = tuple[int, int, str, float, float, float, bool]
"""(timestamp us, ordinal, id, price, amount, value, whether its side is buy); the first three order events of one market."""


class RollingWindow:
    """Figures of the events of one market within `length_us` microseconds. Values are in whatever unit `add` is given them."""

    __slots__ = ("_amount", "_bought", "_events", "_ids", "_quote", "_squares", "_tall", "_total", "end", "length_us")

    def __init__(self, length_us: int) -> None:
        self.length_us = length_us
        self.end = 0
        """First microsecond behind the window."""
        self._events: deque[Event] = deque()
        self._ids: set[str] = set()
        self._tall: deque[Event] = deque()
        self._amount = self._quote = self._total = self._bought = self._squares = 0

    def add(self, event: Event) -> bool:
        """Take an event; False for one that is in the window already, lies before it, or has a price or amount that is none."""
        timestamp, _, identity, price, amount, value, bought = event
        if timestamp < self.end - self.length_us or identity in self._ids:
            return False
        if not (0.0 < price < _MOST and 0.0 < amount < _MOST and 0.0 <= value < _MOST):
            return False
        if timestamp >= self.end:
            self.advance(timestamp + 1)
        self._ids.add(identity)
        scaled = int(value * _SCALE)
        self._total += scaled
        if bought:
            self._bought += scaled
        self._amount += int(amount * _SCALE)
        self._quote += int(price * amount * _SCALE)
        events = self._events
        if not events or events[-1] < event:
            if events:
                self._squares += _square(events[-1], event)
            events.append(event)
            tall = self._tall
            while tall and tall[-1][5] <= value:
                tall.pop()
            tall.append(event)
        else:
            self._insert(event)
        return True

    def advance(self, end: int) -> None:
        """Let the window end at `end`, if that is later: what lies before its new beginning leaves it."""
        if end <= self.end:
            return
        self.end = end
        start = end - self.length_us
        events = self._events
        while events and events[0][0] < start:
            gone = events.popleft()
            _, _, identity, price, amount, value, bought = gone
            self._ids.discard(identity)
            scaled = int(value * _SCALE)
            self._total -= scaled
            if bought:
                self._bought -= scaled
            self._amount -= int(amount * _SCALE)
            self._quote -= int(price * amount * _SCALE)
            if events:
                self._squares -= _square(gone, events[0])
            if self._tall[0] is gone:
                self._tall.popleft()

    def _insert(self, event: Event) -> None:
        """Put a late event where it belongs."""
        place = _place(self._events, event)
        after = self._events[place]
        self._squares += _square(event, after)
        if place:
            before = self._events[place - 1]
            self._squares += _square(before, event) - _square(before, after)
        self._events.insert(place, event)
        place = _place(self._tall, event)
        if place < len(self._tall) and self._tall[place][5] >= event[5]:
            return
        self._tall.insert(place, event)
        while place and self._tall[place - 1][5] <= event[5]:
            place -= 1
            del self._tall[place]

    def __len__(self) -> int:
        return len(self._events)

    @property
    def total(self) -> float:
        """Sum of the values."""
        return self._total / _UNIT

    @property
    def bought(self) -> float:
        """Sum of the values of events whose side is buy."""
        return self._bought / _UNIT

    @property
    def sold(self) -> float:
        """Sum of the values of the others."""
        return (self._total - self._bought) / _UNIT

    @property
    def volume(self) -> float:
        """Sum of the amounts, base units."""
        return self._amount / _UNIT

    @property
    def vwap(self) -> float:
        """Sum of price x amount / sum of amount, quote units; of a window that holds an event."""
        return self._quote / self._amount

    @property
    def largest(self) -> float:
        """Greatest value of an event; 0 for an empty window."""
        return self._tall[0][5] if self._tall else 0.0

    @property
    def price_change_pct(self) -> float:
        """From the first event to the last, per cent; 0 for an empty window."""
        if not self._events:
            return 0.0
        first = self._events[0][3]
        return (self._events[-1][3] - first) / first * _PER_CENT

    @property
    def volatility(self) -> float:
        """Realised: root of the sum of squared log price changes from event to event, per cent."""
        return sqrt(self._squares / _UNIT) * _PER_CENT


def _square(earlier: Event, later: Event) -> int:
    return int(log(later[3] / earlier[3]) ** 2 * _SCALE)


def _place(events: deque[Event], event: Event) -> int:
    """Where in the ordered queue the event belongs, looked for from its end: most late events are only a little late."""
    place = len(events)
    for other in reversed(events):
        if other < event:
            break
        place -= 1
    return place


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
