"""Recorded KuCoin frames of any connection, routed to the protocol they speak by their shape.

Put here: telling protocols and REST answers apart without a plan. Keep out: what frames mean (`session`, `classic`).
"""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import msgspec

from collectors.errors import FrameError
from collectors.recorded import RecordedSessions
from collectors.rows import EventBuffer
from collectors.venue import Instrument, Outcome
from collectors.venues.kucoin import messages as wire
from collectors.venues.kucoin.classic import ClassicSession
from collectors.venues.kucoin.instruments import parse_instruments
from collectors.venues.kucoin.messages import EXCHANGE
from collectors.venues.kucoin.session import MarketSession, UnifiedSession

_UNIFIED, _CLASSIC = "unified", "classic"
_LISTED = ("multiplier", "unitSize", "baseCurrency")


class Recorded(RecordedSessions[MarketSession]):
    """Sessions by connection and protocol. Frames without a connection's URL are no stream: nothing is missing between them."""

    exchange = EXCHANGE

    def __init__(self, events: EventBuffer) -> None:
        super().__init__(events)
        self._writer = events.writer(EXCHANGE, f"{EXCHANGE}-recorded")
        self._instruments: dict[str, Instrument] = {}

    def feed(self, conn: str | None, frame: bytes | str, received: int | None) -> Outcome:
        """Take one frame of a connection."""
        try:
            envelope = wire.decode_envelope(frame)
        except msgspec.MsgspecError as error:
            raise FrameError(EXCHANGE, str(error)) from error
        if envelope.code is not None and bytes(envelope.data) and not envelope.topic and not envelope.type:
            return self.feed_http(None, frame.encode() if isinstance(frame, str) else frame, received)
        if envelope.T or envelope.session is not None or envelope.result is not None:
            return self.session(conn, _UNIFIED).feed(frame, received)
        return self.session(conn, _CLASSIC).feed(frame, received)

    def open(self, conn: str | None, kind: str) -> MarketSession:
        """A session of one connection and protocol."""
        made = UnifiedSession if kind == _UNIFIED else ClassicSession
        return made(self._writer, instruments=self._instruments, linked=conn is not None)

    def answer(self, conn: str | None, body: bytes, received: int | None) -> Outcome:
        """Take one REST answer; `conn` is the request's URL, and what it is is read off the answer."""
        found = msgspec.json.decode(body)
        data = found.get("data") if isinstance(found, dict) else None
        if isinstance(data, dict) and "list" in data:
            data = data["list"]
        if isinstance(data, list):
            if data and isinstance(data[0], dict) and any(key in data[0] for key in _LISTED):
                self._instruments.update({each.native: each for each in parse_instruments(body)})
                return Outcome.CONTROL
            return Outcome.IGNORED
        if isinstance(data, dict) and "token" in data:
            return Outcome.CONTROL
        if isinstance(data, dict) and {"sequence", "bids", "asks"} <= data.keys():
            answer = wire.decode_full_book_answer(body).data
            native = answer.symbol or parse_qs(urlsplit(conn or "").query).get("symbol", [""])[0]
            return self._book(native, answer, received) if native else Outcome.IGNORED
        return Outcome.IGNORED

    def _book(self, native: str, answer: wire.FullBook, received: int | None) -> Outcome:
        """A snapshot goes to the session that keeps the book; it may come before the first frame of its stream."""
        here = [session for session in self.sessions.values() if isinstance(session, ClassicSession)]
        keeping = [session for session in here if session.symbol(native) in session.diff_books]
        if not here:
            session = ClassicSession(self._writer, instruments=self._instruments, linked=False)
            self.sessions[None, _CLASSIC] = session
            return session.take_snapshot(native, answer, received)
        return (keeping[0] if keeping else here[-1]).take_snapshot(native, answer, received)
