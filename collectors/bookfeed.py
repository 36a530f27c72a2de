"""One symbol's book as it lands: gaps, samples, the snapshot that opens an hour, and which socket's book is the one that lands.

Put here: what is the same for every venue once a book frame is understood. Keep out: wire formats, sequence rules, sockets.
"""

from __future__ import annotations

from typing import Final

from collectors.books import AnyBook, Columns, Levels
from collectors.continuity import GapKind
from collectors.errors import FrameError
from collectors.rows import RowWriter

SAMPLE_EVERY: Final = 1_000_000
SAMPLE_DEPTH: Final = 25
CROSSED_FOR: Final = 1_000_000
FRESH: Final = 3_000_000
"""A book that stands by takes over only when it has moved this lately before the last move of the one it replaces, microseconds."""
ALONE: Final = 1_000_000
"""A book that stands by takes over from one that has not moved for this long while it did, microseconds."""


class BookFeed:
    """The book of one symbol on one connection, and the rows it lands while it is the one that does.

    The session changes `book` and then says so: `opened` after a snapshot, `changed` after an update, `lost` when it cannot be trusted.
    A feed takes the symbol over from its predecessor's by opening; until then, and after losing it, it only stands by. Of the two
    connections of a pair one stands by for good, and takes over with its whole book when the other's dies, is lost or stands still.
    """

    __slots__ = (
        *("_alone_since", "_beside", "_crossed_since", "_dirty", "_owners", "book", "key", "last_time", "last_top", "live"),
        *("sampled", "sequence", "session", "symbol", "timestamp", "updates", "writer"),
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
        self._beside: int | None = None
        """While standing by: when the book that lands last moved, and since when this one has been moving alone."""
        self._alone_since: int | None = None
        self._dirty = False
        self.sampled: int | None = None
        """When the top of the book was last looked at to land it, and what it was when it did."""
        self.last_top: tuple[Columns, Columns] | None = None
        self._crossed_since: int | None = None

    @property
    def lands(self) -> bool:
        """True while this feed's rows are the ones that land."""
        return self.live and self._owners.get(self.symbol) is self

    def opened(self, *, timestamp: int | None, received: int | None, sequence: int | None) -> None:
        """The book was replaced and is whole: land all of it and heal its gaps, unless the other of a pair lands."""
        local = self._local(timestamp, received)
        self.live = True
        continuity = self.writer.continuity
        continuity.carry(self.session, self.symbol, "book_deltas")
        self.timestamp = timestamp
        self.last_time = local
        self.sequence = sequence
        self._crossed_since = None
        if continuity.redundant:
            continuity.stand(self.symbol, self)
            owner = self._owners.get(self.symbol)
            if isinstance(owner, BookFeed) and owner.writer is not self.writer and not self._relieves(owner, local):
                bids, asks = self.book.levels()
                self.writer.discard("book_deltas", "standby", rows=len(bids) + len(asks))
                return
        self._land(local)

    def take_over(self, now: int) -> None:
        """Land this book from now on in place of the one that did, beginning with all of it."""
        former = self._owners.get(self.symbol)
        if isinstance(former, BookFeed):
            self.sampled, self.last_top = former.sampled, former.last_top
        self._land(now)

    def _land(self, local: int) -> None:
        """Take the symbol over: land the whole book, close its gaps."""
        self._owners[self.symbol] = self
        continuity = self.writer.continuity
        for gap in continuity.open_gaps(self.symbol, "book_deltas"):
            continuity.heal(self.writer, gap, by="snapshot", now=local, to_time=local, to_sequence=self.sequence)
        bids, asks = self.book.levels()
        self.writer.book((self.key, self.timestamp, local, self.sequence, True, bids, asks))
        self._dirty = True
        self.sample(local)

    def changed(self, bids: Levels, asks: Levels, *, timestamp: int | None, received: int | None, sequence: int | None) -> None:
        """The book took one update: land its levels."""
        self.updates += 1
        local = received if received is not None else self._local(timestamp, received)
        self.timestamp = timestamp
        self.last_time = local
        self.sequence = sequence
        owner = self._owners.get(self.symbol)
        if owner is not self:
            self.writer.discard("book_deltas", "standby", rows=len(bids) + len(asks))
            if self.writer.continuity.redundant and self._relieves(owner, local):
                self.take_over(local)
            return
        self.writer.book((self.key, timestamp, local, sequence, False, bids, asks))
        self._dirty = True
        if self.sampled is None or local - self.sampled >= SAMPLE_EVERY:
            self.sample(local)

    def lost(self, kind: GapKind, *, now: int, from_sequence: int | None = None, to_sequence: int | None = None) -> None:
        """The book cannot be trusted any more: nothing lands until it is opened again."""
        landed = self.lands
        self.live = False
        if not landed:
            return
        continuity = self.writer.continuity
        if (heir := self._heir()) is not None:
            heir.take_over(now)
        elif not continuity.stalled(self.symbol, "book_deltas"):
            continuity.open_gap(
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
        if not self._dirty or not self.lands or (self.sampled is not None and now - self.sampled < SAMPLE_EVERY):
            return
        self.sampled = now
        self._dirty = False
        top = self.book.columns(SAMPLE_DEPTH)
        if top == self.last_top:
            return
        self.last_top = top
        bids, asks = top
        self.writer.book_snapshot((self.key, self.timestamp, now, self.writer.next_ordinal(), self.sequence, bids, asks))
        crossed = bool(bids[0] and asks[0] and bids[0][0] >= asks[0][0])
        self._crossed_since = (self._crossed_since or now) if crossed else None

    def crossed(self, now: int) -> bool:
        """True when the best bid has stood at or above the best ask for longer than a second."""
        return self.live and self._crossed_since is not None and now - self._crossed_since > CROSSED_FOR

    def _relieves(self, owner: object, local: int) -> bool:
        """While standing by: whether to take over, because nobody lands or the book that does stands still while this one moves."""
        if not isinstance(owner, BookFeed) or not owner.live:
            return True
        if owner.last_time != self._beside:
            # This may be the very frame that moved the other.
            self._beside, self._alone_since = owner.last_time, None
            return False
        if self._alone_since is None:
            self._alone_since = local
        return local - self._alone_since > ALONE

    def _heir(self) -> BookFeed | None:
        """The book that takes over from this one: the newest of those that stand by and have kept up."""
        beside = [feed for feed in self.writer.continuity.standing.get(self.symbol, ()) if isinstance(feed, BookFeed) and feed is not self]
        oldest = (self.last_time or 0) - FRESH
        kept_up = [feed for feed in beside if feed.live and feed.last_time is not None and feed.last_time >= oldest]
        return max(kept_up, key=lambda feed: feed.last_time or 0, default=None)

    def _local(self, timestamp: int | None, received: int | None) -> int:
        local = received if received is not None else timestamp if timestamp is not None else self.last_time
        if local is None:
            raise FrameError(self.writer.exchange, f"a book frame of {self.symbol} has neither a time of its own nor a receive time")
        return local
