"""Binance's wire messages as frozen structs, field for field; numbers in quotes become floats while they are decoded.

Put here: shapes and their decoders. Keep out: what a message means for a book or a tape.
"""

from __future__ import annotations

from typing import Generic, TypeVar

import msgspec
from msgspec import Struct

T = TypeVar("T")

ABSENT = msgspec.Raw()
"""Stands for a field that was not sent."""


class Combined(Struct, Generic[T], frozen=True, gc=False):
    """`{"stream": …, "data": …}` of the combined path."""

    data: T


class TradeMessage(Struct, frozen=True, gc=False):
    """`trade`: one fill. `X` is sent on USD-M only: MARKET, RPI, INSURANCE_FUND, ADL, NA."""

    s: str
    t: int
    p: float
    q: float
    T: int
    m: bool
    X: str = "MARKET"


class AggTradeMessage(Struct, frozen=True, gc=False):
    """`aggTrade`: fills of one taker order at one price, raw ids `f` to `l`."""

    s: str
    a: int
    p: float
    q: float
    f: int
    l: int  # noqa: E741 - the venue's name
    T: int
    m: bool


class DepthMessage(Struct, frozen=True, gc=False):
    """`depthUpdate`. `T` and `pu` are sent on USD-M only; `E` is the time it was sent."""

    E: int
    s: str
    U: int
    u: int
    b: list[tuple[float, float]]
    a: list[tuple[float, float]]
    T: int | None = None
    pu: int | None = None


class ForceOrder(Struct, frozen=True, gc=False):
    """The order inside `forceOrder`; `S` is the side of the order, `z` what has been filled, `ap` at which average."""

    s: str
    S: str
    q: float
    p: float
    ap: float
    X: str
    z: float
    T: int


class ForceOrderMessage(Struct, frozen=True, gc=False):
    """`forceOrder`."""

    E: int
    o: ForceOrder


class MarkPriceMessage(Struct, frozen=True, gc=False):
    """`markPriceUpdate`: p mark, i index, r funding rate (empty where there is no funding), T next funding (0 likewise)."""

    E: int
    s: str
    p: float
    r: str = ""
    T: int = 0
    i: float | None = None


class Peek(Struct, frozen=True, gc=False):
    """Just enough of a payload to tell what it is and which market sent it."""

    e: str = ""
    s: str = ""
    M: bool | None = None
    X: str | None = None
    T: int | None = None
    pu: int | None = None
    ps: str | None = None


class Envelope(Struct, frozen=True, gc=False):
    """Any frame at all: wrapped, bare, or an answer to a command."""

    stream: str | None = None
    data: msgspec.Raw = ABSENT
    id: int | str | None = None
    result: msgspec.Raw = ABSENT
    error: msgspec.Raw = ABSENT
    code: int | None = None
    msg: str | None = None
    e: str = ""


class DepthAnswer(Struct, frozen=True, gc=False):
    """REST depth."""

    lastUpdateId: int  # noqa: N815 - the venue's name
    bids: list[tuple[float, float]]
    asks: list[tuple[float, float]]


class RestAggTrade(Struct, frozen=True, gc=False):
    """A row of REST aggTrades."""

    a: int
    p: float
    q: float
    f: int
    l: int  # noqa: E741 - the venue's name
    T: int
    m: bool


class RestTrade(Struct, frozen=True, gc=False):
    """A row of REST trades and historicalTrades."""

    id: int
    price: float
    qty: float
    time: int
    isBuyerMaker: bool  # noqa: N815 - the venue's name


class OpenInterest(Struct, frozen=True, gc=False):
    """REST openInterest, base units."""

    openInterest: float  # noqa: N815 - the venue's name
    symbol: str
    time: int


class Filter(Struct, frozen=True, gc=False):
    """One filter of an instrument; only those with a step are looked at."""

    filterType: str  # noqa: N815 - the venue's name
    tickSize: str | None = None  # noqa: N815 - the venue's name
    stepSize: str | None = None  # noqa: N815 - the venue's name


class SymbolInfo(Struct, frozen=True, gc=False):
    """One instrument of exchangeInfo; the fields with a default are sent on USD-M only."""

    symbol: str
    status: str
    baseAsset: str  # noqa: N815 - the venue's name
    quoteAsset: str  # noqa: N815 - the venue's name
    filters: list[Filter]
    contractType: str = ""  # noqa: N815 - the venue's name
    marginAsset: str = ""  # noqa: N815 - the venue's name


class ExchangeInfo(Struct, frozen=True, gc=False):
    """REST exchangeInfo."""

    symbols: list[SymbolInfo]


def _decoder(type_: type[T]) -> msgspec.json.Decoder[T]:
    return msgspec.json.Decoder(type_, strict=False)


decode_trade = _decoder(Combined[TradeMessage]).decode
decode_agg_trade = _decoder(Combined[AggTradeMessage]).decode
decode_depth = _decoder(Combined[DepthMessage]).decode
decode_force_order = _decoder(Combined[ForceOrderMessage]).decode
decode_mark_price = _decoder(Combined[MarkPriceMessage]).decode
decode_mark_prices = _decoder(Combined[list[MarkPriceMessage]]).decode
decode_bare_trade = _decoder(TradeMessage).decode
decode_bare_agg_trade = _decoder(AggTradeMessage).decode
decode_bare_depth = _decoder(DepthMessage).decode
decode_bare_force_order = _decoder(ForceOrderMessage).decode
decode_bare_mark_price = _decoder(MarkPriceMessage).decode
decode_peek = msgspec.json.Decoder(Peek).decode
decode_peeks = msgspec.json.Decoder(list[Peek]).decode
decode_envelope = msgspec.json.Decoder(Envelope).decode
decode_depth_answer = _decoder(DepthAnswer).decode
decode_agg_trades = _decoder(list[RestAggTrade]).decode
decode_trades = _decoder(list[RestTrade]).decode
decode_open_interest = _decoder(OpenInterest).decode
decode_exchange_info = msgspec.json.Decoder(ExchangeInfo).decode
