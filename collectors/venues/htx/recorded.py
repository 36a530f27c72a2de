"""Recorded HTX frames of any connection; what a frame is stands in it, so that samples without a connection share a session.

Put here: telling sockets and answers apart without a plan. Keep out: what frames mean (`session`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qs, urlsplit

import msgspec

from collectors.errors import FrameError
from collectors.feeds import BookFeed, event_time
from collectors.rows import EventBuffer
from collectors.venue import Action, Checksums, Outcome
from collectors.venues.htx import messages as wire
from collectors.venues.htx.instruments import Names, parse_instruments
from collectors.venues.htx.messages import EXCHANGE
from collectors.venues.htx.session import HtxSession

_DEPTH: Final = 150


class Recorded:
    """Sessions by connection."""

    def __init__(self, events: EventBuffer) -> None:
        self.actions: list[Action] = []
        self.checksums = Checksums()
        self._writer = events.writer(EXCHANGE, f"{EXCHANGE}-recorded")
        self._names = Names()
        self._sessions: dict[str | None, HtxSession] = {}
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
        session = self._session(conn)
        outcome = session.feed(frame, received)
        session.actions.clear()
        return outcome

    def feed_http(self, conn: str | None, body: bytes, received: int | None) -> Outcome:
        """Take one REST answer; `conn` is the request's URL."""
        try:
            return self._answer(conn or "", wire.unpacked(body), received)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise FrameError(EXCHANGE, f"answer of {conn}: {error}") from error

    def _answer(self, conn: str, body: bytes, received: int | None) -> Outcome:
        url = urlsplit(conn)
        query = parse_qs(url.query)
        native = query.get("symbol", query.get("contract_code", [""]))[0]
        if url.path.endswith("/common/symbols") or url.path.endswith("contract_info"):
            self._names.learn(parse_instruments(body, spot=url.path.endswith("/common/symbols")))
            return Outcome.CONTROL
        session = self._session(None)
        answer = wire.decode_answer(body)
        if url.path.endswith("/history/trade") and native and answer.status == "ok":
            session.take_history(native, answer.data, received)
            return Outcome.DECODED
        time = None if answer.ts is None else event_time(EXCHANGE, answer.ts)
        if url.path.endswith("open_interest") and answer.status == "ok":
            taken = session.states.open_interest(wire.decode_open_interest(answer.data), time=time, received=received)
            return Outcome.DECODED if taken else Outcome.IGNORED
        if url.path.endswith("funding_rate") and answer.status == "ok":
            rows = wire.decode_funding(answer.data) if bytes(answer.data)[:1] == b"[" else [wire.decode_one_funding(answer.data)]
            return Outcome.DECODED if session.states.funding(rows, time=time, received=received) else Outcome.IGNORED
        if answer.ch:
            # A depth answer looks like a frame of its channel.
            return session.feed(body, received)
        return Outcome.IGNORED

    def _session(self, conn: str | None) -> HtxSession:
        session = self._sessions.get(conn)
        if session is None:
            session = self._sessions[conn] = HtxSession(self._writer, names=self._names, depth=_DEPTH)
        return session
