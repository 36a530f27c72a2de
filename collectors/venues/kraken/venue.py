"""The venue contract, answered for Kraken.

Put here: endpoints, limits, plan. Keep out: protocol.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from collectors.errors import UnknownSymbol
from collectors.rows import EventBuffer
from collectors.venue import ConnectionPlan, HttpGet, Instrument, Limits, RecordedSession, Session, Stream, Wanted
from collectors.venues.kraken import instruments
from collectors.venues.kraken.live import LiveSession
from collectors.venues.kraken.messages import EXCHANGE
from collectors.venues.kraken.recorded import Recorded

SYMBOLS_PER_SOCKET: Final = 200


class KrakenVenue:
    """Spot, over WebSocket v2."""

    exchange = EXCHANGE
    endpoints: Mapping[str, str] = {"spot_ws": "wss://ws.kraken.com/v2", "spot_rest": "https://api.kraken.com"}
    channels: Sequence[str] = ("trades", "book")
    limits = Limits(connects=150, connects_per_seconds=600.0, rest_weight=15, rest_weight_per_seconds=15.0)

    def instrument_requests(self, endpoints: Mapping[str, str], markets: Sequence[str]) -> list[HttpGet]:
        """Ask for AssetPairs."""
        return instruments.instrument_requests(endpoints, markets)

    def parse_instruments(self, request: HttpGet, body: bytes) -> list[Instrument]:
        """Instruments of an AssetPairs answer; raises `FrameError` when it is none."""
        del request
        return instruments.parse_asset_pairs(body)

    def market_of(self, symbol: str) -> str:
        """`BASE/QUOTE` is spot; raises `UnknownSymbol` for anything else."""
        base, slash, quote = symbol.partition("/")
        if base and slash and quote and ":" not in quote:
            return "spot"
        raise UnknownSymbol(self.exchange, symbol, ("BTC/USD", "ETH/USD"))

    def plan(self, wanted: Wanted, instruments: Mapping[str, Instrument]) -> list[ConnectionPlan]:
        """Sockets for what is wanted; raises `UnknownSymbol`."""
        for symbol in wanted.symbols:
            if symbol not in instruments:
                raise UnknownSymbol(self.exchange, symbol, instruments)
        symbols = list(dict.fromkeys(wanted.symbols))
        channels = [channel for channel in self.channels if channel in wanted.channels]
        if not channels:
            return []
        groups = [symbols[start : start + SYMBOLS_PER_SOCKET] for start in range(0, len(symbols), SYMBOLS_PER_SOCKET)]
        return [
            ConnectionPlan(
                name=f"{EXCHANGE}-spot-{number}",
                exchange=EXCHANGE,
                market="spot",
                url=self._endpoints(wanted)["spot_ws"],
                streams=tuple(Stream(channel, symbol) for symbol in group for channel in channels),
                instruments=tuple(instruments[symbol] for symbol in group),
            )
            for number, group in enumerate(groups)
        ]

    def session(self, plan: ConnectionPlan, events: EventBuffer, wanted: Wanted) -> Session:
        """A session for a new socket of `plan`."""
        writer = events.writer(self.exchange, plan.name)
        return LiveSession(plan, writer, endpoints=self._endpoints(wanted), depth=wanted.depth)

    def recorded_session(self, events: EventBuffer) -> RecordedSession:
        """A session for recorded frames of any connection."""
        return Recorded(events)

    def _endpoints(self, wanted: Wanted) -> dict[str, str]:
        return {**self.endpoints, **wanted.endpoints}
