"""One Kraken Futures socket: frames in, rows out.

Put here: what each frame of the Futures socket means. Keep out: subscriptions (`futures_live`), names and units (`futures_products`).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from math import inf, isfinite
from typing import Final

import msgspec

from collectors.books import Book, Follows, Level
from collectors.errors import FrameError
from collectors.feeds import BookFeed, event_time
from collectors.rows import RowWriter
from collectors.session import BaseSession
from collectors.streamed import BookFrame, StreamedBook
from collectors.venue import Checksums, Outcome
from collectors.venues.kraken import futures_messages as wire
from collectors.venues.kraken.futures_products import Product, product_of
from collectors.venues.kraken.futures_tape import CountedFeed
from collectors.venues.kraken.messages import EXCHANGE
from lake.dollars import in_dollars

CHANNELS: Final = frozenset({"trades", "book", "liquidations", "derivatives"})
STARTED_OVER: Final = 100_000
"""A book sequence this far behind is no late frame: the venue counts anew."""
_SOLD: Final = {"buy": False, "sell": True}
_MATCHED: Final = frozenset({"fill", "liquidation"})


def follows(applied: int, previous: int | None, sequence: int) -> Follows:
    """Each update carries the sequence after the last one, the snapshot's included.

    One far behind the last, or not above half of it, is of a count that has started over, which is a gap like any other.
    """
    del previous
    if sequence == applied + 1:
        return Follows.NEXT
    late = max(applied - STARTED_OVER, applied // 2) < sequence <= applied
    return Follows.STALE if late else Follows.AHEAD


class FuturesSession(BaseSession):
    """Decodes Futures frames. Of the feed `trade`, which also carries liquidations, only what `channels` asks for lands."""

    def __init__(self, writer: RowWriter, *, channels: frozenset[str] = CHANNELS) -> None:
        super().__init__(writer)
        self.channels = channels
        self.streamed_books: dict[str, StreamedBook] = {}

    def renewal(self, native: str) -> Callable[[], None] | None:
        """What asks for a fresh book of a product; None where nobody can be asked."""
        del native
        return None

    def answered(self, envelope: wire.Envelope) -> None:
        """An event arrived."""

    def feed(self, frame: bytes | str, received: int | None) -> Outcome:
        """Take one frame; raises `FrameError` when it cannot be decoded."""
        if received is not None:
            self.see(received)
        try:
            return self._take(frame.encode() if isinstance(frame, str) else frame, received)
        except msgspec.MsgspecError as error:
            raise FrameError(EXCHANGE, str(error)) from error

    def tick_books(self, now: int) -> None:
        """Look after the books."""
        for book in self.streamed_books.values():
            book.tick(now)

    def closed(self, now: int | None) -> None:
        super().closed(now)
        self.streamed_books.clear()

    def trade_feed(self, symbol: str) -> CountedFeed:
        """The trade feed of a symbol."""
        feed = self.trade_feeds.get(symbol)
        if not isinstance(feed, CountedFeed):
            feed = self.trade_feeds[symbol] = CountedFeed(self.writer, symbol, session=self, holes=self.holes())
        return feed

    def take_history(self, product: Product, body: bytes, received: int | None) -> None:
        """Land the trades of a REST history answer; raises `FrameError` when it is none."""
        try:
            answer = wire.decode_history(body)
            past = [
                wire.Trade(side=row.side, qty=row.size, price=row.price, time=_milliseconds(row.time), uid=row.uid, type=row.type)
                for row in answer.history[::-1]
            ]
        except (msgspec.MsgspecError, ValueError) as error:
            raise FrameError(EXCHANGE, f"history answer: {error}") from error
        if answer.result != "success":
            raise FrameError(EXCHANGE, f"history answer has result {answer.result!r} ({answer.error}), expected success")
        self._trades(product, past, received, rest=True)

    def streamed_book(self, product: Product) -> StreamedBook:
        """The book of a product, kept from its first frame on."""
        known = self.streamed_books.get(product.symbol)
        if known is None:
            feed = self.book_feeds[product.symbol] = BookFeed(self.writer, product.symbol, session=self, book=Book())
            known = StreamedBook(feed, rule=follows, checksums=Checksums(), renew=self.renewal(product.native))
            self.streamed_books[product.symbol] = known
        return known

    def _take(self, frame: bytes, received: int | None) -> Outcome:
        envelope = wire.decode_envelope(frame)
        if envelope.event:
            self.answered(envelope)
            return Outcome.CONTROL
        if envelope.feed == "heartbeat":
            return Outcome.CONTROL
        product = product_of(envelope.product_id) if envelope.product_id else None
        if product is None:
            return Outcome.IGNORED
        match envelope.feed:
            case "book":
                self._delta(product, wire.decode_book_delta(frame), received)
            case "book_snapshot":
                self._snapshot(product, wire.decode_book_snapshot(frame), received)
            case "trade":
                self._trades(product, [wire.decode_trade(frame)], received)
            case "trade_snapshot":
                self._trades(product, wire.decode_trade_snapshot(frame).trades[::-1], received)
                self._mend(product, received)
            case "ticker":
                self._ticker(product, wire.decode_ticker(frame), received)
            case _:
                return Outcome.IGNORED
        return Outcome.DECODED

    def _snapshot(self, product: Product, data: wire.BookSnapshot, received: int | None) -> None:
        frame = BookFrame(
            bids=[_level(product, level.price, level.qty) for level in data.bids],
            asks=[_level(product, level.price, level.qty) for level in data.asks],
            timestamp=None if data.timestamp is None else event_time(EXCHANGE, data.timestamp),
            sequence=data.seq,
        )
        self.streamed_book(product).snapshot(frame, received)

    def _delta(self, product: Product, data: wire.BookDelta, received: int | None) -> None:
        if data.side not in _SOLD:
            raise FrameError(EXCHANGE, f"book frame has side {data.side!r}, expected buy or sell")
        level = [_level(product, data.price, data.qty)]
        frame = BookFrame(
            bids=[] if _SOLD[data.side] else level,
            asks=level if _SOLD[data.side] else [],
            timestamp=None if data.timestamp is None else event_time(EXCHANGE, data.timestamp),
            sequence=data.seq,
        )
        self.streamed_book(product).update(frame, received)

    def _trades(self, product: Product, trades: list[wire.Trade], received: int | None, *, rest: bool = False) -> None:
        """Trades, oldest first; all are looked at before any lands."""
        for trade, time in [(trade, _checked(trade)) for trade in trades]:
            count = trade.seq if "trades" in self.channels else None
            if trade.type not in _MATCHED:
                self.writer.discard("trades", trade.type)
                if count is not None:
                    self.trade_feed(product.symbol).note(count, time, received=received)
                continue
            identity = trade.uid or f"{trade.seq}"
            amount = product.contract.base(trade.qty, trade.price)
            if "trades" in self.channels:
                feed, sold = self.trade_feed(product.symbol), _SOLD[trade.side]
                if count is not None:
                    feed.take_counted(count, identity, time, received=received, sold=sold, price=trade.price, amount=amount)
                else:
                    feed.take_keyed(identity, time, received=received, sold=sold, price=trade.price, amount=amount, rest=rest)
            if trade.type == "liquidation" and "liquidations" in self.channels:
                self._liquidation(product, trade, identity=identity, amount=amount, time=time, received=received)

    def _liquidation(self, product: Product, trade: wire.Trade, *, identity: str, amount: float, time: int, received: int | None) -> None:
        """The forced order is the taker: its side is the trade's."""
        if not self.writer.continuity.recent("liquidations").add((product.symbol, identity)):
            self.writer.duplicate("liquidations")
            return
        self.writer.liquidation(
            product.symbol,
            time,
            local=time if received is None else received,
            side=trade.side,
            price=trade.price,
            amount=amount,
            value_usd=amount * trade.price if in_dollars(product.symbol) else None,
            liquidation_id=identity,
            sampled=False,
        )

    def _mend(self, product: Product, received: int | None) -> None:
        """Heal gaps whose trades a snapshot has brought."""
        continuity = self.writer.continuity
        seen = continuity.tape(product.symbol).seen
        for gap in continuity.open_gaps(product.symbol, "trades"):
            first, last = gap.from_sequence, gap.to_sequence
            if first is not None and last is not None and not seen.missing(first, last):
                continuity.heal(self.writer, gap, by="snapshot", now=gap.noticed if received is None else received)

    def _ticker(self, product: Product, data: wire.Ticker, received: int | None) -> None:
        if "derivatives" not in self.channels:
            return
        time = event_time(EXCHANGE, data.time)
        local = time if received is None else received
        # A state that landed from another socket says as well that this one carries it.
        self.carries(product.symbol, "derivatives", now=local)
        if not self.writer.continuity.recent("derivatives").add((product.symbol, time)):
            self.writer.duplicate("derivatives")
            return
        self.writer.continuity.latest[product.symbol] = time
        mark, interest = data.mark_price or None, data.open_interest
        if interest is not None and product.contract.inverse:
            interest = interest / mark if mark else None
        rate = data.relative_funding_rate
        if rate is None and product.perpetual and not data.funding_rate and data.next_funding_rate_time:
            rate = 0.0
        next_funding = event_time(EXCHANGE, data.next_funding_rate_time) if data.next_funding_rate_time else None
        self.writer.derivative(
            product.symbol,
            time,
            local=local,
            funding_rate=rate,
            next_funding=next_funding,
            open_interest=interest,
            mark_price=mark,
            index_price=data.index or None,
        )


def _level(product: Product, price: float, quantity: float) -> Level:
    """A level in base units; an amount below zero has been seen and counts as none."""
    if not (0.0 < price < inf and isfinite(quantity)):
        raise FrameError(EXCHANGE, f"book level of {product.native} has price {price} and amount {quantity}, expected a price above 0")
    return price, product.contract.base(max(quantity, 0.0), price)


def _checked(trade: wire.Trade) -> int:
    """The time of a trade that can land."""
    if trade.side not in _SOLD or not (0.0 < trade.price < inf and 0.0 < trade.qty < inf):
        raise FrameError(EXCHANGE, f"trade {trade.uid} has side {trade.side!r}, price {trade.price} and amount {trade.qty}")
    if not trade.uid and trade.seq is None:
        raise FrameError(EXCHANGE, "trade has neither a uid nor a seq, expected one of them")
    return event_time(EXCHANGE, trade.time)


def _milliseconds(text: str) -> int:
    """An RFC 3339 time as milliseconds since 1970; raises ValueError when it is none."""
    return round(datetime.fromisoformat(text).timestamp() * 1000)
