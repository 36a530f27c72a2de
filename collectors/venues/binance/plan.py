"""Which sockets Binance needs for what is wanted, and which streams each carries.

Put here: stream names, the split of USD-M by path, limits per socket. Keep out: decoding.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from collectors.sockets import SocketKind
from collectors.venue import ConnectionPlan, Stream

MAX_AGE: Final = 23 * 3600.0
"""The venue cuts sockets after 24 hours."""

STREAMS: Final[Mapping[tuple[str, str], str]] = {
    ("spot", "trades"): "{}@trade",
    ("spot", "book"): "{}@depth@100ms",
    ("usdm", "trades"): "{}@aggTrade",
    ("usdm", "book"): "{}@depth@100ms",
    ("usdm", "liquidations"): "{}@forceOrder",
    ("usdm", "derivatives"): "{}@markPrice@1s",
}
"""Stream name by market and channel; `{}` is the native id in lower case."""

SOCKETS: Final = tuple(
    SocketKind(name=name, market=market, endpoint=f"{market}_ws", path=path, channels=carried, subscriptions=most, max_age_seconds=MAX_AGE)
    for name, market, path, carried, most in (
        ("spot", "spot", "/stream", ("trades", "book"), 400),
        ("usdm-public", "usdm", "/public/stream", ("book",), 200),
        ("usdm-market", "usdm", "/market/stream", ("trades", "liquidations", "derivatives"), 198),
    )
)
"""USD-M serves each stream on one path only and is silent on the other."""


def stream_names(plan: ConnectionPlan) -> dict[str, Stream]:
    """The venue's stream names a socket subscribes to, and what each carries."""
    natives = {instrument.symbol: instrument.native.lower() for instrument in plan.instruments}
    return {STREAMS[plan.market, stream.channel].format(natives[stream.symbol]): stream for stream in plan.streams}
