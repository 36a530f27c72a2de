"""The events of the live feed and of a replay: one set of classes for both, so that a program cannot tell them apart.

Put here: their shapes. Keep out: how they come about (`serving.expand`, `serving.bars`, `serving.replay`).

Times are microseconds since 1970, UTC; prices are quote units, amounts base units; what is unknown is None. On the wire an event is a
JSON object whose `type` names it, and every message is an array of events.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, TypeAlias

import msgspec

Levels: TypeAlias = Sequence[tuple[float, float]]
"""(price, amount) of each level."""


class Trade(msgspec.Struct, frozen=True, tag="trade", tag_field="type", kw_only=True, gc=False):
    """A trade; `side` is the taker's."""

    exchange: str
    symbol: str
    timestamp: int
    local_timestamp: int
    ordinal: int
    trade_id: str
    side: str
    price: float
    amount: float
    fill_count: int
    source: str
    clock_suspect: bool


class Book(msgspec.Struct, frozen=True, tag="book", tag_field="type", kw_only=True):
    """A whole book, best levels first: it replaces what was known. `origin`: venue, or rebuilt from its changes."""

    exchange: str
    symbol: str
    timestamp: int | None
    local_timestamp: int
    ordinal: int
    sequence: int | None
    bids: Levels
    asks: Levels
    origin: Literal["venue", "rebuilt"] = "venue"


class BookDelta(msgspec.Struct, frozen=True, tag="book_delta", tag_field="type", kw_only=True):
    """Levels that changed: the amount that rests there now, 0 for none."""

    exchange: str
    symbol: str
    timestamp: int | None
    local_timestamp: int
    ordinal: int
    sequence: int | None
    bids: Levels
    asks: Levels


class BookTop(msgspec.Struct, frozen=True, tag="book_top", tag_field="type", kw_only=True):
    """The best 25 levels, at most once a second and when changed."""

    exchange: str
    symbol: str
    timestamp: int | None
    local_timestamp: int
    ordinal: int
    sequence: int | None
    bids: Levels
    asks: Levels


class Liquidation(msgspec.Struct, frozen=True, tag="liquidation", tag_field="type", kw_only=True):
    """A forced order; `side` is the order's."""

    exchange: str
    symbol: str
    timestamp: int
    local_timestamp: int
    ordinal: int
    side: str
    price: float
    amount: float
    value_usd: float | None
    liquidation_id: str
    sampled: bool | None


class Derivative(msgspec.Struct, frozen=True, tag="derivative", tag_field="type", kw_only=True):
    """Funding, open interest and prices of a perpetual, as far as the message said."""

    exchange: str
    symbol: str
    timestamp: int
    local_timestamp: int
    ordinal: int
    funding_rate: float | None
    next_funding: int | None
    open_interest: float | None
    mark_price: float | None
    index_price: float | None


class Gap(msgspec.Struct, frozen=True, tag="gap", tag_field="type", kw_only=True):
    """What was missed of `channel`, and whether it is over; `symbol` is empty for a whole connection."""

    exchange: str
    symbol: str
    timestamp: int | None
    local_timestamp: int
    ordinal: int
    channel: str
    kind: str
    from_sequence: int | None
    to_sequence: int | None
    from_time: int
    to_time: int | None
    healed_at: int | None
    healed_by: str | None


class Candle(msgspec.Struct, frozen=True, tag="candle", tag_field="type", kw_only=True):
    """A candle; `timestamp` is its open time. While `closed` is false it is still forming."""

    exchange: str
    symbol: str
    timeframe: str
    timestamp: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    quote_volume: float | None
    trade_count: int | None
    buy_volume: float | None
    sell_volume: float | None
    vwap: float | None
    source: str = "trades"
    closed: bool = True


class Indicators(msgspec.Struct, frozen=True, tag="indicators", tag_field="type", kw_only=True):
    """The core suite on a candle: `values` by column of the indicator datasets."""

    exchange: str
    symbol: str
    timeframe: str
    timestamp: int
    values: dict[str, float | None]
    source: str = "trades"
    closed: bool = True


class Window(msgspec.Struct, frozen=True, tag="window", tag_field="type", kw_only=True):
    """Forced orders of the last `window_seconds` before `timestamp`; values in USD."""

    exchange: str
    symbol: str
    timestamp: int
    window_seconds: int
    event_count: int
    total_volume_usd: float
    buy_volume_usd: float
    sell_volume_usd: float
    vwap: float | None
    price_change_pct: float | None
    largest_trade_usd: float
    volatility: float | None
    severity: str


class Alert(msgspec.Struct, frozen=True, tag="alert", tag_field="type", kw_only=True):
    """An alert that fired; `timestamp` is the instant of what made it fire, `local_timestamp` when it did."""

    exchange: str
    symbol: str
    timestamp: int
    local_timestamp: int
    alert_id: str
    rule: str
    kind: str
    severity: str
    subject: str
    value: float | None
    threshold: float | None
    unit: str
    message: str
    group_key: str
    details: str


class Dropped(msgspec.Struct, frozen=True, tag="dropped", tag_field="type", kw_only=True):
    """`count` events of `topic` were not sent, because this client was too slow."""

    topic: str
    count: int


class Subscribed(msgspec.Struct, frozen=True, tag="subscribed", tag_field="type", kw_only=True):
    """What the client is subscribed to now; `id` is that of its request."""

    topics: list[str]
    id: str | int | None = None


class Pong(msgspec.Struct, frozen=True, tag="pong", tag_field="type", kw_only=True):
    """The answer to a ping."""

    time: int
    id: str | int | None = None


class Failed(msgspec.Struct, frozen=True, tag="error", tag_field="type", kw_only=True):
    """A request that was refused, in one sentence."""

    code: str
    message: str
    id: str | int | None = None


class ReplayState(msgspec.Struct, frozen=True, tag="replay", tag_field="type", kw_only=True):
    """A replay changed its state: running, paused, seeked, ended or stopped; `position` is the time it stands at."""

    state: str
    position: int
    sent: int
    speed: float | None


MarketEvent: TypeAlias = Trade | Book | BookDelta | BookTop | Liquidation | Derivative | Gap | Candle | Indicators | Window | Alert
Event: TypeAlias = MarketEvent | Dropped | Subscribed | Pong | Failed | ReplayState

ENCODER: Final = msgspec.json.Encoder()
DECODER: Final[msgspec.json.Decoder[list[Event]]] = msgspec.json.Decoder(list[Event])


def encoded(events: Sequence[Event]) -> bytes:
    """Events as one message."""
    return ENCODER.encode(events)
