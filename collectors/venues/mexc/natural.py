"""Trades that the stream names and REST does not: the same trade is known by its time, price, amount and side.

Put here: which trades of an answer have landed, which are missing. Keep out: formats, requests.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from collectors.continuity import Gap
from collectors.dedup import RecentKeys
from collectors.feeds import TradeFeed
from collectors.healing import CLOCKS_APART

REMEMBERED: Final = 40_000
"""Keys of a symbol, two a trade: more trades than one answer holds, and those of the minutes a healing takes."""


class Natural(NamedTuple):
    """One trade as it is told apart: `kind` 1 taker buy, 2 taker sell; `amount` as the venue writes it."""

    milliseconds: int
    price: float
    amount: float
    kind: int

    def name(self, place: int) -> str:
        """An id for a trade that has none; `place` counts equal ones from 1."""
        return f"{self.milliseconds}-{self.price!r}-{self.amount!r}-{self.kind}-{place}"


class Landed(RecentKeys):
    """What landed of a symbol lately: each trade with its place among equal ones, and the milliseconds in which any did."""

    __slots__ = ()

    def note(self, natural: Natural) -> None:
        """One more such trade has landed."""
        place = 1
        while (natural, place) in self:
            place += 1
        self.add((natural, place))
        self.add(natural.milliseconds)


class Nameless(NamedTuple):
    """One trade of a REST answer; `timestamp` in microseconds, `amount` in base units."""

    natural: Natural
    timestamp: int
    amount: float


class NaturalFeed(TradeFeed):
    """Trades of one symbol on one connection, of which REST gives no ids."""

    __slots__ = ()

    @property
    def landed(self) -> Landed:
        """What landed lately, on whichever connection."""
        known = self.writer.continuity.keys.setdefault(f"natural keys of {self.symbol}", Landed(REMEMBERED))
        assert isinstance(known, Landed)
        return known

    def take_nameless(self, trades: Iterable[Nameless], received: int | None, *, since: int | None = None) -> None:
        """Land the trades of an answer that lie in a gap and have not landed; the others only tell how far the answer reaches.

        With `since` (microseconds) those from then on land too, up to the newest trade of the stream: later ones are on their way.
        """
        until = self.tape.last_time
        landed = self.landed
        gaps = [gap for gap in self.writer.continuity.open_gaps(self.symbol, "trades") if gap.to_time is not None]
        met: dict[Natural, int] = {}
        for natural, timestamp, amount in trades:
            place = met[natural] = met.get(natural, 0) + 1
            if (natural, place) in landed:
                self.writer.duplicate("trades")
            elif (since is not None and since <= timestamp and (until is None or timestamp < until)) or any(
                _lies_in(gap, timestamp, begun=natural.milliseconds in landed) for gap in gaps
            ):
                landed.note(natural)
                sold = natural.kind == 2
                self.take_keyed(natural.name(place), timestamp, received=received, sold=sold, price=natural.price, amount=amount, rest=True)
                continue
            else:
                self.writer.discard("trades", "not missing")
            self._page.add(None, timestamp)


def _lies_in(gap: Gap, timestamp: int, *, begun: bool) -> bool:
    """Whether a trade lies in a gap. Its first millisecond is that of the last trade before it.

    What landed in that millisecond is known of this process's trades (`begun`), not of those of an earlier one.
    """
    if gap.to_time is None or timestamp > gap.to_time:
        return False
    since = gap.from_time - CLOCKS_APART if gap.last_event is None else gap.last_event
    return timestamp > since or (timestamp == since and begun)
