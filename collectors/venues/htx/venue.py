"""The venue contract, answered for HTX.

Put here: endpoints, limits, which market a symbol belongs to. Keep out: protocol.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from collectors.errors import UnknownSymbol
from collectors.rows import EventBuffer
from collectors.sockets import BaseVenue
from collectors.venue import CHANNELS, ConnectionPlan, HttpGet, Instrument, Limits, RestBudget, Session, Wanted
from collectors.venues.htx import instruments, plan
from collectors.venues.htx.facts import FACTS
from collectors.venues.htx.live import LiveSession
from collectors.venues.htx.messages import EXCHANGE
from collectors.venues.htx.recorded import Recorded


class HtxVenue(BaseVenue):
    """Spot and USDT-margined linear swaps; recordings of coin-margined swaps are decoded too."""

    exchange = EXCHANGE
    endpoints: Mapping[str, str] = {
        "spot_ws": "wss://api.htx.com",
        "spot_rest": "https://api.htx.com",
        "linear_ws": "wss://api.hbdm.com",
        "linear_rest": "https://api.hbdm.com",
    }
    channels: Sequence[str] = CHANNELS
    facts = FACTS
    recorded = Recorded
    sockets = plan.SOCKETS
    limits = Limits(
        connects=10,
        connects_per_seconds=10.0,
        rest_weight=50,
        rest_weight_per_seconds=10.0,
        rest=(
            RestBudget(endpoint="spot_rest", weight=50, per_seconds=10.0),
            RestBudget(endpoint="linear_rest", weight=50, per_seconds=10.0),
        ),
    )

    def instrument_requests(self, endpoints: Mapping[str, str], markets: Sequence[str]) -> list[HttpGet]:
        """Ask each market for its list."""
        return instruments.instrument_requests(endpoints, markets)

    def parse_instruments(self, request: HttpGet, body: bytes) -> list[Instrument]:
        """Instruments of a list; raises `FrameError` when it is none."""
        return instruments.parse_instruments(body, spot="contract_info" not in request.url)

    def market_of(self, symbol: str) -> str:
        """`BASE/QUOTE` is spot, `BASE/QUOTE:QUOTE` (with or without a date) is linear; raises `UnknownSymbol` for anything else."""
        pair, colon, settle = symbol.partition(":")
        base, slash, quote = pair.partition("/")
        if base and slash and quote and (not colon or settle.partition("-")[0] == quote):
            return "linear" if colon else "spot"
        raise UnknownSymbol(self.exchange, symbol, ("BTC/USDT", "BTC/USDT:USDT"))

    def session(self, plan: ConnectionPlan, events: EventBuffer, wanted: Wanted) -> Session:
        """A session for a new socket of `plan`."""
        writer = events.writer(self.exchange, plan.name)
        return LiveSession(plan, writer, endpoints=self.endpoints_of(wanted), depth=wanted.depth)
