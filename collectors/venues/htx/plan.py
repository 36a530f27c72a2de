"""Which sockets HTX needs for what is wanted, and which topics each carries.

Put here: endpoints by role, topics, limits per socket. Keep out: decoding.
"""

from __future__ import annotations

from typing import Final

from collectors.sockets import EVERY, SocketKind
from collectors.venue import ConnectionPlan, Stream

SPOT: Final = "spot"
FEED: Final = "feed"
LINEAR: Final = "linear"
NOTIFICATION: Final = "notification"
INDEX: Final = "index"
"""Roles of sockets: the venue serves each kind of topic on one path only."""

TOPICS_PER_SOCKET: Final = 100

SOCKETS: Final = (
    SocketKind(name=SPOT, market="spot", endpoint="spot_ws", path="/ws", channels=("trades",), subscriptions=TOPICS_PER_SOCKET),
    SocketKind(name=FEED, market="spot", endpoint="spot_ws", path="/feed", channels=("book",), subscriptions=TOPICS_PER_SOCKET),
    SocketKind(
        name=LINEAR,
        market="linear",
        endpoint="linear_ws",
        path="/linear-swap-ws",
        channels=("trades", "book"),
        subscriptions=TOPICS_PER_SOCKET,
    ),
    # Notifications of all contracts come in one topic; of prices there are two topics a contract.
    SocketKind(
        name=NOTIFICATION,
        market="linear",
        endpoint="linear_ws",
        path="/linear-swap-notification",
        channels=("liquidations", "derivatives"),
        symbols=EVERY,
    ),
    SocketKind(
        name=INDEX,
        market="linear",
        endpoint="linear_ws",
        path="/ws_index",
        channels=("derivatives",),
        subscriptions=TOPICS_PER_SOCKET,
        counts={"derivatives": 2},
    ),
)


def role_of(plan: ConnectionPlan) -> str:
    """Which kind of socket a plan is for."""
    return plan.name.split("-")[1]


def topics(plan: ConnectionPlan, *, depth: int) -> dict[str, Stream]:
    """Topics a socket subscribes to, and the stream each carries (of any symbol, where it carries all)."""
    role, channels = role_of(plan), {stream.channel for stream in plan.streams}
    if role == NOTIFICATION:
        every = {"liquidations": "public.*.liquidation_orders", "derivatives": "public.*.funding_rate"}
        return {topic: Stream(channel, "") for channel, topic in every.items() if channel in channels}
    found: dict[str, Stream] = {}
    natives = {instrument.symbol: instrument.native for instrument in plan.instruments}
    for stream in plan.streams:
        native = natives[stream.symbol]
        for name in _names(role, stream.channel, depth=depth):
            found[f"market.{native}.{name}"] = stream
    return found


def _names(role: str, channel: str, *, depth: int) -> tuple[str, ...]:
    if channel == "trades":
        return ("trade.detail",)
    if channel == "book":
        return (f"mbp.{depth}",) if role == FEED else ("depth.size_150.high_freq",)
    return ("mark_price.1min", "basis.1min.close")
