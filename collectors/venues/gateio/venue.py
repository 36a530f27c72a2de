"""The venue contract, answered for Gate.io.

Put here: endpoints, limits, plan. Keep out: protocol.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from collectors.errors import UnknownSymbol
from collectors.rows import EventBuffer
from collectors.sockets import BaseVenue, SocketKind
from collectors.venue import CHANNELS, ConnectionPlan, HttpGet, Instrument, Limits, RestBudget, Session, Wanted
from collectors.venues.gateio import instruments
from collectors.venues.gateio.facts import FACTS
from collectors.venues.gateio.live import LiveSession
from collectors.venues.gateio.messages import EXCHANGE
from collectors.venues.gateio.recorded import Recorded

SYMBOLS_PER_SOCKET: Final = 50
"""The venue sets no limit, but it disconnects readers that are slow."""
DECIMAL_SIZES: Final[Mapping[str, str]] = {"X-Gate-Size-Decimal": "1"}
"""Without this header futures sizes are rounded down to whole contracts."""


class GateVenue(BaseVenue):
    """Spot and futures settled in USDT or BTC, over API v4."""

    exchange = EXCHANGE
    endpoints: Mapping[str, str] = {
        "spot_ws": "wss://api.gateio.ws/ws/v4/",
        "usdt_ws": "wss://fx-ws.gateio.ws/v4/ws/usdt",
        "btc_ws": "wss://fx-ws.gateio.ws/v4/ws/btc",
        "rest": "https://api.gateio.ws/api/v4",
    }
    channels: Sequence[str] = CHANNELS
    facts = FACTS
    recorded = Recorded
    sockets = (
        SocketKind(name="spot", market="spot", endpoint="spot_ws", channels=("trades", "book"), symbols=SYMBOLS_PER_SOCKET),
        SocketKind(name="usdt", market="usdt", endpoint="usdt_ws", channels=CHANNELS, symbols=SYMBOLS_PER_SOCKET, headers=DECIMAL_SIZES),
        SocketKind(name="btc", market="btc", endpoint="btc_ws", channels=CHANNELS, symbols=SYMBOLS_PER_SOCKET, headers=DECIMAL_SIZES),
    )
    limits = Limits(
        connects=100,
        connects_per_seconds=60.0,
        rest_weight=200,
        rest_weight_per_seconds=10.0,
        rest=tuple(RestBudget(endpoint="rest", weight=200, per_seconds=10.0, purposes=kind) for kind in (("depth",), ("trades",), ())),
    )

    def instrument_requests(self, endpoints: Mapping[str, str], markets: Sequence[str]) -> list[HttpGet]:
        """Ask for the list of each market."""
        return instruments.instrument_requests(endpoints, markets)

    def parse_instruments(self, request: HttpGet, body: bytes) -> list[Instrument]:
        """Instruments of a list; raises `FrameError` when it is none."""
        del request
        return instruments.parse_instruments(body)

    def market_of(self, symbol: str) -> str:
        """`BASE/QUOTE` is spot, `BASE/QUOTE:USDT` usdt, `BASE/USD:BTC` btc; raises `UnknownSymbol` for anything else."""
        pair, colon, settle = symbol.partition(":")
        base, slash, quote = pair.partition("/")
        settled = settle.partition("-")[0]
        if base and slash and quote and (not colon or (quote, settled) in (("USDT", "USDT"), ("USD", "BTC"))):
            return settled.lower() or "spot"
        raise UnknownSymbol(self.exchange, symbol, ("BTC/USDT", "BTC/USDT:USDT", "BTC/USD:BTC"))

    def session(self, plan: ConnectionPlan, events: EventBuffer, wanted: Wanted) -> Session:
        """A session for a new socket of `plan`."""
        writer = events.writer(self.exchange, plan.name)
        return LiveSession(plan, writer, endpoints=self.endpoints_of(wanted), depth=wanted.depth)
