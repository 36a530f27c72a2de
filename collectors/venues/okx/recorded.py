"""Recorded OKX frames of any connection; every frame names its channel and instrument, so content alone routes them.

Put here: sessions by connection, REST answers by path or shape, v3 beside v5. Keep out: what frames mean (`session`, `v3`).
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

import msgspec

from collectors.recorded import RecordedSessions
from collectors.rows import EventBuffer
from collectors.venue import Outcome
from collectors.venues.okx import messages as wire
from collectors.venues.okx import v3
from collectors.venues.okx.instruments import Names, read_instruments
from collectors.venues.okx.messages import EXCHANGE
from collectors.venues.okx.session import OkxSession

_ANSWERS: Final = (
    ("trades", {"instId", "tradeId", "px", "sz", "side", "ts"}),
    ("funding-rate", {"instId", "fundingRate", "fundingTime", "ts"}),
    ("open-interest", {"instId", "oi", "ts"}),
    ("mark-price", {"instId", "markPx", "ts"}),
    ("instruments", {"instId", "instType", "ctVal", "tickSz"}),
)
"""What a REST answer holds, by the fields of its rows."""


class Recorded(RecordedSessions[OkxSession]):
    """Sessions by connection."""

    exchange = EXCHANGE

    def __init__(self, events: EventBuffer) -> None:
        super().__init__(events)
        self._writer = events.writer(EXCHANGE, f"{EXCHANGE}-recorded")
        self._names = Names()

    def connected(self, conn: str | None, received: int | None) -> None:
        """A new socket was opened to `conn`: its former one is gone."""
        super().connected(conn, received)
        self.session(conn).started = received

    def feed(self, conn: str | None, frame: bytes | str, received: int | None) -> Outcome:
        """Take one frame of a connection."""
        session = self.session(conn)
        outcome = session.feed(frame, received)
        if outcome is not Outcome.IGNORED:
            return outcome
        envelope = wire.decode_envelope(frame)
        if envelope.table:
            return v3.take(session, envelope, received)
        if envelope.arg is None and envelope.code != "":
            return self.feed_http(conn, frame if isinstance(frame, bytes) else frame.encode(), received)
        return outcome

    def open(self, conn: str | None, kind: str) -> OkxSession:
        """A session of one connection."""
        return OkxSession(self._writer, checksums=self.checksums, names=self._names)

    def answer(self, conn: str | None, body: bytes, received: int | None) -> Outcome:
        """Take one REST answer; `conn` is the request's URL."""
        if "/api/v5/" not in urlsplit(conn or "/api/v5/").path and conn is not None and "ws/v5" not in conn:
            msgspec.json.decode(body)
            return Outcome.IGNORED
        answer = wire.decode_envelope(body)
        if str(answer.code) != "0" or answer.data is wire.ABSENT:
            return Outcome.CONTROL
        what = _what(answer.data)
        if what == "instruments":
            self._names.learn(read_instruments(answer.data))
            return Outcome.CONTROL
        if not what:
            return Outcome.IGNORED
        session = self.session(conn if (conn, "") in self.sessions else None)
        if what == "trades":
            return session.take_rest_trades(answer.data, received=received)
        return session.take_derivatives(what, answer.data, received)


def _what(data: msgspec.Raw) -> str:
    """What a REST answer's rows are; nothing where no rows or others than those that land."""
    rows = msgspec.json.decode(data)
    if not isinstance(rows, list) or not rows or not isinstance(rows[0], dict):
        return ""
    return next((name for name, fields in _ANSWERS if fields <= rows[0].keys()), "")
