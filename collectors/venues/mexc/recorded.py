"""Recorded MEXC frames of any connection and age, routed by content.

Put here: telling sockets and answers apart without a plan. Keep out: what frames mean.
"""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import msgspec

from collectors.recorded import RecordedSessions
from collectors.rows import EventBuffer
from collectors.venue import Instrument, Outcome
from collectors.venues.mexc import frames, perp
from collectors.venues.mexc import messages as wire
from collectors.venues.mexc.instruments import Names, parse_instruments
from collectors.venues.mexc.messages import EXCHANGE
from collectors.venues.mexc.session import MexcSession


class Recorded(RecordedSessions[MexcSession]):
    """Sessions by connection."""

    exchange = EXCHANGE

    def __init__(self, events: EventBuffer) -> None:
        super().__init__(events)
        self._writer = events.writer(EXCHANGE, f"{EXCHANGE}-recorded")
        self._names = Names()

    def feed(self, conn: str | None, frame: bytes | str, received: int | None) -> Outcome:
        """Take one frame of a connection."""
        return frames.feed(self.session(conn), frame, received)[0]

    def open(self, conn: str | None, kind: str) -> MexcSession:
        """A session of one connection."""
        return MexcSession(self._writer, names=self._names)

    def answer(self, conn: str | None, body: bytes, received: int | None) -> Outcome:
        """Take one REST answer; `conn` is the request's URL. Answers that name no symbol need it there."""
        url = urlsplit(conn or "")
        native = parse_qs(url.query).get("symbol", [""])[0]
        found = msgspec.json.decode(body)
        if isinstance(found, dict) and "symbols" in found:
            self._names.learn(parse_instruments(body, market="spot"))
            return Outcome.CONTROL
        if isinstance(found, dict) and "data" in found and found.get("success"):
            return self._perpetual(url.path, found, body, received)
        if url.path.endswith("/depth") and native:
            session = self._session_of_book(self._names.find(native))
            frames.take_spot_depth(session, native, wire.decode_spot_depth(body), received)
            return Outcome.DECODED
        # REST trades of spot carry no id: they cannot be told from those of the stream.
        return Outcome.IGNORED

    def _perpetual(self, path: str, found: dict[str, object], body: bytes, received: int | None) -> Outcome:
        data, native = found["data"], path.rpartition("/")[2]
        first = data[0] if isinstance(data, list) and data else data
        if not isinstance(first, dict):
            return Outcome.IGNORED
        payload = wire.decode_envelope(body).data
        if "contractSize" in first:
            self._names.learn(parse_instruments(body, market="perp"))
            return Outcome.CONTROL
        if "fundingRate" in first and "nextSettleTime" in first:
            return Outcome.DECODED if perp.take_funding(self.session(None), payload, received) else Outcome.IGNORED
        instrument = self._names.find(native) if "_" in native else None
        if instrument is not None and "/depth/" in path:
            perp.take_depth(self._session_of_book(instrument), instrument, payload, received)
            return Outcome.DECODED
        if instrument is not None and "/deals/" in path:
            self.session(None).take_rest_trades(instrument, perp.trades_of(payload), received)
            return Outcome.DECODED
        return Outcome.IGNORED

    def _session_of_book(self, instrument: Instrument | None) -> MexcSession:
        """The session that keeps the book of an instrument; a snapshot may come before the first frame of its stream."""
        symbol = "" if instrument is None else instrument.symbol
        here = list(self.sessions.values())
        return next((session for session in here if symbol in session.diff_books), here[-1] if here else self.session(None))
