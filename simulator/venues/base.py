"""What the server and the engine need of a venue.

What belongs here: the contract between venue modules and the rest. What does not: any venue's own words.
"""

from __future__ import annotations

import heapq
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import NamedTuple, TypeVar

from simulator.faults import Faults
from simulator.instruments import Instrument
from simulator.limits import WeightLimit
from simulator.market import Changes, Image, Market, Trade
from simulator.streams import Hub, Socket

S = TypeVar("S", bound="Session")

SHUTDOWN_US = 6_000_000
"""From the notice of a shutdown to the end of the sockets that stood then; real venues leave some seconds to half a minute."""


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
    """One exchange: its markets, streams and answers. Times are unix microseconds.

    `listed` are the instruments the REST lists name (default: those of the markets), `weight_limit` replaces the venue's own
    request limit per minute.
    """

    name: str
    # Endpoint key -> (path below /<venue>, URL of the real endpoint). A key ending in _ws is a WebSocket endpoint.
    endpoints: Mapping[str, tuple[str, str]]
    # Request weight a minute per host (the first part of the REST endpoint's path), where the venue counts.
    weights: Mapping[str, int] = {}

    def __init__(
        self, markets: list[Market], *, hub: Hub, faults: Faults, listed: list[Instrument] | None = None, weight_limit: int | None = None
    ) -> None:
        self.markets = markets
        self.hub = hub
        self.faults = faults
        self.listed = [market.instrument for market in markets] if listed is None else listed
        self.weight_limit = weight_limit
        self.limits = {host: WeightLimit(weight_limit or limit) for host, limit in self.weights.items()}
        self._due: list[tuple[int, int, Callable[[], None]]] = []
        self._order = count()
        self.prepare()

    @abstractmethod
    def prepare(self) -> None:
        """Make the feeds of the markets, and whatever else the venue keeps."""

    def count_weight_in(self, seconds: int) -> None:
        """Count request weight in windows of another length, so that a test need not wait for the real one; not every venue can."""
        del seconds

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

    def forced(self, market: Market, fills: list[Trade]) -> list[bool]:
        """The same for the fills of a forced order, where the venue's trades tell that they were."""
        return self.trades(market, fills)

    @abstractmethod
    def changes(self, market: Market, changes: Changes) -> None:
        """Send, or keep for the next frame, what changed in a book."""

    @abstractmethod
    def clock(self, now_us: int) -> None:
        """Send what is due by time: collected book frames, heartbeats, mark prices."""

    def acknowledge(self, text: str, now_us: int) -> list[str]:
        """Answers to a command during playback, where every subscription is granted and changes nothing."""
        del text, now_us
        return []

    def wire_ids(self, market: Market, fills: list[Trade]) -> list[str]:
        """Under which id the venue publishes each fill: the same for fills it sums up in one row, empty where it names none."""
        del market
        return [str(fill.trade_id) for fill in fills]

    def restart_sequence(self, market: Market, now_us: int) -> None:
        """The book's numbers start over; a venue that announces it (a new snapshot, a marked message) sends that here."""
        del now_us
        market.restart_sequence()

    def shutdown_notice(self, socket: Socket, now_us: int) -> list[str | bytes]:
        """What the venue tells a socket before it goes down; nothing where it only hangs up."""
        del socket, now_us
        return []

    def shutdown(self, now_us: int) -> None:
        """Announce the end to every socket that stands now, and end it a little later; new ones live on."""
        for socket in [socket for socket in self.hub.sockets if socket.exchange == self.name]:
            for payload in self.shutdown_notice(socket, now_us):
                socket.send(payload)
            self.later(now_us + SHUTDOWN_US, socket.cut)

    def later(self, due_us: int, act: Callable[[], None]) -> None:
        """Do something at a time, before that tick's `clock`."""
        heapq.heappush(self._due, (due_us, next(self._order), act))

    def run_due(self, now_us: int) -> None:
        """Do what is due by now."""
        while self._due and self._due[0][0] <= now_us:
            heapq.heappop(self._due)[2]()

    def throttled(self, host: str, now_us: int, *, weight: int = 1, symbol: str = "*") -> int:
        """Count a request; whole seconds to wait where it is too many or a fault says so (`http_429`), else 0."""
        wait = self.limits[host].spend(weight, now_us) if host in self.limits else 0
        fault = self.faults.request("http_429", self.name, symbol)
        return wait if fault is None else max(1, -(-(fault.end_us - now_us) // 1_000_000))

    def snapshot(self, market: Market, now_us: int) -> tuple[Image, float]:
        """The book for a REST snapshot and the seconds its answer is held back (`stale_snapshot`, `slow_snapshot`)."""
        symbol = market.instrument.symbol
        image = market.opening if self.faults.request("stale_snapshot", self.name, symbol) else market.image()
        return image, self.snapshot_delay(market, now_us)

    def snapshot_delay(self, market: Market, now_us: int) -> float:
        """Seconds by which a snapshot, over REST or in band, is late (`slow_snapshot`)."""
        slow = self.faults.request("slow_snapshot", self.name, market.instrument.symbol)
        return max(0.0, (slow.end_us - now_us) / 1e6) if slow else 0.0

    def recorded(self, path: str, text: str) -> str | None:
        """What a client on a path gets of a recorded message; None if that path never carries it."""
        del path
        return text

    def liquidation(self, market: Market, fills: list[Trade], now_us: int) -> bool | None:
        """Announce a forced order; None where the venue publishes none for this market."""
        del market, fills, now_us
        return None


def standing(sessions: dict[Socket, S], hub: Hub) -> list[tuple[Socket, S]]:
    """Conversations whose socket still stands; the others are forgotten."""
    for socket in [socket for socket in sessions if socket not in hub.sockets]:
        del sessions[socket]
    return list(sessions.items())


def refused(faults: Faults, exchange: str) -> bool:
    """Whether the venue's door is shut by a fault."""
    return faults.request("refuse", exchange, "*") is not None
