"""Bitget's wire messages (v2, and v3 with its short names) as frozen structs, field for field.

Put here: shapes and their decoders. Keep out: what a message means for a book or a tape.
"""

# ruff: noqa: N815 - the venue's names

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw, Struct

EXCHANGE = "bitget"
ABSENT = Raw()
"""Stands for a field that was not sent."""

Spelled = tuple[str, str]
"""A level as sent: price and amount."""


class Arg(Struct, frozen=True, gc=False):
    """What a frame belongs to: `channel` and `instId` in v1 and v2, `topic` and `symbol` in v3."""

    instType: str = ""
    channel: str = ""
    topic: str = ""
    instId: str = ""
    symbol: str = ""

    @property
    def name(self) -> str:
        return self.channel or self.topic

    @property
    def native(self) -> str:
        return self.instId or self.symbol


class Envelope(Struct, frozen=True, gc=False):
    """Any frame: of a channel, an event, a REST answer (`code` without `event`), or one of the oldest ones (`table`)."""

    action: str = ""
    arg: Arg | None = None
    data: Raw = ABSENT
    ts: int | None = None
    event: str = ""
    code: str | int = ""
    msg: str | None = None
    table: str = ""
    requestTime: int | None = None


class BookData(Struct, frozen=True, gc=False):
    """`books` and its numbered relatives; sides are `asks` and `bids`, in v3 `a` and `b`."""

    ts: int
    asks: list[Spelled] = []
    bids: list[Spelled] = []
    a: list[Spelled] = []
    b: list[Spelled] = []
    checksum: int | None = None
    seq: int | None = None
    pseq: int | None = None


class TradeData(Struct, frozen=True, gc=False):
    """`trade` of v2 and rows of REST fills; `side` is the taker's."""

    ts: int
    price: float
    size: float
    side: str
    tradeId: str
    symbol: str = ""


class PublicTrade(Struct, frozen=True, gc=False):
    """`publicTrade` of v3; `S` is the taker's side."""

    i: str
    p: float
    v: float
    S: str
    T: int


class TickerData(Struct, frozen=True, gc=False):
    """`ticker` of futures; open interest is `holdingAmount` in v2, `openInterest` in v3."""

    ts: int | None = None
    markPrice: str = ""
    indexPrice: str = ""
    fundingRate: str = ""
    nextFundingTime: str = ""
    holdingAmount: str = ""
    openInterest: str = ""


class LiquidationData(Struct, frozen=True, gc=False):
    """`liquidation` of v3: `side` is the position's, `amount` counts the quote."""

    symbol: str
    side: str
    price: float
    amount: float
    ts: int


class InstrumentData(Struct, frozen=True, gc=False):
    """One instrument: spot has precisions, futures have places; v1 calls the plain id `symbolName` on spot and adds a suffix."""

    symbol: str
    baseCoin: str
    quoteCoin: str
    symbolName: str = ""
    pricePrecision: int | None = None
    quantityPrecision: int | None = None
    priceScale: int | None = None
    quantityScale: int | None = None
    pricePlace: int | None = None
    priceEndStep: float | None = None
    volumePlace: int | None = None
    sizeMultiplier: float | None = None
    symbolType: str = "perpetual"
    deliveryTime: str = ""
    status: str = ""
    symbolStatus: str = ""


class OpenInterestRow(Struct, frozen=True, gc=False):
    """A row of REST open-interest."""

    symbol: str
    size: float


class OpenInterestAnswer(Struct, frozen=True, gc=False):
    """REST open-interest of v2."""

    openInterestList: list[OpenInterestRow]
    ts: int


def _decoder(type_: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(type_, strict=False)


decode_envelope = _decoder(Envelope).decode
decode_books = _decoder(list[BookData]).decode
decode_trades = _decoder(list[TradeData]).decode
decode_public_trades = _decoder(list[PublicTrade]).decode
decode_tickers = _decoder(list[TickerData]).decode
decode_liquidations = _decoder(list[LiquidationData]).decode
decode_instruments = _decoder(list[InstrumentData]).decode
decode_open_interest = _decoder(OpenInterestAnswer).decode


def listed(data: Raw) -> bytes:
    """Data as a list; rows of tokenised stocks come bare."""
    found = bytes(data)
    return b"[" + found + b"]" if found.startswith(b"{") else found


def encode(message: dict[str, Any]) -> str:
    """A command as text."""
    return msgspec.json.encode(message).decode()
