"""Recorded Bitget frames of any connection; every frame names its product type and instrument, so content alone routes them.

Put here: sessions by connection, REST answers by shape, v1 and v0 beside v2 and v3. Keep out: what frames mean (`session`, `v1`, `v0`).
"""

from __future__ import annotations

from typing import Any

import msgspec

from collectors.feeds import event_time
from collectors.recorded import RecordedSessions
from collectors.rows import EventBuffer
from collectors.venue import Outcome
from collectors.venues.bitget import messages as wire
from collectors.venues.bitget import v0, v1
from collectors.venues.bitget.instruments import Names, futures_market, plain, read_instruments
from collectors.venues.bitget.messages import EXCHANGE
from collectors.venues.bitget.session import BitgetSession


class Recorded(RecordedSessions[BitgetSession]):
    """Sessions by connection."""

    exchange = EXCHANGE

    def __init__(self, events: EventBuffer) -> None:
        super().__init__(events)
        self._writer = events.writer(EXCHANGE, f"{EXCHANGE}-recorded")
        self._names = Names()
        self._occurrences: dict[str | None, v1.Occurrences] = {}

    def connected(self, conn: str | None, received: int | None) -> None:
        """A new socket was opened to `conn`: its former one is gone."""
        super().connected(conn, received)
        self._occurrences.pop(conn, None)

    def feed(self, conn: str | None, frame: bytes | str, received: int | None) -> Outcome:
        """Take one frame of a connection."""
        session = self.session(conn)
        outcome = session.feed(frame, received)
        if outcome is not Outcome.IGNORED:
            return outcome
        envelope = wire.decode_envelope(frame)
        occurrences = self._occurrences.setdefault(conn, v1.Occurrences())
        if envelope.table:
            return v0.take(session, occurrences, envelope, received)
        if envelope.arg is not None:
            former = envelope.arg.instType.lower() in v1.TYPES
            return v1.take(session, occurrences, envelope, received) if former else Outcome.IGNORED
        if envelope.code != "":
            return self.feed_http(None, frame if isinstance(frame, bytes) else frame.encode(), received)
        return Outcome.IGNORED

    def open(self, conn: str | None, kind: str) -> BitgetSession:
        """A session of one connection."""
        return BitgetSession(self._writer, checksums=self.checksums, names=self._names)

    def answer(self, conn: str | None, body: bytes, received: int | None) -> Outcome:
        """Take one REST answer; `conn` is the request's URL."""
        answer = wire.decode_envelope(body)
        if str(answer.code) != "00000" or answer.data is wire.ABSENT:
            return Outcome.CONTROL
        return self._take(msgspec.json.decode(answer.data), answer, received=received)

    def _take(self, data: Any, answer: wire.Envelope, *, received: int | None) -> Outcome:
        if isinstance(data, list) and data and isinstance(data[0], dict):
            if {"symbol", "baseCoin", "quoteCoin"} <= data[0].keys():
                self._names.learn(read_instruments(answer.data))
                return Outcome.CONTROL
        elif isinstance(data, dict) and {"openInterestList", "ts"} <= data.keys():
            interest = wire.decode_open_interest(answer.data)
            for row in interest.openInterestList:
                self._open_interest(row.symbol, str(row.size), interest.ts, received=received)
            return Outcome.DECODED
        elif isinstance(data, dict) and {"symbol", "amount", "timestamp"} <= data.keys():
            self._open_interest(
                str(data["symbol"]), str(data["amount"]), msgspec.convert(data["timestamp"], int, strict=False), received=received
            )
            return Outcome.DECODED
        return Outcome.IGNORED

    def _open_interest(self, native: str, amount: str, milliseconds: int, *, received: int | None) -> None:
        symbol = self._names.symbol(futures_market(native), plain(native))
        self.session(None).take_state(symbol, event_time(EXCHANGE, milliseconds), received, open_interest=amount)
