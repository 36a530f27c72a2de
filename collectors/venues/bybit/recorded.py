"""Recorded Bybit frames of any connection, routed to a market by URL or, where none was recorded, by content.

Put here: telling markets apart without a plan, REST answers, the retired formats. Keep out: what frames mean (`session`, `v2`).
"""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import msgspec

from collectors.errors import FrameError
from collectors.feeds import event_time
from collectors.recorded import RecordedSessions
from collectors.rows import EventBuffer
from collectors.venue import Outcome
from collectors.venues.bybit import messages as wire
from collectors.venues.bybit import v2
from collectors.venues.bybit.instruments import MARKETS, Names, market_of_id, read_instruments
from collectors.venues.bybit.messages import EXCHANGE
from collectors.venues.bybit.session import BybitSession

_TIME_FIRST: Final = re.compile(rb'\{"topic":"[^"]*","ts":')
"""The spot socket writes the time before the type, those of contracts after it."""
_CONTRACTS_ONLY: Final = ("allLiquidation", "liquidation", "instrument_info", "orderBookL2_25", "orderBook_200")


class Recorded(RecordedSessions[BybitSession]):
    """Sessions by connection and market; without a connection's URL one a market."""

    exchange = EXCHANGE

    def __init__(self, events: EventBuffer) -> None:
        super().__init__(events)
        self._names = {market: Names(market) for market in MARKETS}

    def feed(self, conn: str | None, frame: bytes | str, received: int | None) -> Outcome:
        """Take one frame of a connection."""
        raw = frame.encode() if isinstance(frame, str) else frame
        market = _market_of_url(conn)
        if market is not None:
            outcome = self.session(conn, market).feed(raw, received)
            if outcome is not Outcome.IGNORED:
                return outcome
        try:
            found = msgspec.json.decode(raw)
        except msgspec.MsgspecError as error:
            raise FrameError(EXCHANGE, str(error)) from error
        if not isinstance(found, dict):
            return Outcome.IGNORED
        if "topic" not in found:
            if "retCode" in found or "ret_code" in found:
                return self.feed_http(conn, raw, received)
            return Outcome.CONTROL if "op" in found or "success" in found else Outcome.IGNORED
        if v2.is_former(found):
            return v2.take(self.session(conn, market or _market_of_former(found)), found, received)
        if "params" in found:
            return Outcome.CONTROL if "event" in found else Outcome.IGNORED
        if market is not None:
            return Outcome.IGNORED
        return self.session(conn, _market_of_frame(found, raw)).feed(raw, received)

    def open(self, conn: str | None, kind: str) -> BybitSession:
        """A session of one connection and market."""
        writer = self.events.writer(EXCHANGE, f"{EXCHANGE}-{kind}-recorded")
        return BybitSession(writer, names=self._names[kind])

    def answer(self, conn: str | None, body: bytes, received: int | None) -> Outcome:
        """Take one REST answer; `conn` is the request's URL."""
        found = msgspec.json.decode(body)
        if not isinstance(found, dict) or "retCode" not in found:
            return Outcome.IGNORED
        answer = wire.decode_answer(body)
        rows = found.get("result", {}).get("list") if isinstance(found.get("result"), dict) else None
        if answer.retCode != 0:
            return Outcome.CONTROL
        if not isinstance(rows, list) or not rows or not isinstance(rows[0], dict):
            return Outcome.IGNORED
        return self._take(conn, answer, rows[0], received=received)

    def _take(self, conn: str | None, answer: wire.Answer, row: dict[str, Any], *, received: int | None) -> Outcome:
        if {"baseCoin", "quoteCoin", "priceFilter"} <= row.keys():
            for names in self._names.values():
                names.learn(read_instruments(answer.result))
            return Outcome.CONTROL
        market = answer.result.category or _market_of_url(conn) or market_of_id(str(row.get("symbol", "")))
        if market not in self._names:
            return Outcome.IGNORED
        session = self.session(None, market)
        if "execId" in row:
            for trade in sorted(wire.decode_rest_trades(answer.result.list), key=lambda each: each.time):
                session.take_rest_trade(trade, received)
            return Outcome.DECODED
        if "markPrice" in row and market != "spot" and "underlyingPrice" not in row:
            time = event_time(EXCHANGE, answer.time) if answer.time is not None else received
            for ticker in wire.decode_tickers(answer.result.list):
                session.take_ticker(ticker, time, received)
            return Outcome.DECODED
        return Outcome.IGNORED


def _market_of_url(conn: str | None) -> str | None:
    """Which market a URL belongs to; None when it does not say."""
    url = urlsplit(conn or "")
    category = parse_qs(url.query).get("category", [""])[0]
    last = url.path.rstrip("/").rpartition("/")[2]
    return next((market for market in MARKETS if market in (category, last)), None)


def _market_of_frame(found: dict[str, Any], raw: bytes) -> str:
    """Which market a v5 frame without a URL comes from."""
    topic = str(found["topic"])
    market = market_of_id(topic.rpartition(".")[2])
    if market == "inverse" or topic.partition(".")[0] in _CONTRACTS_ONLY:
        return market
    data = found.get("data")
    if topic.startswith("publicTrade") and isinstance(data, list) and data and isinstance(data[0], dict):
        return "spot" if str(data[0].get("i", "")).isdigit() else "linear"
    if topic.startswith("tickers"):
        return "spot" if isinstance(data, dict) and "usdIndexPrice" in data else "linear"
    return "spot" if _TIME_FIRST.match(raw) else "linear"


def _market_of_former(found: dict[str, Any]) -> str:
    """Which market a frame of the former formats comes from: only spot names its parameters."""
    return "spot" if "params" in found else market_of_id(str(found["topic"]).rpartition(".")[2])
