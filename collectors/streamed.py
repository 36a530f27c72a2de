"""A book whose stream carries its own snapshots: follow the venue's sequence, verify its checksum, renew after a gap.

Put here: the procedure that venues with snapshots in band share; the rule comes in as a function, frames come in understood.
Keep out: wire formats, subscriptions, rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeAlias
from zlib import crc32

import msgspec

from collectors.books import Book, Follows, Levels
from collectors.feeds import BookFeed
from collectors.textbook import TextBook, TextLevel
from collectors.venue import Checksums

Rule: TypeAlias = Callable[[int, int | None, int], Follows]
"""How an update stands to the book: (sequence applied, previous sequence as the update names it, its own sequence)."""

CHECKED_LEVELS: Final = 25
MAX_MISMATCHES: Final = 3
"""Checksums of a book that may differ in a row; beyond, they are left out and the sequence alone counts."""
RENEW_PATIENCE: Final = 15_000_000
CROSSED_PATIENCE: Final = 60_000_000
"""A book that comes back crossed (an auction) is not fetched anew more often than this."""
_UNBOUNDED: Final = 1 << 62


class BookFrame(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One frame of a book, amounts in base units. `spelled` holds price:amount of each level as sent, where a checksum needs it."""

    bids: Levels
    asks: Levels
    timestamp: int | None
    sequence: int | None = None
    previous: int | None = None
    checksum: int | None = None
    spelled: tuple[Sequence[bytes], Sequence[bytes]] | None = None

    def __len__(self) -> int:
        return len(self.bids) + len(self.asks)


def linked(applied: int, previous: int | None, sequence: int) -> Follows:
    """Each update names the sequence before it; where it names none, sequences only have to grow. Sequences may start over.

    A keep-alive names its own sequence as the one before it, and a reset a smaller one: both are named correctly and follow.
    """
    if previous == applied or (previous is None and sequence > applied):
        return Follows.NEXT
    return Follows.STALE if sequence == applied else Follows.AHEAD


def interleaved_checksum(book: TextBook) -> int:
    """Signed CRC32 over bid:amount:ask:amount… of the best 25 levels as the wire spelled them; a side that ends is left out."""
    bids, asks = book.bids.spelled(CHECKED_LEVELS), book.asks.spelled(CHECKED_LEVELS)
    shorter = min(len(bids), len(asks))
    texts = [b""] * (2 * shorter)
    texts[::2], texts[1::2] = bids[:shorter], asks[:shorter]
    found = crc32(b":".join(texts + bids[shorter:] + asks[shorter:]))
    return found - (1 << 32) if found >= 1 << 31 else found


class StreamedBook:
    """A book of one symbol.

    1. A snapshot replaces the book, whenever it comes. 2. Updates before it are left out. 3. Each update must follow by `rule`; one
    that was taken already is left out. 4. A checksum that is carried is compared after the update. 5. On a gap or a mismatch nothing
    lands until the next snapshot, which `renew` asks for once, and again when it does not come.
    """

    def __init__(self, feed: BookFeed, *, rule: Rule, checksums: Checksums, renew: Callable[[], None] | None, rank: int = 0) -> None:
        self.feed = feed
        self.rank = rank
        """Depth of the channel that feeds the book; a deeper one takes over."""
        self.applied: int | None = None
        self._rule = rule
        self._checksums = checksums
        self._renew = renew
        self._asked: int | None = None
        self._crossed_at: int | None = None
        self._mismatches = 0

    def takes(self, rank: int, *, snapshot: bool) -> bool:
        """Whether a frame of a channel of a depth is for this book; a snapshot of a deeper channel, or of any while nothing stands, is."""
        if rank != self.rank:
            if snapshot and (rank > self.rank or not self.feed.live):
                self.rank = rank
                self.applied = None
                return True
            return not self.feed.live
        return True

    def awaited(self, now: int) -> None:
        """The subscription stands: the snapshot is due."""
        if not self.feed.live and self._asked is None:
            self._asked = now

    def snapshot(self, frame: BookFrame, received: int | None) -> None:
        """Take a full book; one that was taken already and still stands is left out."""
        feed = self.feed
        if feed.live and frame.sequence is not None and frame.sequence == self.applied:
            feed.writer.discard("book_deltas", "repeated", rows=len(frame))
            return
        self.applied = frame.sequence
        self._asked = None
        if frame.spelled is None:
            book = feed.book if isinstance(feed.book, Book) else Book()
            book.load(frame.bids, frame.asks)
            feed.book = book
        else:
            spelled = TextBook(_UNBOUNDED)
            spelled.load(*_text_levels(frame))
            feed.book = spelled
            if frame.checksum is not None and not self._agrees(spelled, frame.checksum):
                self._lost("checksum", frame, received)
                return
        feed.opened(timestamp=frame.timestamp, received=received, sequence=frame.sequence)

    def update(self, frame: BookFrame, received: int | None) -> None:
        """Take what changed."""
        feed = self.feed
        if not feed.live:
            feed.writer.discard("book_deltas", "before snapshot", rows=len(frame))
            return
        if frame.sequence is not None:
            if self.applied is not None:
                follows = self._rule(self.applied, frame.previous, frame.sequence)
                if follows is Follows.STALE:
                    feed.writer.discard("book_deltas", "stale", rows=len(frame))
                    return
                if follows is Follows.AHEAD:
                    feed.writer.discard("book_deltas", "sequence", rows=len(frame))
                    self._lost("sequence", frame, received)
                    return
            self.applied = frame.sequence
        book = feed.book
        if isinstance(book, TextBook) and frame.spelled is None:
            # The venue stopped sending checksums in the middle of a book.
            levels = book.levels()
            book = feed.book = Book()
            book.load(*levels)
        if isinstance(book, TextBook):
            book.apply(*_text_levels(frame))
            if frame.checksum is not None and not self._agrees(book, frame.checksum):
                feed.writer.discard("book_deltas", "checksum mismatch", rows=len(frame))
                self._lost("checksum", frame, received)
                return
        elif isinstance(book, Book):
            book.apply(frame.bids, frame.asks)
        feed.changed(frame.bids, frame.asks, timestamp=frame.timestamp, received=received, sequence=frame.sequence)

    def tick(self, now: int) -> None:
        """Sample, look for a crossed book, and ask again for a snapshot that has not come."""
        feed = self.feed
        if feed.live:
            feed.sample(now)
            if feed.crossed(now) and (self._crossed_at is None or now - self._crossed_at > CROSSED_PATIENCE):
                self._crossed_at = now
                feed.lost("sequence", now=now)
                self._ask(now)
        elif self._asked is not None and now - self._asked > RENEW_PATIENCE:
            self._ask(now)

    def _lost(self, kind: str, frame: BookFrame, received: int | None) -> None:
        now = received if received is not None else frame.timestamp if frame.timestamp is not None else self.feed.last_time or 0
        if kind == "sequence":
            self.feed.lost("sequence", now=now, from_sequence=self.applied, to_sequence=frame.sequence)
        else:
            self.feed.lost("checksum", now=now)
        self._ask(now)

    def _ask(self, now: int) -> None:
        self._asked = now
        if self._renew is not None:
            self._renew()

    def _agrees(self, book: TextBook, checksum: int) -> bool:
        if interleaved_checksum(book) == checksum:
            self._checksums.verified += 1
            self._mismatches = 0
            return True
        self._mismatches += 1
        if self._mismatches > MAX_MISMATCHES:
            return True
        self._checksums.failed += 1
        return False


def _text_levels(frame: BookFrame) -> tuple[list[TextLevel], list[TextLevel]]:
    spelled = frame.spelled or ((), ())
    return _with_text(frame.bids, spelled[0]), _with_text(frame.asks, spelled[1])


def _with_text(levels: Levels, texts: Sequence[bytes]) -> list[TextLevel]:
    return [(price, amount, text) for (price, amount), text in zip(levels, texts, strict=True)] if levels else []
