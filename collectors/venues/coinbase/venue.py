"""The venue contract, answered for Coinbase.

Put here: endpoints, limits, plan. Keep out: protocol.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from collectors.errors import UnknownSymbol
from collectors.rows import EventBuffer
from collectors.venue import ConnectionPlan, HttpGet, Instrument, Limits, RecordedSession, RestBudget, Session, Stream, Wanted
from collectors.venues.coinbase import instruments
from collectors.venues.coinbase.live import LiveSession
from collectors.venues.coinbase.messages import EXCHANGE
from collectors.venues.coinbase.recorded import Recorded

SYMBOLS_PER_SOCKET: Final = 20
"""Kept small: a lost frame costs every book of its socket, and the snapshots of busy products are megabytes."""


class CoinbaseVenue:
    """Spot and futures products, over Advanced Trade. There is no public feed of liquidations, funding or open interest."""

    exchange = EXCHANGE
    endpoints: Mapping[str, str] = {"spot_ws": "wss://advanced-trade-ws.coinbase.com", "spot_rest": "https://api.coinbase.com"}
    channels: Sequence[str] = ("trades", "book")
    limits = Limits(
        connects=8,
        connects_per_seconds=1.0,
        rest_weight=8,
        rest_weight_per_seconds=1.0,
        rest=(RestBudget(endpoint="spot_rest", weight=8, per_seconds=1.0),),
    )

    def instrument_requests(self, endpoints: Mapping[str, str], markets: Sequence[str]) -> list[HttpGet]:
        """Ask for the products of each market."""
        return instruments.instrument_requests(endpoints, markets)

    def parse_instruments(self, request: HttpGet, body: bytes) -> list[Instrument]:
        """Instruments of a product list; raises `FrameError` when it is none."""
        del request
        return instruments.parse_products(body)

    def market_of(self, symbol: str) -> str:
        """`BASE/QUOTE` is spot, `BASE/QUOTE:QUOTE` futures; raises `UnknownSymbol` for anything else."""
        pair, colon, settle = symbol.partition(":")
        base, slash, quote = pair.partition("/")
        if base and slash and quote and (not colon or settle.partition("-")[0] == quote):
            return "futures" if colon else "spot"
        raise UnknownSymbol(self.exchange, symbol, ("BTC/USD", "BTC/USDC:USDC"))

    def plan(self, wanted: Wanted, instruments: Mapping[str, Instrument]) -> list[ConnectionPlan]:
        """Sockets for what is wanted; raises `UnknownSymbol`."""
        for symbol in wanted.symbols:
            if symbol not in instruments:
                raise UnknownSymbol(EXCHANGE, symbol, instruments)
        channels = [channel for channel in self.channels if channel in wanted.channels]
        plans: list[ConnectionPlan] = []
        for market in ("spot", "futures") if channels else ():
            symbols = [symbol for symbol in dict.fromkeys(wanted.symbols) if instruments[symbol].market == market]
            for start in range(0, len(symbols), SYMBOLS_PER_SOCKET):
                group = symbols[start : start + SYMBOLS_PER_SOCKET]
                plans.append(
                    ConnectionPlan(
                        name=f"{EXCHANGE}-{market}-{start // SYMBOLS_PER_SOCKET}",
                        exchange=EXCHANGE,
                        market=market,
                        url=self._endpoints(wanted)["spot_ws"],
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
