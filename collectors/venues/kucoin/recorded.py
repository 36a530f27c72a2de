"""Recorded KuCoin frames of any connection, routed to the protocol they speak by their shape.

Put here: telling protocols and REST answers apart without a plan. Keep out: what frames mean (`session`, `classic`).
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qs, urlsplit

import msgspec

from collectors.errors import FrameError
from collectors.feeds import BookFeed
from collectors.rows import EventBuffer
from collectors.venue import Action, Checksums, Instrument, Outcome
from collectors.venues.kucoin import messages as wire
from collectors.venues.kucoin.classic import ClassicSession
from collectors.venues.kucoin.instruments import parse_instruments
from collectors.venues.kucoin.messages import EXCHANGE
from collectors.venues.kucoin.session import MarketSession, UnifiedSession

_LISTED = ("multiplier", "unitSize", "baseCurrency")


class Recorded:
    """Sessions by connection and protocol. Frames without a connection's URL are no stream: nothing is missing between them."""

    def __init__(self, events: EventBuffer) -> None:
        self.actions: list[Action] = []
        self.checksums = Checksums()
        self._writer = events.writer(EXCHANGE, f"{EXCHANGE}-recorded")
        self._instruments: dict[str, Instrument] = {}
        self._unified: dict[str | None, UnifiedSession] = {}
        self._classic: dict[str | None, ClassicSession] = {}
        self._owners = events.continuity(EXCHANGE).books

    def connected(self, conn: str | None, received: int | None) -> None:
        """A new socket was opened to `conn`: its former one is gone."""
        for former in (self._unified.pop(conn, None), self._classic.pop(conn, None)):
            if former is not None:
                former.closed(received)

    def sent(self, conn: str | None, frame: bytes | str, received: int | None) -> None:
        """Nothing here depends on what the client sent."""

    def tick(self, now: int) -> None:
        for session in self._sessions():
            session.see_time(now)
            session.tick_books(now)

    def books(self) -> Mapping[str, BookFeed]:
        """The feed of each book met: the one that lands, else the last one kept."""
        kept = {symbol: feed for session in self._sessions() for symbol, feed in session.book_feeds.items()}
        return {symbol: owner if isinstance(owner := self._owners.get(symbol), BookFeed) else feed for symbol, feed in kept.items()}

    def feed(self, conn: str | None, frame: bytes | str, received: int | None) -> Outcome:
        """Take one frame of a connection."""
        try:
            envelope = wire.decode_envelope(frame)
        except msgspec.MsgspecError as error:
            raise FrameError(EXCHANGE, str(error)) from error
        if envelope.code is not None and bytes(envelope.data) and not envelope.topic and not envelope.type:
            return self.feed_http(None, frame.encode() if isinstance(frame, str) else frame, received)
        if envelope.T or envelope.session is not None or envelope.result is not None:
            if conn not in self._unified:
                self._unified[conn] = UnifiedSession(self._writer, instruments=self._instruments, linked=conn is not None)
            return self._unified[conn].feed(frame, received)
        return self._classic_session(conn).feed(frame, received)

    def feed_http(self, conn: str | None, body: bytes, received: int | None) -> Outcome:
        """Take one REST answer; `conn` is the request's URL, and what it is is read off the answer."""
        try:
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
        except msgspec.MsgspecError as error:
            raise FrameError(EXCHANGE, f"answer of {conn}: {error}") from error
        return Outcome.IGNORED

    def _book(self, native: str, answer: wire.FullBook, received: int | None) -> Outcome:
        """A snapshot goes to the session that keeps the book; it may come before the first frame of its stream."""
        sessions = list(self._classic.values())
        keeping = [session for session in sessions if session.symbol(native) in session.diff_books]
        session = keeping[0] if keeping else sessions[-1] if sessions else self._classic_session(None)
        return session.take_snapshot(native, answer, received)

    def _classic_session(self, conn: str | None) -> ClassicSession:
        if conn not in self._classic:
            self._classic[conn] = ClassicSession(self._writer, instruments=self._instruments, linked=conn is not None)
        return self._classic[conn]

    def _sessions(self) -> list[MarketSession]:
        return [*self._unified.values(), *self._classic.values()]
