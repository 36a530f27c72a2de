"""Recorded Kraken frames of any connection, routed by URL or, where none was recorded, by content.

Put here: telling sockets apart without a plan. Keep out: what frames mean (`session`). Frames of the v1 and Futures sockets are ignored.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qs, urlsplit

import msgspec

from collectors.errors import FrameError
from collectors.feeds import BookFeed
from collectors.rows import EventBuffer
from collectors.venue import Action, Checksums, Outcome
from collectors.venues.kraken.instruments import parse_asset_pairs
from collectors.venues.kraken.messages import EXCHANGE
from collectors.venues.kraken.session import SpotSession

_V2_KEYS: Final = ("channel", "method")


class Recorded:
    """v2 sessions by connection."""

    def __init__(self, events: EventBuffer) -> None:
        self.actions: list[Action] = []
        self.checksums = Checksums()
        self._writer = events.writer(EXCHANGE, f"{EXCHANGE}-spot-recorded")
        self._decimals: dict[str, tuple[int, int]] = {}
        self._sessions: dict[str | None, SpotSession] = {}
        self._owners = events.continuity(EXCHANGE).books

    def connected(self, conn: str | None, received: int | None) -> None:
        """A new socket was opened to `conn`: its former one is gone."""
        former = self._sessions.pop(conn, None)
        if former is not None:
            former.closed(received)

    def sent(self, conn: str | None, frame: bytes | str, received: int | None) -> None:
        """Nothing here depends on what the client sent: acknowledgements tell the depth."""

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
        session = self._sessions.get(conn)
        if session is None or conn is None:
            if not _is_v2(conn, frame):
                return Outcome.IGNORED
            session = self._session(conn)
        return session.feed(frame, received)

    def feed_http(self, conn: str | None, body: bytes, received: int | None) -> Outcome:
        """Take one REST answer; `conn` is the request's URL."""
        try:
            path = urlsplit(conn or "").path
            if path.endswith("/AssetPairs"):
                listed = parse_asset_pairs(body)
                known = {each.symbol: (each.price_decimals or 0, each.amount_decimals or 0) for each in listed}
                self._decimals.update(known)
                for session in self._sessions.values():
                    session.learn(known)
                return Outcome.CONTROL
            if path.endswith("/Trades") and parse_qs(urlsplit(conn or "").query).get("pair"):
                return self._session(None).take_trades_answer(None, body, received=received)
            msgspec.json.decode(body)
        except msgspec.MsgspecError as error:
            raise FrameError(EXCHANGE, f"answer of {conn}: {error}") from error
        return Outcome.IGNORED

    def _session(self, conn: str | None) -> SpotSession:
        session = self._sessions.get(conn)
        if session is None:
            session = SpotSession(self._writer, checksums=self.checksums, decimals=self._decimals)
            self._sessions[conn] = session
        return session


def _is_v2(conn: str | None, frame: bytes | str) -> bool:
    """Whether a frame is one of the v2 socket; raises `FrameError` when it is no JSON at all."""
    if conn is not None and urlsplit(conn).path.rstrip("/").endswith("/v2"):
        return True
    try:
        found = msgspec.json.decode(frame)
    except msgspec.MsgspecError as error:
        raise FrameError(EXCHANGE, str(error)) from error
    return isinstance(found, dict) and any(key in found for key in _V2_KEYS)
