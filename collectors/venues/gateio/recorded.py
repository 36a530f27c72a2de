"""Recorded Gate.io frames of any connection, routed to spot or futures by their channel, retired formats to their own modules.

Put here: telling markets, versions and REST answers apart without a plan. Keep out: what frames mean (`session`, `signed`, `v3`).
"""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import msgspec

from collectors.errors import FrameError
from collectors.recorded import RecordedSessions
from collectors.rows import EventBuffer
from collectors.venue import Instrument, Outcome
from collectors.venues.gateio import messages as wire
from collectors.venues.gateio import signed, v3
from collectors.venues.gateio.instruments import parse_instruments
from collectors.venues.gateio.messages import EXCHANGE
from collectors.venues.gateio.session import MarketSession

_SPOT, _FUTURES = "spot", "futures"


class AnySession(MarketSession):
    """Decodes what is current and what is retired."""

    def take(self, envelope: wire.Envelope, received: int | None) -> Outcome:
        """Take one frame of any version."""
        if envelope.method:
            return v3.take(self, envelope, received)
        if envelope.channel == "futures.order_book" and envelope.event in ("all", "update"):
            return signed.take(self, envelope, received)
        return super().take(envelope, received)


class Recorded(RecordedSessions[AnySession]):
    """Sessions by connection and market. Frames without a connection's URL are no stream: nothing is missing between them."""

    exchange = EXCHANGE

    def __init__(self, events: EventBuffer) -> None:
        super().__init__(events)
        self._instruments: dict[str, dict[str, Instrument]] = {market: {} for market in (_SPOT, _FUTURES)}
        """By market: both use the same ids."""

    def feed(self, conn: str | None, frame: bytes | str, received: int | None) -> Outcome:
        """Take one frame of a connection."""
        raw = frame.encode() if isinstance(frame, str) else frame
        try:
            if not raw.lstrip().startswith(b"{"):
                return self.feed_http(None, raw, received)
            envelope = wire.decode_envelope(raw)
        except msgspec.MsgspecError as error:
            raise FrameError(EXCHANGE, str(error)) from error
        futures = envelope.channel.startswith("futures.") or (conn is not None and "fx-ws" in conn)
        return self.session(conn, _FUTURES if futures else _SPOT).feed(raw, received)

    def open(self, conn: str | None, kind: str) -> AnySession:
        """A session of one connection and market."""
        writer = self.events.writer(EXCHANGE, f"{EXCHANGE}-{kind}-recorded")
        return AnySession(writer, spot=kind == _SPOT, instruments=self._instruments[kind], linked=conn is not None)

    def answer(self, conn: str | None, body: bytes, received: int | None) -> Outcome:
        """Take one REST answer; `conn` is the request's URL."""
        url = urlsplit(conn or "")
        asked = parse_qs(url.query)
        found = msgspec.json.decode(body)
        if isinstance(found, list) and found and isinstance(found[0], dict):
            futures = "quanto_multiplier" in found[0]
            if futures or {"id", "base", "quote"} <= found[0].keys():
                learnt = {each.native: each for each in parse_instruments(body)}
                self._instruments[_FUTURES if futures else _SPOT].update(learnt)
                return Outcome.CONTROL
        native = asked.get("contract", asked.get("currency_pair", [""]))[0]
        if url.path.endswith("/order_book") and native and isinstance(found, dict) and "id" in found:
            return self._session_of_book(native, _FUTURES if "contract" in asked else _SPOT).take_book_answer(native, body, received)
        return Outcome.IGNORED

    def _session_of_book(self, native: str, market: str) -> AnySession:
        """The session that keeps the book of an id; a snapshot may come before the first frame of its stream."""
        here = [session for (_, kind), session in self.sessions.items() if kind == market]
        keeping = [session for session in here if session.symbol(native) in session.diff_books]
        return keeping[0] if keeping else here[-1] if here else self.session(None, market)
