"""Recorded Bitfinex frames of any connection; samples without one share a session in which sequences mean nothing.

Put here: telling sockets and answers apart without a plan. Keep out: what frames mean (`session`).
"""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

import msgspec

from collectors.recorded import RecordedSessions
from collectors.rows import EventBuffer
from collectors.venue import Outcome
from collectors.venues.bitfinex.instruments import Names, parse_conf
from collectors.venues.bitfinex.messages import EXCHANGE
from collectors.venues.bitfinex.session import PublicSession


class Recorded(RecordedSessions[PublicSession]):
    """Sessions by connection."""

    exchange = EXCHANGE

    def __init__(self, events: EventBuffer) -> None:
        super().__init__(events)
        self._writer = events.writer(EXCHANGE, f"{EXCHANGE}-recorded")
        self._names = Names()

    def feed(self, conn: str | None, frame: bytes | str, received: int | None) -> Outcome:
        """Take one frame of a connection."""
        session = self.session(conn)
        outcome = session.feed(frame, received)
        session.actions.clear()
        return outcome

    def open(self, conn: str | None, kind: str) -> PublicSession:
        """A session of one connection."""
        return PublicSession(self._writer, names=self._names, checksums=self.checksums, numbered=conn is not None)

    def answer(self, conn: str | None, body: bytes, received: int | None) -> Outcome:
        """Take one REST answer; `conn` is the request's URL."""
        parts = unquote(urlsplit(conn or "").path).rstrip("/").split("/")
        if "conf" in parts:
            parse_conf(conn or "", body, self._names)
            return Outcome.CONTROL
        if len(parts) > 2 and parts[-3] == "trades" and parts[-1] == "hist" and parts[-2].startswith("t"):
            self.session(None).take_trades_answer(self._names.symbol(parts[-2]), body, received=received)
            return Outcome.DECODED
        if parts[-2:] == ["status", "deriv"]:
            return self.session(None).take_status_answer(body, received)
        if parts[-2:] == ["liquidations", "hist"]:
            return self.session(None).take_liquidations(body, received)
        msgspec.json.decode(body)
        return Outcome.IGNORED
