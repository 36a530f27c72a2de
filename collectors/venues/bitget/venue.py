"""The venue contract, answered for Bitget.

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
from collectors.venues.bitget import instruments
from collectors.venues.bitget.facts import FACTS
from collectors.venues.bitget.instruments import MARKETS
from collectors.venues.bitget.live import LiveSession
from collectors.venues.bitget.messages import EXCHANGE
from collectors.venues.bitget.recorded import Recorded

SYMBOLS_PER_SOCKET: Final = 16
"""Three channels each stay below the fifty the venue advises for a connection."""
LIQUIDATED_PER_SOCKET: Final = 2000
"""One subscription brings the liquidations of a whole product type."""
MAX_AGE: Final = 23 * 3600.0
"""Older documents tell of a cut after 24 hours."""


def _kinds(market: str) -> tuple[SocketKind, ...]:
    """Liquidations are on v3 alone."""
    carried = ("trades", "book") if market == "spot" else ("trades", "book", "derivatives")
    v2 = SocketKind(name=market, market=market, endpoint="v2_ws", channels=carried, symbols=SYMBOLS_PER_SOCKET, max_age_seconds=MAX_AGE)
    v3 = SocketKind(
        name=f"{market}-liquidations",
        market=market,
        endpoint="v3_ws",
        channels=("liquidations",),
        symbols=LIQUIDATED_PER_SOCKET,
        max_age_seconds=MAX_AGE,
    )
    return (v2,) if market == "spot" else (v2, v3)


class BitgetVenue(BaseVenue):
    """Spot and futures margined in USDT, USDC and coins."""

    exchange = EXCHANGE
    endpoints: Mapping[str, str] = {
        "v2_ws": "wss://ws.bitget.com/v2/ws/public",
        "v3_ws": "wss://ws.bitget.com/v3/ws/public",
        "rest": "https://api.bitget.com",
    }
    channels: Sequence[str] = CHANNELS
    facts = FACTS
    recorded = Recorded
    sockets = tuple(kind for market in MARKETS for kind in _kinds(market))
    limits = Limits(
        connects=300,
        connects_per_seconds=300.0,
        rest_weight=20,
        rest_weight_per_seconds=1.0,
        rest=(RestBudget(endpoint="rest", weight=20, per_seconds=1.0),),
    )

    def instrument_requests(self, endpoints: Mapping[str, str], markets: Sequence[str]) -> list[HttpGet]:
        """Ask each market for its instruments."""
        return instruments.instrument_requests(endpoints, markets)

    def parse_instruments(self, request: HttpGet, body: bytes) -> list[Instrument]:
        """Instruments of one answer; raises `FrameError` when it is none."""
        del request
        return instruments.parse_instruments(body)

    def market_of(self, symbol: str) -> str:
        """`BASE/QUOTE` is spot, futures go by what they settle in; raises `UnknownSymbol` for anything else."""
        found = re.fullmatch(r"([^/:\s]+)/([^/:\s]+?)(?::([^/:\s-]+)(?:-\d{6})?)?", symbol)
        if found is not None:
            base, quote, settle = found.groups()
            if settle is None:
                return "spot"
            if settle == quote and quote in ("USDT", "USDC"):
                return f"{quote.lower()}-futures"
            if settle == base and quote == "USD":
                return "coin-futures"
        raise UnknownSymbol(self.exchange, symbol, ("BTC/USDT", "BTC/USDT:USDT", "BTC/USD:BTC"))

    def session(self, plan: ConnectionPlan, events: EventBuffer, wanted: Wanted) -> Session:
        """A session for a new socket of `plan`."""
        return LiveSession(plan, events.writer(self.exchange, plan.name), endpoints=self.endpoints_of(wanted))
