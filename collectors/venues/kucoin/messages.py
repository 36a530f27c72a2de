"""KuCoin's wire messages (unified gateway, classic protocol, REST) as frozen structs, field for field.

Put here: shapes and their decoders. Keep out: what a message means for a book or a tape.
"""

from __future__ import annotations

from typing import Any, Generic, Literal, TypeVar

import msgspec
from msgspec import Struct

EXCHANGE = "kucoin"
T = TypeVar("T")
Levels = list[tuple[float, float]]


class Pushed(Struct, Generic[T], frozen=True, gc=False):
    """A frame of the unified gateway with its payload; `t` is snapshot or delta and `dp` the depth, on books only."""

    d: T
    t: str = ""
    dp: str = ""


class Trade(Struct, frozen=True, gc=False):
    """`trade`: `S` is the taker's side, `M` the time of the match in nanoseconds, `q` base units or contracts."""

    s: str
    S: str
    p: float
    q: float
    M: int
    ti: str | int


class Book(Struct, frozen=True, gc=False):
    """`obu`: `O` first and `C` last sequence of the frame, `M` nanoseconds."""

    s: str
    O: int  # noqa: E741 - the venue's name
    C: int
    a: Levels
    b: Levels
    M: int | None = None


class Envelope(Struct, frozen=True, gc=False):
    """Any frame of either protocol, or a REST answer met without its URL."""

    T: str = ""
    dp: str = ""
    type: str = ""
    topic: str = ""
    subject: str = ""
    message: object = ""
    session: object = msgspec.field(default=None, name="sessionId")
    ping_interval: int | None = msgspec.field(default=None, name="pingInterval")
    id: object = None
    result: object = None
    code: object = None
    data: msgspec.Raw = msgspec.Raw()


class Match(Struct, frozen=True, gc=False):
    """Classic `/market/match`: taker's side, base units, nanoseconds."""

    symbol: str
    side: str
    size: float
    price: float
    time: int
    trade_id: str = msgspec.field(name="tradeId")


class Execution(Struct, frozen=True, gc=False):
    """Classic `/contractMarket/execution`: taker's side, contracts, nanoseconds."""

    symbol: str
    side: str
    size: float
    price: float
    ts: int
    trade_id: str = msgspec.field(name="tradeId")


class Changes(Struct, frozen=True, gc=False):
    """Changes by side: (price, amount, sequence); a price of 0 only carries the sequence."""

    asks: list[tuple[float, float, int]]
    bids: list[tuple[float, float, int]]


class Level2(Struct, frozen=True, gc=False):
    """Classic `/market/level2`; `time` was not sent in 2021."""

    symbol: str
    changes: Changes
    first: int = msgspec.field(name="sequenceStart")
    last: int = msgspec.field(name="sequenceEnd")
    time: int | None = None


class Change(Struct, frozen=True, gc=False):
    """Classic `/contractMarket/level2`: one level as `price,side,contracts`."""

    sequence: int
    change: str
    timestamp: int


class FullBook(Struct, frozen=True, gc=False):
    """A whole book over REST; `symbol` on futures only, `time` on spot, `ts` on futures."""

    sequence: int
    bids: Levels | None = None
    asks: Levels | None = None
    symbol: str = ""


class MarkPrice(Struct, frozen=True, gc=False):
    """Classic `/contract/instrument`, subject mark.index.price."""

    timestamp: int
    mark: float = msgspec.field(name="markPrice")
    index: float | None = msgspec.field(default=None, name="indexPrice")


class FundingRate(Struct, frozen=True, gc=False):
    """Classic `/contract/instrument`, subject funding.rate; a `granularity` of a minute is a forecast."""

    timestamp: int
    granularity: int
    rate: float = msgspec.field(name="fundingRate")


class SpotSymbol(Struct, frozen=True, gc=False, rename="camel"):
    """One pair of REST symbols."""

    symbol: str
    base_currency: str
    quote_currency: str
    base_increment: str | None = None
    price_increment: str | None = None
    enable_trading: bool = True


class FuturesContract(Struct, frozen=True, gc=False, rename="camel"):
    """One contract of REST contracts/active; `multiplier` is base units a contract, negative where it is inverse."""

    symbol: str
    base_currency: str
    quote_currency: str
    settle_currency: str
    multiplier: float
    is_inverse: bool = False
    type: str = "FFWCSX"
    status: str = "Open"
    tick_size: float | None = None
    lot_size: float | None = None
    expire_date: int | None = None
    open_interest: float | None = None
    funding_fee_rate: float | None = None
    next_funding_rate_time: int | None = None
    mark_price: float | None = None
    index_price: float | None = None


class UnifiedContract(Struct, frozen=True, gc=False, rename="camel"):
    """One row of the unified instrument list; a pair of spot settles in nothing."""

    symbol: str
    base_currency: str
    quote_currency: str
    settlement_currency: str | None = None
    unit_size: float | None = None
    base_order_step: float | None = None
    is_inverse: bool | None = False
    tick_size: float | None = None
    lot_size: float | None = None
    expiry_time: int | None = None
    trading_status: str | int | None = "1"


class UnifiedList(Struct, frozen=True, gc=False):
    """The unified instrument list of one trade type."""

    contracts: list[UnifiedContract] = msgspec.field(name="list")


class ListedTrade(Struct, frozen=True, gc=False, rename="camel"):
    """One row of the unified list of trades: the taker's side, nanoseconds, base units or contracts."""

    trade_id: str
    side: str
    price: float
    size: float
    ts: int


class TradeList(Struct, frozen=True, gc=False):
    """The unified list of trades of one symbol."""

    trades: list[ListedTrade] = msgspec.field(name="list")


class Answer(Struct, Generic[T], frozen=True, gc=False):
    """A REST answer; code 200000 is success."""

    code: Literal["200000"]
    data: T


def _decoder(type_: type[T]) -> msgspec.json.Decoder[T]:
    return msgspec.json.Decoder(type_, strict=False)


decode_envelope = msgspec.json.Decoder(Envelope).decode
decode_trade = _decoder(Pushed[Trade]).decode
decode_book = _decoder(Pushed[Book]).decode
decode_match = _decoder(Match).decode
decode_execution = _decoder(Execution).decode
decode_level2 = _decoder(Level2).decode
decode_change = _decoder(Change).decode
decode_full_book = _decoder(FullBook).decode
decode_mark_price = _decoder(MarkPrice).decode
decode_funding_rate = _decoder(FundingRate).decode
decode_contract = _decoder(FuturesContract).decode
decode_spot_symbols = _decoder(Answer[list[SpotSymbol]]).decode
decode_contracts = _decoder(Answer[list[FuturesContract]]).decode
decode_unified_list = _decoder(Answer[UnifiedList]).decode
decode_trade_list = _decoder(Answer[TradeList]).decode
decode_full_book_answer = _decoder(Answer[FullBook]).decode


def encode(message: dict[str, Any]) -> str:
    """A command as text."""
    return msgspec.json.encode(message).decode()
