"""One Kraken v2 socket: frames in, rows out.

Put here: what each frame of v2 means. Keep out: subscriptions (`live`), recordings (`recorded`), the checksum procedure (`book`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import inf

import msgspec

from collectors.errors import FrameError
from collectors.feeds import GENESIS, BookFeed, TradeFeed
from collectors.rows import RowWriter
from collectors.session import BaseSession
from collectors.textbook import TextBook
from collectors.venue import Checksums, Outcome
from collectors.venues.kraken import messages as wire
from collectors.venues.kraken.book import DEPTHS, CheckedBook
from collectors.venues.kraken.instruments import unified
from collectors.venues.kraken.messages import EXCHANGE

_BOOK = b'{"channel":"book"'
_TRADE = b'{"channel":"trade"'
_HEARTBEAT = b'{"channel":"heartbeat"}'
_CONTROL = frozenset({"status", "heartbeat"})
_SIDES = {"buy": False, "sell": True}
_REST_SIDES = {"b": False, "s": True}


class SpotSession(BaseSession):
    """Decodes v2 frames. `decimals` holds the precision of pairs that are known, by symbol: (price, amount)."""

    def __init__(self, writer: RowWriter, *, checksums: Checksums, decimals: dict[str, tuple[int, int]]) -> None:
        super().__init__(writer)
        self.checksums = checksums
        self.decimals = decimals
        self.depths: dict[str, int] = {}
        self.checked_books: dict[str, CheckedBook] = {}

    def renewal(self, symbol: str) -> Callable[[], None] | None:
        """What asks for a fresh snapshot of a symbol; None where nobody can be asked."""
        del symbol
        return None

    def confirmed(self, channel: str, symbol: str) -> None:
        """A subscription was acknowledged."""

    def refused(self, envelope: wire.Envelope) -> None:
        """A command was refused."""

    def feed(self, frame: bytes | str, received: int | None) -> Outcome:
        """Take one frame; raises `FrameError` when it cannot be decoded."""
        if received is not None:
            self.last_received = received
            if received >= self.next_hour:
                self.see_time(received)
        if isinstance(frame, str):
            frame = frame.encode()
        try:
            if frame.startswith(_BOOK):
                return self._books(frame, received)
            if frame == _HEARTBEAT:
                return Outcome.CONTROL
            if frame.startswith(_TRADE):
                return self._trades(frame, received)
            return self._other(frame, received)
        except msgspec.MsgspecError as error:
            raise FrameError(EXCHANGE, str(error)) from error

    def checked_book(self, symbol: str) -> CheckedBook:
        """The book of a symbol, kept from its first frame on."""
        known = self.checked_books.get(symbol)
        if known is None:
            book = TextBook(DEPTHS[-1])
            feed = self.book_feeds[symbol] = BookFeed(self.writer, symbol, session=self, book=book)
            known = CheckedBook(feed, book, checksums=self.checksums, renew=self.renewal(symbol))
            known.depth = self.depths.get(symbol)
            if symbol in self.decimals:
                known.precise(*self.decimals[symbol])
            self.checked_books[symbol] = known
        return known

    def trade_feed(self, symbol: str) -> TradeFeed:
        """The trade feed of a symbol."""
        feed = self.trade_feeds.get(symbol)
        if feed is None:
            feed = self.trade_feeds[symbol] = TradeFeed(self.writer, symbol, session=self, contiguous=True, holes=self.holes())
        return feed

    def learn(self, decimals: Mapping[str, tuple[int, int]]) -> None:
        """Take precisions of pairs; they rule from now on."""
        self.decimals.update(decimals)
        for symbol, book in self.checked_books.items():
            if symbol in decimals:
                book.precise(*decimals[symbol])

    def take_trades_answer(self, symbol: str | None, body: bytes, *, received: int | None) -> Outcome:
        """A REST Trades answer; `symbol` as asked for, read off the answer where it is None."""
        answer = wire.decode_trades_answer(body)
        if answer.error or answer.result is None:
            raise FrameError(EXCHANGE, f"trades answer holds errors {answer.error}, expected a result")
        for pair, rows in answer.result.items():
            if isinstance(rows, str):
                continue
            ready = [_rest_trade(row) for row in rows]
            feed = self.trade_feed(symbol or unified(pair))
            for number, timestamp, sold, price, amount in ready:
                feed.take_rest(number, timestamp, received=received, sold=sold, price=price, amount=amount)
            feed.mend(received)
        return Outcome.DECODED

    def tick_books(self, now: int) -> None:
        """Look after the books."""
        for book in self.checked_books.values():
            book.tick(now)

    def _books(self, frame: bytes, received: int | None) -> Outcome:
        message = wire.decode_book(frame)
        for data in message.data:
            time = None if data.timestamp is None else wire.time_us(data.timestamp)
            if time is not None and time < GENESIS:
                raise FrameError(EXCHANGE, f"time {data.timestamp} lies before 2009, expected a time of these markets")
            book = self.checked_books.get(data.symbol) or self.checked_book(data.symbol)
            take = book.snapshot if message.type == "snapshot" else book.update
            take(data.bids, data.asks, checksum=data.checksum, timestamp=time, received=received)
        return Outcome.DECODED

    def _trades(self, frame: bytes, received: int | None) -> Outcome:
        message = wire.decode_trade(frame)
        trades = sorted(message.data, key=_trade_number) if message.type == "snapshot" else message.data
        ready = [_checked(trade) for trade in trades]
        for trade, timestamp in zip(trades, ready, strict=True):
            feed = self.trade_feed(trade.symbol)
            feed.take(trade.trade_id, timestamp, received=received, sold=_SIDES[trade.side], price=trade.price, amount=trade.qty)
        if message.type == "snapshot":
            for symbol in {trade.symbol for trade in trades}:
                self.trade_feed(symbol).mend(received)
        return Outcome.DECODED

    def _other(self, frame: bytes, received: int | None) -> Outcome:
        envelope = wire.decode_envelope(frame)
        match envelope.channel:
            case "book":
                return self._books(frame, received)
            case "trade":
                return self._trades(frame, received)
            case "instrument":
                pairs = wire.decode_instrument(frame).data.pairs
                self.learn({pair.symbol: (pair.price_precision, pair.qty_precision) for pair in pairs})
                return Outcome.CONTROL
        if envelope.channel in _CONTROL:
            return Outcome.CONTROL
        if envelope.method:
            self._answer(envelope)
            return Outcome.CONTROL
        return Outcome.IGNORED

    def _answer(self, envelope: wire.Envelope) -> None:
        if envelope.success is False:
            self.refused(envelope)
        elif envelope.method == "subscribe" and envelope.result is not None:
            result = envelope.result
            if result.channel == "book" and result.depth is not None:
                self.depths[result.symbol] = result.depth
                if result.symbol in self.checked_books:
                    self.checked_books[result.symbol].depth = result.depth
            self.confirmed(result.channel, result.symbol)


def _trade_number(trade: wire.TradeData) -> int:
    return trade.trade_id


def _checked(trade: wire.TradeData) -> int:
    """The time of a trade that can land; all of a frame are looked at before any lands."""
    time = wire.time_us(trade.timestamp)
    if trade.side not in _SIDES or not (0.0 < trade.price < inf and 0.0 < trade.qty < inf) or time < GENESIS:
        raise FrameError(
            EXCHANGE, f"trade {trade.trade_id} has side {trade.side!r}, price {trade.price}, amount {trade.qty}, time {trade.timestamp}"
        )
    return time


def _rest_trade(row: wire.RestTrade) -> tuple[int, int, bool, float, float]:
    price, amount, seconds, side, _, _, number = row
    time = round(seconds * 1e6)
    if side not in _REST_SIDES or time < GENESIS:
        raise FrameError(EXCHANGE, f"trade {number} has side {side!r} and time {seconds}, expected b or s and a time of these markets")
    return number, time, _REST_SIDES[side], price, amount
