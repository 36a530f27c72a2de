"""The venue contract, answered for KuCoin.

Put here: endpoints, limits, plan. Keep out: protocol.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from collectors.errors import UnknownSymbol
from collectors.rows import EventBuffer
from collectors.venue import ConnectionPlan, HttpGet, Instrument, Limits, RecordedSession, RestBudget, Session, Stream, Wanted
from collectors.venues.kucoin import instruments
from collectors.venues.kucoin.facts import FACTS
from collectors.venues.kucoin.live import LiveSession
from collectors.venues.kucoin.messages import EXCHANGE
from collectors.venues.kucoin.recorded import Recorded

TOPICS_PER_SOCKET: Final = 200
_MARKETS: Final = (("spot", "spot_ws", ("trades", "book")), ("futures", "futures_ws", ("trades", "book", "derivatives")))


class KucoinVenue:
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

    def plan(self, wanted: Wanted, instruments: Mapping[str, Instrument]) -> list[ConnectionPlan]:
        """Sockets for what is wanted; raises `UnknownSymbol`."""
        for symbol in wanted.symbols:
            if symbol not in instruments:
                raise UnknownSymbol(EXCHANGE, symbol, instruments)
        endpoints = self._endpoints(wanted)
        plans: list[ConnectionPlan] = []
        for market, endpoint, carried in _MARKETS:
            channels = [channel for channel in carried if channel in wanted.channels]
            symbols = [symbol for symbol in dict.fromkeys(wanted.symbols) if instruments[symbol].market == market]
            size = TOPICS_PER_SOCKET // max(1, len(channels))
            for start in range(0, len(symbols) if channels else 0, size):
                group = symbols[start : start + size]
                plans.append(
                    ConnectionPlan(
                        name=f"{EXCHANGE}-{market}-{start // size}",
                        exchange=EXCHANGE,
                        market=market,
                        url=endpoints[endpoint],
                        streams=tuple(Stream(channel, symbol) for symbol in group for channel in channels),
                        instruments=tuple(instruments[symbol] for symbol in group),
                    )
                )
        return plans

    def session(self, plan: ConnectionPlan, events: EventBuffer, wanted: Wanted) -> Session:
        """A session for a new socket of `plan`."""
        return LiveSession(plan, events.writer(self.exchange, plan.name), endpoints=self._endpoints(wanted))

    def recorded_session(self, events: EventBuffer) -> RecordedSession:
        """A session for recorded frames of any connection."""
        return Recorded(events)

    def _endpoints(self, wanted: Wanted) -> dict[str, str]:
        return {**self.endpoints, **wanted.endpoints}
