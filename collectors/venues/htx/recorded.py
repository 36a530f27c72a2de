"""Recorded HTX frames of any connection; what a frame is stands in it, so that samples without a connection share a session.

Put here: telling sockets and answers apart without a plan. Keep out: what frames mean (`session`).
"""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qs, urlsplit

from collectors.feeds import event_time
from collectors.recorded import RecordedSessions
from collectors.rows import EventBuffer
from collectors.venue import Outcome
from collectors.venues.htx import messages as wire
from collectors.venues.htx.instruments import Names, parse_instruments
from collectors.venues.htx.messages import EXCHANGE
from collectors.venues.htx.session import HtxSession

_DEPTH: Final = 150


class Recorded(RecordedSessions[HtxSession]):
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

    def open(self, conn: str | None, kind: str) -> HtxSession:
        """A session of one connection."""
        return HtxSession(self._writer, names=self._names, depth=_DEPTH)

    def answer(self, conn: str | None, body: bytes, received: int | None) -> Outcome:
        """Take one REST answer; `conn` is the request's URL."""
        body = wire.unpacked(body)
        url = urlsplit(conn or "")
        query = parse_qs(url.query)
        native = query.get("symbol", query.get("contract_code", [""]))[0]
        if url.path.endswith("/common/symbols") or url.path.endswith("contract_info"):
            self._names.learn(parse_instruments(body, spot=url.path.endswith("/common/symbols")))
            return Outcome.CONTROL
        session = self.session(None)
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
