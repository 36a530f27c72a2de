"""The venue contract, answered for Bitfinex.

Put here: endpoints, limits, plan. Keep out: protocol.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from collectors.errors import UnknownSymbol
from collectors.rows import EventBuffer
from collectors.sockets import EVERY, BaseVenue, SocketKind
from collectors.venue import CHANNELS, ConnectionPlan, HttpGet, Instrument, Limits, RestBudget, Session, Wanted
from collectors.venues.bitfinex import instruments
from collectors.venues.bitfinex.facts import FACTS
from collectors.venues.bitfinex.live import LiveSession
from collectors.venues.bitfinex.messages import EXCHANGE
from collectors.venues.bitfinex.recorded import Recorded

CHANNELS_PER_SOCKET: Final = 25
"""The venue takes 30; older limits were lower."""


class BitfinexVenue(BaseVenue):
    """Spot (margin included) and perpetuals, over the one v2 socket. Forced closings of all symbols come in one channel."""

    exchange = EXCHANGE
    endpoints: Mapping[str, str] = {"public_ws": "wss://api-pub.bitfinex.com/ws/2", "rest": "https://api-pub.bitfinex.com"}
    channels: Sequence[str] = CHANNELS
    facts = FACTS
    recorded = Recorded
    sockets = (
        SocketKind(name="spot", market="spot", endpoint="public_ws", channels=("trades", "book"), subscriptions=CHANNELS_PER_SOCKET),
        SocketKind(
            name="perp",
            market="perp",
            endpoint="public_ws",
            channels=("trades", "book", "derivatives"),
            subscriptions=CHANNELS_PER_SOCKET,
        ),
        SocketKind(name="liquidations", market="", endpoint="public_ws", channels=("liquidations",), symbols=EVERY),
    )
    limits = Limits(
        connects=20,
        connects_per_seconds=60.0,
        rest_weight=30,
        rest_weight_per_seconds=60.0,
        rest=(
            RestBudget(endpoint="rest", weight=30, per_seconds=60.0),
            RestBudget(endpoint="rest", weight=3, per_seconds=60.0, purposes=("liquidations",)),
        ),
    )

    def instrument_requests(self, endpoints: Mapping[str, str], markets: Sequence[str]) -> list[HttpGet]:
        """Ask for the pair lists and the map of codes in one request."""
        return instruments.instrument_requests(endpoints, markets)

    def parse_instruments(self, request: HttpGet, body: bytes) -> list[Instrument]:
        """Instruments of a conf answer; raises `FrameError` when it is none."""
        return instruments.parse_conf(request.url, body, instruments.Names())

    def market_of(self, symbol: str) -> str:
        """`BASE/QUOTE` is spot, `BASE/QUOTE:QUOTE` is perp; raises `UnknownSymbol` for anything else."""
        pair, colon, settle = symbol.partition(":")
        base, slash, quote = pair.partition("/")
        if base and slash and quote and (not colon or settle == quote):
            return "perp" if colon else "spot"
        raise UnknownSymbol(self.exchange, symbol, ("BTC/USD", "BTC/USDT:USDT"))

    def session(self, plan: ConnectionPlan, events: EventBuffer, wanted: Wanted) -> Session:
        """A session for a new socket of `plan`."""
        writer = events.writer(self.exchange, plan.name)
        return LiveSession(plan, writer, endpoints=self.endpoints_of(wanted), depth=wanted.depth)
