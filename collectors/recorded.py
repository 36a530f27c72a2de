"""What every venue's recorded session shares: sessions by connection and kind, their ends, the books that land.

Put here: what `tickhouse decode` needs of any venue. Keep out: telling sockets, markets and answers apart (each venue's `recorded`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar, Generic, TypeVar

import msgspec

from collectors.errors import FrameError
from collectors.feeds import BookFeed
from collectors.rows import EventBuffer
from collectors.session import BaseSession
from collectors.venue import Action, Checksums, Outcome

AnySession = TypeVar("AnySession", bound=BaseSession)


class RecordedSessions(ABC, Generic[AnySession]):
    """Sessions by connection and, where one connection's frames may be of several, by kind: market, protocol or feed.

    A venue says how a session is made (`open`), whose a frame is (`feed`) and what a REST answer is (`answer`).
    """

    exchange: ClassVar[str]

    def __init__(self, events: EventBuffer) -> None:
        self.actions: list[Action] = []
        self.checksums = Checksums()
        self.events = events
        self.sessions: dict[tuple[str | None, str], AnySession] = {}
        self._owners = events.continuity(self.exchange).books

    @abstractmethod
    def open(self, conn: str | None, kind: str) -> AnySession:
        """A session for the first frame of a connection and kind."""

    @abstractmethod
    def feed(self, conn: str | None, frame: bytes | str, received: int | None) -> Outcome:
        """Take one frame of a connection; raises `FrameError` when it cannot be decoded."""

    @abstractmethod
    def answer(self, conn: str | None, body: bytes, received: int | None) -> Outcome:
        """Take one REST answer; `conn` is the request's URL. Decoding errors may pass."""

    def feed_http(self, conn: str | None, body: bytes, received: int | None) -> Outcome:
        """Take one REST answer; raises `FrameError` when it cannot be decoded."""
        try:
            return self.answer(conn, body, received)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise FrameError(self.exchange, f"answer of {conn}: {error}") from error

    def session(self, conn: str | None, kind: str = "") -> AnySession:
        """The session of a connection and kind, made where there is none yet."""
        session = self.sessions.get((conn, kind))
        if session is None:
            session = self.sessions[conn, kind] = self.open(conn, kind)
        return session

    def connected(self, conn: str | None, received: int | None) -> None:
        """A new socket was opened to `conn`: its former one is gone."""
        for key in [key for key in self.sessions if key[0] == conn]:
            self.sessions.pop(key).closed(received)

    def sent(self, conn: str | None, frame: bytes | str, received: int | None) -> None:
        """Nothing depends on what the client sent: frames and acknowledgements name their channel."""

    def tick(self, now: int) -> None:
        """Time passed on the recording's clock."""
        for session in self.sessions.values():
            session.see_time(now)
            session.tick_books(now)

    def books(self) -> Mapping[str, BookFeed]:
        """The feed of each book met: the one that lands, else the last one kept."""
        kept = {symbol: feed for session in self.sessions.values() for symbol, feed in session.book_feeds.items()}
        return {symbol: owner if isinstance(owner := self._owners.get(symbol), BookFeed) else feed for symbol, feed in kept.items()}
