"""One symbol's trades or book as they land: de-duplication, clock rules, gaps, samples, the snapshot that opens an hour.

Put here: what is the same for every venue once a frame is understood. Keep out: wire formats, sequence rules, sockets.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Final

from collectors.books import AnyBook, Columns, Levels
from collectors.continuity import Gap, GapKind
from collectors.errors import FrameError
from collectors.rows import RowWriter
from lake.paths import HOUR_US

GENESIS: Final = 1_230_940_800_000_000
"""2009-01-03, microseconds: nothing in these markets happened before."""
SUSPECT_AFTER: Final = 60_000_000
SAMPLE_EVERY: Final = 1_000_000
SAMPLE_DEPTH: Final = 25
CROSSED_FOR: Final = 1_000_000
_SILENCES: Final = frozenset({"disconnect", "stall"})
"""Gaps that last until the stream delivers again."""


def micros(value: int) -> int:
    """A venue's time as microseconds, its unit read off its magnitude (seconds, milli-, micro- or nanoseconds)."""
    if value < 100_000_000_000:
        return value * 1_000_000
    if value < 100_000_000_000_000:
        return value * 1_000
    return value if value < 100_000_000_000_000_000 else value // 1_000


def event_time(exchange: str, value: int) -> int:
    """A venue's event time as microseconds; raises `FrameError` when it lies before 2009."""
    time = micros(value)
    if time < GENESIS:
        raise FrameError(exchange, f"time {value} lies before 2009, expected a time of these markets")
    return time


class TradeFeed:
    """Trades of one symbol on one connection. `holes` is called with (last, first, gap) where ids that must follow do not."""

    __slots__ = ("_carrying", "_holes", "contiguous", "key", "newest_rest", "session", "symbol", "tape", "writer")

    def __init__(
        self,
        writer: RowWriter,
        symbol: str,
        *,
        session: object,
        contiguous: bool,
        holes: Callable[[TradeFeed, Gap], None] | None = None,
    ) -> None:
        self.writer = writer
        self.symbol = symbol
        self.session = session
        self.contiguous = contiguous
        self.key = writer.key(symbol)
        self.tape = writer.continuity.tape(symbol)
        self.newest_rest: int | None = None
        """Time of the last row of the last REST answer, microseconds."""
        self._holes = holes
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
        tape = self.tape
        seen = tape.seen
        last = seen.last
        if not seen.add(number):
            self.writer.duplicate("trades")
            if not self._carrying:
                self._first(number, timestamp, last=last, received=received)
            return
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
        if not rest:
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
        if not self.tape.seen.add(number):
            self.writer.duplicate("trades")
            return
        local = timestamp if received is None else received
        suspect = timestamp > local + SUSPECT_AFTER
        self.writer.trade((self.key, timestamp, local, number, number, sold, price, amount, fills, True, suspect))

    def pause(self) -> None:
        """The stream has fallen silent: its next trade is looked at like the first one of a socket."""
        self._carrying = False

    def confirmed(self, now: int | None, since: int | None) -> None:
        """The stream stands again though no trade has come: what was lost ends at `since`, the moment of the acknowledgement."""
        continuity = self.writer.continuity
        self._carrying = True
        continuity.carry(self.session, self.symbol, "trades")
        for gap in continuity.open_gaps(self.symbol, "trades"):
            if gap.kind == "disconnect" and gap.to_time is None and now is not None:
                continuity.heal(self.writer, gap, by="reconnect", now=now, to_time=since)

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
        missed = first is None or (self.contiguous and last is not None and first > last + 1)
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
        if not waiting and missed and first is not None and last is not None:
            self._hole(first, timestamp, last=last, received=received)

    def _hole(self, number: int, timestamp: int, *, last: int, received: int | None) -> None:
        gap = self.writer.continuity.open_gap(
            self.writer,
            self.symbol,
            channel="trades",
            kind="sequence",
            now=timestamp if received is None else received,
            from_time=timestamp if self.tape.last_time is None else self.tape.last_time,
            from_sequence=last,
            to_sequence=number,
            to_time=timestamp,
        )
        if self._holes is not None:
            self._holes(self, gap)


class BookFeed:
    """The book of one symbol on one connection, and the rows it lands while it is the one that does.

    The session changes `book` and then says so: `opened` after a snapshot, `changed` after an update, `lost` when it cannot be trusted.
    A feed takes the symbol over from another socket's by opening; until then, and after losing it, it only stands by.
    """

    __slots__ = (
        *("_crossed_since", "_dirty", "_last_top", "_owners", "_sampled", "book", "key", "last_time", "live"),
        *("sequence", "session", "symbol", "timestamp", "updates", "writer"),
    )

    def __init__(self, writer: RowWriter, symbol: str, *, session: object, book: AnyBook) -> None:
        self.writer = writer
        self.symbol = symbol
        self.session = session
        self.book = book
        self.key = writer.key(symbol)
        self.live = False
        self.updates = 0
        self.sequence: int | None = None
        self.timestamp: int | None = None
        self.last_time: int | None = None
        """Local time of the last frame the book took."""
        self._owners = writer.continuity.books
        self._dirty = False
        self._sampled: int | None = None
        self._last_top: tuple[Columns, Columns] | None = None
        self._crossed_since: int | None = None

    @property
    def lands(self) -> bool:
        """True while this feed's rows are the ones that land."""
        return self.live and self._owners.get(self.symbol) is self

    def opened(self, *, timestamp: int | None, received: int | None, sequence: int | None) -> None:
        """The book was replaced and is whole: land all of it, take the symbol over, heal its gaps."""
        local = self._local(timestamp, received)
        self.live = True
        self._owners[self.symbol] = self
        continuity = self.writer.continuity
        continuity.carry(self.session, self.symbol, "book_deltas")
        for gap in continuity.open_gaps(self.symbol, "book_deltas"):
            continuity.heal(self.writer, gap, by="snapshot", now=local, to_time=local, to_sequence=sequence)
        self._note(timestamp, local, sequence)
        bids, asks = self.book.levels()
        self.writer.book((self.key, timestamp, local, sequence, True, bids, asks))
        self._crossed_since = None
        self.sample(local)

    def changed(self, bids: Levels, asks: Levels, *, timestamp: int | None, received: int | None, sequence: int | None) -> None:
        """The book took one update: land its levels."""
        self.updates += 1
        local = received if received is not None else self._local(timestamp, received)
        self.timestamp = timestamp
        self.last_time = local
        self.sequence = sequence
        if self._owners.get(self.symbol) is not self:
            self.writer.discard("book_deltas", "standby", rows=len(bids) + len(asks))
            return
        self.writer.book((self.key, timestamp, local, sequence, False, bids, asks))
        self._dirty = True
        if self._sampled is None or local - self._sampled >= SAMPLE_EVERY:
            self.sample(local)

    def lost(self, kind: GapKind, *, now: int, from_sequence: int | None = None, to_sequence: int | None = None) -> None:
        """The book cannot be trusted any more: nothing lands until it is opened again."""
        landed = self.lands
        self.live = False
        if landed and not self.writer.continuity.stalled(self.symbol, "book_deltas"):
            self.writer.continuity.open_gap(
                self.writer,
                self.symbol,
                channel="book_deltas",
                kind=kind,
                now=now,
                from_time=now if self.last_time is None else self.last_time,
                from_sequence=self.sequence if from_sequence is None else from_sequence,
                to_sequence=to_sequence,
            )

    def open_hour(self, hour: int) -> None:
        """Land the whole book as it stood at the start of an hour, microseconds."""
        if self.lands:
            bids, asks = self.book.levels()
            self.writer.book((self.key, self.timestamp, hour, self.sequence, True, bids, asks))

    def sample(self, now: int) -> None:
        """Land the top of the book when a second has passed since the last one and it has changed."""
        if not self._dirty or not self.lands or (self._sampled is not None and now - self._sampled < SAMPLE_EVERY):
            return
        self._sampled = now
        self._dirty = False
        top = self.book.columns(SAMPLE_DEPTH)
        if top == self._last_top:
            return
        self._last_top = top
        bids, asks = top
        self.writer.book_snapshot((self.key, self.timestamp, now, self.writer.next_ordinal(), self.sequence, bids, asks))
        crossed = bool(bids[0] and asks[0] and bids[0][0] >= asks[0][0])
        self._crossed_since = (self._crossed_since or now) if crossed else None

    def crossed(self, now: int) -> bool:
        """True when the best bid has stood at or above the best ask for longer than a second."""
        return self.live and self._crossed_since is not None and now - self._crossed_since > CROSSED_FOR

    def _note(self, timestamp: int | None, local: int, sequence: int | None) -> None:
        self.timestamp = timestamp
        self.last_time = local
        self.sequence = sequence
        self._dirty = True

    def _local(self, timestamp: int | None, received: int | None) -> int:
        local = received if received is not None else timestamp if timestamp is not None else self.last_time
        if local is None:
            raise FrameError(self.writer.exchange, f"a book frame of {self.symbol} has neither a time of its own nor a receive time")
        return local


def hour_start(now: int) -> int:
    """Start of the hour `now` lies in, microseconds."""
    return now - now % HOUR_US
