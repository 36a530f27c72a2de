"""Recorded Gate.io frames of any connection, routed to spot or futures by their channel, retired formats to their own modules.

Put here: telling markets, versions and REST answers apart without a plan. Keep out: what frames mean (`session`, `signed`, `v3`).
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qs, urlsplit

import msgspec

from collectors.errors import FrameError
from collectors.feeds import BookFeed
from collectors.rows import EventBuffer
from collectors.venue import Action, Checksums, Instrument, Outcome
from collectors.venues.gateio import messages as wire
from collectors.venues.gateio import signed, v3
from collectors.venues.gateio.instruments import parse_instruments
from collectors.venues.gateio.messages import EXCHANGE
from collectors.venues.gateio.session import MarketSession


class AnySession(MarketSession):
    """Decodes what is current and what is retired."""

    def take(self, envelope: wire.Envelope, received: int | None) -> Outcome:
        """Take one frame of any version."""
        if envelope.method:
            return v3.take(self, envelope, received)
        if envelope.channel == "futures.order_book" and envelope.event in ("all", "update"):
            return signed.take(self, envelope, received)
        return super().take(envelope, received)


class Recorded:
    """Sessions by connection and market. Frames without a connection's URL are no stream: nothing is missing between them."""

    def __init__(self, events: EventBuffer) -> None:
        self.actions: list[Action] = []
        self.checksums = Checksums()
        self._events = events
        self._instruments: dict[bool, dict[str, Instrument]] = {True: {}, False: {}}
        """By whether they are spot: both markets use the same ids."""
        self._sessions: dict[tuple[str | None, bool], AnySession] = {}
        self._owners = events.continuity(EXCHANGE).books

    def connected(self, conn: str | None, received: int | None) -> None:
        """A new socket was opened to `conn`: its former one is gone."""
        for spot in (True, False):
            former = self._sessions.pop((conn, spot), None)
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
        raw = frame.encode() if isinstance(frame, str) else frame
        try:
            if not raw.lstrip().startswith(b"{"):
                return self.feed_http(None, raw, received)
            envelope = wire.decode_envelope(raw)
        except msgspec.MsgspecError as error:
            raise FrameError(EXCHANGE, str(error)) from error
        spot = not (envelope.channel.startswith("futures.") or (conn is not None and "fx-ws" in conn))
        return self._session(conn, spot=spot).feed(raw, received)

    def feed_http(self, conn: str | None, body: bytes, received: int | None) -> Outcome:
        """Take one REST answer; `conn` is the request's URL."""
        url = urlsplit(conn or "")
        asked = parse_qs(url.query)
        try:
            found = msgspec.json.decode(body)
            if isinstance(found, list) and found and isinstance(found[0], dict):
                futures = "quanto_multiplier" in found[0]
                if futures or {"id", "base", "quote"} <= found[0].keys():
                    self._instruments[not futures].update({each.native: each for each in parse_instruments(body)})
                    return Outcome.CONTROL
            native = asked.get("contract", asked.get("currency_pair", [""]))[0]
            if url.path.endswith("/order_book") and native and isinstance(found, dict) and "id" in found:
                return self._session_of_book(native, spot="contract" not in asked).take_book_answer(native, body, received)
        except msgspec.MsgspecError as error:
            raise FrameError(EXCHANGE, f"answer of {conn}: {error}") from error
        return Outcome.IGNORED

    def _session(self, conn: str | None, *, spot: bool) -> AnySession:
        session = self._sessions.get((conn, spot))
        if session is None:
            writer = self._events.writer(EXCHANGE, f"{EXCHANGE}-{'spot' if spot else 'futures'}-recorded")
            session = AnySession(writer, spot=spot, instruments=self._instruments[spot], linked=conn is not None)
            self._sessions[conn, spot] = session
        return session

    def _session_of_book(self, native: str, *, spot: bool) -> AnySession:
        """The session that keeps the book of an id; a snapshot may come before the first frame of its stream."""
        here = [session for (_, kind), session in self._sessions.items() if kind is spot]
        keeping = [session for session in here if session.symbol(native) in session.diff_books]
        return keeping[0] if keeping else here[-1] if here else self._session(None, spot=spot)
