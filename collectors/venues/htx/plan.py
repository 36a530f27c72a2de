"""Which sockets HTX needs for what is wanted, and which topics each carries.

Put here: endpoints by role, topics, limits per socket. Keep out: decoding.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from collectors.errors import UnknownSymbol
from collectors.venue import ConnectionPlan, Instrument, Stream, Wanted
from collectors.venues.htx.messages import EXCHANGE

SPOT: Final = "spot"
FEED: Final = "feed"
LINEAR: Final = "linear"
NOTIFICATION: Final = "notification"
INDEX: Final = "index"
"""Roles of sockets: the venue serves each kind of topic on one path only."""

TOPICS_PER_SOCKET: Final = 100

_SOCKETS: Final = (
    (SPOT, "spot", "spot_ws", "/ws", ("trades",)),
    (FEED, "spot", "spot_ws", "/feed", ("book",)),
    (LINEAR, "linear", "linear_ws", "/linear-swap-ws", ("trades", "book")),
    (NOTIFICATION, "linear", "linear_ws", "/linear-swap-notification", ("liquidations", "derivatives")),
    (INDEX, "linear", "linear_ws", "/ws_index", ("derivatives",)),
)
"""(role, market, endpoint, path, channels)."""


def plan(wanted: Wanted, instruments: Mapping[str, Instrument], endpoints: Mapping[str, str]) -> list[ConnectionPlan]:
    """Sockets for what is wanted; raises `UnknownSymbol` for a symbol that is not in `instruments`."""
    for symbol in wanted.symbols:
        if symbol not in instruments:
            raise UnknownSymbol(EXCHANGE, symbol, instruments)
    chosen = [instruments[symbol] for symbol in dict.fromkeys(wanted.symbols)]
    plans: list[ConnectionPlan] = []
    for role, market, endpoint, path, carried in _SOCKETS:
        channels = [channel for channel in carried if channel in wanted.channels]
        here = [instrument for instrument in chosen if instrument.market == market]
        if not channels or not here:
            continue
        # Notifications of all contracts come in one topic; of prices there are two topics a contract.
        size = len(here) if role == NOTIFICATION else TOPICS_PER_SOCKET // max(2 if role == INDEX else 1, len(channels))
        for number, start in enumerate(range(0, len(here), size)):
            group = here[start : start + size]
            plans.append(
                ConnectionPlan(
                    name=f"{EXCHANGE}-{role}-{number}",
                    exchange=EXCHANGE,
                    market=market,
                    url=f"{endpoints[endpoint]}{path}",
                    streams=tuple(Stream(channel, instrument.symbol) for instrument in group for channel in channels),
                    instruments=tuple(group),
                )
            )
    return plans


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
