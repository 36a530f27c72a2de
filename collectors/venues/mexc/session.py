"""What every MEXC socket shares: its trades and books, whatever format a frame came in.

Put here: identity of trades, the sequence rule of depth, which book stands. Keep out: formats (`spot`, `perp`, `retired`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from math import inf, isfinite
from typing import Final, NamedTuple

from collectors.alignment import Diff, DiffBook
from collectors.books import Book, Follows, Levels
from collectors.contracts import Contract
from collectors.errors import FrameError
from collectors.feeds import BookFeed, event_time
from collectors.rows import RowWriter
from collectors.session import BaseSession
from collectors.streamed import BookFrame, StreamedBook
from collectors.venue import Checksums, Instrument
from collectors.venues.mexc.instruments import Names
from collectors.venues.mexc.messages import EXCHANGE
from collectors.venues.mexc.natural import Nameless, Natural, NaturalFeed

RESTARTED: Final = 1_000_000
"""A version so far behind the last one is no frame that came late: the venue has begun to count anew."""


class Trade(NamedTuple):
    """One trade as sent: `kind` 1 taker buy, 2 taker sell; `amount` base units or contracts; `identity` empty where there is none."""

    milliseconds: int
    price: float
    amount: float
    kind: int
    identity: str


class AggreDepth:
    """The venue's steps 3 and 4: the first frame spans lastUpdateId + 1; then each begins right after the last one.

    With `restarts` versions that start over are as good as lost ones; recordings string together what does not follow.
    """

    def __init__(self, *, restarts: bool = False) -> None:
        self._behind = RESTARTED if restarts else inf

    def after_snapshot(self, snapshot: int, *, first: int, last: int, previous: int | None) -> Follows:
        """Frames up to lastUpdateId are dropped; fromVersion <= lastUpdateId + 1 <= toVersion follows."""
        del previous
        if last <= snapshot:
            return Follows.STALE
        return Follows.NEXT if first <= snapshot + 1 else Follows.AHEAD

    def after_update(self, applied: int, *, first: int, last: int, previous: int | None) -> Follows:
        """Exactly fromVersion == previous toVersion + 1."""
        del previous
        if applied - self._behind < last <= applied:
            return Follows.STALE
        return Follows.NEXT if first == applied + 1 else Follows.AHEAD


def _newest(applied: int, previous: int | None, sequence: int) -> Follows:
    del previous
    return Follows.NEXT if sequence > applied else Follows.STALE


class MexcSession(BaseSession):
    """Trades and books of one socket; `depth` is what REST snapshots are asked for with."""

    spacing_seconds = 0.05

    def __init__(self, writer: RowWriter, *, names: Names, depth: int = 1000) -> None:
        super().__init__(writer)
        self.names = names
        self.depth = depth
        self.diff_books: dict[str, DiffBook] = {}
        self.full_books: dict[str, StreamedBook] = {}

    def find(self, native: str) -> Instrument | None:
        """The instrument of a native id; None where its frames are not decoded."""
        return self.names.find(native)

    def ask_depth(self, instrument: Instrument) -> Callable[[], None] | None:
        """What asks for a snapshot; None where nobody can be asked."""
        del instrument
        return None

    def take_trades(self, instrument: Instrument, trades: Sequence[Trade], received: int | None) -> None:
        """Land trades of the stream; all are looked at before any lands.

        Without an id a trade is known by time, price, amount, side and its place among equal ones of its frame.
        """
        ready = self._looked_at(instrument, trades)
        feed = self.trade_feed(instrument.symbol)
        met: dict[Natural, int] = {}
        for trade, (natural, time, amount) in zip(trades, ready, strict=True):
            sold, identity = trade.kind == 2, trade.identity
            if identity.isdigit() and len(identity) < 19:
                number = int(identity)
                new = number not in feed.tape.seen
                feed.take(number, time, received=received, sold=sold, price=trade.price, amount=amount)
            else:
                place = met[natural] = met.get(natural, 0) + 1
                name = identity or natural.name(place)
                new = feed.take_keyed(name, time, received=received, sold=sold, price=trade.price, amount=amount)
            if new:
                feed.landed.note(natural)

    def take_rest_trades(self, instrument: Instrument, trades: Sequence[Trade], received: int | None, *, since: int | None = None) -> None:
        """Land what a REST answer holds of missing trades, or, where no stream has begun, all of it; it names none of them.

        From `since` (microseconds) on trades may be missing though no gap says so.
        """
        ready = sorted(self._looked_at(instrument, trades), key=_when)
        feed = self.trade_feed(instrument.symbol)
        feed.take_nameless(ready, received, since=0 if feed.tape.last_time is None and self.holes() is None else since)

    def trade_feed(self, symbol: str) -> NaturalFeed:
        """The trade feed of a symbol; ids say nothing of what lies between them."""
        feed = self.trade_feeds.get(symbol)
        if not isinstance(feed, NaturalFeed):
            feed = NaturalFeed(self.writer, symbol, session=self, contiguous=False, holes=self.holes(), seeks=True)
            self.trade_feeds[symbol] = feed
        return feed

    def _looked_at(self, instrument: Instrument, trades: Sequence[Trade]) -> list[Nameless]:
        """Trades with their times (microseconds) and base units; raises `FrameError` for what cannot be one."""
        contract = Contract.of(instrument)
        ready: list[Nameless] = []
        for trade in trades:
            amount = contract.base(trade.amount, trade.price) if trade.price > 0 else 0.0
            if trade.kind not in (1, 2) or not (0 < trade.price < inf and 0 < amount < inf):
                raise FrameError(
                    EXCHANGE, f"trade has type {trade.kind}, price {trade.price} and amount {trade.amount}, expected 1 or 2 and numbers"
                )
            natural = Natural(trade.milliseconds, trade.price, trade.amount, trade.kind)
            ready.append(Nameless(natural, event_time(EXCHANGE, trade.milliseconds), amount))
        return ready

    def diff_book(self, instrument: Instrument) -> DiffBook:
        """The incremental book of an instrument, kept from its first frame on."""
        symbol = instrument.symbol
        known = self.diff_books.get(symbol)
        if known is None:
            book = Book()
            feed = BookFeed(self.writer, symbol, session=self, book=book)
            ask = self.ask_depth(instrument)
            known = DiffBook(feed, book, rule=AggreDepth(restarts=ask is not None), depth=self.depth, ask=ask)
            self.diff_books[symbol] = known
            self.book_feeds[symbol] = feed
        return known

    def take_diff(
        self, instrument: Instrument, first: int, last: int, *, bids: Levels, asks: Levels, time: int | None, received: int | None
    ) -> None:
        """Take what changed of a book; `time` in microseconds."""
        when = time if time is not None else received
        if when is None:
            when = self.diff_book(instrument).feed.last_time
        if when is None:
            raise FrameError(EXCHANGE, f"depth of {instrument.native} has neither a time of its own nor a receive time")
        sides = self._levels(instrument, bids, asks)
        self.diff_book(instrument).update(Diff(first, last, None, *sides, when), received)

    def take_snapshot(self, instrument: Instrument, sequence: int, *, bids: Levels, asks: Levels, received: int | None) -> None:
        """Take a snapshot an incremental book starts from."""
        sides = self._levels(instrument, bids, asks)
        self.diff_book(instrument).snapshot(sequence, *sides, received=received)

    def take_full(
        self, instrument: Instrument, sequence: int | None, *, bids: Levels, asks: Levels, time: int | None, received: int | None
    ) -> bool:
        """Take the whole top of a book, which stands back while an incremental one lives; False when it does."""
        symbol = instrument.symbol
        owner = self.writer.continuity.books.get(symbol)
        if isinstance(owner, BookFeed) and owner.live and owner not in [book.feed for book in self.full_books.values()]:
            return False
        sides = self._levels(instrument, bids, asks)
        if time is None and received is None:
            raise FrameError(EXCHANGE, f"depth of {instrument.native} has neither a time of its own nor a receive time")
        book = self.full_books.get(symbol)
        if book is None:
            feed = BookFeed(self.writer, symbol, session=self, book=Book())
            book = self.full_books[symbol] = StreamedBook(feed, rule=_newest, checksums=Checksums(), renew=None)
            self.book_feeds.setdefault(symbol, feed)
        book.snapshot(BookFrame(bids=sides[0], asks=sides[1], timestamp=time, sequence=sequence), received)
        return True

    def tick_books(self, now: int) -> None:
        """Time passed for the books."""
        for book in self.diff_books.values():
            book.tick(now)
        for full in self.full_books.values():
            full.tick(now)

    def closed(self, now: int | None) -> None:
        super().closed(now)
        self.diff_books.clear()
        self.full_books.clear()

    def _levels(self, instrument: Instrument, bids: Levels, asks: Levels) -> tuple[Levels, Levels]:
        everything: Iterable[tuple[float, float]] = chain(bids, asks)
        if any(not (isfinite(price) and isfinite(amount)) or price <= 0 or amount < 0 for price, amount in everything):
            raise FrameError(EXCHANGE, f"book levels of {instrument.native} hold a price or amount that cannot be")
        contract = Contract.of(instrument)
        if contract.is_base:
            return bids, asks
        base = contract.base
        return [(price, base(amount, price)) for price, amount in bids], [(price, base(amount, price)) for price, amount in asks]


def _when(trade: Nameless) -> int:
    return trade.timestamp
