"""The v3 socket of spot (`trades.update`, `depth.update`), in use until 2021.

Put here: this version. Keep out: v4 (`session`). Books carry neither time, sequence nor checksum.
"""

from __future__ import annotations

from collectors.streamed import BookFrame
from collectors.venue import Outcome
from collectors.venues.gateio import messages as wire
from collectors.venues.gateio.session import MarketSession


def take(session: MarketSession, envelope: wire.Envelope, received: int | None) -> Outcome:
    """Take one frame of v3."""
    match envelope.method:
        case "trades.update":
            native, trades = wire.decode_v3_trades(envelope.params)
            ready = [(row.id, wire.millis(row.time * 1000), row.type == "sell", row.price, row.amount) for row in trades]
            feed = session.trade_feed(session.symbol(native))
            for number, time, sold, price, amount in sorted(ready):
                feed.take(number, time, received=received, sold=sold, price=price, amount=amount)
            return Outcome.DECODED
        case "depth.update":
            whole, depth, native = wire.decode_v3_depth(envelope.params)
            frame = BookFrame(bids=session.levels(native, depth.bids), asks=session.levels(native, depth.asks), timestamp=None)
            if received is None:
                session.writer.discard("book_deltas", "no clock", rows=len(frame))
                return Outcome.DECODED
            book = session.streamed_book(session.symbol(native))
            land = book.snapshot if whole else book.update
            land(frame, received)
            return Outcome.DECODED
    return Outcome.IGNORED
