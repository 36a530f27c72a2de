"""The venue contract, answered for MEXC.

Put here: endpoints, limits, which market a symbol belongs to. Keep out: protocol.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from collectors.errors import UnknownSymbol
from collectors.rows import EventBuffer
from collectors.sockets import BaseVenue
from collectors.venue import ConnectionPlan, HttpGet, Instrument, Limits, RestBudget, Session, Wanted
from collectors.venues.mexc import instruments, plan
from collectors.venues.mexc.facts import FACTS
from collectors.venues.mexc.live import LiveSession
from collectors.venues.mexc.messages import EXCHANGE
from collectors.venues.mexc.recorded import Recorded


class MexcVenue(BaseVenue):
    """Spot and perpetuals. The venue publishes no forced orders."""

    exchange = EXCHANGE
    endpoints: Mapping[str, str] = {
        "spot_ws": "wss://wbs-api.mexc.com",
        "spot_rest": "https://api.mexc.com",
        "perp_ws": "wss://contract.mexc.com",
        "perp_rest": "https://contract.mexc.com",
    }
    channels: Sequence[str] = ("trades", "book", "derivatives")
    facts = FACTS
    recorded = Recorded
    sockets = plan.SOCKETS
    limits = Limits(
        connects=10,
        connects_per_seconds=10.0,
        rest_weight=300,
        rest_weight_per_seconds=10.0,
        rest=(
            RestBudget(endpoint="spot_rest", weight=300, per_seconds=10.0),
            RestBudget(endpoint="perp_rest", weight=20, per_seconds=2.0),
        ),
    )

    def instrument_requests(self, endpoints: Mapping[str, str], markets: Sequence[str]) -> list[HttpGet]:
        """Ask each market for its list."""
        return instruments.instrument_requests(endpoints, markets)

    def parse_instruments(self, request: HttpGet, body: bytes) -> list[Instrument]:
        """Instruments of a list; raises `FrameError` when it is none."""
        return instruments.parse_instruments(body, market="perp" if "/contract/" in request.url else "spot")

    def market_of(self, symbol: str) -> str:
        """`BASE/QUOTE` is spot, with a settlement asset it is perp; raises `UnknownSymbol` for anything else."""
        pair, colon, settle = symbol.partition(":")
        base, slash, quote = pair.partition("/")
        if base and slash and quote and (not colon or settle in (base, quote)):
            return "perp" if colon else "spot"
        raise UnknownSymbol(self.exchange, symbol, ("BTC/USDT", "BTC/USDT:USDT", "BTC/USD:BTC"))

    def session(self, plan: ConnectionPlan, events: EventBuffer, wanted: Wanted) -> Session:
        """A session for a new socket of `plan`."""
        writer = events.writer(self.exchange, plan.name)
        return LiveSession(plan, writer, endpoints=self.endpoints_of(wanted), depth=wanted.depth)
