"""The contract every venue fulfils: plain synchronous code fed with bytes and a receive time, knowing no socket and no clock.

Put here: the shapes that pass between a venue, its driver (network, recording or simulator) and the rows it makes.
Keep out: anything one venue alone needs, sockets, files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Protocol

import msgspec

if TYPE_CHECKING:
    from collectors.facts import VenueFacts
    from collectors.feeds import BookFeed
    from collectors.rows import EventBuffer

CHANNELS = ("trades", "book", "liquidations", "derivatives")
"""Channel names a user may write in tickhouse.toml."""

CHANNEL_OF: Mapping[str, str] = {
    "trades": "trades",
    "book_deltas": "book",
    "liquidations": "liquidations",
    "derivatives": "derivatives",
}
"""Channel whose rows a dataset holds."""
DATASET_OF: Mapping[str, str] = {channel: dataset for dataset, channel in CHANNEL_OF.items()}


class Outcome(Enum):
    """What became of one incoming frame; a frame that raises `FrameError` is a dead letter."""

    CONTROL = "control"
    IGNORED = "ignored"
    DECODED = "decoded"


class Instrument(msgspec.Struct, frozen=True, kw_only=True):
    """One market of one venue. `contract_size` is base units per contract (1 where sizes are base units already)."""

    exchange: str
    symbol: str
    """CCXT unified: BTC/USDT, BTC/USDT:USDT, BTC/USD:BTC."""
    native: str
    """The venue's own id in frames and requests, e.g. BTCUSDT."""
    market: str
    """The venue's market the id belongs to, e.g. spot or usdm."""
    base: str
    quote: str
    settle: str | None = None
    tick_size: float | None = None
    lot_size: float | None = None
    contract_size: float = 1.0
    inverse: bool = False
    """True where a contract is worth `contract_size` units of the quote instead, so that its base units depend on the price."""
    price_decimals: int | None = None
    amount_decimals: int | None = None
    active: bool = True


@dataclass(frozen=True, slots=True)
class Stream:
    """One subscription a connection carries: a channel of one symbol (symbol empty where the channel carries all)."""

    channel: str
    symbol: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionPlan:
    """One socket to be opened: where, and what it is to carry. `name` is stable over restarts, e.g. binance-usdm-market-0."""

    name: str
    exchange: str
    market: str
    url: str
    streams: tuple[Stream, ...]
    instruments: tuple[Instrument, ...]
    max_age_seconds: float | None = None
    """Planned life of the socket before the venue cuts it; None where it never does."""
    max_frame_bytes: int = 64 * 1024 * 1024
    headers: Mapping[str, str] = field(default_factory=dict)
    """Sent with the handshake, where a venue's frames depend on them."""
    protocol_ping_seconds: float | None = None
    """Send WebSocket ping frames this often, where the venue wants them from the client."""


@dataclass(frozen=True, slots=True)
class SendText:
    """Ask the driver to send a text frame; frames of one session keep `spacing_seconds` of its venue between them."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpGet:
    """Ask the driver for a REST answer, to be handed to `Session.feed_http` together with this request."""

    url: str
    purpose: str
    """What the answer is: instruments, depth, trades, open_interest."""
    symbol: str = ""
    weight: int = 1
    """Cost against the venue's request budget."""


@dataclass(frozen=True, slots=True)
class Reconnect:
    """Ask the driver for a fresh socket; nothing else on this one can be trusted, or the venue announced its end."""

    reason: str
    graceful: bool = False
    """True when the old socket still delivers until the new one stands (a planned cut)."""


Action = SendText | HttpGet | Reconnect


class Session(Protocol):
    """The life of one socket. All times are microseconds since 1970; `received` is None where a recording has no clock.

    The driver calls `opened` once, then `feed` per frame, `feed_http` per answer, `tick` a few times a second, `closed` at the
    end, and after each call carries out and clears `actions`.

    When a stream falls silent the driver calls `stalled`, which opens its gap, and `resubscribe`, which queues frames that subscribe to
    that stream alone anew; streams that come back from it unmentioned cannot be renewed alone and get a new socket. `BaseSession`
    has both, so that a venue answers three things only:

    * `resubscription(stream)`: the texts that unsubscribe from and subscribe to one stream of the plan (override; none by default);
    * `self.stream_refused(symbol, channel, reason=…, now=…)`: called for each stream a command's refusal concerns. A refused command
      that held several streams is first asked again stream by stream, so that one bad symbol does not take the others down;
    * `self.stream_accepted(symbol, channel)`: called with the acknowledgement of a stream.
    """

    actions: list[Action]
    spacing_seconds: float

    def opened(self, now: int | None) -> None:
        """The socket stands: queue the subscribe frames."""

    def feed(self, frame: bytes | str, received: int | None) -> Outcome:
        """Take one incoming WebSocket frame. Raises `FrameError` when it cannot be decoded."""

    def feed_http(self, request: HttpGet, body: bytes, received: int | None) -> Outcome:
        """Take one REST answer (status 200). Raises `FrameError` when it cannot be decoded."""

    def http_failed(self, request: HttpGet, reason: str, now: int) -> None:
        """A request came to nothing; the session decides when to ask again (through `tick`)."""

    def tick(self, now: int) -> None:
        """Time passed: heartbeats, book snapshots each second, the full snapshot that opens an hour, repeated requests."""

    def stalled(self, stream: Stream, *, since: int, now: int) -> None:
        """Nothing has come of a stream since `since` though it should: open its gap."""

    def resubscribe(self, streams: Sequence[Stream]) -> Sequence[Stream]:
        """Queue what subscribes to `streams` anew; returns those for which that is possible without a new socket."""

    def closed(self, now: int | None) -> None:
        """The socket is gone: open gaps for what it carried."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RestBudget:
    """What one REST host takes of a client: `weight` in any `per_seconds`, each request costing its `HttpGet.weight`."""

    endpoint: str
    """Key of `Venue.endpoints` whose address the requests begin with."""
    weight: float
    per_seconds: float
    purposes: tuple[str, ...] = ()
    """Purposes of requests that are counted by themselves; all that no other budget of the endpoint names, where empty."""
    used_header: str = ""
    """Header of an answer that says how much the venue has counted so far, where it sends one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a venue allows a client, from its notes. `rest` names budgets by host; `rest_weight` holds for requests to no named one."""

    connects: int
    connects_per_seconds: float
    rest_weight: int
    rest_weight_per_seconds: float
    rest: tuple[RestBudget, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a user asked of one exchange in tickhouse.toml, already validated."""

    symbols: tuple[str, ...]
    channels: tuple[str, ...]
    depth: int = 1000
    redundant: bool = False
    """Two sockets for every planned connection, at all times."""
    endpoints: Mapping[str, str] = field(default_factory=dict)
    """Overrides of `Venue.endpoints`, by the same keys."""


class Venue(Protocol):
    """One exchange: answers where, what, and how; opens sessions."""

    exchange: str
    endpoints: Mapping[str, str]
    """Default endpoints by key, e.g. spot_ws, spot_rest; every one can be overridden in settings."""
    channels: Sequence[str]
    limits: Limits
    facts: VenueFacts
    """What the venue answers in words."""

    def instrument_requests(self, endpoints: Mapping[str, str], markets: Sequence[str]) -> list[HttpGet]:
        """Requests whose answers list the instruments of `markets`."""

    def parse_instruments(self, request: HttpGet, body: bytes) -> list[Instrument]:
        """Instruments in one answer; raises `FrameError` when it is no instrument list."""

    def market_of(self, symbol: str) -> str:
        """Which of the venue's markets a CCXT symbol belongs to; raises `UnknownSymbol` where none can."""

    def plan(self, wanted: Wanted, instruments: Mapping[str, Instrument]) -> list[ConnectionPlan]:
        """Sockets needed for what is wanted; `instruments` by CCXT symbol. Raises `UnknownSymbol`."""

    def session(self, plan: ConnectionPlan, events: EventBuffer, wanted: Wanted) -> Session:
        """A new session for a new socket of `plan`, writing rows into `events`."""

    def recorded_session(self, events: EventBuffer) -> RecordedSession:
        """A session that takes frames of any connection of this venue in recorded order, learning symbols as it meets them."""


@dataclass(slots=True)
class Checksums:
    """Checksums of book frames, by outcome."""

    verified: int = 0
    failed: int = 0


class RecordedSession(Protocol):
    """What `tickhouse decode` drives: routes each recorded line by its connection URL (None in some recordings) and content."""

    actions: list[Action]
    checksums: Checksums

    def books(self) -> Mapping[str, BookFeed]:
        """Books met so far, by symbol, each the one that lands."""

    def tick(self, now: int) -> None:
        """Time passed on the recording's clock."""

    def connected(self, conn: str | None, received: int | None) -> None:
        """A new socket was opened to `conn`: state of its former session is gone."""

    def sent(self, conn: str | None, frame: bytes | str, received: int | None) -> None:
        """A frame the recording client sent; some venues' answers cannot be read without it."""

    def feed(self, conn: str | None, frame: bytes | str, received: int | None) -> Outcome:
        """One incoming WebSocket frame."""

    def feed_http(self, conn: str | None, body: bytes, received: int | None) -> Outcome:
        """One REST answer; `conn` is the request URL."""
