"""The venue contract, answered for OKX.

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
from collectors.venues.okx import instruments
from collectors.venues.okx.facts import FACTS
from collectors.venues.okx.live import LiveSession
from collectors.venues.okx.messages import EXCHANGE
from collectors.venues.okx.recorded import Recorded

SYMBOLS_PER_SOCKET: Final = 25
"""The venue advises fewer than 30 deep books a connection; 480 commands an hour leave room for renewals."""
_SOCKETS: Final = (
    ("spot", "spot", ("trades", "book")),
    ("swap", "swap", ("trades", "book")),
    ("swap-states", "swap", ("liquidations", "derivatives")),
    ("futures", "futures", ("trades", "book")),
    ("futures-states", "futures", ("liquidations", "derivatives")),
)
"""(name, market, channels) of sockets; liquidations come for a whole market, once a socket."""


class OkxVenue(BaseVenue):
    """Spot, swaps and dated futures."""

    exchange = EXCHANGE
    endpoints: Mapping[str, str] = {"public_ws": "wss://ws.okx.com:8443/ws/v5/public", "rest": "https://www.okx.com"}
    channels: Sequence[str] = CHANNELS
    facts = FACTS
    recorded = Recorded
    sockets = tuple(
        SocketKind(name=name, market=market, endpoint="public_ws", channels=carried, symbols=SYMBOLS_PER_SOCKET)
        for name, market, carried in _SOCKETS
    )
    limits = Limits(
        connects=3,
        connects_per_seconds=1.0,
        rest_weight=20,
        rest_weight_per_seconds=2.0,
        rest=tuple(RestBudget(endpoint="rest", weight=20, per_seconds=2.0, purposes=kind) for kind in (("trades",), ())),
    )

    def instrument_requests(self, endpoints: Mapping[str, str], markets: Sequence[str]) -> list[HttpGet]:
        """Ask each market for its instruments."""
        return instruments.instrument_requests(endpoints, markets)

    def parse_instruments(self, request: HttpGet, body: bytes) -> list[Instrument]:
        """Instruments of one answer; raises `FrameError` when it is none."""
        del request
        return instruments.parse_instruments(body)

    def market_of(self, symbol: str) -> str:
        """Spot for BASE/QUOTE, swap for BASE/QUOTE:SETTLE, futures with a date; raises `UnknownSymbol` for anything else."""
        found = re.fullmatch(r"[^/:\s]+/[^/:\s-]+(:[^/:\s-]+(-\d{6})?)?", symbol)
        if found is None:
            raise UnknownSymbol(self.exchange, symbol, ("BTC/USDT", "BTC/USDT:USDT", "BTC/USD:BTC"))
        return "spot" if found[1] is None else "swap" if found[2] is None else "futures"

    def session(self, plan: ConnectionPlan, events: EventBuffer, wanted: Wanted) -> Session:
        """A session for a new socket of `plan`."""
        return LiveSession(plan, events.writer(self.exchange, plan.name), endpoints=self.endpoints_of(wanted))
