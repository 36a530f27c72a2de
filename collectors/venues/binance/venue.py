"""The venue contract, answered for Binance.

Put here: endpoints, limits, which market a symbol belongs to. Keep out: protocol.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from collectors.errors import UnknownSymbol
from collectors.rows import EventBuffer
from collectors.sockets import BaseVenue
from collectors.venue import CHANNELS, ConnectionPlan, HttpGet, Instrument, Limits, RestBudget, Session, Wanted
from collectors.venues.binance import instruments, plan
from collectors.venues.binance.facts import FACTS
from collectors.venues.binance.live import LiveSession
from collectors.venues.binance.recorded import Recorded


class BinanceVenue(BaseVenue):
    """Spot and USD-M perpetuals."""

    exchange = instruments.EXCHANGE
    endpoints: Mapping[str, str] = {
        "spot_ws": "wss://stream.binance.com:9443",
        "spot_rest": "https://api.binance.com",
        "usdm_ws": "wss://fstream.binance.com",
        "usdm_rest": "https://fapi.binance.com",
    }
    channels: Sequence[str] = CHANNELS
    facts = FACTS
    recorded = Recorded
    sockets = plan.SOCKETS
    limits = Limits(
        connects=300,
        connects_per_seconds=300.0,
        rest_weight=2400,
        rest_weight_per_seconds=60.0,
        rest=(
            RestBudget(endpoint="spot_rest", weight=6000, per_seconds=60.0, used_header="x-mbx-used-weight-1m"),
            RestBudget(endpoint="usdm_rest", weight=2400, per_seconds=60.0, used_header="x-mbx-used-weight-1m"),
        ),
    )

    def instrument_requests(self, endpoints: Mapping[str, str], markets: Sequence[str]) -> list[HttpGet]:
        """Ask each market for its exchangeInfo."""
        return instruments.instrument_requests(endpoints, markets)

    def parse_instruments(self, request: HttpGet, body: bytes) -> list[Instrument]:
        """Instruments of an exchangeInfo answer; raises `FrameError` when it is none."""
        return instruments.parse_exchange_info(body, market="usdm" if "/fapi/" in request.url else "spot")

    def market_of(self, symbol: str) -> str:
        """`BASE/QUOTE` is spot, `BASE/QUOTE:QUOTE` is usdm; raises `UnknownSymbol` for anything else."""
        pair, colon, settle = symbol.partition(":")
        base, slash, quote = pair.partition("/")
        if base and slash and quote and (not colon or settle == quote):
            return "usdm" if colon else "spot"
        raise UnknownSymbol(self.exchange, symbol, ("BTC/USDT", "BTC/USDT:USDT"))

    def session(self, plan: ConnectionPlan, events: EventBuffer, wanted: Wanted) -> Session:
        """A session for a new socket of `plan`."""
        writer = events.writer(self.exchange, plan.name)
        return LiveSession(plan, writer, endpoints=self.endpoints_of(wanted), depth=wanted.depth)
