"""One socket of the unified gateway: frames in, rows out; and what both protocols share.

Put here: what each frame of the gateway means. Keep out: subscriptions (`live`), the classic protocol (`classic`), recordings (`recorded`).
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from math import isfinite
from typing import Final

import msgspec

from collectors.books import Book, Follows, Levels
from collectors.continuity import Gap
from collectors.contracts import Contract
from collectors.errors import FrameError
from collectors.feeds import BookFeed, TradeFeed, event_time
from collectors.rows import RowWriter
from collectors.session import BaseSession
from collectors.streamed import BookFrame, StreamedBook
from collectors.venue import Checksums, Instrument, Outcome
from collectors.venues.kucoin import messages as wire
from collectors.venues.kucoin.instruments import guessed_contract, unified
from collectors.venues.kucoin.messages import EXCHANGE

_SOLD: Final = {"buy": False, "sell": True}


def follows(applied: int, previous: int | None, sequence: int) -> Follows:
    """A frame begins right after the last one; one that overlaps and reaches further holds absolute amounts and is taken.

    Numbers that fall below half of what they were have started over, which is a gap like any other.
    """
    if sequence <= applied:
        return Follows.AHEAD if sequence < applied // 2 else Follows.STALE
    return Follows.NEXT if previous is None or previous <= applied else Follows.AHEAD


class MarketSession(BaseSession):
    """Names, contracts and trades. `linked` tells whether frames follow each other, so that one can be missing."""

    def __init__(self, writer: RowWriter, *, instruments: dict[str, Instrument], linked: bool) -> None:
        super().__init__(writer)
        self.instruments = instruments
        self.linked = linked
        self._contracts: dict[str, Contract] = {}

    def symbol(self, native: str) -> str:
        """CCXT symbol of a native id."""
        known = self.instruments.get(native)
        return unified(native) if known is None else known.symbol

    def contract(self, native: str) -> Contract:
        """What one unit of size is."""
        listed = self.instruments.get(native)
        known = self._contracts.get(native)
        if listed is not None and (known is None or (known.size, known.inverse) != (listed.contract_size, listed.inverse)):
            known = self._contracts[native] = Contract.of(listed)
        elif known is None:
            known = self._contracts[native] = guessed_contract(native)
        return known

    def levels(self, native: str, levels: Levels) -> Levels:
        """Levels in base units; raises `FrameError` when a number is not finite."""
        if not isfinite(sum(chain.from_iterable(levels))):
            raise FrameError(EXCHANGE, "book levels hold a number that is not finite")
        contract = self.contract(native)
        return levels if contract.is_base else [(price, contract.base(size, price)) for price, size in levels]

    def holes(self) -> Callable[[TradeFeed, Gap], None] | None:
        """What looks for missed trades; None where nobody can fetch them."""
        return None

    def trade_feed(self, symbol: str) -> TradeFeed:
        """The trade feed of a symbol; ids do not follow each other, so every silence is looked at."""
        feed = self.trade_feeds.get(symbol)
        if feed is None:
            feed = TradeFeed(self.writer, symbol, session=self, contiguous=False, holes=self.holes(), seeks=True)
            self.trade_feeds[symbol] = feed
        return feed

    def take_trade(
        self, native: str, identity: str, *, side: str, size: float, price: float, time: int, received: int | None, rest: bool = False
    ) -> Outcome:
        """Land one trade; ids are numbers or, before 2024 and on classic spot before 2022, keys without an order."""
        if not self.admits(native):
            return Outcome.IGNORED
        sold = _SOLD.get(side.lower())
        if sold is None or price <= 0:
            raise FrameError(EXCHANGE, f"trade {identity} has side {side!r} and price {price}, expected buy or sell and a price above 0")
        timestamp = event_time(EXCHANGE, time)
        amount = self.contract(native).base(size, price)
        feed = self.trade_feed(self.symbol(native))
        if not (identity.isdecimal() and len(identity) < 19):
            feed.take_keyed(identity, timestamp, received=received, sold=sold, price=price, amount=amount, rest=rest)
        elif rest:
            feed.take_rest(int(identity), timestamp, received=received, sold=sold, price=price, amount=amount)
        else:
            feed.take(int(identity), timestamp, received=received, sold=sold, price=price, amount=amount)
        return Outcome.DECODED

    def take_state(self, symbol: str, kind: str, *, time: int, received: int | None, **known: float | None) -> None:
        """Land what is known of a perpetual unless it has landed."""
        local = time if received is None else received
        # A state that landed from another socket says as well that this one carries it.
        self.carries(symbol, "derivatives", now=local)
        if not self.writer.continuity.recent("derivatives").add((symbol, kind, time)):
            self.writer.duplicate("derivatives")
            return
        self.writer.continuity.latest[symbol] = time
        funding = known.pop("next_funding", None)
        self.writer.derivative(symbol, time, local=local, next_funding=None if funding is None else int(funding), **known)

    def feed(self, frame: bytes | str, received: int | None) -> Outcome:
        """Take one frame; raises `FrameError` when it cannot be decoded."""
        if received is not None:
            self.last_received = received
            if received >= self.next_hour:
                self.see_time(received)
        try:
            return self.take(frame.encode() if isinstance(frame, str) else frame, received)
        except msgspec.MsgspecError as error:
            raise FrameError(EXCHANGE, str(error)) from error

    def take(self, frame: bytes, received: int | None) -> Outcome:
        """Take one frame of the protocol."""
        raise NotImplementedError


class UnifiedSession(MarketSession):
    """Decodes frames of the unified gateway."""

    def __init__(self, writer: RowWriter, *, instruments: dict[str, Instrument], linked: bool) -> None:
        super().__init__(writer, instruments=instruments, linked=linked)
        self.streamed_books: dict[str, StreamedBook] = {}

    def renewal(self, symbol: str) -> Callable[[], None] | None:
        """What asks for a fresh snapshot of a symbol; None where nobody can be asked."""
        del symbol
        return None

    def answered(self, envelope: wire.Envelope) -> None:
        """A welcome, a pong or an answer to a command arrived."""

    def take(self, frame: bytes, received: int | None) -> Outcome:
        envelope = wire.decode_envelope(frame)
        channel = envelope.T.partition(".")[0]
        if channel == "trade":
            data = wire.decode_trade(frame).d
            return self.take_trade(data.s, str(data.ti), side=data.S, size=data.q, price=data.p, time=data.M, received=received)
        if channel == "obu" and envelope.dp.startswith("increment"):
            return self._book(wire.decode_book(frame), received)
        if channel:
            return Outcome.IGNORED
        self.answered(envelope)
        return Outcome.CONTROL

    def streamed_book(self, symbol: str) -> StreamedBook:
        """The book of a symbol, kept from its first frame on."""
        known = self.streamed_books.get(symbol)
        if known is None:
            feed = self.book_feeds[symbol] = BookFeed(self.writer, symbol, session=self, book=Book())
            known = StreamedBook(feed, rule=follows, checksums=Checksums(), renew=self.renewal(symbol))
            self.streamed_books[symbol] = known
        return known

    def tick_books(self, now: int) -> None:
        for book in self.streamed_books.values():
            book.tick(now)

    def closed(self, now: int | None) -> None:
        super().closed(now)
        self.streamed_books.clear()

    def _book(self, message: wire.Pushed[wire.Book], received: int | None) -> Outcome:
        data = message.d
        if not self.admits(data.s):
            return Outcome.IGNORED
        if message.t not in ("snapshot", "delta"):
            raise FrameError(EXCHANGE, f"book frame has type {message.t!r}, expected snapshot or delta")
        frame = BookFrame(
            bids=self.levels(data.s, data.b),
            asks=self.levels(data.s, data.a),
            timestamp=None if not data.M else event_time(EXCHANGE, data.M),
            sequence=data.C,
            previous=data.O - 1 if self.linked else None,
        )
        book = self.streamed_book(self.symbol(data.s))
        take = book.snapshot if message.t == "snapshot" else book.update
        take(frame, received)
        return Outcome.DECODED
