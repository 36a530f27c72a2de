"""One Bitfinex P0 book: levels as spelled, trimmed to the subscribed length, CRC32 of the top 25 whenever the venue sends one.

The procedure: 1. a list of levels replaces the book. 2. One level sets the amount at its price; count 0 deletes it, the sign of the
amount then only names the side. 3. `cs` is compared with the checksum of the book as it stands. 4. On a mismatch that channel alone
is subscribed anew. 5. When the socket lost frames, the next `cs` of each book tells whether its best 25 levels are whole. 6. Deeper ones no
`cs` covers: once no more is lost every book is subscribed anew, and lands on until the new snapshot replaces it.
Put here: that procedure. Keep out: frames, sequence numbers, subscriptions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf
from typing import Final

from collectors.errors import FrameError
from collectors.feeds import BookFeed
from collectors.streamed import interleaved_checksum
from collectors.textbook import TextBook, TextLevel
from collectors.venue import Checksums
from collectors.venues.bitfinex.messages import EXCHANGE, SpelledLevel

LENGTHS: Final = (1, 25, 100, 250)
RENEW_PATIENCE: Final = 15_000_000
"""A new snapshot that has not come after this long is asked for again."""

DOUBT_PATIENCE: Final = 5_000_000
"""A book that may have lost a frame waits this long for its checksum, microseconds."""


class CheckedBook:
    """A book of one symbol. `renew` asks for a fresh snapshot; None where nobody can be asked."""

    def __init__(self, feed: BookFeed, book: TextBook, *, checksums: Checksums, renew: Callable[[], None] | None) -> None:
        self.feed = feed
        self._book = book
        self._checksums = checksums
        self._renew = renew
        self._asked: int | None = None
        self._doubted: int | None = None
        """Since when the best levels may be wrong."""
        self._unsure: int | None = None
        """Since when deeper levels may be wrong."""
        self._refreshed: int | None = None

    def awaited(self, now: int) -> None:
        """The subscription stands: the snapshot is due."""
        if not self.feed.live and self._asked is None:
            self._asked = now

    def doubt(self, now: int) -> None:
        """Step 5: frames of the socket were lost."""
        if self.feed.live:
            self._doubted = now if self._doubted is None else self._doubted
            self._unsure = now if self._unsure is None else self._unsure

    def refresh(self, now: int) -> None:
        """Step 6: no more frames are lost."""
        if self.feed.live and self._unsure is not None and self._renew is not None:
            self._refreshed = now
            self._renew()

    def snapshot(
        self, levels: Sequence[SpelledLevel], *, length: int, timestamp: int | None, received: int | None, sequence: int | None
    ) -> None:
        """Step 1."""
        bids, asks = _sides(levels)
        self._book.resize(length)
        self._book.load(bids, asks)
        if self.feed.live and self._unsure is not None and received is not None:
            # Nothing tells whose frames were lost: for what may have been this book's a gap stands, that ends here.
            self.feed.writer.continuity.open_gap(
                self.feed.writer, self.feed.symbol, channel="book_deltas", kind="sequence", now=received, from_time=self._unsure
            )
        self._asked = self._doubted = self._unsure = self._refreshed = None
        self.feed.opened(timestamp=timestamp, received=received, sequence=sequence)

    def update(self, levels: Sequence[SpelledLevel], *, timestamp: int | None, received: int | None, sequence: int | None) -> None:
        """Step 2, for one level or several."""
        bids, asks = _sides(levels)
        if not self.feed.live:
            self.feed.writer.discard("book_deltas", "before snapshot", rows=len(levels))
            return
        gone_bids, gone_asks = self._book.apply(bids, asks)
        plain_bids, plain_asks = [*(level[:2] for level in bids), *gone_bids], [*(level[:2] for level in asks), *gone_asks]
        self.feed.changed(plain_bids, plain_asks, timestamp=timestamp, received=received, sequence=sequence)

    def set(self, price: bytes, count: int, amount: bytes, *, timestamp: int | None, received: int | None, sequence: int | None) -> None:
        """Step 2 for one level, as nearly all updates are."""
        level, bid = _level(price, count, amount)
        if not self.feed.live:
            self.feed.writer.discard("book_deltas", "before snapshot")
            return
        gone = (self._book.bids if bid else self._book.asks).apply((level,))
        plain = [level[:2], *gone]
        self.feed.changed(plain if bid else [], [] if bid else plain, timestamp=timestamp, received=received, sequence=sequence)

    def check(self, checksum: int, *, now: int) -> None:
        """Step 3; the checksum is signed."""
        if not self.feed.live:
            return
        if interleaved_checksum(self._book) == checksum:
            self._checksums.verified += 1
            self._doubted = None
            return
        self._checksums.failed += 1
        self._lost(now)

    def tick(self, now: int) -> None:
        """Sample, look for a crossed book, and ask again for what has not come."""
        feed = self.feed
        if feed.live:
            feed.sample(now)
            unchecked = self._doubted is not None and now - self._doubted > DOUBT_PATIENCE
            unanswered = self._refreshed is not None and now - self._refreshed > RENEW_PATIENCE
            if feed.crossed(now) or unchecked or unanswered:
                self._doubted = self._doubted or now
                self._lost(now)
        elif self._asked is not None and now - self._asked > RENEW_PATIENCE:
            self._ask(now)

    def _lost(self, now: int) -> None:
        """The book is wrong; where frames were lost, from then on: a deeper level among them may show only once it is one of the best."""
        since = self._doubted if self._unsure is None else self._unsure
        if since is not None and self.feed.last_time is not None:
            self.feed.last_time = min(since, self.feed.last_time)
        self.feed.lost("checksum" if since is None else "sequence", now=now)
        self._doubted = self._unsure = self._refreshed = None
        self._ask(now)

    def _ask(self, now: int) -> None:
        self._asked = now
        if self._renew is not None:
            self._renew()


def _sides(levels: Sequence[SpelledLevel]) -> tuple[list[TextLevel], list[TextLevel]]:
    """Bids and asks with their text; a deleted level has amount 0. Raises `FrameError`."""
    bids: list[TextLevel] = []
    asks: list[TextLevel] = []
    for raw_price, count, raw_amount in levels:
        level, bid = _level(bytes(raw_price).strip(b'"'), count, bytes(raw_amount).strip(b'"'))
        (bids if bid else asks).append(level)
    return bids, asks


def _level(price_text: bytes, count: int, amount_text: bytes) -> tuple[TextLevel, bool]:
    """A level with its text, and whether it is a bid."""
    try:
        price, amount = float(price_text), float(amount_text)
    except ValueError as error:
        raise FrameError(EXCHANGE, f"book level {price_text!r}, {count}, {amount_text!r} holds no numbers") from error
    if not (0.0 < price < inf and -inf < amount < inf and amount and count >= 0):
        raise FrameError(EXCHANGE, f"book level {price_text!r}, {count}, {amount_text!r} names no price or no side")
    return (price, abs(amount) if count else 0.0, b"%b:%b" % (price_text, amount_text)), amount > 0
