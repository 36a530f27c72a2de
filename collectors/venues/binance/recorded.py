"""Recorded Binance frames of any connection, routed by URL or, where none was recorded, by content.

Put here: telling markets and symbols apart without a plan. Keep out: what frames mean (`session`).
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import parse_qs, urlsplit

import msgspec

from collectors.errors import FrameError
from collectors.recorded import RecordedSessions
from collectors.rows import EventBuffer
from collectors.symbols import SymbolMap
from collectors.venue import Outcome
from collectors.venues.binance import messages as wire
from collectors.venues.binance.instruments import EXCHANGE, parse_exchange_info
from collectors.venues.binance.session import MarketSession

_INVERSE: Final = re.compile(r"[A-Z0-9]+USD_(PERP|\d{6})")
_USDM_EVENTS: Final = frozenset({"markPriceUpdate", "forceOrder", "contractInfo", "compositeIndex", "assetIndexUpdate"})
_DEPTH: Final = 1000


class Recorded(RecordedSessions[MarketSession]):
    """Sessions by connection; without a connection's URL one a market. Frames of COIN-M are ignored."""

    exchange = EXCHANGE

    def __init__(self, events: EventBuffer) -> None:
        super().__init__(events)
        self._symbols = {"spot": SymbolMap(linear=False), "usdm": SymbolMap(linear=True)}

    def feed(self, conn: str | None, frame: bytes | str, received: int | None) -> Outcome:
        """Take one frame of a connection."""
        session = self.sessions.get((conn, "")) if conn is not None else None
        if session is None:
            market = (_market_of_url(conn) if conn is not None else None) or self._market_of_frame(frame)
            if market not in self._symbols:
                return Outcome.IGNORED
            session = self._session(conn, market)
        return session.feed(frame, received)

    def open(self, conn: str | None, kind: str) -> MarketSession:
        """A session of a market."""
        writer = self.events.writer(EXCHANGE, f"{EXCHANGE}-{kind}-recorded")
        return MarketSession(writer, market=kind, symbols=self._symbols[kind], depth=_DEPTH)

    def answer(self, conn: str | None, body: bytes, received: int | None) -> Outcome:
        """Take one REST answer; `conn` is the request's URL."""
        if conn is None:
            return self._nameless_answer(body, received=received)
        url = urlsplit(conn)
        what = url.path.rpartition("/")[2]
        market = _market_of_url(conn)
        native = parse_qs(url.query).get("symbol", [""])[0].upper()
        if market == "coinm":
            return Outcome.IGNORED
        if what == "exchangeInfo":
            listed = parse_exchange_info(body, market=market)
            if listed:
                self._symbols[listed[0].market].learn(listed)
            return Outcome.CONTROL
        if market is None or not native:
            msgspec.json.decode(body)
            return Outcome.IGNORED
        symbol = self._symbols[market].symbol(native)
        session = self._session_of_book(market, symbol)
        match what:
            case "depth":
                return session.take_depth_answer(symbol, body, received)
            case "aggTrades":
                return session.take_trades_answer(symbol, "aggTrade", body=body, received=received)
            case "trades" | "historicalTrades":
                return session.take_trades_answer(symbol, "trade", body=body, received=received)
            case "openInterest":
                return session.take_open_interest(body, received)
            case _:
                msgspec.json.decode(body)
                return Outcome.IGNORED

    def _nameless_answer(self, body: bytes, *, received: int | None) -> Outcome:
        found = msgspec.json.decode(body)
        if not isinstance(found, dict) or "pair" in found:
            return Outcome.IGNORED
        if "symbols" in found and "serverTime" in found:
            listed = parse_exchange_info(body, market=None)
            if listed:
                self._symbols[listed[0].market].learn(listed)
            return Outcome.CONTROL
        if {"openInterest", "symbol", "time"} <= found.keys():
            return self._session(None, "usdm").take_open_interest(body, received)
        return Outcome.IGNORED

    def _session(self, conn: str | None, market: str) -> MarketSession:
        """A connection carries one market, so that its later frames need not be asked for theirs."""
        if conn is None:
            return self.session(None, market)
        return self.sessions.setdefault((conn, ""), self.open(conn, market))

    def _session_of_book(self, market: str, symbol: str) -> MarketSession:
        """The session that keeps the book of a symbol; a snapshot may come before the first frame of its stream."""
        here = [session for session in self.sessions.values() if session.market == market]
        for session in here:
            if symbol in session.diff_books:
                return session
        return here[-1] if here else self._session(None, market)

    def _market_of_frame(self, frame: bytes | str) -> str:
        """Which market a frame without a URL comes from."""
        try:
            envelope = wire.decode_envelope(frame)
            payload = frame if envelope.data is wire.ABSENT else bytes(envelope.data)
            peek = wire.decode_peek(payload) if payload[:1] not in (b"[", "[") else wire.decode_peeks(payload)[0]
        except msgspec.MsgspecError as error:
            raise FrameError(EXCHANGE, str(error)) from error
        if _INVERSE.fullmatch(peek.s):
            return "coinm"
        futures = peek.e in _USDM_EVENTS or "_" in peek.s or peek.X is not None or peek.pu is not None
        timed = peek.e in ("depthUpdate", "bookTicker") and peek.T is not None
        unmarked = peek.e == "aggTrade" and peek.M is None
        return "usdm" if futures or timed or unmarked else "spot"


def _market_of_url(url: str) -> str | None:
    """Which market a URL belongs to; None when it does not say."""
    parts = urlsplit(url)
    where = f"{parts.netloc}{parts.path}"
    if any(mark in where for mark in ("fstream", "fapi", "usdm")):
        return "usdm"
    if any(mark in where for mark in ("dstream", "dapi", "coinm")):
        return "coinm"
    if any(mark in where for mark in ("binance.com", "binance.vision", "spot", "/api/")):
        return "spot"
    return None
