"""The classic protocol (`/market/…` topics behind a token), which recordings carry; the default of KuCoin's clients until 2026.

Put here: match, execution, level2 of spot and futures, mark prices and funding. Keep out: the unified gateway (`session`).
Books are diffs to a REST snapshot: buffer, drop what the snapshot holds (by frame and, inside the bridging frame, by level), follow.
"""

from __future__ import annotations

from math import isfinite
from typing import Final

from collectors.alignment import Diff, DiffBook
from collectors.books import Book, SpotDiff
from collectors.errors import FrameError
from collectors.feeds import BookFeed, event_time
from collectors.rows import RowWriter
from collectors.venue import Instrument, Outcome
from collectors.venues.kucoin import messages as wire
from collectors.venues.kucoin.instruments import of_contract
from collectors.venues.kucoin.messages import EXCHANGE
from collectors.venues.kucoin.session import MarketSession

_WHOLE_BOOK: Final = 1 << 30
"""Depth of a snapshot that is never taken for cut off."""
_FORECAST: Final = 60_000
"""Granularity of a funding rate that is recomputed each minute, milliseconds."""


class ClassicSession(MarketSession):
    """Decodes frames of the classic protocol."""

    def __init__(self, writer: RowWriter, *, instruments: dict[str, Instrument], linked: bool) -> None:
        super().__init__(writer, instruments=instruments, linked=linked)
        self.diff_books: dict[str, DiffBook] = {}

    def take(self, frame: bytes, received: int | None) -> Outcome:
        envelope = wire.decode_envelope(frame)
        if not envelope.topic:
            return Outcome.CONTROL if envelope.type else Outcome.IGNORED
        topic, _, native = envelope.topic.partition(":")
        data = envelope.data
        match topic:
            case "/market/level2":
                return self._spot_book(wire.decode_level2(data), received)
            case "/market/match":
                trade = wire.decode_match(data)
                return self.take_trade(
                    trade.symbol, trade.trade_id, side=trade.side, size=trade.size, price=trade.price, time=trade.time, received=received
                )
            case "/contractMarket/execution":
                fill = wire.decode_execution(data)
                return self.take_trade(
                    fill.symbol, fill.trade_id, side=fill.side, size=fill.size, price=fill.price, time=fill.ts, received=received
                )
            case "/contractMarket/level2":
                return self._futures_book(native, wire.decode_change(data), received)
            case "/contractMarket/level2Snapshot":
                return self.take_snapshot(native, wire.decode_full_book(data), received)
            case "/contract/instrument":
                return self._instrument(native, envelope, received)
            case "/contract/details":
                listed = of_contract(wire.decode_contract(data))
                self.instruments[listed.native] = listed
                return Outcome.CONTROL
        return Outcome.IGNORED

    def take_snapshot(self, native: str, answer: wire.FullBook, received: int | None) -> Outcome:
        """A whole book; amounts as the venue sends them."""
        bids, asks = self.levels(native, answer.bids or []), self.levels(native, answer.asks or [])
        self.diff_book(self.symbol(native)).snapshot(answer.sequence, bids, asks, received=received)
        return Outcome.DECODED

    def diff_book(self, symbol: str) -> DiffBook:
        """The book of a symbol, kept from its first frame on."""
        known = self.diff_books.get(symbol)
        if known is None:
            book = Book()
            feed = self.book_feeds[symbol] = BookFeed(self.writer, symbol, session=self, book=book)
            known = self.diff_books[symbol] = DiffBook(feed, book, rule=SpotDiff(), depth=_WHOLE_BOOK, ask=None)
        return known

    def tick_books(self, now: int) -> None:
        for book in self.diff_books.values():
            book.tick(now)

    def closed(self, now: int | None) -> None:
        super().closed(now)
        self.diff_books.clear()

    def _spot_book(self, message: wire.Level2, received: int | None) -> Outcome:
        """Levels of price 0 only carry a sequence and are left out."""
        bids = [change for change in message.changes.bids if change[0] != 0]
        asks = [change for change in message.changes.asks if change[0] != 0]
        diff = Diff(
            message.first,
            message.last,
            None,
            self.levels(message.symbol, [(price, amount) for price, amount, _ in bids]),
            self.levels(message.symbol, [(price, amount) for price, amount, _ in asks]),
            None if message.time is None else event_time(EXCHANGE, message.time),
            ([number for _, _, number in bids], [number for _, _, number in asks]),
        )
        self.diff_book(self.symbol(message.symbol)).update(diff, received)
        return Outcome.DECODED

    def _futures_book(self, native: str, message: wire.Change, received: int | None) -> Outcome:
        parts = message.change.split(",")
        try:
            price, side, size = float(parts[0]), parts[1], float(parts[2])
        except (ValueError, IndexError) as error:
            raise FrameError(EXCHANGE, f"book change {message.change!r} is not price,side,size") from error
        if side not in ("buy", "sell") or not (isfinite(price) and price > 0 and isfinite(size)):
            raise FrameError(EXCHANGE, f"book change {message.change!r} has no side or no number, expected price,buy or sell,size")
        level = self.levels(native, [(price, size)])
        time = event_time(EXCHANGE, message.timestamp)
        bids, asks = (level, ()) if side == "buy" else ((), level)
        self.diff_book(self.symbol(native)).update(Diff(message.sequence, message.sequence, None, bids, asks, time), received)
        return Outcome.DECODED

    def _instrument(self, native: str, envelope: wire.Envelope, received: int | None) -> Outcome:
        symbol = self.symbol(native)
        if envelope.subject == "mark.index.price":
            mark = wire.decode_mark_price(envelope.data)
            time = event_time(EXCHANGE, mark.timestamp)
            self.take_state(symbol, "mark", time=time, received=received, mark_price=mark.mark, index_price=mark.index)
            return Outcome.DECODED
        if envelope.subject == "funding.rate":
            funding = wire.decode_funding_rate(envelope.data)
            time = event_time(EXCHANGE, funding.timestamp)
            if funding.granularity <= _FORECAST:
                self.writer.discard("derivatives", "forecast")
            else:
                self.take_state(symbol, f"funding {funding.rate}", time=time, received=received, funding_rate=funding.rate)
            return Outcome.DECODED
        return Outcome.IGNORED
