"""A live v4 socket of Gate.io, fed with frames in the venue's own spelling.

Put here: the socket and its instruments. Keep out: tests, recordings.
"""

from __future__ import annotations

import json

from collectors.rows import EventBuffer
from collectors.venue import Instrument, Outcome, Wanted
from collectors.venues.gateio import VENUE
from tests.collectors.answering import Answering

MS = 1_790_000_000_000
T0 = MS * 1000
SPOT = Instrument(exchange="gateio", symbol="BTC/USDT", native="BTC_USDT", market="spot", base="BTC", quote="USDT")
PERP = Instrument(
    exchange="gateio",
    symbol="BTC/USDT:USDT",
    native="BTC_USDT",
    market="usdt",
    base="BTC",
    quote="USDT",
    settle="USDT",
    contract_size=0.0001,
)
LISTED = {"BTC/USDT": SPOT, "BTC/USDT:USDT": PERP}


class Socket(Answering):
    def __init__(self, market: str = "spot", events: EventBuffer | None = None, *, at: int = T0) -> None:
        self.events = events or EventBuffer()
        symbol = "BTC/USDT" if market == "spot" else "BTC/USDT:USDT"
        wanted = Wanted(symbols=(symbol,), channels=VENUE.channels)
        (self.plan,) = VENUE.plan(wanted, LISTED)
        self.prefix = "spot" if market == "spot" else "futures"
        self.session = VENUE.session(self.plan, self.events, wanted)
        self.session.opened(at)
        self.now = at

    def feed(self, channel: str, result: object, event: str = "update", **more: object) -> Outcome:
        self.now += 10_000
        frame = {"time": MS // 1000, "time_ms": MS, "channel": f"{self.prefix}.{channel}", "event": event, "result": result, **more}
        return self.session.feed(json.dumps(frame).encode(), self.now)

    def spot_trade(self, own: int | None, **more: object) -> Outcome:
        trade = {"id": 309_000_000 + (own or 0) * 3, "create_time": MS // 1000, "create_time_ms": f"{MS + 213}.4578", "side": "sell"}
        trade |= {"currency_pair": "BTC_USDT", "amount": "0.5", "price": "91250.5"}
        return self.feed("trades", trade | ({} if own is None else {"id_market": own, "range": f"{own}-{own}"}) | more)

    def future_trade(self, number: int, size: str, **more: object) -> Outcome:
        trade = {
            "size": size,
            "id": number,
            "create_time": MS // 1000,
            "create_time_ms": MS + 120,
            "price": "91240.4",
            "contract": "BTC_USDT",
        }
        return self.feed("trades", [trade | more])

    def book(self, first: int | None, last: int, *, bids: list[list[str]] | None = None, asks: list[list[str]] | None = None) -> Outcome:
        body: dict[str, object] = {"t": MS + 1, "s": "ob.BTC_USDT.400", "u": last}
        body |= {"full": True} if first is None else {"U": first}
        body |= {} if bids is None else {"b": bids}
        return self.feed("obu", body | ({} if asks is None else {"a": asks}))


def opened(market: str = "spot") -> Socket:
    socket = Socket(market)
    socket.commands()
    socket.book(None, 10, bids=[["100", "1"]], asks=[["101", "2"]])
    socket.events.drain()
    return socket
