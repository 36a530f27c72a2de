"""Bybit's wire messages (v5) as frozen structs, field for field; numbers in quotes become floats while they are decoded.

Put here: shapes and their decoders. Keep out: what a message means for a book or a tape.
"""

# ruff: noqa: N815 - the venue's names

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw, Struct

EXCHANGE = "bybit"
ABSENT = Raw()
"""Stands for a field that was not sent."""


class Envelope(Struct, frozen=True, gc=False):
    """Any frame: of a topic, or an answer to a command."""

    topic: str = ""
    type: str = ""
    ts: int | None = None
    cts: int | None = None
    data: Raw = ABSENT
    op: str = ""
    success: bool | None = None
    ret_msg: str = ""
    req_id: str = ""


class BookData(Struct, frozen=True, gc=False):
    """`orderbook.N`: `u` counts the updates of the topic, `seq` orders topics among each other."""

    s: str
    b: list[tuple[float, float]]
    a: list[tuple[float, float]]
    u: int


class TradeData(Struct, frozen=True, gc=False):
    """`publicTrade`: `S` is the taker's side, `BT` marks a block trade."""

    T: int
    s: str
    S: str
    v: float
    p: float
    i: str
    BT: bool = False


class LiquidationData(Struct, frozen=True, gc=False):
    """`allLiquidation`: `S` is the side of the position, `p` its bankruptcy price."""

    T: int
    s: str
    S: str
    v: float
    p: float


class FormerLiquidation(Struct, frozen=True, gc=False):
    """`liquidation`, until 2025: the same under other names, one a second."""

    symbol: str
    side: str
    price: float
    size: float | None = None
    qty: float | None = None
    updatedTime: int | None = None
    time: int | None = None


class TickerData(Struct, frozen=True, gc=False):
    """`tickers`: all fields in a snapshot, what changed in a delta; empty where there is none."""

    symbol: str
    markPrice: str = ""
    indexPrice: str = ""
    openInterest: str = ""
    fundingRate: str = ""
    nextFundingTime: str = ""


class RestTrade(Struct, frozen=True, gc=False):
    """A row of REST recent-trade."""

    execId: str
    symbol: str
    price: float
    size: float
    side: str
    time: int
    isBlockTrade: bool = False


class PriceFilter(Struct, frozen=True, gc=False):
    """Steps of prices."""

    tickSize: str = ""


class LotSizeFilter(Struct, frozen=True, gc=False):
    """Steps of amounts: `basePrecision` on spot, `qtyStep` elsewhere."""

    basePrecision: str = ""
    qtyStep: str = ""


class InstrumentData(Struct, frozen=True, gc=False):
    """One instrument; fields without use on spot have defaults."""

    symbol: str
    baseCoin: str
    quoteCoin: str
    status: str = ""
    settleCoin: str = ""
    contractType: str = ""
    deliveryTime: str = "0"
    priceFilter: PriceFilter = PriceFilter()
    lotSizeFilter: LotSizeFilter = LotSizeFilter()


class Result(Struct, frozen=True, gc=False):
    """The result of a REST answer."""

    category: str = ""
    list: Raw = ABSENT
    nextPageCursor: str | None = None


class Answer(Struct, frozen=True, gc=False):
    """A REST answer; errors come with status 200."""

    retCode: int
    retMsg: str = ""
    result: Result = Result()
    time: int | None = None


def _decoder(type_: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(type_, strict=False)


decode_envelope = msgspec.json.Decoder(Envelope, strict=False).decode
decode_book = _decoder(BookData).decode
decode_trades = _decoder(list[TradeData]).decode
decode_liquidations = _decoder(list[LiquidationData]).decode
decode_former_liquidations = _decoder(FormerLiquidation | list[FormerLiquidation]).decode
decode_ticker = _decoder(TickerData).decode
decode_tickers = _decoder(list[TickerData]).decode
decode_rest_trades = _decoder(list[RestTrade]).decode
decode_instruments = _decoder(list[InstrumentData]).decode
decode_answer = _decoder(Answer).decode


def encode(message: dict[str, Any]) -> str:
    """A command as text."""
    return msgspec.json.encode(message).decode()
