"""The venue contract, answered for Bybit.

Put here: endpoints, limits, plan. Keep out: protocol.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from collectors.errors import UnknownSymbol
from collectors.rows import EventBuffer
from collectors.sockets import BaseVenue, SocketKind
from collectors.venue import CHANNELS, ConnectionPlan, HttpGet, Instrument, Limits, RestBudget, Session, Wanted
from collectors.venues.bybit import instruments
from collectors.venues.bybit.facts import FACTS
from collectors.venues.bybit.live import LiveSession
from collectors.venues.bybit.messages import EXCHANGE
from collectors.venues.bybit.recorded import Recorded

SYMBOLS_PER_SOCKET: Final = 150
"""Four topics of some 30 characters each stay below the 21,000 a connection may name."""


class BybitVenue(BaseVenue):
    """Spot, linear and inverse contracts."""

    exchange = EXCHANGE
    endpoints: Mapping[str, str] = {
        "spot_ws": "wss://stream.bybit.com/v5/public/spot",
        "linear_ws": "wss://stream.bybit.com/v5/public/linear",
        "inverse_ws": "wss://stream.bybit.com/v5/public/inverse",
        "rest": "https://api.bybit.com",
    }
    channels: Sequence[str] = CHANNELS
    facts = FACTS
    recorded = Recorded
    sockets = (
        SocketKind(name="spot", market="spot", endpoint="spot_ws", channels=("trades", "book"), symbols=SYMBOLS_PER_SOCKET),
        SocketKind(name="linear", market="linear", endpoint="linear_ws", channels=CHANNELS, symbols=SYMBOLS_PER_SOCKET),
        SocketKind(name="inverse", market="inverse", endpoint="inverse_ws", channels=CHANNELS, symbols=SYMBOLS_PER_SOCKET),
    )
    limits = Limits(
        connects=500,
        connects_per_seconds=300.0,
        rest_weight=600,
        rest_weight_per_seconds=5.0,
        rest=(RestBudget(endpoint="rest", weight=600, per_seconds=5.0),),
    )

    def instrument_requests(self, endpoints: Mapping[str, str], markets: Sequence[str]) -> list[HttpGet]:
        """Ask each market for its instruments."""
        return instruments.instrument_requests(endpoints, markets)

    def parse_instruments(self, request: HttpGet, body: bytes) -> list[Instrument]:
        """Instruments of one answer; raises `FrameError` when it is none."""
        del request
        return instruments.parse_instruments(body)

    def market_of(self, symbol: str) -> str:
        """`BASE/QUOTE` is spot, settled in the quote linear, in the base inverse; raises `UnknownSymbol` for anything else."""
        found = re.fullmatch(r"([^/:\s]+)/([^/:\s]+?)(?::([^/:\s-]+)(?:-\d{6})?)?", symbol)
        if found is not None and found[3] in (None, found[1], found[2]):
            return "spot" if found[3] is None else "linear" if found[3] == found[2] else "inverse"
        raise UnknownSymbol(self.exchange, symbol, ("BTC/USDT", "BTC/USDT:USDT", "BTC/USD:BTC"))

    def session(self, plan: ConnectionPlan, events: EventBuffer, wanted: Wanted) -> Session:
        """A session for a new socket of `plan`."""
        writer = events.writer(self.exchange, plan.name)
        return LiveSession(plan, writer, endpoints=self.endpoints_of(wanted), depth=wanted.depth)
