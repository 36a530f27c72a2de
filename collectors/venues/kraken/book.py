"""One Kraken v2 book: spelled levels, truncation, CRC32 of the top ten after every frame.

The venue's procedure: 1. apply every level in frame order, 2. truncate to the subscribed depth, 3. compare the checksum; there is no
sequence number. 4. On a mismatch subscribe that symbol again. More than three in a row, and checks are left out while the book is
fetched anew every ten minutes.
Put here: that procedure. Keep out: frames, subscriptions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import isfinite
from typing import Final
from zlib import crc32

from collectors.errors import FrameError
from collectors.feeds import BookFeed
from collectors.textbook import TextBook, TextLevel, decimals_of, digits
from collectors.venue import Checksums
from collectors.venues.kraken.messages import EXCHANGE, BookLevel

CHECKED_LEVELS: Final = 10
DEPTHS: Final = (10, 25, 100, 500, 1000)
MAX_MISMATCHES: Final = 3
UNCHECKED_REFRESH: Final = 600_000_000
RENEW_PATIENCE: Final = 15_000_000
"""A new snapshot that has not come after this long is asked for again."""


class CheckedBook:
    """A book of one symbol. `renew` asks for a fresh snapshot; None where nobody can be asked."""

    def __init__(self, feed: BookFeed, book: TextBook, *, checksums: Checksums, renew: Callable[[], None] | None) -> None:
        self.feed = feed
        self.depth: int | None = None
        self._book = book
        self._checksums = checksums
        self._renew = renew
        self._decimals: tuple[int, int] | None = None
        self._derived = False
        self._mismatches = 0
        self._unchecked = False
        self._asked: int | None = None
        self._opened: int | None = None

    def precise(self, price_decimals: int, amount_decimals: int) -> None:
        """Learn the pair's precision from an instrument record."""
        self._decimals = (price_decimals, amount_decimals)
        self._derived = False

    def snapshot(
        self, bids: list[BookLevel], asks: list[BookLevel], *, checksum: int | None, timestamp: int | None, received: int | None
    ) -> None:
        """Take a full book."""
        if self._decimals is None or self._derived:
            self._derive(bids, asks)
        levels = self._levels(bids), self._levels(asks)
        self._book.resize(self.depth or next((d for d in DEPTHS if d >= max(len(bids), len(asks))), DEPTHS[-1]))
        self._book.load(*levels)
        self._asked = None
        self._opened = received
        if checksum is not None:
            agrees = self._agrees(checksum)
            if agrees:
                self._unchecked = False
            elif not self._unchecked:
                self._mismatch(timestamp, received)
                return
        self.feed.opened(timestamp=timestamp, received=received, sequence=None)

    def update(
        self, bids: list[BookLevel], asks: list[BookLevel], *, checksum: int | None, timestamp: int | None, received: int | None
    ) -> None:
        """Take what changed."""
        if not self.feed.live:
            self.feed.writer.discard("book_deltas", "before snapshot", rows=len(bids) + len(asks))
            return
        spelled_bids, spelled_asks = self._levels(bids), self._levels(asks)
        gone_bids, gone_asks = self._book.apply(spelled_bids, spelled_asks)
        if checksum is not None and not self._unchecked:
            if not self._agrees(checksum):
                self.feed.writer.discard("book_deltas", "checksum mismatch", rows=len(bids) + len(asks))
                self._mismatch(timestamp, received)
                return
            self._mismatches = 0
        pairs_bids = [*(level[:2] for level in spelled_bids), *gone_bids]
        pairs_asks = [*(level[:2] for level in spelled_asks), *gone_asks]
        self.feed.changed(pairs_bids, pairs_asks, timestamp=timestamp, received=received, sequence=None)

    def tick(self, now: int) -> None:
        """Sample, look for a crossed book, and ask again for what has not come."""
        feed = self.feed
        if feed.live:
            feed.sample(now)
            if feed.crossed(now):
                feed.lost("checksum", now=now)
                self._ask(now)
            elif self._unchecked and self._opened is not None and now - self._opened > UNCHECKED_REFRESH:
                self._opened = now
                self._ask(now)
        elif self._asked is not None and now - self._asked > RENEW_PATIENCE:
            self._ask(now)

    def _mismatch(self, timestamp: int | None, received: int | None) -> None:
        self._mismatches += 1
        self._unchecked = self._mismatches > MAX_MISMATCHES
        now = received if received is not None else timestamp if timestamp is not None else self.feed.last_time or 0
        self.feed.lost("checksum", now=now)
        self._ask(now)

    def _ask(self, now: int) -> None:
        self._asked = now
        if self._renew is not None:
            self._renew()

    def _agrees(self, checksum: int) -> bool:
        book = self._book
        found = crc32(book.bids.text(CHECKED_LEVELS), crc32(book.asks.text(CHECKED_LEVELS)))
        if found == checksum:
            self._checksums.verified += 1
            return True
        if not self._unchecked:
            self._checksums.failed += 1
        return False

    def _levels(self, spelled: list[BookLevel]) -> list[TextLevel]:
        """Levels with their digits; raises `FrameError` when one holds no number."""
        if self._decimals is None:
            self._derive(spelled, [])
        assert self._decimals is not None
        price_decimals, amount_decimals = self._decimals
        price_point, amount_point = price_decimals + 1, amount_decimals + 1
        levels: list[TextLevel] = []
        for level in spelled:
            price, amount = bytes(level.price), bytes(level.qty)
            whole, part = price.replace(b".", b"", 1), amount.replace(b".", b"", 1)
            usual = len(price) - price.find(b".") == price_point and len(amount) - amount.find(b".") == amount_point
            if usual and whole.isdigit() and part.isdigit():
                levels.append((float(price), float(amount), whole.lstrip(b"0") + part.lstrip(b"0")))
            elif _decimals(price) > price_decimals or _decimals(amount) > amount_decimals:
                return self._finer(spelled)
            else:
                levels.append(_level(price, amount, price_decimals=price_decimals, amount_decimals=amount_decimals))
        return levels

    def _finer(self, spelled: list[BookLevel]) -> list[TextLevel]:
        """The wire spells more decimals than were known: respell the book with them."""
        self._derive(spelled, [], at_least=self._decimals or (0, 0))
        assert self._decimals is not None
        for side in (self._book.bids, self._book.asks):
            finer = {price: (price, amount, self._spell(price, amount)) for price, amount in side.top(len(side))}
            side.respell(finer)
        return self._levels(spelled)

    def _spell(self, price: float, amount: float) -> bytes:
        assert self._decimals is not None
        return digits(f"{price:.{self._decimals[0]}f}".encode(), self._decimals[0]) + digits(
            f"{amount:.{self._decimals[1]}f}".encode(), self._decimals[1]
        )

    def _derive(self, bids: Iterable[BookLevel], asks: Iterable[BookLevel], *, at_least: tuple[int, int] = (0, 0)) -> None:
        """Precision off the spelling, where no instrument record tells it."""
        levels = [*bids, *asks]
        prices = max((_decimals(bytes(level.price)) for level in levels), default=0)
        amounts = max((_decimals(bytes(level.qty)) for level in levels), default=0)
        self._decimals = (max(prices, at_least[0]), max(amounts, at_least[1]))
        self._derived = True


def _level(price: bytes, amount: bytes, *, price_decimals: int, amount_decimals: int) -> TextLevel:
    """A level whose spelling is not the usual one: fewer decimals, an exponent, or no number at all."""
    try:
        level = (float(price), float(amount), digits(price, price_decimals) + digits(amount, amount_decimals))
    except ValueError as error:
        raise FrameError(EXCHANGE, f"book level {price!r} {amount!r} holds no number") from error
    if not (isfinite(level[0]) and isfinite(level[1])):
        raise FrameError(EXCHANGE, f"book level {price!r} {amount!r} is not finite")
    return level


def _decimals(text: bytes) -> int:
    """Decimals a number has, written with an exponent or without."""
    mantissa, _, exponent = text.lower().partition(b"e")
    try:
        return max(0, decimals_of(mantissa) - int(exponent or 0))
    except ValueError as error:
        raise FrameError(EXCHANGE, f"{text!r} is no number") from error
