"""Live windows: what happened in the last seconds of one market, kept event by event, without a look back at the events.

Put here: the rolling window, the volume history by minute, the count of occurrences. Keep out: rules, and where events come from.

A window is [end - length, end) and ends just behind its newest event, or where `advance` puts it. Its figures are those of
`lake.transforms.liquidation_windows` over the same events, whatever order they come in and however often:

* sums are whole numbers (a float times 2**200 is one), so taking an event out leaves exactly what would be there without it;
* what lies between neighbours (price changes) is corrected where an event is put in or taken out;
* the largest value is the head of a queue that only holds what nothing later exceeds.

An event costs the same however long the window, in order or late; what has one timestamp leaves together.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from math import log, sqrt
from typing import Final, TypeAlias

_UNIT: Final = 1 << 200
_SCALE: Final = float(_UNIT)
"""An amount of 1e-32 is a whole number of units still, and each conversion is exact."""
_MOST: Final = 1e150
_MINUTE_US: Final = 60_000_000
_PER_CENT: Final = 100.0
_SPARE: Final = 64
"""Timestamps that have left are let go of when there are more than so many, and more than stay."""

Event: TypeAlias = tuple[int, int, str, float, float, float, bool]
"""(timestamp us, ordinal, id, price, amount, value, whether its side is buy); the first three order events of one market."""


class _Instant:
    """The events of one timestamp, in order, and their sums: they come and leave together."""

    __slots__ = ("amount", "bought", "events", "link", "quote", "squares", "total")

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.amount = self.quote = self.total = self.bought = 0
        self.squares = 0
        """Of the price changes between them."""
        self.link = 0
        """The square of the change from the last event before them to the first."""


class RollingWindow:
    """Figures of the events of one market within `length_us` microseconds. Values are in whatever unit `add` is given them."""

    __slots__ = (
        "_amount",
        "_bought",
        "_count",
        "_head",
        "_ids",
        "_instants",
        "_quote",
        "_squares",
        "_tall",
        "_times",
        "_total",
        "end",
        "length_us",
    )

    def __init__(self, length_us: int) -> None:
        self.length_us = length_us
        self.end = 0
        """First microsecond behind the window."""
        self._times: list[int] = []
        """Timestamps of the events, in order; those before `_head` have left."""
        self._head = 0
        self._instants: dict[int, _Instant] = {}
        self._ids: set[str] = set()
        self._tall: deque[tuple[int, float]] = deque()
        """(timestamp, value) of those that nothing later exceeds, the largest first."""
        self._amount = self._quote = self._total = self._bought = self._squares = self._count = 0

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
        self._count += 1
        instant = self._link(event)
        scaled = int(value * _SCALE)
        self._total += scaled
        instant.total += scaled
        if bought:
            self._bought += scaled
            instant.bought += scaled
        scaled = int(amount * _SCALE)
        self._amount += scaled
        instant.amount += scaled
        scaled = int(price * amount * _SCALE)
        self._quote += scaled
        instant.quote += scaled
        tall = self._tall
        if not tall or tall[-1][0] <= timestamp:
            while tall and tall[-1][1] <= value:
                tall.pop()
            tall.append((timestamp, value))
        else:
            self._rank(timestamp, value)
        return True

    def advance(self, end: int) -> None:
        """Let the window end at `end`, if that is later: what lies before its new beginning leaves it."""
        if end <= self.end:
            return
        self.end = end
        start = end - self.length_us
        times = self._times
        if self._head < len(times) and times[self._head] < start:
            self._leave(start)
        tall = self._tall
        while tall and tall[0][0] < start:
            tall.popleft()

    def _leave(self, start: int) -> None:
        """Take out what lies before `start`."""
        times, instants, ids, head = self._times, self._instants, self._ids, self._head
        total = bought = amount = quote = squares = count = 0
        while head < len(times) and times[head] < start:
            gone = instants.pop(times[head])
            head += 1
            total += gone.total
            bought += gone.bought
            amount += gone.amount
            quote += gone.quote
            squares += gone.squares + gone.link
            count += len(gone.events)
            for event in gone.events:
                ids.discard(event[2])
        if head < len(times):
            first = instants[times[head]]
            squares += first.link
            first.link = 0
        self._total -= total
        self._bought -= bought
        self._amount -= amount
        self._quote -= quote
        self._squares -= squares
        self._count -= count
        if head > _SPARE and head > len(times) // 2:
            del times[:head]
            head = 0
        self._head = head

    def _link(self, event: Event) -> _Instant:
        """Put an event between its neighbours, and what lies between prices right."""
        times, instants = self._times, self._instants
        timestamp = event[0]
        instant = instants.get(timestamp)
        if instant is None:
            instant = instants[timestamp] = _Instant()
            number = len(times) if not times or times[-1] < timestamp else bisect_left(times, timestamp, self._head)
            times.insert(number, timestamp)
            place = 0
        else:
            number = len(times) - 1 if times[-1] == timestamp else bisect_left(times, timestamp, self._head)
            place = len(instant.events) if instant.events[-1] < event else bisect_left(instant.events, event)
        within = instant.events
        squares = 0
        if place:
            squares += _square(within[place - 1], event)
            if place < len(within):
                squares += _square(event, within[place]) - _square(within[place - 1], within[place])
            instant.squares += squares
        else:
            if within:
                squares += _square(event, within[0])
                instant.squares += squares
            if number > self._head:
                link = _square(instants[times[number - 1]].events[-1], event)
                squares += link - instant.link
                instant.link = link
        if place == len(within) and number + 1 < len(times):
            following = instants[times[number + 1]]
            link = _square(event, following.events[0])
            squares += link - following.link
            following.link = link
        self._squares += squares
        within.insert(place, event)
        return instant

    def _rank(self, timestamp: int, value: float) -> None:
        """Give a late value its place among those that nothing later exceeds."""
        tall = self._tall
        place = len(tall)
        while place and tall[place - 1][0] > timestamp:
            place -= 1
        if place < len(tall) and tall[place][1] >= value:
            return
        while place and tall[place - 1][1] <= value:
            place -= 1
            del tall[place]
        tall.insert(place, (timestamp, value))

    def __len__(self) -> int:
        return self._count

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
        return self._tall[0][1] if self._tall else 0.0

    @property
    def price_change_pct(self) -> float:
        """From the first event to the last, per cent; 0 for an empty window."""
        if not self._count:
            return 0.0
        first = self._instants[self._times[self._head]].events[0][3]
        return (self._instants[self._times[-1]].events[-1][3] - first) / first * _PER_CENT

    @property
    def volatility(self) -> float:
        """Realised: root of the sum of squared log price changes from event to event, per cent."""
        return sqrt(self._squares / _UNIT) * _PER_CENT


def _square(earlier: Event, later: Event) -> int:
    return int(log(later[3] / earlier[3]) ** 2 * _SCALE)


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
