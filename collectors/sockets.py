"""Which sockets a venue needs for what is wanted, read off its table of socket kinds; and what else every venue answers alike.

Put here: grouping of symbols into sockets, endpoints with their overrides. Keep out: the tables themselves (each venue's `sockets`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from collectors.errors import UnknownSymbol
from collectors.rows import EventBuffer
from collectors.venue import ConnectionPlan, Instrument, RecordedSession, Stream, Wanted

EVERY: Final = 1 << 30
"""Symbols of a socket whose one subscription brings all of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SocketKind:
    """One kind of socket: where it leads, which channels of which market it carries, and of how many symbols.

    `symbols` is the most symbols of a socket, or `subscriptions` the most subscriptions, of which a channel takes one a symbol
    unless `counts` says more. One of the two is given.
    """

    name: str
    """What the names of its connections say after the exchange: spot, usdm-market."""
    market: str
    """Empty where one socket carries symbols of all markets."""
    endpoint: str
    """Key of `Venue.endpoints`."""
    channels: Sequence[str]
    symbols: int = 0
    subscriptions: int = 0
    counts: Mapping[str, int] = field(default_factory=dict)
    path: str = ""
    """Follows the endpoint's address."""
    max_age_seconds: float | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    protocol_ping_seconds: float | None = None

    def __post_init__(self) -> None:
        if (self.symbols > 0) == (self.subscriptions > 0):
            raise ValueError(
                f"socket {self.name!r} has symbols {self.symbols} and subscriptions {self.subscriptions}, expected one above 0"
            )

    def size(self, channels: Iterable[str]) -> int:
        """The most symbols a socket takes that carries `channels`."""
        return self.symbols or self.subscriptions // sum(self.counts.get(channel, 1) for channel in channels)


def plan(
    kinds: Iterable[SocketKind], wanted: Wanted, *, exchange: str, instruments: Mapping[str, Instrument], endpoints: Mapping[str, str]
) -> list[ConnectionPlan]:
    """Sockets for what is wanted, kind by kind, their symbols in the order wanted; raises `UnknownSymbol`."""
    chosen = asked_for(exchange, wanted, instruments)
    plans: list[ConnectionPlan] = []
    for kind in kinds:
        channels = [channel for channel in kind.channels if channel in wanted.channels]
        here = [instrument for instrument in chosen if kind.market in ("", instrument.market)]
        if not channels:
            continue
        size = kind.size(channels)
        for number, start in enumerate(range(0, len(here), size)):
            group = here[start : start + size]
            plans.append(
                ConnectionPlan(
                    name=f"{exchange}-{kind.name}-{number}",
                    exchange=exchange,
                    market=kind.market or group[0].market,
                    url=f"{endpoints[kind.endpoint]}{kind.path}",
                    streams=tuple(Stream(channel, instrument.symbol) for instrument in group for channel in channels),
                    instruments=tuple(group),
                    max_age_seconds=kind.max_age_seconds,
                    headers=kind.headers,
                    protocol_ping_seconds=kind.protocol_ping_seconds,
                )
            )
    return plans


def asked_for(exchange: str, wanted: Wanted, instruments: Mapping[str, Instrument]) -> list[Instrument]:
    """Instruments wanted, each once; raises `UnknownSymbol` for a symbol that is not in `instruments`."""
    for symbol in wanted.symbols:
        if symbol not in instruments:
            raise UnknownSymbol(exchange, symbol, instruments)
    return [instruments[symbol] for symbol in dict.fromkeys(wanted.symbols)]


class BaseVenue:
    """What venues answer alike: plans off `sockets`, a table of kinds; recorded sessions; endpoints."""

    exchange: str
    endpoints: Mapping[str, str]
    sockets: Sequence[SocketKind] = ()
    recorded: Callable[[EventBuffer], RecordedSession]
    """The class of recorded sessions."""

    def plan(self, wanted: Wanted, instruments: Mapping[str, Instrument]) -> list[ConnectionPlan]:
        """Sockets for what is wanted; raises `UnknownSymbol`."""
        return plan(self.sockets, wanted, exchange=self.exchange, instruments=instruments, endpoints=self.endpoints_of(wanted))

    def recorded_session(self, events: EventBuffer) -> RecordedSession:
        """A session for recorded frames of any connection."""
        return self.recorded(events)

    def endpoints_of(self, wanted: Wanted) -> dict[str, str]:
        """Addresses by key, overrides in place."""
        return {**self.endpoints, **wanted.endpoints}
