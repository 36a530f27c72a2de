"""One Advanced Trade socket: frames in, rows out.

Put here: what each frame of Advanced Trade means, and the count of frames that keeps its books whole.
Keep out: subscriptions (`live`), recordings (`recorded`), the Exchange feed (`exchange`).
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from math import isfinite
from typing import Final

import msgspec

from collectors.books import Book
from collectors.contracts import Contract
from collectors.errors import FrameError
from collectors.feeds import GENESIS, BookFeed, TradeFeed
from collectors.rows import RowWriter
from collectors.session import BaseSession
from collectors.venue import Instrument, Outcome
from collectors.venues.coinbase import messages as wire
from collectors.venues.coinbase.instruments import unified
from collectors.venues.coinbase.messages import EXCHANGE

_BOOK: Final = b'{"channel":"l2_data"'
_TRADES: Final = b'{"channel":"market_trades"'
_CONTROL: Final = frozenset({"subscriptions", "heartbeats"})
_SOLD: Final = {"BUY": True, "SELL": False, "buy": True, "sell": False}
"""Whether the TAKER sold, by the side the venue sends, which is the maker's."""
RESTARTED: Final = 8
"""Late frames that count up by one in a row until the count is taken to have started over, where no time of theirs tells it before."""
PLAIN: Final = Contract()


class ProductSession(BaseSession):
    """What both feeds share: names, trades, books. `linked` tells whether ids of trades and frames can be told missing."""

    def __init__(self, writer: RowWriter, *, instruments: dict[str, Instrument], linked: bool) -> None:
        super().__init__(writer)
        self.instruments = instruments
        self.linked = linked

    def feed(self, frame: bytes | str, received: int | None) -> Outcome:
        """Take one frame; raises `FrameError` when it cannot be decoded."""
        raise NotImplementedError

    def symbol(self, product: str) -> str:
        """CCXT symbol of a product."""
        known = self.instruments.get(product)
        return unified(product) if known is None else known.symbol

    def contract(self, product: str) -> Contract:
        """What one unit of size is; a product no list has told counts in base units."""
        known = self.instruments.get(product)
        return PLAIN if known is None or known.contract_size == 1.0 else Contract.of(known)

    def trade_feed(self, symbol: str) -> TradeFeed:
        """The trade feed of a symbol."""
        feed = self.trade_feeds.get(symbol)
        if feed is None:
            feed = self.trade_feeds[symbol] = TradeFeed(self.writer, symbol, session=self, contiguous=self.linked, holes=self.holes())
        return feed

    def book_feed(self, symbol: str) -> BookFeed:
        """The book feed of a symbol, kept from its first frame on."""
        feed = self.book_feeds.get(symbol)
        if feed is None:
            feed = self.book_feeds[symbol] = BookFeed(self.writer, symbol, session=self, book=Book())
        return feed

    def take_trades(self, trades: Iterable[wire.Trade | wire.Match], *, received: int | None, rest: bool = False) -> set[str]:
        """Land trades, oldest first; all of them are looked at before any lands. Returns their symbols."""
        ready = []
        for trade in trades:
            if not self.admits(trade.product_id):
                continue
            amount = self.contract(trade.product_id).base(trade.size, trade.price)
            time = wire.event_time(trade.time)
            if not (0.0 < trade.price < float("inf") and 0.0 < amount < float("inf")):
                raise FrameError(EXCHANGE, f"trade {trade.trade_id} has price {trade.price} and amount {amount}, expected both above 0")
            ready.append((trade.trade_id, time, _SOLD.get(trade.side), trade.price, amount, self.symbol(trade.product_id)))
        ready.sort(key=_number)
        for number, time, sold, price, amount, symbol in ready:
            feed = self.trade_feed(symbol)
            if sold is None:
                # The row has no place for an unknown side; its id is noted so that it is not taken for missing.
                feed.tape.seen.add(number)
                self.writer.discard("trades", "unknown side")
            elif rest:
                feed.take_rest(number, time, received=received, sold=sold, price=price, amount=amount)
            else:
                feed.take(number, time, received=received, sold=sold, price=price, amount=amount)
        return {row[5] for row in ready}

    def tick_books(self, now: int) -> None:
        self.crossed_books(now)

    def crossed_books(self, now: int) -> list[BookFeed]:
        """Sample the books; returns those that have stood crossed for too long, given up."""
        crossed = []
        for feed in self.book_feeds.values():
            feed.sample(now)
            if feed.crossed(now):
                feed.lost("sequence", now=now)
                crossed.append(feed)
        return crossed


class AdvancedSession(ProductSession):
    """Decodes Advanced Trade frames. A gap in the count of frames loses every book of the connection, as no frame says whose it was."""

    def __init__(self, writer: RowWriter, *, instruments: dict[str, Instrument], linked: bool) -> None:
        super().__init__(writer, instruments=instruments, linked=linked)
        self._last: int | None = None
        self._sent = ""
        """When the venue sent the frame that was numbered `_last`, as it says it."""
        self._late = 0
        self._late_run = 0

    def subscribed(self, event: wire.SubscriptionsEvent) -> None:
        """The venue told what the connection is subscribed to."""

    def refused(self, message: str) -> None:
        """The venue refused a command."""

    def renew(self) -> None:
        """Every book of the connection is lost: ask for fresh snapshots."""

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
            if frame.startswith(_TRADES):
                return self._trades(frame, received)
            return self._other(frame, received)
        except msgspec.MsgspecError as error:
            raise FrameError(EXCHANGE, str(error)) from error

    def _other(self, frame: bytes, received: int | None) -> Outcome:
        envelope = wire.decode_envelope(frame)
        match envelope.channel:
            case "l2_data":
                return self._books(frame, received)
            case "market_trades":
                return self._trades(frame, received)
        self._count(envelope.sequence_num, envelope.timestamp, received=received)
        if envelope.channel == "subscriptions" and bytes(envelope.events):
            for event in wire.decode_subscriptions(envelope.events):
                self.subscribed(event)
        if envelope.type == "error":
            self.refused(f"{envelope.message} {envelope.reason}".strip())
            return Outcome.CONTROL
        return Outcome.CONTROL if envelope.channel in _CONTROL else Outcome.IGNORED

    def _trades(self, frame: bytes, received: int | None) -> Outcome:
        message = wire.decode_trades(frame)
        self._count(message.sequence_num, message.timestamp, received=received)
        past = any(event.type == "snapshot" for event in message.events)
        symbols = self.take_trades((trade for event in message.events for trade in event.trades), received=received)
        if past:
            for symbol in symbols:
                self.trade_feed(symbol).mend(received)
        return Outcome.DECODED

    def _books(self, frame: bytes, received: int | None) -> Outcome:
        message = wire.decode_book(frame)
        sent = wire.event_time(message.timestamp) if message.timestamp else None
        ready = [(event, *self._levels(event, sent)) for event in message.events if self.admits(event.product_id)]
        in_time = self._count(message.sequence_num, message.timestamp, received=received)
        for event, bids, asks, time in ready:
            feed = self.book_feed(self.symbol(event.product_id))
            rows = len(event.updates)
            if not in_time:
                self.writer.discard("book_deltas", "late", rows=rows)
            elif event.type == "snapshot":
                assert isinstance(feed.book, Book)
                feed.book.load(bids, asks)
                feed.opened(timestamp=time, received=received, sequence=message.sequence_num)
            elif not feed.live:
                self.writer.discard("book_deltas", "before snapshot", rows=rows)
            else:
                assert isinstance(feed.book, Book)
                feed.book.apply(bids, asks)
                feed.changed(bids, asks, timestamp=time, received=received, sequence=message.sequence_num)
        return Outcome.DECODED

    def _levels(self, event: wire.BookEvent, sent: int | None) -> tuple[list[tuple[float, float]], list[tuple[float, float]], int]:
        """Bids, asks and the time of an event; a snapshot may carry the epoch instead of times, so the envelope's counts."""
        contract = self.contract(event.product_id)
        updates = event.updates
        bids = [(update.price_level, update.new_quantity) for update in updates if update.side == "bid"]
        asks = [(update.price_level, update.new_quantity) for update in updates if update.side == "offer"]
        if not isfinite(sum(chain.from_iterable(bids)) + sum(chain.from_iterable(asks))):
            raise FrameError(EXCHANGE, f"book of {event.product_id} holds a level that is not finite")
        time = sent
        if event.type == "update" or sent is None:
            times = [wire.time_us(text) for text in {update.event_time for update in event.updates if update.event_time}]
            time = max((time for time in times if time > GENESIS), default=sent)
        if time is None:
            raise FrameError(EXCHANGE, f"book frame of {event.product_id} has no time")
        return contract.levels(bids), contract.levels(asks), time

    def _count(self, number: int | None, sent: str, *, received: int | None) -> bool:
        """Follow the count of frames; False when a frame comes late, so that its book frames are older than the book."""
        last = self._last
        if number is None:
            return True
        if self.linked and last is not None:
            if number <= last:
                if number != self._late or not self._late_run:
                    self._late_run = self._late_run + 1 if number == self._late + 1 else 1
                self._late = number
                if self._late_run < RESTARTED and not _after(sent, self._sent):
                    return False
            # A count that starts over while it is low soon reaches the number it had and goes on behind it: a run of late frames
            # just before may have been new ones.
            run = self._late_run
            if number != last + 1 or run > 1:
                self._lose(last, self._late - run + 1 if run > 1 else number, received=received)
        self._last, self._sent, self._late_run = number, sent, 0
        return True

    def _lose(self, last: int, number: int, *, received: int | None) -> None:
        for feed in self.book_feeds.values():
            now = received if received is not None else feed.last_time
            if feed.live and now is not None:
                feed.lost("sequence", now=now, from_sequence=last, to_sequence=number)
        self.renew()


def _after(sent: str, other: str) -> bool:
    """Whether a frame was sent after another, which a late one never was. Times are texts of one form, in UTC, without trailing zeros."""
    return bool(other) and sent.rstrip("Z") > other.rstrip("Z")


def _number(row: tuple[int, int, bool | None, float, float, str]) -> int:
    return row[0]
