"""The Exchange feed (ws-feed.exchange.coinbase.com, until 2022 ws-feed.pro.coinbase.com), as recordings carry it.

Put here: match, last_match, snapshot, l2update. Keep out: Advanced Trade (`session`), which is what live sockets speak.
The frames of its book carry neither sequence nor checksum; `sequence` of a match counts a feed this one is only a part of.
"""

from __future__ import annotations

from math import isfinite
from typing import Final

import msgspec

from collectors.books import Book, Levels
from collectors.errors import FrameError
from collectors.feeds import GENESIS
from collectors.rows import RowWriter
from collectors.venue import Instrument, Outcome
from collectors.venues.coinbase import messages as wire
from collectors.venues.coinbase.messages import EXCHANGE
from collectors.venues.coinbase.session import ProductSession

TYPES: Final = frozenset(
    {"match", "last_match", "snapshot", "l2update", "ticker", "heartbeat", "status"} | {"received", "open", "done", "change", "activate"}
)
"""Types of this feed's frames; `subscriptions` and `error` exist on both."""
_UPDATE: Final = b'{"type":"l2update"'
_CONTROL: Final = frozenset({"subscriptions", "error", "heartbeat"})


class ExchangeSession(ProductSession):
    """Decodes frames of the Exchange feed."""

    def __init__(self, writer: RowWriter, *, instruments: dict[str, Instrument], linked: bool) -> None:
        super().__init__(writer, instruments=instruments, linked=linked)
        self._waiting: dict[str, tuple[Levels, Levels]] = {}
        """Snapshots by symbol that carry no time, met where no clock ran: the first update with a time opens the book."""

    def feed(self, frame: bytes | str, received: int | None) -> Outcome:
        """Take one frame; raises `FrameError` when it cannot be decoded."""
        if received is not None:
            self.see(received)
        if isinstance(frame, str):
            frame = frame.encode()
        try:
            if frame.startswith(_UPDATE):
                return self._update(wire.decode_exchange_update(frame), received)
            kind = wire.decode_envelope(frame).type
            match kind:
                case "match" | "last_match":
                    self.take_trades((wire.decode_match(frame),), received=received)
                    return Outcome.DECODED
                case "l2update":
                    return self._update(wire.decode_exchange_update(frame), received)
                case "snapshot":
                    return self._snapshot(wire.decode_exchange_snapshot(frame), received)
        except msgspec.MsgspecError as error:
            raise FrameError(EXCHANGE, str(error)) from error
        return Outcome.CONTROL if kind in _CONTROL else Outcome.IGNORED

    def _snapshot(self, message: wire.ExchangeSnapshot, received: int | None) -> Outcome:
        _all_finite(message.bids)
        _all_finite(message.asks)
        symbol = self.symbol(message.product_id)
        feed = self.book_feed(symbol)
        if received is None and feed.last_time is None:
            self._waiting[symbol] = (message.bids, message.asks)
            return Outcome.DECODED
        assert isinstance(feed.book, Book)
        feed.book.load(message.bids, message.asks)
        feed.opened(timestamp=None, received=received, sequence=None)
        return Outcome.DECODED

    def _update(self, message: wire.ExchangeUpdate, received: int | None) -> Outcome:
        symbol = self.symbol(message.product_id)
        feed = self.book_feed(symbol)
        bids = [(price, amount) for side, price, amount in message.changes if side == "buy"]
        asks = [(price, amount) for side, price, amount in message.changes if side == "sell"]
        _all_finite(bids)
        _all_finite(asks)
        time: int | None = wire.time_us(message.time) if message.time else None
        if time is not None and time < GENESIS:
            # Very rarely the venue stamps the year 1: the time before stands.
            time = feed.timestamp
        assert isinstance(feed.book, Book)
        if symbol in self._waiting and (time is not None or received is not None):
            feed.book.load(*self._waiting.pop(symbol))
            feed.opened(timestamp=time, received=received, sequence=None)
        if not feed.live:
            self.writer.discard("book_deltas", "before snapshot", rows=len(message.changes))
            return Outcome.DECODED
        feed.book.apply(bids, asks)
        feed.changed(bids, asks, timestamp=time, received=received, sequence=None)
        return Outcome.DECODED


def _all_finite(levels: Levels) -> None:
    if not all(isfinite(price) and isfinite(amount) for price, amount in levels):
        raise FrameError(EXCHANGE, "book levels hold a number that is not finite")
