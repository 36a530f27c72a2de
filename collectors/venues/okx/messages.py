"""OKX's wire messages (v5) as frozen structs, field for field. Every number is sent as text, and books keep it for the checksum.

Put here: shapes and their decoders. Keep out: what a message means for a book or a tape.
"""

# ruff: noqa: N815 - the venue's names

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw, Struct

EXCHANGE = "okx"
ABSENT = Raw()
"""Stands for a field that was not sent."""

Spelled = list[str]
"""A level as sent: price, amount, and fields that are not looked at."""


class Arg(Struct, frozen=True, gc=False, omit_defaults=True):
    """What a frame belongs to, and what a command asks for."""

    channel: str = ""
    instId: str = ""
    instType: str = ""


class Envelope(Struct, frozen=True, gc=False):
    """Any frame: of a channel, an event, a REST answer (`code` without `event`), or one of the retired v3 (`table`)."""

    arg: Arg | None = None
    action: str = ""
    event: str = ""
    id: str | int = ""
    """Of the command that an event answers."""
    code: str | int = ""
    msg: str = ""
    table: str = ""
    data: Raw = ABSENT


class BookData(Struct, frozen=True, gc=False):
    """`books` and its relatives; ids are sent since 2023, `checksum` is 0 since 2026."""

    asks: list[Spelled]
    bids: list[Spelled]
    ts: int
    checksum: int | None = None
    seqId: int | None = None
    prevSeqId: int | None = None


class BookEnvelope(Struct, frozen=True, gc=False):
    """A frame of a book channel, decoded in one go."""

    arg: Arg
    action: str = ""
    data: list[BookData] | None = None


class TradeData(Struct, frozen=True, gc=False):
    """`trades`: `tradeId` is the last of `count` ids; `side` is the taker's. REST answers look the same."""

    instId: str
    tradeId: int
    px: float
    sz: float
    side: str
    ts: int
    count: int | None = None


class LiquidationDetail(Struct, frozen=True, gc=False):
    """One forced order; `side` is the order's, `posSide` names the position (net in one-way mode)."""

    side: str
    bkPx: float
    sz: float
    ts: int
    posSide: str = ""


class LiquidationData(Struct, frozen=True, gc=False):
    """`liquidation-orders`: forced orders of one instrument."""

    instId: str
    details: list[LiquidationDetail]


class FundingData(Struct, frozen=True, gc=False):
    """`funding-rate`: the rate of the settlement at `fundingTime`. `ts` is sent since 2023."""

    instId: str
    fundingTime: int
    fundingRate: str = ""
    ts: int | None = None


class OpenInterestData(Struct, frozen=True, gc=False):
    """`open-interest`: contracts, and the same in base units."""

    instId: str
    oi: float
    ts: int
    oiCcy: str = ""


class MarkPriceData(Struct, frozen=True, gc=False):
    """`mark-price`."""

    instId: str
    markPx: float
    ts: int


class IndexData(Struct, frozen=True, gc=False):
    """`index-tickers`; `instId` is the id of an index (BTC-USDT)."""

    instId: str
    idxPx: float
    ts: int


class InstrumentData(Struct, frozen=True, gc=False):
    """One instrument; base and quote are empty on derivatives, which name their underlying instead."""

    instId: str
    instType: str
    baseCcy: str = ""
    quoteCcy: str = ""
    settleCcy: str = ""
    uly: str = ""
    instFamily: str = ""
    ctVal: str = ""
    ctMult: str = ""
    ctType: str = ""
    ctValCcy: str = ""
    tickSz: str = ""
    lotSz: str = ""
    state: str = ""


def _decoder(type_: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(type_, strict=False)


decode_envelope = msgspec.json.Decoder(Envelope).decode
decode_book_envelope = _decoder(BookEnvelope).decode
decode_books = _decoder(list[BookData]).decode
decode_trades = _decoder(list[TradeData]).decode
decode_liquidations = _decoder(list[LiquidationData]).decode
decode_former_liquidations = _decoder(list[LiquidationDetail]).decode
decode_funding = _decoder(list[FundingData]).decode
decode_open_interest = _decoder(list[OpenInterestData]).decode
decode_mark_prices = _decoder(list[MarkPriceData]).decode
decode_indexes = _decoder(list[IndexData]).decode
decode_instruments = _decoder(list[InstrumentData]).decode


def encode(message: dict[str, Any]) -> str:
    """A command as text."""
    return msgspec.json.encode(message).decode()
