"""The venue contract, answered for Bitfinex.

Put here: endpoints, limits, plan. Keep out: protocol.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from collectors.errors import UnknownSymbol
from collectors.rows import EventBuffer
from collectors.venue import CHANNELS, ConnectionPlan, HttpGet, Instrument, Limits, RecordedSession, RestBudget, Session, Stream, Wanted
from collectors.venues.bitfinex import instruments
from collectors.venues.bitfinex.facts import FACTS
from collectors.venues.bitfinex.live import LiveSession
from collectors.venues.bitfinex.messages import EXCHANGE
from collectors.venues.bitfinex.recorded import Recorded

CHANNELS_PER_SOCKET: Final = 25
"""The venue takes 30; older limits were lower."""
_CARRIED: Final = {"spot": ("trades", "book"), "perp": ("trades", "book", "derivatives")}


class BitfinexVenue:
    """Spot (margin included) and perpetuals, over the one v2 socket. Forced closings of all symbols come in one channel."""

    exchange = EXCHANGE
    endpoints: Mapping[str, str] = {"public_ws": "wss://api-pub.bitfinex.com/ws/2", "rest": "https://api-pub.bitfinex.com"}
    channels: Sequence[str] = CHANNELS
    facts = FACTS
    limits = Limits(
        connects=20,
        connects_per_seconds=60.0,
        rest_weight=30,
        rest_weight_per_seconds=60.0,
        rest=(
            RestBudget(endpoint="rest", weight=30, per_seconds=60.0),
            RestBudget(endpoint="rest", weight=3, per_seconds=60.0, purposes=("liquidations",)),
        ),
    )

    def instrument_requests(self, endpoints: Mapping[str, str], markets: Sequence[str]) -> list[HttpGet]:
        """Ask for the pair lists and the map of codes in one request."""
        return instruments.instrument_requests(endpoints, markets)

    def parse_instruments(self, request: HttpGet, body: bytes) -> list[Instrument]:
        """Instruments of a conf answer; raises `FrameError` when it is none."""
        return instruments.parse_conf(request.url, body, instruments.Names())

    def market_of(self, symbol: str) -> str:
        """`BASE/QUOTE` is spot, `BASE/QUOTE:QUOTE` is perp; raises `UnknownSymbol` for anything else."""
        pair, colon, settle = symbol.partition(":")
        base, slash, quote = pair.partition("/")
        if base and slash and quote and (not colon or settle == quote):
            return "perp" if colon else "spot"
        raise UnknownSymbol(self.exchange, symbol, ("BTC/USD", "BTC/USDT:USDT"))

    def plan(self, wanted: Wanted, instruments: Mapping[str, Instrument]) -> list[ConnectionPlan]:
        """Sockets for what is wanted; raises `UnknownSymbol`."""
        for symbol in wanted.symbols:
            if symbol not in instruments:
                raise UnknownSymbol(self.exchange, symbol, instruments)
        chosen = [instruments[symbol] for symbol in dict.fromkeys(wanted.symbols)]
        url = self._endpoints(wanted)["public_ws"]
        plans: list[ConnectionPlan] = []
        for market, carried in _CARRIED.items():
            channels = [channel for channel in carried if channel in wanted.channels]
            here = [instrument for instrument in chosen if instrument.market == market]
            if channels:
                size = CHANNELS_PER_SOCKET // len(channels)
                groups = [here[start : start + size] for start in range(0, len(here), size)]
                plans += [_plan(f"{market}-{number}", market, group, channels, url=url) for number, group in enumerate(groups)]
        if "liquidations" in wanted.channels and chosen:
            plans.append(_plan("liquidations-0", chosen[0].market, chosen, ["liquidations"], url=url))
        return plans

    def session(self, plan: ConnectionPlan, events: EventBuffer, wanted: Wanted) -> Session:
        """A session for a new socket of `plan`."""
        writer = events.writer(self.exchange, plan.name)
        return LiveSession(plan, writer, endpoints=self._endpoints(wanted), depth=wanted.depth)

    def recorded_session(self, events: EventBuffer) -> RecordedSession:
        """A session for recorded frames of any connection."""
        return Recorded(events)

    def _endpoints(self, wanted: Wanted) -> dict[str, str]:
        return {**self.endpoints, **wanted.endpoints}


def _plan(name: str, market: str, group: list[Instrument], channels: list[str], *, url: str) -> ConnectionPlan:
    return ConnectionPlan(
        name=f"{EXCHANGE}-{name}",
        exchange=EXCHANGE,
        market=market,
        url=url,
        streams=tuple(Stream(channel, instrument.symbol) for instrument in group for channel in channels),
        instruments=tuple(group),
    )
