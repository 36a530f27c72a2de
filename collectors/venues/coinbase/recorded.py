"""Recorded Coinbase frames of any connection, routed to the feed they speak by their shape.

Put here: telling feeds and sockets apart without a plan. Keep out: what frames mean (`session`, `exchange`).
"""

from __future__ import annotations

from urllib.parse import urlsplit

import msgspec

from collectors.errors import FrameError
from collectors.recorded import RecordedSessions
from collectors.rows import EventBuffer
from collectors.venue import Instrument, Outcome
from collectors.venues.coinbase import messages as wire
from collectors.venues.coinbase.exchange import TYPES, ExchangeSession
from collectors.venues.coinbase.instruments import parse_products
from collectors.venues.coinbase.messages import EXCHANGE
from collectors.venues.coinbase.session import AdvancedSession, ProductSession

_ADVANCED, _EXCHANGE = "advanced", "exchange"
_BEGINNING = b'{"channel":'


class Recorded(RecordedSessions[ProductSession]):
    """Sessions by connection and feed. Frames without a connection's URL are no stream: nothing can be told missing between them."""

    exchange = EXCHANGE

    def __init__(self, events: EventBuffer) -> None:
        super().__init__(events)
        self._writer = events.writer(EXCHANGE, f"{EXCHANGE}-recorded")
        self._instruments: dict[str, Instrument] = {}

    def feed(self, conn: str | None, frame: bytes | str, received: int | None) -> Outcome:
        """Take one frame of a connection."""
        if isinstance(frame, str):
            frame = frame.encode()
        advanced = frame.startswith(_BEGINNING) or _is_advanced(frame)
        return self.session(conn, _ADVANCED if advanced else _EXCHANGE).feed(frame, received)

    def open(self, conn: str | None, kind: str) -> ProductSession:
        """A session of one connection and feed."""
        made = AdvancedSession if kind == _ADVANCED else ExchangeSession
        return made(self._writer, instruments=self._instruments, linked=conn is not None)

    def answer(self, conn: str | None, body: bytes, received: int | None) -> Outcome:
        """Take one REST answer; `conn` is the request's URL."""
        path = urlsplit(conn or "").path
        found = msgspec.json.decode(body)
        listed = isinstance(found, dict) and "products" in found
        if listed or (path.endswith("/products") and isinstance(found, list)):
            self._instruments.update({each.native: each for each in parse_products(body)})
            return Outcome.CONTROL
        if path.endswith("/ticker") and isinstance(found, dict) and "trades" in found:
            return self._trades(body, received)
        return Outcome.IGNORED

    def _trades(self, body: bytes, received: int | None) -> Outcome:
        """Trades fetched over REST heal what a live session of the same products has found missing."""
        trades = wire.decode_trades_answer(body).trades
        session = next((each for each in self.sessions.values() if isinstance(each, AdvancedSession)), None)
        if session is None:
            session = AdvancedSession(self._writer, instruments=self._instruments, linked=False)
            self.sessions[None, _ADVANCED] = session
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
