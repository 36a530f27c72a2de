"""A live Advanced Trade socket for tests, fed with frames in the venue's own spelling.

What belongs here: making frames and looking at what became of them. What does not: expectations.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from collectors.rows import EventBuffer
from collectors.venue import Instrument, Outcome, Wanted
from collectors.venues.coinbase import VENUE
from tests.collectors.answering import Answering

T0 = 1_786_309_548_000_000
STAMP = "2026-08-09T21:05:48.228568804Z"
LISTED = {
    f"{base}/USD": Instrument(exchange="coinbase", symbol=f"{base}/USD", native=f"{base}-USD", market="spot", base=base, quote="USD")
    for base in ("BTC", "ETH")
}
FUTURE = Instrument(
    exchange="coinbase",
    symbol="BTC/USD:USD-260828",
    native="BIT-28AUG26-CDE",
    market="futures",
    base="BTC",
    quote="USD",
    settle="USD",
    contract_size=0.01,
)
WANTED = Wanted(symbols=("BTC/USD", "ETH/USD"), channels=("trades", "book"))


def trade(number: int, **more: object) -> dict[str, object]:
    return {"product_id": "BTC-USD", "trade_id": str(number), "price": "65083.67", "size": "0.5", "time": STAMP, "side": "SELL", **more}


def level(side: str, price: str, amount: str, **more: object) -> dict[str, object]:
    return {"side": side, "event_time": "2026-08-09T21:05:48.170326Z", "price_level": price, "new_quantity": amount, **more}


def spelled(moment: int) -> str:
    """A time in microseconds as the venue writes it, trailing zeros left out."""
    text = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=moment)).strftime("%Y-%m-%dT%H:%M:%S.%f")
    return text.rstrip("0").rstrip(".") + "Z"


class Socket(Answering):
    """`timed` frames say when they were sent; the others all say the same."""

    def __init__(
        self,
        events: EventBuffer | None = None,
        *,
        at: int = T0,
        wanted: Wanted = WANTED,
        listed: dict[str, Instrument] = LISTED,
        timed: bool = False,
    ) -> None:
        self.events = events or EventBuffer()
        plans = VENUE.plan(wanted, listed)
        # One socket that carries everything: frames mean the same on it as on the several that are planned.
        streams = tuple(stream for plan in plans for stream in plan.streams)
        self.plan = replace(plans[0], name="coinbase-spot-0", streams=streams, instruments=tuple(listed[name] for name in wanted.symbols))
        self.session = VENUE.session(self.plan, self.events, wanted)
        self.session.opened(at)
        self.now = at
        self.number = -1
        self.timed = timed
        self.last_frame = b""

    def frame(self, channel: str, *events: dict[str, object], number: int | None = None) -> Outcome:
        self.now += 10_000
        self.number = self.number + 1 if number is None else number
        stamp = spelled(self.now) if self.timed else STAMP
        body = {"channel": channel, "timestamp": stamp, "sequence_num": self.number, "events": list(events)}
        self.last_frame = json.dumps(body, separators=(",", ":")).encode()
        return self.session.feed(self.last_frame, self.now)

    def repeat(self) -> Outcome:
        """The last frame comes again."""
        return self.session.feed(self.last_frame, self.now)

    def trades(self, *numbers: int, kind: str = "update", **more: object) -> Outcome:
        return self.frame("market_trades", {"type": kind, "trades": [trade(number, **more) for number in numbers]})

    def book(self, kind: str, *levels: dict[str, object], product: str = "BTC-USD", number: int | None = None) -> Outcome:
        return self.frame("l2_data", {"type": kind, "product_id": product, "updates": list(levels)}, number=number)

    def acknowledge(self) -> None:
        held = {name: ["BTC-USD", "ETH-USD"] for name in ("level2", "market_trades")}
        self.frame("subscriptions", {"subscriptions": {**held, "heartbeats": ["heartbeats"]}})


def opened(*, timed: bool = False) -> Socket:
    """A socket whose books stand, numbers 0 to 2."""
    socket = Socket(timed=timed)
    socket.commands()
    for product in ("BTC-USD", "ETH-USD"):
        socket.book("snapshot", level("bid", "100", "1"), level("offer", "101", "2"), product=product)
    socket.acknowledge()
    socket.events.drain()
    return socket
