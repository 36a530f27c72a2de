"""The venue contract, answered for Kraken.

Put here: endpoints, limits, plan. Keep out: protocol.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from collectors.errors import UnknownSymbol
from collectors.rows import EventBuffer
from collectors.sockets import BaseVenue, SocketKind
from collectors.venue import ConnectionPlan, HttpGet, Instrument, Limits, RestBudget, Session, Wanted
from collectors.venues.kraken import futures_products, instruments
from collectors.venues.kraken.facts import FACTS
from collectors.venues.kraken.futures_live import LiveFuturesSession
from collectors.venues.kraken.live import LiveSession
from collectors.venues.kraken.messages import EXCHANGE
from collectors.venues.kraken.recorded import Recorded

SYMBOLS_PER_SOCKET: Final = 200
PING_SECONDS: Final = 30.0
"""Futures closes a socket whose client has sent no ping for a minute."""


class KrakenVenue(BaseVenue):
    """Spot over WebSocket v2, and Futures."""

    exchange = EXCHANGE
    endpoints: Mapping[str, str] = {
        "spot_ws": "wss://ws.kraken.com/v2",
        "spot_rest": "https://api.kraken.com",
        "futures_ws": "wss://futures.kraken.com/ws/v1",
        "futures_rest": "https://futures.kraken.com",
    }
    channels: Sequence[str] = ("trades", "book", "liquidations", "derivatives")
    facts = FACTS
    recorded = Recorded
    sockets = (
        SocketKind(name="spot", market="spot", endpoint="spot_ws", channels=("trades", "book"), symbols=SYMBOLS_PER_SOCKET),
        SocketKind(
            name="futures",
            market="futures",
            endpoint="futures_ws",
            channels=("trades", "book", "liquidations", "derivatives"),
            symbols=SYMBOLS_PER_SOCKET,
            protocol_ping_seconds=PING_SECONDS,
        ),
    )
    limits = Limits(
        connects=150,
        connects_per_seconds=600.0,
        rest_weight=15,
        rest_weight_per_seconds=15.0,
        rest=(
            RestBudget(endpoint="spot_rest", weight=15, per_seconds=15.0),
            # 500 in ten seconds are documented for its REST interface; a hundred trades a page need many.
            RestBudget(endpoint="futures_rest", weight=100, per_seconds=10.0),
        ),
    )

    def instrument_requests(self, endpoints: Mapping[str, str], markets: Sequence[str]) -> list[HttpGet]:
        """Ask for AssetPairs and for the products of Futures."""
        requests = instruments.instrument_requests(endpoints, markets)
        return [*requests, futures_products.instrument_request(endpoints)] if "futures" in markets else requests

    def parse_instruments(self, request: HttpGet, body: bytes) -> list[Instrument]:
        """Instruments of one answer; raises `FrameError` when it is none."""
        if request.symbol == "futures":
            return futures_products.parse_instruments(body)
        return instruments.parse_asset_pairs(body)

    def market_of(self, symbol: str) -> str:
        """`BASE/QUOTE` is spot, `BASE/QUOTE:SETTLE` futures; raises `UnknownSymbol` for anything else."""
        base, _, rest = symbol.partition("/")
        quote, colon, settle = rest.partition(":")
        if base and quote and (settle or not colon):
            return "futures" if colon else "spot"
        raise UnknownSymbol(self.exchange, symbol, ("BTC/USD", "ETH/USD", "BTC/USD:USD"))

    def session(self, plan: ConnectionPlan, events: EventBuffer, wanted: Wanted) -> Session:
        """A session for a new socket of `plan`."""
        writer = events.writer(self.exchange, plan.name)
        if plan.market == "futures":
            return LiveFuturesSession(plan, writer, endpoints=self.endpoints_of(wanted))
        return LiveSession(plan, writer, endpoints=self.endpoints_of(wanted), depth=wanted.depth)
