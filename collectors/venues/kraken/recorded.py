"""Recorded Kraken frames of any connection, routed by URL or, where none was recorded, by content.

Put here: telling sockets apart without a plan. Keep out: what frames mean (`session`, `v1`, `futures`).
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias
from urllib.parse import parse_qs, urlsplit

import msgspec

from collectors.errors import FrameError
from collectors.recorded import RecordedSessions
from collectors.rows import EventBuffer
from collectors.venue import Outcome
from collectors.venues.kraken.futures import FuturesSession
from collectors.venues.kraken.futures_products import INSTRUMENTS_PATH, parse_instruments
from collectors.venues.kraken.instruments import parse_asset_pairs
from collectors.venues.kraken.messages import EXCHANGE
from collectors.venues.kraken.session import SpotSession
from collectors.venues.kraken.v1 import V1Session

Protocol: TypeAlias = Literal["v1", "v2", "futures"]
_V2_KEYS: Final = ("channel", "method")
_FUTURES_KEYS: Final = ("feed", "product_ids", "version")
_FUTURES_HOSTS: Final = ("futures", "cryptofacilities")


class Recorded(RecordedSessions[SpotSession | FuturesSession]):
    """Sessions by connection and protocol."""

    exchange = EXCHANGE

    def __init__(self, events: EventBuffer) -> None:
        super().__init__(events)
        self._writer = events.writer(EXCHANGE, f"{EXCHANGE}-spot-recorded")
        self._futures_writer = events.writer(EXCHANGE, f"{EXCHANGE}-futures-recorded")
        self._decimals: dict[str, tuple[int, int]] = {}
        self._protocols: dict[str | None, Protocol | None] = {}

    def feed(self, conn: str | None, frame: bytes | str, received: int | None) -> Outcome:
        """Take one frame of a connection."""
        if conn not in self._protocols:
            self._protocols[conn] = _protocol_of(conn)
        protocol = self._protocols[conn] or _spoken(frame)
        if protocol is None:
            return Outcome.IGNORED
        return self.session(conn, protocol).feed(frame, received)

    def open(self, conn: str | None, kind: str) -> SpotSession | FuturesSession:
        """A session of one connection and protocol."""
        return FuturesSession(self._futures_writer) if kind == "futures" else self._spot(kind)

    def answer(self, conn: str | None, body: bytes, received: int | None) -> Outcome:
        """Take one REST answer; `conn` is the request's URL."""
        path = urlsplit(conn or "").path
        if path.endswith("/AssetPairs"):
            listed = parse_asset_pairs(body)
            known = {each.symbol: (each.price_decimals or 0, each.amount_decimals or 0) for each in listed}
            self._decimals.update(known)
            for session in self.sessions.values():
                if isinstance(session, SpotSession):
                    session.learn(known)
            return Outcome.CONTROL
        if path.endswith(INSTRUMENTS_PATH):
            parse_instruments(body)
            return Outcome.CONTROL
        if path.endswith("/Trades") and parse_qs(urlsplit(conn or "").query).get("pair"):
            return self._trades(body, received)
        msgspec.json.decode(body)
        return Outcome.IGNORED

    def _trades(self, body: bytes, received: int | None) -> Outcome:
        session = self.sessions.get((None, "v2"))
        if not isinstance(session, SpotSession):
            session = self.sessions[None, "v2"] = self._spot("v2")
        return session.take_trades_answer(None, body, received=received)

    def _spot(self, protocol: str) -> SpotSession:
        kind = V1Session if protocol == "v1" else SpotSession
        return kind(self._writer, checksums=self.checksums, decimals=self._decimals)


def _protocol_of(conn: str | None) -> Protocol | None:
    """The protocol a URL stands for; None where frames have to tell."""
    parts = urlsplit(conn or "")
    host, path = parts.hostname or "", parts.path.rstrip("/")
    if any(part in host for part in _FUTURES_HOSTS):
        return "futures"
    if path.endswith("/v2"):
        return "v2"
    return "v1" if host.endswith("kraken.com") and not path else None


def _spoken(frame: bytes | str) -> Protocol | None:
    """The protocol of a frame, None when it is of none; raises `FrameError` when it is no JSON at all."""
    try:
        found = msgspec.json.decode(frame)
    except msgspec.MsgspecError as error:
        raise FrameError(EXCHANGE, str(error)) from error
    if isinstance(found, list):
        return "v1"
    if not isinstance(found, dict):
        return None
    if any(key in found for key in _V2_KEYS):
        return "v2"
    if any(key in found for key in _FUTURES_KEYS):
        return "futures"
    return "v1" if "event" in found else None
