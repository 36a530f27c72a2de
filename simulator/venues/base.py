"""What the server and the engine need of a venue.

What belongs here: the contract between venue modules and the rest. What does not: any venue's own words.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from simulator.faults import Faults
from simulator.instruments import Instrument
from simulator.market import Changes, Market, Trade
from simulator.streams import Hub, Socket


@dataclass(slots=True)
class Answer:
    """An HTTP answer: body is JSON text; `delay_s` holds it back."""

    status: int
    body: str
    headers: dict[str, str] = field(default_factory=dict)
    delay_s: float = 0.0


class Close(NamedTuple):
    """The venue closes the socket with a WebSocket close code."""

    code: int
    reason: str


class Pace(NamedTuple):
    """How often a market does something, per second."""

    orders: float
    moves: float


class Session(ABC):
    """One client's conversation with a venue. `ping_every_s` 0 means that the venue sends no pings."""

    ping_every_s: float = 0.0
    pong_within_s: float = 60.0

    @abstractmethod
    def opened(self, now_us: int) -> None:
        """The handshake is done: greet, subscribe what the URL asks for."""

    @abstractmethod
    def command(self, text: str, now_us: int) -> Close | None:
        """Answer one message of the client; a Close ends the conversation."""


class Venue(ABC):
    """One exchange: its markets, streams and answers. Times are unix microseconds."""

    name: str
    # Endpoint key -> (path below /<venue>, URL of the real endpoint).
    endpoints: Mapping[str, tuple[str, str]]

    def __init__(self, markets: list[Market], *, hub: Hub, faults: Faults) -> None:
        self.markets = markets
        self.hub = hub
        self.faults = faults

    @abstractmethod
    def connect(self, path: str, query: str, socket: Socket) -> Session | None:
        """A conversation for a WebSocket path below /<venue>; None where the venue has no such path."""

    @abstractmethod
    def rest(self, path: str, params: Mapping[str, str], now_us: int) -> Answer | None:
        """The answer to a GET below /<venue>; None where there is no such path."""

    @abstractmethod
    def pace(self, instrument: Instrument, messages_per_s: float) -> Pace:
        """How lively a market must be so that a collector's usual subscriptions bring that many messages."""

    @abstractmethod
    def trades(self, market: Market, fills: list[Trade]) -> list[bool]:
        """Send the fills of one taker order; of each, whether a socket was sent it."""

    @abstractmethod
    def changes(self, market: Market, changes: Changes) -> None:
        """Send, or keep for the next frame, what changed in a book."""

    @abstractmethod
    def clock(self, now_us: int) -> None:
        """Send what is due by time: collected book frames, heartbeats, mark prices."""

    @abstractmethod
    def acknowledge(self, text: str, now_us: int) -> list[str]:
        """Answers to a command during playback, where every subscription is granted and changes nothing."""

    def recorded(self, path: str, text: str) -> str | None:
        """What a client on a path gets of a recorded message; None if that path never carries it."""
        del path
        return text

    def liquidation(self, market: Market, fills: list[Trade], now_us: int) -> bool | None:
        """Announce a forced order; None where the venue publishes none for this market."""
        del market, fills, now_us
        return None


def refused(faults: Faults, exchange: str) -> bool:
    """Whether the venue's door is shut by a fault."""
    return faults.request("refuse", exchange, "*") is not None
