"""One Bitfinex P0 book: levels as spelled, trimmed to the subscribed length, CRC32 of the top 25 whenever the venue sends one.

The procedure: 1. a list of levels replaces the book. 2. One level sets the amount at its price; count 0 deletes it, the sign of the
amount then only names the side. 3. `cs` is compared with the checksum of the book as it stands. 4. On a mismatch that channel alone
is subscribed anew.
Put here: that procedure. Keep out: frames, sequence numbers, subscriptions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from collectors.errors import FrameError
from collectors.feeds import BookFeed
from collectors.streamed import interleaved_checksum
from collectors.textbook import TextBook, TextLevel
from collectors.venue import Checksums
from collectors.venues.bitfinex.messages import EXCHANGE, SpelledLevel, number

LENGTHS: Final = (1, 25, 100, 250)
RENEW_PATIENCE: Final = 15_000_000
"""A new snapshot that has not come after this long is asked for again."""


class CheckedBook:
    """A book of one symbol. `renew` asks for a fresh snapshot; None where nobody can be asked."""

    def __init__(self, feed: BookFeed, book: TextBook, *, checksums: Checksums, renew: Callable[[], None] | None) -> None:
        self.feed = feed
        self._book = book
        self._checksums = checksums
        self._renew = renew
        self._asked: int | None = None

    def snapshot(
        self, levels: list[SpelledLevel], *, length: int, timestamp: int | None, received: int | None, sequence: int | None
    ) -> None:
        """Step 1."""
        bids, asks = _sides(levels)
        self._book.resize(length)
        self._book.load(bids, asks)
        self._asked = None
        self.feed.opened(timestamp=timestamp, received=received, sequence=sequence)

    def update(self, levels: list[SpelledLevel], *, timestamp: int | None, received: int | None, sequence: int | None) -> None:
        """Step 2, for one level or several."""
        bids, asks = _sides(levels)
        if not self.feed.live:
            self.feed.writer.discard("book_deltas", "before snapshot", rows=len(levels))
            return
        self._book.apply(bids, asks)
        plain_bids, plain_asks = [level[:2] for level in bids], [level[:2] for level in asks]
        self.feed.changed(plain_bids, plain_asks, timestamp=timestamp, received=received, sequence=sequence)

    def check(self, checksum: int, *, now: int) -> None:
        """Step 3; the checksum is signed."""
        if not self.feed.live:
            return
        if interleaved_checksum(self._book) == checksum:
            self._checksums.verified += 1
            return
        self._checksums.failed += 1
        self.feed.lost("checksum", now=now)
        self._ask(now)

    def tick(self, now: int) -> None:
        """Sample, look for a crossed book, and ask again for what has not come."""
        feed = self.feed
        if feed.live:
            feed.sample(now)
            if feed.crossed(now):
                feed.lost("sequence", now=now)
                self._ask(now)
        elif self._asked is not None and now - self._asked > RENEW_PATIENCE:
            self._ask(now)

    def _ask(self, now: int) -> None:
        self._asked = now
        if self._renew is not None:
            self._renew()


def _sides(levels: list[SpelledLevel]) -> tuple[list[TextLevel], list[TextLevel]]:
    """Bids and asks with their text; a deleted level has amount 0. Raises `FrameError`."""
    bids: list[TextLevel] = []
    asks: list[TextLevel] = []
    for raw_price, count, raw_amount in levels:
        price_text, amount_text = bytes(raw_price).strip(b'"'), bytes(raw_amount).strip(b'"')
        price, amount = number(price_text), number(amount_text)
        if price <= 0 or amount == 0 or count < 0:
            raise FrameError(EXCHANGE, f"book level {price_text!r}, {count}, {amount_text!r} names no price or no side")
        side = bids if amount > 0 else asks
        side.append((price, abs(amount) if count else 0.0, b"%b:%b" % (price_text, amount_text)))
    return bids, asks
