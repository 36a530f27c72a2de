"""Recorded MEXC frames of any connection and age, routed by content.

Put here: telling sockets and answers apart without a plan. Keep out: what frames mean.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qs, urlsplit

import msgspec

from collectors.errors import FrameError
from collectors.feeds import BookFeed
from collectors.rows import EventBuffer
from collectors.venue import Action, Checksums, Instrument, Outcome
from collectors.venues.mexc import frames, perp
from collectors.venues.mexc import messages as wire
from collectors.venues.mexc.instruments import Names, parse_instruments
from collectors.venues.mexc.messages import EXCHANGE
from collectors.venues.mexc.session import MexcSession


class Recorded:
    """Sessions by connection."""

    def __init__(self, events: EventBuffer) -> None:
        self.actions: list[Action] = []
        self.checksums = Checksums()
        self._writer = events.writer(EXCHANGE, f"{EXCHANGE}-recorded")
        self._names = Names()
        self._sessions: dict[str | None, MexcSession] = {}
        self._owners = events.continuity(EXCHANGE).books

    def connected(self, conn: str | None, received: int | None) -> None:
        """A new socket was opened to `conn`: its former one is gone."""
        former = self._sessions.pop(conn, None)
        if former is not None:
            former.closed(received)

    def sent(self, conn: str | None, frame: bytes | str, received: int | None) -> None:
        """Nothing here depends on what the client sent: frames name their channel."""

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
        return frames.feed(self._session(conn), frame, received)[0]

    def feed_http(self, conn: str | None, body: bytes, received: int | None) -> Outcome:
        """Take one REST answer; `conn` is the request's URL. Answers that name no symbol need it there."""
        url = urlsplit(conn or "")
        native = parse_qs(url.query).get("symbol", [""])[0]
        try:
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
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise FrameError(EXCHANGE, f"answer of {conn}: {error}") from error
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
            return Outcome.DECODED if perp.take_funding(self._session(None), payload, received) else Outcome.IGNORED
        instrument = self._names.find(native) if "_" in native else None
        if instrument is not None and "/depth/" in path:
            perp.take_depth(self._session_of_book(instrument), instrument, payload, received)
            return Outcome.DECODED
        if instrument is not None and "/deals/" in path:
            self._session(None).take_rest_trades(instrument, perp.trades_of(payload), received)
            return Outcome.DECODED
        return Outcome.IGNORED

    def _session_of_book(self, instrument: Instrument | None) -> MexcSession:
        """The session that keeps the book of an instrument; a snapshot may come before the first frame of its stream."""
        symbol = "" if instrument is None else instrument.symbol
        here = list(self._sessions.values())
        return next((session for session in here if symbol in session.diff_books), here[-1] if here else self._session(None))

    def _session(self, conn: str | None) -> MexcSession:
        session = self._sessions.get(conn)
        if session is None:
            session = self._sessions[conn] = MexcSession(self._writer, names=self._names)
        return session
