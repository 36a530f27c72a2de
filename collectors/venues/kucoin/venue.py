"""The venue contract, answered for KuCoin.

Put here: endpoints, limits, plan. Keep out: protocol.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from collectors.errors import UnknownSymbol
from collectors.rows import EventBuffer
from collectors.sockets import BaseVenue, SocketKind
from collectors.venue import ConnectionPlan, HttpGet, Instrument, Limits, RestBudget, Session, Wanted
from collectors.venues.kucoin import instruments
from collectors.venues.kucoin.facts import FACTS
from collectors.venues.kucoin.live import LiveSession
from collectors.venues.kucoin.messages import EXCHANGE
from collectors.venues.kucoin.recorded import Recorded

TOPICS_PER_SOCKET: Final = 200


class KucoinVenue(BaseVenue):
    """Spot and futures over the unified push gateway. Nothing is published of liquidations."""

    exchange = EXCHANGE
    endpoints: Mapping[str, str] = {
        "spot_ws": "wss://x-push-spot.kucoin.com",
        "spot_rest": "https://api.kucoin.com",
        "futures_ws": "wss://x-push-futures.kucoin.com",
        "futures_rest": "https://api-futures.kucoin.com",
    }
    channels: Sequence[str] = ("trades", "book", "derivatives")
    facts = FACTS
    recorded = Recorded
    sockets = (
        SocketKind(name="spot", market="spot", endpoint="spot_ws", channels=("trades", "book"), subscriptions=TOPICS_PER_SOCKET),
        SocketKind(
            name="futures",
            market="futures",
            endpoint="futures_ws",
            channels=("trades", "book", "derivatives"),
            subscriptions=TOPICS_PER_SOCKET,
        ),
    )
    limits = Limits(
        connects=30,
        connects_per_seconds=60.0,
        rest_weight=2000,
        rest_weight_per_seconds=30.0,
        rest=(
            RestBudget(endpoint="spot_rest", weight=2000, per_seconds=30.0),
            RestBudget(endpoint="futures_rest", weight=2000, per_seconds=30.0),
        ),
    )

    def instrument_requests(self, endpoints: Mapping[str, str], markets: Sequence[str]) -> list[HttpGet]:
        """Ask for the list of each market."""
        return instruments.instrument_requests(endpoints, markets)

    def parse_instruments(self, request: HttpGet, body: bytes) -> list[Instrument]:
        """Instruments of a list; raises `FrameError` when it is none."""
        del request
        return instruments.parse_instruments(body)

    def market_of(self, symbol: str) -> str:
        """`BASE/QUOTE` is spot, `BASE/QUOTE:SETTLE` futures; raises `UnknownSymbol` for anything else."""
        pair, colon, settle = symbol.partition(":")
        base, slash, quote = pair.partition("/")
        if base and slash and quote and (not colon or settle.partition("-")[0] in (quote, base)):
            return "futures" if colon else "spot"
        raise UnknownSymbol(self.exchange, symbol, ("BTC/USDT", "BTC/USDT:USDT", "BTC/USD:BTC"))

    def session(self, plan: ConnectionPlan, events: EventBuffer, wanted: Wanted) -> Session:
        """A session for a new socket of `plan`."""
        return LiveSession(plan, events.writer(self.exchange, plan.name), endpoints=self.endpoints_of(wanted))
