"""States of derivatives over two sockets: one that is always second carries the stream as well, and goes on without a gap."""

from __future__ import annotations

import json
from typing import Any

import pytest

from collectors.registry import VENUES
from collectors.rows import EventBuffer
from collectors.venue import HttpGet, Instrument, Session, Wanted
from tests.collectors.answering import Answering

SYMBOL = "BTC/USDT:USDT"
MS = 1_790_000_000_000
T0 = MS * 1000
MARKETS = {"okx": "swap", "bybit": "linear", "gateio": "usdt", "kucoin": "futures", "bitget": "usdt-futures"}
NATIVES = {"okx": "BTC-USDT-SWAP", "bybit": "BTCUSDT", "gateio": "BTC_USDT", "kucoin": "XBTUSDTM", "bitget": "BTCUSDT"}


def frame(exchange: str, *, number: int) -> dict[str, Any]:
    """The mark price of an instant, as the venue says it."""
    at, price, native = MS + number, f"{62_000 + number}", NATIVES[exchange]
    match exchange:
        case "okx":
            return {"arg": {"channel": "mark-price", "instId": native}, "data": [{"instId": native, "markPx": price, "ts": str(at)}]}
        case "bybit":
            data = {"symbol": native, "markPrice": price, "indexPrice": price, "openInterest": "5", "fundingRate": "0.0001"}
            return {"topic": f"tickers.{native}", "type": "snapshot", "ts": at, "cs": number, "data": data}
        case "gateio":
            row = {"contract": native, "mark_price": price, "index_price": price, "funding_rate": "0.0001", "total_size": "5"}
            return {"time": at // 1000, "time_ms": at, "channel": "futures.tickers", "event": "update", "result": [row]}
        case "bitget":
            row = {"instId": native, "markPrice": price, "indexPrice": price, "fundingRate": "0.0001", "holdingAmount": "5", "ts": str(at)}
            arg = {"instType": "USDT-FUTURES", "channel": "ticker", "instId": native}
            return {"action": "snapshot", "arg": arg, "data": [row], "ts": at}
        case _:
            row = {"symbol": native, "markPrice": float(price), "indexPrice": float(price), "openInterest": "5", "fundingFeeRate": 0.0001}
            return {
                "code": "200000",
                "data": [
                    {
                        **row,
                        "multiplier": 0.001,
                        "rootSymbol": "USDT",
                        "type": "FFWCSX",
                        "baseCurrency": "XBT",
                        "quoteCurrency": "USDT",
                        "settleCurrency": "USDT",
                    }
                ],
            }


class Paired(Answering):
    """Two sessions of one plan over the continuity of their exchange."""

    def __init__(self, exchange: str) -> None:
        self.exchange = exchange
        self.events = EventBuffer()
        continuity = self.events.continuity(exchange)
        continuity.redundant = continuity.merging = True
        instrument = Instrument(
            exchange=exchange,
            symbol=SYMBOL,
            native=NATIVES[exchange],
            market=MARKETS[exchange],
            base="BTC",
            quote="USDT",
            settle="USDT",
            contract_size=0.001,
        )
        wanted = Wanted(symbols=(SYMBOL,), channels=("derivatives",), redundant=True)
        (plan, *_) = VENUES[exchange].plan(wanted, {SYMBOL: instrument})
        self.sessions: list[Session] = [VENUES[exchange].session(plan, self.events, wanted) for _ in range(2)]
        for session in self.sessions:
            session.opened(T0)

    def say(self, *, number: int, to: list[Session]) -> None:
        """What the venue says at one instant, over each socket in turn."""
        body = json.dumps(frame(self.exchange, number=number)).encode()
        for session in to:
            if self.exchange == "kucoin":
                session.feed_http(HttpGet(url="", purpose="open_interest"), body, T0 + number * 1000)
            else:
                session.feed(body, T0 + number * 1000)


@pytest.mark.parametrize("exchange", MARKETS)
def test_the_end_of_the_socket_that_is_always_first_leaves_no_gap_and_the_end_of_both_leaves_one(exchange: str) -> None:
    pair = Paired(exchange)
    first, second = pair.sessions
    for number in (1, 2, 3):
        pair.say(number=number, to=[first, second])
    assert len(pair.rows("derivatives")) == 3, "what both say lands once"

    first.closed(T0 + 4000)
    assert pair.rows("gaps") == []
    pair.say(number=5, to=[second])
    second.closed(T0 + 6000)

    (gap,) = pair.rows("gaps")
    assert (gap["symbol"], gap["channel"], gap["kind"]) == (SYMBOL, "derivatives", "disconnect")
