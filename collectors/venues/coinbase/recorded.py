"""Recorded Coinbase frames of any connection, routed to the feed they speak by their shape.

Put here: telling feeds and sockets apart without a plan. Keep out: what frames mean (`session`, `exchange`).
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

import msgspec

from collectors.errors import FrameError
from collectors.feeds import BookFeed
from collectors.rows import EventBuffer
from collectors.venue import Action, Checksums, Instrument, Outcome
from collectors.venues.coinbase import messages as wire
from collectors.venues.coinbase.exchange import TYPES, ExchangeSession
from collectors.venues.coinbase.instruments import parse_products
from collectors.venues.coinbase.messages import EXCHANGE
from collectors.venues.coinbase.session import AdvancedSession, ProductSession

_ADVANCED = b'{"channel":'


class Recorded:
    """Sessions by connection and feed. Frames without a connection's URL are no stream: nothing can be told missing between them."""

    def __init__(self, events: EventBuffer) -> None:
        self.actions: list[Action] = []
        self.checksums = Checksums()
        self._writer = events.writer(EXCHANGE, f"{EXCHANGE}-recorded")
        self._instruments: dict[str, Instrument] = {}
        self._sessions: dict[tuple[str | None, bool], ProductSession] = {}
        self._owners = events.continuity(EXCHANGE).books

    def connected(self, conn: str | None, received: int | None) -> None:
        """A new socket was opened to `conn`: its former one is gone."""
        for advanced in (True, False):
            former = self._sessions.pop((conn, advanced), None)
            if former is not None:
                former.closed(received)

    def sent(self, conn: str | None, frame: bytes | str, received: int | None) -> None:
        """Nothing here depends on what the client sent."""

    def tick(self, now: int) -> None:
        for session in self._sessions.values():
            session.see_time(now)
            session.tick_books(now)

    def books(self) -> Mapping[str, BookFeed]:
        """The feed of each book met: the one that lands, else the last one kept."""
        kept = {symbol: feed for session in self._sessions.values() for symbol, feed in session.book_feeds.items()}
        return {symbol: owner if isinstance(owner := self._owners.get(symbol), BookFeed) else feed for symbol, feed in kept.items()}

    def feed(self, conn: str | None, frame: bytes | str, received: int | None) -> Outcome:
        """Take one frame of a connection."""
        if isinstance(frame, str):
            frame = frame.encode()
        advanced = frame.startswith(_ADVANCED) or _is_advanced(frame)
        session = self._sessions.get((conn, advanced))
        if session is None:
            made = AdvancedSession if advanced else ExchangeSession
            session = made(self._writer, instruments=self._instruments, linked=conn is not None)
            self._sessions[conn, advanced] = session
        return session.feed(frame, received)

    def feed_http(self, conn: str | None, body: bytes, received: int | None) -> Outcome:
        """Take one REST answer; `conn` is the request's URL."""
        path = urlsplit(conn or "").path
        try:
            found = msgspec.json.decode(body)
        except msgspec.MsgspecError as error:
            raise FrameError(EXCHANGE, f"answer of {conn}: {error}") from error
        listed = isinstance(found, dict) and "products" in found
        if listed or (path.endswith("/products") and isinstance(found, list)):
            self._instruments.update({each.native: each for each in parse_products(body)})
            return Outcome.CONTROL
        if path.endswith("/ticker") and isinstance(found, dict) and "trades" in found:
            return self._trades(body, received)
        return Outcome.IGNORED

    def _trades(self, body: bytes, received: int | None) -> Outcome:
        """Trades fetched over REST heal what a live session of the same products has found missing."""
        session = next((each for each in self._sessions.values() if isinstance(each, AdvancedSession)), None)
        if session is None:
            session = AdvancedSession(self._writer, instruments=self._instruments, linked=False)
            self._sessions[None, True] = session
        try:
            trades = wire.decode_trades_answer(body).trades
        except msgspec.MsgspecError as error:
            raise FrameError(EXCHANGE, f"trades answer: {error}") from error
        for symbol in session.take_trades(trades, received=received, rest=True):
            session.trade_feed(symbol).mend(received)
        return Outcome.DECODED


def _is_advanced(frame: bytes) -> bool:
    """Whether a frame speaks Advanced Trade; raises `FrameError` when it is no JSON object."""
    try:
        envelope = wire.decode_envelope(frame)
    except msgspec.MsgspecError as error:
        raise FrameError(EXCHANGE, str(error)) from error
    return bool(envelope.channel) and envelope.type not in TYPES
