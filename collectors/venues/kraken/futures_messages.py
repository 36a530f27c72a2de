"""Kraken Futures' wire messages as frozen structs, field for field.

Put here: shapes and their decoders. Keep out: what a message means, names of products.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct


class Envelope(Struct, frozen=True, gc=False):
    """Any frame: data of a feed, or an event (info, subscribed, alert, error)."""

    feed: str = ""
    event: str = ""
    product_id: str = ""
    product_ids: list[str] = []
    message: str = ""


class Trade(Struct, frozen=True, gc=False):
    """One trade; `side` is the taker's, `seq` counts up by one a product, `time` is milliseconds. 2019 sends no `uid`."""

    side: str
    qty: float
    price: float
    time: int
    product_id: str = ""
    uid: str = ""
    seq: int | None = None
    type: str = "fill"


class TradeSnapshot(Struct, frozen=True, gc=False):
    """`trade_snapshot`: about the last hundred trades, newest first."""

    product_id: str
    trades: list[Trade]


class Level(Struct, frozen=True, gc=False):
    """One level; `qty` replaces what rested there."""

    price: float
    qty: float


class BookSnapshot(Struct, frozen=True, gc=False):
    """`book_snapshot`."""

    product_id: str
    seq: int
    bids: list[Level]
    asks: list[Level]
    timestamp: int | None = None


class BookDelta(Struct, frozen=True, gc=False):
    """`book`: one level; `side` is buy for a bid. 2019 sends no `timestamp`."""

    product_id: str
    side: str
    seq: int
    price: float
    qty: float
    timestamp: int | None = None


class Ticker(Struct, frozen=True, gc=False):
    """`ticker`; a funding rate of zero may be left out."""

    product_id: str
    time: int
    funding_rate: float | None = None
    relative_funding_rate: float | None = None
    next_funding_rate_time: int | None = None
    open_interest: float | None = msgspec.field(default=None, name="openInterest")
    mark_price: float | None = msgspec.field(default=None, name="markPrice")
    index: float | None = None


class PastTrade(Struct, frozen=True, gc=False):
    """One row of REST history; `time` is RFC 3339."""

    time: str
    side: str
    size: float
    price: float
    uid: str
    type: str = "fill"


class HistoryAnswer(Struct, frozen=True, gc=False):
    """REST history: trades before a time, newest first."""

    result: str = ""
    error: str = ""
    history: list[PastTrade] = []


class Listed(Struct, frozen=True, gc=False):
    """One row of REST instruments."""

    symbol: str
    type: str = ""
    tick_size: float | None = msgspec.field(default=None, name="tickSize")
    contract_size: float | None = msgspec.field(default=None, name="contractSize")
    precision: int | None = msgspec.field(default=None, name="contractValueTradePrecision")
    tradeable: bool = True


class InstrumentsAnswer(Struct, frozen=True, gc=False):
    """REST instruments."""

    result: str = ""
    instruments: list[Listed] | None = None


decode_envelope = msgspec.json.Decoder(Envelope).decode
decode_trade = msgspec.json.Decoder(Trade).decode
decode_trade_snapshot = msgspec.json.Decoder(TradeSnapshot).decode
decode_book_snapshot = msgspec.json.Decoder(BookSnapshot).decode
decode_book_delta = msgspec.json.Decoder(BookDelta).decode
decode_ticker = msgspec.json.Decoder(Ticker).decode
decode_instruments = msgspec.json.Decoder(InstrumentsAnswer).decode
decode_history = msgspec.json.Decoder(HistoryAnswer).decode
