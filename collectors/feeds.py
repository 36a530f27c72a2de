"""One symbol's trades as they land: de-duplication, clock rules, gaps; books stand in bookfeed.py.

Put here: what is the same for every venue once a frame is understood. Keep out: wire formats, sequence rules, sockets.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import Final

from collectors.bookfeed import BookFeed
from collectors.continuity import Gap
from collectors.errors import FrameError
from collectors.pages import Page
from collectors.rows import RowWriter
from lake.paths import HOUR_US

__all__ = ["GENESIS", "BookFeed", "Skip", "TradeFeed", "event_time", "hour_start", "micros"]

GENESIS: Final = 1_230_940_800_000_000
"""2009-01-03, microseconds: nothing in these markets happened before."""
_FIRST_MILLISECOND: Final = 1_230_940_800_000
_LAST_MILLISECOND: Final = 100_000_000_000_000
SUSPECT_AFTER: Final = 60_000_000
SETTLE_AFTER: Final = 2_000_000
"""With two sockets a hole in the ids counts when the other one has not filled it after this long, microseconds."""
_SILENCES: Final = frozenset({"disconnect", "stall"})
"""Gaps that last until the stream delivers again."""


def micros(value: int) -> int:
    """A venue's time as microseconds, its unit read off its magnitude (seconds, milli-, micro- or nanoseconds)."""
    if value < 100_000_000_000:
        return value * 1_000_000
    if value < _LAST_MILLISECOND:
        return value * 1_000
    return value if value < 100_000_000_000_000_000 else value // 1_000


def event_time(exchange: str, value: int) -> int:
    """A venue's event time as microseconds; raises `FrameError` when it lies before 2009."""
    if _FIRST_MILLISECOND <= value < _LAST_MILLISECOND:
        # Most venues send milliseconds.
        return value * 1_000
    time = micros(value)
    if time < GENESIS:
        raise FrameError(exchange, f"time {value} lies before 2009, expected a time of these markets")
    return time


@dataclass(frozen=True, slots=True)
class Skip:
    """Trade ids between `last` and `number`, both exclusive, that have not come; times in microseconds."""

    last: int
    number: int
    from_time: int
    to_time: int
    noticed: int


class TradeFeed:
    """Trades of one symbol on one connection. `holes` is called with (feed, gap) where trades were missed, once the gap's end is known.

    Where ids need not follow each other nothing tells whether a silence cost any: with `seeks` each one calls `holes`.
    """

    __slots__ = (
        *("_carrying", "_holes", "_page", "_seeks", "contiguous", "key"),
        *("last_received", "newest_rest", "session", "suspected", "symbol", "tape", "writer"),
    )

    def __init__(
        self,
        writer: RowWriter,
        symbol: str,
        *,
        session: object,
        contiguous: bool,
        holes: Callable[[TradeFeed, Gap], None] | None = None,
        seeks: bool = False,
    ) -> None:
        self.writer = writer
        self.symbol = symbol
        self.session = session
        self.contiguous = contiguous
        self.key = writer.key(symbol)
        self.tape = writer.continuity.tape(symbol)
        self.newest_rest: int | None = None
        """Time of the last row of the last REST answer, microseconds."""
        self.last_received: int | None = None
        """When this socket last brought a trade, new or not."""
        self.suspected: list[Skip] = []
        """Holes that another socket may fill."""
        self._holes = holes
        self._seeks = seeks
        self._page = Page()
        self._carrying = False

    def take(
        self,
        number: int,
        timestamp: int,
        *,
        received: int | None,
        sold: bool,
        price: float,
        amount: float,
        fills: int = 1,
        covers: int = 1,
    ) -> None:
        """Land one trade of the stream unless its id has landed; `timestamp` and `received` in microseconds, amount in base units.

        `covers` counts the ids that end with `number` and are all in this row.
        """
        if not (0.0 < price < inf and 0.0 < amount < inf):
            raise FrameError(self.writer.exchange, f"trade {number} has price {price} and amount {amount}, expected both above 0")
        self.last_received = received
        tape = self.tape
        seen = tape.seen
        last = seen.last
        if not seen.add(number):
            self.writer.duplicate("trades")
            if not self._carrying:
                self._first(number, timestamp, last=last, received=received)
            return
        if covers > 1:
            for other in range(number - covers + 1, number):
                seen.add(other)
        if received is None:
            self.writer.trade((self.key, timestamp, timestamp, number, number, sold, price, amount, fills, False, False))
        else:
            suspect = timestamp > received + SUSPECT_AFTER
            self.writer.trade((self.key, timestamp, received, number, number, sold, price, amount, fills, False, suspect))
        if not self._carrying:
            self._first(number, timestamp, last=last, received=received, covers=covers)
        elif last is not None and number - covers > last and self.contiguous:
            self._hole(number - covers + 1, timestamp, last=last, received=received)
        tape.last_time = timestamp

    def take_keyed(
        self, identity: str, timestamp: int, *, received: int | None, sold: bool, price: float, amount: float, rest: bool = False
    ) -> bool:
        """Land one trade whose id has no order (a UUID) unless it has landed lately; True when it is new. Nothing can be told missing."""
        if not (0.0 < price < inf and 0.0 < amount < inf):
            raise FrameError(self.writer.exchange, f"trade {identity} has price {price} and amount {amount}, expected both above 0")
        new = self.writer.continuity.recent(f"trades of {self.symbol}").add(identity)
        if new:
            local = timestamp if received is None else received
            suspect = received is not None and timestamp > received + SUSPECT_AFTER
            row = (self.key, timestamp, local, self.writer.next_ordinal(), identity, sold, price, amount, 1, rest, suspect)
            self.writer.trade(row)
        else:
            self.writer.duplicate("trades")
        if rest:
            self._page.add(None, timestamp)
            self._page.new += new
        else:
            self.last_received = received
            if not self._carrying:
                self._first(None, timestamp, last=None, received=received)
            if new:
                self.tape.last_time = timestamp
        return new

    def take_rest(
        self, number: int, timestamp: int, *, received: int | None, sold: bool, price: float, amount: float, fills: int = 1
    ) -> None:
        """Land one trade of a REST answer unless its id has landed; what it heals is asked by `mend`."""
        if not (0.0 < price < inf and 0.0 < amount < inf):
            raise FrameError(self.writer.exchange, f"trade {number} has price {price} and amount {amount}, expected both above 0")
        self.newest_rest = timestamp
        self._page.add(number, timestamp)
        if not self.tape.seen.add(number):
            self.writer.duplicate("trades")
            return
        self._page.new += 1
        local = timestamp if received is None else received
        suspect = timestamp > local + SUSPECT_AFTER
        self.writer.trade((self.key, timestamp, local, number, number, sold, price, amount, fills, True, suspect))

    def take_page(self) -> Page:
        """What REST answers brought since this was last asked."""
        page, self._page = self._page, Page()
        return page

    def pause(self) -> None:
        """The stream has fallen silent: its next trade is looked at like the first one of a socket."""
        self._carrying = False

    def confirmed(self, now: int | None, since: int | None) -> None:
        """The stream stands again though no trade has come: what was lost ends at `since`, the moment of the acknowledgement."""
        continuity = self.writer.continuity
        self._carrying = True
        continuity.carry(self.session, self.symbol, "trades")
        for gap in continuity.open_gaps(self.symbol, "trades"):
            if gap.kind != "disconnect" or gap.to_time is not None or now is None:
                continue
            if self._holes is None:
                continuity.heal(self.writer, gap, by="reconnect", now=now, to_time=since)
            else:
                # A trade may have come between the cut and the acknowledgement, and none since.
                gap.to_time = now if since is None else since
                gap.fetching.quiet = True
                self.writer.gap(gap.row(None, None))
                self._holes(self, gap)

    def mend(self, now: int | None) -> None:
        """Heal gaps whose trades have all been fetched."""
        continuity = self.writer.continuity
        for gap in continuity.open_gaps(self.symbol, "trades"):
            first, last = gap.from_sequence, gap.to_sequence
            if first is not None and last is not None and not self.tape.seen.missing(first, last):
                continuity.heal(self.writer, gap, by="rest", now=gap.noticed if now is None else now)

    def _first(self, number: int | None, timestamp: int, *, last: int | None, received: int | None, covers: int = 1) -> None:
        """The first trade of a socket tells what the silence before it cost; `number` is None where ids have no order."""
        continuity = self.writer.continuity
        continuity.carry(self.session, self.symbol, "trades")
        self._carrying = True
        now = timestamp if received is None else received
        first = None if number is None else number - covers + 1
        skipped = self.contiguous and first is not None and last is not None and first > last + 1
        missed = first is None or self._seeks or skipped
        waiting = [gap for gap in continuity.open_gaps(self.symbol, "trades") if gap.kind in _SILENCES and gap.to_time is None]
        for gap in waiting:
            if first is not None:
                gap.to_sequence = first if last is None else max(first, last + 1)
            if missed and self._holes is not None:
                gap.to_time = timestamp
                self.writer.gap(gap.row(None, None))
                self._holes(self, gap)
            else:
                continuity.heal(self.writer, gap, by="reconnect", now=now, to_time=now)
        if not waiting and skipped and first is not None and last is not None:
            self._hole(first, timestamp, last=last, received=received)

    def settle(self, now: int) -> None:
        """Look again at holes that another socket was to fill: what it did not fill in time is a gap."""
        waiting: list[Skip] = []
        for hole in self.suspected:
            if not self.tape.seen.missing(hole.last, hole.number):
                continue
            if now - hole.noticed > SETTLE_AFTER:
                self._missed(hole)
            else:
                waiting.append(hole)
        self.suspected = waiting

    def _hole(self, number: int, timestamp: int, *, last: int, received: int | None) -> None:
        noticed = timestamp if received is None else received
        from_time = timestamp if self.tape.last_time is None else self.tape.last_time
        hole = Skip(last, number, from_time=from_time, to_time=timestamp, noticed=noticed)
        continuity = self.writer.continuity
        if continuity.merging and len(continuity.carriers[self.symbol, "trades"]) > 1:
            self.suspected.append(hole)
        else:
            self._missed(hole)

    def _missed(self, hole: Skip) -> None:
        gap = self.writer.continuity.open_gap(
            self.writer,
            self.symbol,
            channel="trades",
            kind="sequence",
            now=hole.noticed,
            from_time=hole.from_time,
            from_sequence=hole.last,
            to_sequence=hole.number,
            to_time=hole.to_time,
        )
        if self._holes is not None:
            self._holes(self, gap)


def hour_start(now: int) -> int:
    """Start of the hour `now` lies in, microseconds."""
    return now - now % HOUR_US
