"""Recorded Bitfinex frames of any connection; samples without one share a session in which sequences mean nothing.

Put here: telling sockets and answers apart without a plan. Keep out: what frames mean (`session`).
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

import msgspec

from collectors.errors import FrameError
from collectors.feeds import BookFeed
from collectors.rows import EventBuffer
from collectors.venue import Action, Checksums, Outcome
from collectors.venues.bitfinex.instruments import Names, parse_conf
from collectors.venues.bitfinex.messages import EXCHANGE
from collectors.venues.bitfinex.session import PublicSession


class Recorded:
    """Sessions by connection."""

    def __init__(self, events: EventBuffer) -> None:
        self.actions: list[Action] = []
        self.checksums = Checksums()
        self._writer = events.writer(EXCHANGE, f"{EXCHANGE}-recorded")
        self._names = Names()
        self._sessions: dict[str | None, PublicSession] = {}
        self._owners = events.continuity(EXCHANGE).books

    def connected(self, conn: str | None, received: int | None) -> None:
        """A new socket was opened to `conn`: its former one is gone."""
        former = self._sessions.pop(conn, None)
        if former is not None:
            former.closed(received)

    def sent(self, conn: str | None, frame: bytes | str, received: int | None) -> None:
        """Nothing here depends on what the client sent: acknowledgements repeat it."""

    def tick(self, now: int) -> None:
        for session in self._sessions.values():
            session.see_time(now)
            for book in session.checked_books.values():
                book.tick(now)

    def books(self) -> Mapping[str, BookFeed]:
        """The feed of each book met: the one that lands, else the last one kept."""
        kept = {symbol: feed for session in self._sessions.values() for symbol, feed in session.book_feeds.items()}
        return {symbol: owner if isinstance(owner := self._owners.get(symbol), BookFeed) else feed for symbol, feed in kept.items()}

    def feed(self, conn: str | None, frame: bytes | str, received: int | None) -> Outcome:
        """Take one frame of a connection."""
        session = self._session(conn)
        outcome = session.feed(frame, received)
        session.actions.clear()
        return outcome

    def feed_http(self, conn: str | None, body: bytes, received: int | None) -> Outcome:
        """Take one REST answer; `conn` is the request's URL."""
        parts = unquote(urlsplit(conn or "").path).rstrip("/").split("/")
        try:
            if "conf" in parts:
                parse_conf(conn or "", body, self._names)
                return Outcome.CONTROL
            if len(parts) > 2 and parts[-3] == "trades" and parts[-1] == "hist" and parts[-2].startswith("t"):
                self._session(None).take_trades_answer(self._names.symbol(parts[-2]), body, received=received)
                return Outcome.DECODED
            if parts[-2:] == ["status", "deriv"]:
                return self._session(None).take_status_answer(body, received)
            if parts[-2:] == ["liquidations", "hist"]:
                return self._session(None).take_liquidations(body, received)
            msgspec.json.decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise FrameError(EXCHANGE, f"answer of {conn}: {error}") from error
        return Outcome.IGNORED

    def _session(self, conn: str | None) -> PublicSession:
        session = self._sessions.get(conn)
        if session is None:
            session = PublicSession(self._writer, names=self._names, checksums=self.checksums, numbered=conn is not None)
            self._sessions[conn] = session
        return session
