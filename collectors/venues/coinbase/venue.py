"""The venue contract, answered for Coinbase.

Put here: endpoints, limits, plan. Keep out: protocol.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final
from weakref import WeakKeyDictionary

from collectors.errors import UnknownSymbol
from collectors.rows import EventBuffer
from collectors.sockets import BaseVenue, SocketKind, asked_for, plan
from collectors.venue import ConnectionPlan, HttpGet, Instrument, Limits, RestBudget, Session, Wanted
from collectors.venues.coinbase import instruments
from collectors.venues.coinbase.facts import FACTS
from collectors.venues.coinbase.live import LiveSession
from collectors.venues.coinbase.messages import EXCHANGE
from collectors.venues.coinbase.pacing import CommandBudget
from collectors.venues.coinbase.recorded import Recorded

TRADES_PER_SOCKET: Final = 50
BOOK_SOCKETS: Final = 40
"""Each book has a socket of its own as far as this many reach: a lost frame costs every book of its socket, and snapshots are megabytes.

The venue itself asks its clients to spread level2 over connections.
"""


class CoinbaseVenue(BaseVenue):
    """Spot and futures products, over Advanced Trade. There is no public feed of liquidations, funding or open interest."""

    exchange = EXCHANGE
    endpoints: Mapping[str, str] = {"spot_ws": "wss://advanced-trade-ws.coinbase.com", "spot_rest": "https://api.coinbase.com"}
    channels: Sequence[str] = ("trades", "book")
    facts = FACTS
    recorded = Recorded
    limits = Limits(
        # Eight connections a second are allowed and eight messages, from one address: each socket begins with two.
        connects=1,
        connects_per_seconds=0.3,
        rest_weight=8,
        rest_weight_per_seconds=1.0,
        rest=(RestBudget(endpoint="spot_rest", weight=8, per_seconds=1.0),),
    )

    def __init__(self) -> None:
        self._budgets: WeakKeyDictionary[EventBuffer, CommandBudget] = WeakKeyDictionary()
        """By collector, the messages that its sockets send together."""

    def instrument_requests(self, endpoints: Mapping[str, str], markets: Sequence[str]) -> list[HttpGet]:
        """Ask for the products of each market."""
        return instruments.instrument_requests(endpoints, markets)

    def parse_instruments(self, request: HttpGet, body: bytes) -> list[Instrument]:
        """Instruments of a product list; raises `FrameError` when it is none."""
        del request
        return instruments.parse_products(body)

    def market_of(self, symbol: str) -> str:
        """`BASE/QUOTE` is spot, `BASE/QUOTE:QUOTE` futures; raises `UnknownSymbol` for anything else."""
        pair, colon, settle = symbol.partition(":")
        base, slash, quote = pair.partition("/")
        if base and slash and quote and (not colon or settle.partition("-")[0] == quote):
            return "futures" if colon else "spot"
        raise UnknownSymbol(self.exchange, symbol, ("BTC/USD", "BTC/USDC:USDC"))

    def plan(self, wanted: Wanted, instruments: Mapping[str, Instrument]) -> list[ConnectionPlan]:
        """Sockets for what is wanted; raises `UnknownSymbol`."""
        chosen = asked_for(self.exchange, wanted, instruments)
        kinds: list[SocketKind] = []
        for market in ("spot", "futures"):
            here = sum(instrument.market == market for instrument in chosen)
            books = max(1, -(-here // BOOK_SOCKETS))
            for channel, size in (("trades", TRADES_PER_SOCKET), ("book", books)):
                kinds.append(SocketKind(name=f"{market}-{channel}", market=market, endpoint="spot_ws", channels=(channel,), symbols=size))
        return plan(kinds, wanted, exchange=self.exchange, instruments=instruments, endpoints=self.endpoints_of(wanted))

    def session(self, plan: ConnectionPlan, events: EventBuffer, wanted: Wanted) -> Session:
        """A session for a new socket of `plan`."""
        budget = self._budgets.setdefault(events, CommandBudget())
        return LiveSession(plan, events.writer(self.exchange, plan.name), endpoints=self.endpoints_of(wanted), budget=budget)
