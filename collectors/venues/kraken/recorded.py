"""Recorded Kraken frames of any connection, routed by URL or, where none was recorded, by content.

Put here: telling sockets apart without a plan. Keep out: what frames mean (`session`, `v1`, `futures`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias
from urllib.parse import parse_qs, urlsplit

import msgspec

from collectors.errors import FrameError
from collectors.feeds import BookFeed
from collectors.rows import EventBuffer
from collectors.venue import Action, Checksums, Outcome
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


class Recorded:
    """Sessions by connection and protocol."""

    def __init__(self, events: EventBuffer) -> None:
        self.actions: list[Action] = []
        self.checksums = Checksums()
        self._writer = events.writer(EXCHANGE, f"{EXCHANGE}-spot-recorded")
        self._futures_writer = events.writer(EXCHANGE, f"{EXCHANGE}-futures-recorded")
        self._decimals: dict[str, tuple[int, int]] = {}
        self._spot: dict[tuple[str | None, Protocol], SpotSession] = {}
        self._futures: dict[str | None, FuturesSession] = {}
        self._protocols: dict[str | None, Protocol | None] = {}
        self._owners = events.continuity(EXCHANGE).books

    def connected(self, conn: str | None, received: int | None) -> None:
        """A new socket was opened to `conn`: its former one is gone."""
        for key in [key for key in self._spot if key[0] == conn]:
            self._spot.pop(key).closed(received)
        if conn in self._futures:
            self._futures.pop(conn).closed(received)

    def sent(self, conn: str | None, frame: bytes | str, received: int | None) -> None:
        """Nothing here depends on what the client sent: acknowledgements and channel names tell the depth."""

    def tick(self, now: int) -> None:
        for spot in self._spot.values():
            spot.see_time(now)
            spot.tick_books(now)
        for futures in self._futures.values():
            futures.see_time(now)
            futures.tick_books(now)

    def books(self) -> Mapping[str, BookFeed]:
        """The feed of each book met: the one that lands, else the last one kept."""
        kept = {symbol: feed for each in (*self._spot.values(), *self._futures.values()) for symbol, feed in each.book_feeds.items()}
        return {symbol: owner if isinstance(owner := self._owners.get(symbol), BookFeed) else feed for symbol, feed in kept.items()}

    def feed(self, conn: str | None, frame: bytes | str, received: int | None) -> Outcome:
        """Take one frame of a connection."""
        if conn not in self._protocols:
            self._protocols[conn] = _protocol_of(conn)
        protocol = self._protocols[conn] or _spoken(frame)
        if protocol is None:
            return Outcome.IGNORED
        if protocol == "futures":
            if conn not in self._futures:
                self._futures[conn] = FuturesSession(self._futures_writer)
            return self._futures[conn].feed(frame, received)
        return self._session(conn, protocol).feed(frame, received)

    def feed_http(self, conn: str | None, body: bytes, received: int | None) -> Outcome:
        """Take one REST answer; `conn` is the request's URL."""
        try:
            path = urlsplit(conn or "").path
            if path.endswith("/AssetPairs"):
                listed = parse_asset_pairs(body)
                known = {each.symbol: (each.price_decimals or 0, each.amount_decimals or 0) for each in listed}
                self._decimals.update(known)
                for session in self._spot.values():
                    session.learn(known)
                return Outcome.CONTROL
            if path.endswith(INSTRUMENTS_PATH):
                parse_instruments(body)
                return Outcome.CONTROL
            if path.endswith("/Trades") and parse_qs(urlsplit(conn or "").query).get("pair"):
                return self._session(None, "v2").take_trades_answer(None, body, received=received)
            msgspec.json.decode(body)
        except msgspec.MsgspecError as error:
            raise FrameError(EXCHANGE, f"answer of {conn}: {error}") from error
        return Outcome.IGNORED

    def _session(self, conn: str | None, protocol: Protocol) -> SpotSession:
        session = self._spot.get((conn, protocol))
        if session is None:
            kind = V1Session if protocol == "v1" else SpotSession
            session = self._spot[conn, protocol] = kind(self._writer, checksums=self.checksums, decimals=self._decimals)
        return session


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
