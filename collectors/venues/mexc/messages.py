"""MEXC's JSON messages as frozen structs: control frames, pushes of perpetuals, REST answers.

Put here: shapes and decoders. Keep out: protobuf (`schema`), formats that are gone (`retired`).
"""

from __future__ import annotations

from typing import Annotated, Any, Final, TypeVar

import msgspec
from msgspec import Raw, Struct

EXCHANGE: Final = "mexc"
T = TypeVar("T")

Int = Annotated[int, msgspec.Meta(ge=-(1 << 63), le=(1 << 63) - 1)]
"""A whole number that fits the columns it goes to; anything larger is no message of this venue."""

Pair = tuple[float, float]


class Param(Struct, frozen=True, gc=False):
    """What the acknowledgement of a perpetual's subscription repeats."""

    symbol: str = ""


class Envelope(Struct, frozen=True, gc=False):
    """Any JSON object: an answer (id, code, msg), a push (channel, symbol, data), or a frame of v3 JSON (c, d, s, t)."""

    id: Int | str | None = None
    code: Int | None = None
    msg: str = ""
    channel: str = ""
    symbol: str = ""
    data: Raw = Raw()
    ts: Int | None = None
    version: str | int | None = None
    depth: Int | None = None
    success: bool | None = None
    param: Param | None = None
    publicAggreDepthsSnapshot: Raw = Raw()  # noqa: N815 - a recorder's name
    c: str = ""
    d: Raw = Raw()
    s: str = ""
    t: Int | None = None


class Deal(Struct, frozen=True, gc=False):
    """One trade of a perpetual: v contracts, T 1 taker buy or 2 taker sell, t milliseconds, i its number (since 2025)."""

    p: float
    v: float
    T: Int
    t: Int
    i: Int | None = None


class Depth(Struct, frozen=True, gc=False):
    """What changed of a book, or all of it. Rows are (price, contracts, orders); `begin` to `end` where several were merged."""

    asks: list[list[float]] = []
    bids: list[list[float]] = []
    version: Int = 0
    begin: Int | None = None
    end: Int | None = None
    cts: Int | None = None
    timestamp: Int | None = None


class SpotDepth(Struct, frozen=True, gc=False):
    """REST depth of a spot pair, and a recorder's own snapshot frame."""

    lastUpdateId: Int  # noqa: N815 - the venue's name
    bids: list[Pair]
    asks: list[Pair]
    timestamp: Int | None = None


class SpotTrade(Struct, frozen=True, gc=False):
    """One row of a spot pair's REST trades, of which none has an id; `isBuyerMaker` says that the taker sold."""

    price: float
    qty: float
    time: Int
    isBuyerMaker: bool  # noqa: N815 - the venue's name


class Ticker(Struct, frozen=True, gc=False):
    """`push.ticker`, as far as it tells the state of a perpetual; holdVol is contracts."""

    symbol: str
    timestamp: Int
    fairPrice: float | None = None  # noqa: N815 - the venue's name
    indexPrice: float | None = None  # noqa: N815 - the venue's name
    fundingRate: float | None = None  # noqa: N815 - the venue's name
    holdVol: float | None = None  # noqa: N815 - the venue's name


class Funding(Struct, frozen=True, gc=False):
    """`push.funding.rate`, and with its own time and name of the rate a row of the REST answer."""

    symbol: str
    rate: float | None = None
    nextSettleTime: Int | None = None  # noqa: N815 - the venue's name
    fundingRate: float | None = None  # noqa: N815 - the venue's name
    timestamp: Int | None = None


class Price(Struct, frozen=True, gc=False):
    """`push.fair.price` and `push.index.price`."""

    price: float


class SpotSymbol(Struct, frozen=True, gc=False):
    """One pair of exchangeInfo; status 1 is online (spelled ENABLED before 2024)."""

    symbol: str
    baseAsset: str  # noqa: N815 - the venue's name
    quoteAsset: str  # noqa: N815 - the venue's name
    status: str = "1"
    baseAssetPrecision: Int | None = None  # noqa: N815 - the venue's name
    quoteAssetPrecision: Int | None = None  # noqa: N815 - the venue's name
    baseSizePrecision: str | None = None  # noqa: N815 - the venue's name


class ExchangeInfo(Struct, frozen=True, gc=False):
    """REST exchangeInfo."""

    symbols: list[SpotSymbol]


class ContractDetail(Struct, frozen=True, gc=False):
    """One perpetual; `contractSize` is base units, or dollars of one settled in its base."""

    symbol: str
    baseCoin: str  # noqa: N815 - the venue's name
    quoteCoin: str  # noqa: N815 - the venue's name
    settleCoin: str  # noqa: N815 - the venue's name
    contractSize: float  # noqa: N815 - the venue's name
    priceUnit: float | None = None  # noqa: N815 - the venue's name
    volUnit: float | None = None  # noqa: N815 - the venue's name
    state: Int = 0


def _decoder(type_: type[T]) -> msgspec.json.Decoder[T]:
    return msgspec.json.Decoder(type_, strict=False)


decode_envelope = msgspec.json.Decoder(Envelope).decode
decode_deal = _decoder(Deal).decode
decode_deals = _decoder(list[Deal]).decode
decode_depth = _decoder(Depth).decode
decode_spot_depth = _decoder(SpotDepth).decode
decode_spot_trades = _decoder(list[SpotTrade]).decode
decode_ticker = _decoder(Ticker).decode
decode_funding = _decoder(Funding).decode
decode_fundings = _decoder(list[Funding]).decode
decode_price = _decoder(Price).decode
decode_exchange_info = _decoder(ExchangeInfo).decode
decode_contract = _decoder(ContractDetail).decode
decode_contracts = _decoder(list[ContractDetail]).decode
decode_object = msgspec.json.Decoder(dict[str, Any]).decode


def encode(message: dict[str, object]) -> str:
    """A command as text."""
    return msgspec.json.encode(message).decode()
