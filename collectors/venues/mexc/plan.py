"""Which sockets MEXC needs for what is wanted, and what each subscribes to.

Put here: names of channels, limits per socket. Keep out: decoding.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from collectors.sockets import SocketKind
from collectors.venue import ConnectionPlan, Stream

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

SOCKETS: Final = tuple(
    SocketKind(
        name=market,
        market=market,
        endpoint=f"{market}_ws",
        path=path,
        channels=carried,
        subscriptions=SUBSCRIPTIONS_PER_SOCKET,
        counts={channel: len(_NAMES[market, channel]) for channel in carried},
        max_age_seconds=MAX_AGE,
    )
    for market, path, carried in (("spot", "/ws", ("trades", "book")), ("perp", "/edge", ("trades", "book", "derivatives")))
)


def subscriptions(plan: ConnectionPlan) -> dict[str, Stream]:
    """What a socket subscribes to, and the stream each carries."""
    natives = {instrument.symbol: instrument.native for instrument in plan.instruments}
    return {name.format(natives[stream.symbol]): stream for stream in plan.streams for name in _NAMES[plan.market, stream.channel]}
