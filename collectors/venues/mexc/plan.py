"""Which sockets MEXC needs for what is wanted, and what each subscribes to.

Put here: names of channels, limits per socket. Keep out: decoding.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from collectors.errors import UnknownSymbol
from collectors.venue import ConnectionPlan, Instrument, Stream, Wanted
from collectors.venues.mexc.messages import EXCHANGE

MAX_AGE: Final = 23 * 3600.0
"""The venue cuts sockets after 24 hours."""
SUBSCRIPTIONS_PER_SOCKET: Final = 30

_NAMES: Final[Mapping[tuple[str, str], tuple[str, ...]]] = {
    ("spot", "trades"): ("spot@public.aggre.deals.v3.api.pb@100ms@{}",),
    ("spot", "book"): ("spot@public.aggre.depth.v3.api.pb@100ms@{}",),
    ("perp", "trades"): ("sub.deal@{}",),
    ("perp", "book"): ("sub.depth@{}",),
    ("perp", "derivatives"): ("sub.ticker@{}", "sub.funding.rate@{}"),
}
"""By market and channel; perpetuals: method and symbol."""

_SOCKETS: Final = (
    ("spot", "spot_ws", "/ws", ("trades", "book")),
    ("perp", "perp_ws", "/edge", ("trades", "book", "derivatives")),
)
"""(market, endpoint, path, channels)."""


def plan(wanted: Wanted, instruments: Mapping[str, Instrument], endpoints: Mapping[str, str]) -> list[ConnectionPlan]:
    """Sockets for what is wanted; raises `UnknownSymbol` for a symbol that is not in `instruments`."""
    for symbol in wanted.symbols:
        if symbol not in instruments:
            raise UnknownSymbol(EXCHANGE, symbol, instruments)
    chosen = [instruments[symbol] for symbol in dict.fromkeys(wanted.symbols)]
    plans: list[ConnectionPlan] = []
    for market, endpoint, path, carried in _SOCKETS:
        channels = [channel for channel in carried if channel in wanted.channels]
        here = [instrument for instrument in chosen if instrument.market == market]
        if not channels:
            continue
        size = SUBSCRIPTIONS_PER_SOCKET // sum(len(_NAMES[market, channel]) for channel in channels)
        for number, start in enumerate(range(0, len(here), size)):
            group = here[start : start + size]
            plans.append(
                ConnectionPlan(
                    name=f"{EXCHANGE}-{market}-{number}",
                    exchange=EXCHANGE,
                    market=market,
                    url=f"{endpoints[endpoint]}{path}",
                    streams=tuple(Stream(channel, instrument.symbol) for instrument in group for channel in channels),
                    instruments=tuple(group),
                    max_age_seconds=MAX_AGE,
                )
            )
    return plans


def subscriptions(plan: ConnectionPlan) -> dict[str, Stream]:
    """What a socket subscribes to, and the stream each carries."""
    natives = {instrument.symbol: instrument.native for instrument in plan.instruments}
    return {name.format(natives[stream.symbol]): stream for stream in plan.streams for name in _NAMES[plan.market, stream.channel]}
