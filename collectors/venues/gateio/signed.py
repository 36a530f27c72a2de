"""`futures.order_book`: whole books (event all), then single levels whose sign is the side. The diff book of futures until 2021, when
`futures.order_book_update` came; served as legacy since.

Put here: this channel. Keep out: everything that is current (`session`). Its ids are not known to follow each other: none is missed.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from math import isfinite

from collectors.errors import FrameError
from collectors.feeds import event_time
from collectors.streamed import BookFrame
from collectors.venue import Outcome
from collectors.venues.gateio import messages as wire
from collectors.venues.gateio.messages import EXCHANGE
from collectors.venues.gateio.session import MarketSession


def take(session: MarketSession, envelope: wire.Envelope, received: int | None) -> Outcome:
    """Take one frame; ignored for a symbol whose book another channel keeps."""
    if envelope.event == "all":
        whole = wire.decode_whole_futures(envelope.result)
        time = event_time(EXCHANGE, whole.t) if whole.t else wire.sent_time(envelope)
        bids, asks = session.levels(whole.contract, whole.bids), session.levels(whole.contract, whole.asks)
        return _land(session, whole.contract, BookFrame(bids=bids, asks=asks, timestamp=time), received=received, whole=True)
    outcome = Outcome.IGNORED
    time = wire.sent_time(envelope)
    for native, bids, asks in _by_contract(wire.decode_signed_levels(envelope.result)):
        frame = BookFrame(bids=session.levels(native, bids), asks=session.levels(native, asks), timestamp=time)
        if _land(session, native, frame, received=received, whole=False) is Outcome.DECODED:
            outcome = Outcome.DECODED
    return outcome


def _land(session: MarketSession, native: str, frame: BookFrame, *, received: int | None, whole: bool) -> Outcome:
    symbol = session.symbol(native)
    if symbol in session.diff_books:
        return Outcome.IGNORED
    book = session.streamed_book(symbol)
    land = book.snapshot if whole else book.update
    land(frame, received)
    return Outcome.DECODED


def _by_contract(levels: list[wire.SignedLevel]) -> Iterator[tuple[str, list[tuple[float, float]], list[tuple[float, float]]]]:
    """Bids and asks by contract; a size of 0 has no sign and deletes on both sides."""
    for native, found in groupby(levels, key=_contract):
        bids: list[tuple[float, float]] = []
        asks: list[tuple[float, float]] = []
        for level in found:
            if not isfinite(level.s):
                raise FrameError(EXCHANGE, f"book level has size {level.s}, expected a number")
            if level.s >= 0:
                bids.append((level.p, level.s))
            if level.s <= 0:
                asks.append((level.p, -level.s if level.s else 0.0))
        yield native, bids, asks


def _contract(level: wire.SignedLevel) -> str:
    return level.c
