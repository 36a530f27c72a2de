"""Gate.io's wire messages (v4, v3, REST) as frozen structs, field for field.

Put here: shapes and their decoders, times in the venue's spellings. Keep out: what a message means for a book or a tape.
"""

from __future__ import annotations

from math import isfinite
from typing import Any, Literal, TypeVar

import msgspec
from msgspec import Struct

from collectors.errors import FrameError
from collectors.feeds import GENESIS

EXCHANGE = "gateio"
LATEST_SECONDS = 100_000_000_000
"""A time above is in milliseconds."""
T = TypeVar("T")
Pairs = list[tuple[float, float]]


class PricedSize(Struct, frozen=True, gc=False):
    """A level of futures as v1 books and REST spell it."""

    p: float
    s: float


class Envelope(Struct, frozen=True, gc=False):
    """Any frame of v4, the restart notice (`type`), or a frame of v3 (`method`, `params`)."""

    channel: str = ""
    event: str | None = ""
    type: str = ""
    method: str | None = ""
    time: int | float | None = 0
    time_ms: int | float | None = 0
    id: object = None
    error: msgspec.Raw = msgspec.Raw()
    result: msgspec.Raw = msgspec.Raw()
    params: msgspec.Raw = msgspec.Raw()


class Refusal(Struct, frozen=True, gc=False):
    """`error` of an answer to a command."""

    code: int = 0
    message: str = ""


class SpotTrade(Struct, frozen=True, gc=False):
    """`spot.trades`: taker's side; `id` counts over all pairs, `id_market` by one a pair, `range` names the ids in the row."""

    id: int
    currency_pair: str
    side: Literal["buy", "sell"]
    amount: float
    price: float
    create_time: int
    create_time_ms: float | None = None
    id_market: int | None = None
    range: str = ""


class FuturesTrade(Struct, frozen=True, gc=False):
    """`futures.trades`: the sign of `size` (contracts) is the taker's side; internal rows lie off the book."""

    id: int
    contract: str
    size: float
    price: float
    create_time: float
    create_time_ms: float | None = None
    is_internal: bool = False


class Streamed(Struct, frozen=True, gc=False):
    """`obu`: a whole book (`full`) or what changed, `U` first and `u` last id."""

    s: str
    u: int
    t: int
    U: int | None = None
    full: bool = False
    b: Pairs = []
    a: Pairs = []


class SpotUpdate(Struct, frozen=True, gc=False):
    """`spot.order_book_update`."""

    s: str
    U: int
    u: int
    t: int
    b: Pairs | None = None
    a: Pairs | None = None
    full: bool = False


class FuturesUpdate(Struct, frozen=True, gc=False):
    """`futures.order_book_update`."""

    s: str
    U: int
    u: int
    t: int
    b: list[PricedSize] | None = None
    a: list[PricedSize] | None = None
    full: bool = False


class Ticker(Struct, frozen=True, gc=False):
    """`futures.tickers`; `total_size` is open interest in contracts. Empty where the venue knows nothing."""

    contract: str
    mark_price: str | float | None = None
    index_price: str | float | None = None
    funding_rate: str | float | None = None
    total_size: str | float | None = None


class Liquidation(Struct, frozen=True, gc=False):
    """`futures.public_liquidates`: signed contracts of the order; `time` in seconds or, since 2026, milliseconds."""

    contract: str
    price: float
    size: float
    time: int | None = None
    time_ms: int | None = None


class RestLiquidation(Struct, frozen=True, gc=False):
    """A row of REST futures/…/liq_orders: `size` is the position's, `order_size` the order's, with the opposite sign; whole seconds."""

    contract: str
    size: float
    time: int
    order_size: float | None = None


class WholeFutures(Struct, frozen=True, gc=False):
    """`futures.order_book`, event all."""

    contract: str
    asks: list[PricedSize]
    bids: list[PricedSize]
    t: int = 0
    id: int | None = None


class SignedLevel(Struct, frozen=True, gc=False):
    """`futures.order_book`, event update: negative sizes are asks, 0 deletes."""

    p: float
    s: float
    c: str
    id: int | None = None


class SpotBookAnswer(Struct, frozen=True, gc=False):
    """REST spot/order_book with its id."""

    id: int
    bids: Pairs
    asks: Pairs


class FuturesBookAnswer(Struct, frozen=True, gc=False):
    """REST futures/…/order_book with its id."""

    id: int
    bids: list[PricedSize]
    asks: list[PricedSize]


class RestSpotTrade(Struct, frozen=True, gc=False):
    """A row of REST spot/trades; `sequence_id` is taken for the pair's own count only where it agrees with the stream."""

    id: int
    side: Literal["buy", "sell"]
    amount: float
    price: float
    create_time_ms: float
    sequence_id: int


class CurrencyPair(Struct, frozen=True, gc=False):
    """One row of REST spot/currency_pairs."""

    id: str
    base: str
    quote: str
    precision: int | None = None
    amount_precision: int | None = None
    trade_status: str = "tradable"


class FuturesContract(Struct, frozen=True, gc=False):
    """One row of REST futures/…/contracts; `quanto_multiplier` is base units a contract, 0 on BTC_USD (one dollar)."""

    name: str
    quanto_multiplier: float
    order_price_round: float | None = None
    order_size_min: float | None = None
    in_delisting: bool = False


class V3Trade(Struct, frozen=True, gc=False):
    """A row of v3 trades.update: taker's side, seconds with decimals."""

    id: int
    time: float
    price: float
    amount: float
    type: Literal["buy", "sell"]


class V3Depth(Struct, frozen=True, gc=False):
    """Payload of v3 depth.update."""

    asks: Pairs = []
    bids: Pairs = []


def _decoder(type_: type[T]) -> msgspec.json.Decoder[T]:
    return msgspec.json.Decoder(type_, strict=False)


decode_envelope = msgspec.json.Decoder(Envelope).decode
decode_refusal = _decoder(Refusal).decode
decode_spot_trade = _decoder(SpotTrade).decode
decode_futures_trades = _decoder(list[FuturesTrade]).decode
decode_streamed = _decoder(Streamed).decode
decode_spot_update = _decoder(SpotUpdate).decode
decode_futures_update = _decoder(FuturesUpdate).decode
decode_tickers = _decoder(list[Ticker]).decode
decode_nested_tickers = _decoder(list[list[Ticker]]).decode
decode_liquidations = _decoder(list[Liquidation]).decode
decode_rest_liquidations = _decoder(list[RestLiquidation]).decode
decode_whole_futures = _decoder(WholeFutures).decode
decode_signed_levels = _decoder(list[SignedLevel]).decode
decode_spot_book_answer = _decoder(SpotBookAnswer).decode
decode_futures_book_answer = _decoder(FuturesBookAnswer).decode
decode_spot_trades_answer = _decoder(list[RestSpotTrade]).decode
decode_currency_pairs = _decoder(list[CurrencyPair]).decode
decode_contracts = _decoder(list[FuturesContract]).decode
decode_v3_trades = _decoder(tuple[str, list[V3Trade]]).decode
decode_v3_depth = _decoder(tuple[bool, V3Depth, str]).decode


def millis(value: float) -> int:
    """Milliseconds, perhaps with decimals, as microseconds; raises `FrameError` when they lie before 2009."""
    time = round(value * 1000) if isfinite(value) else 0
    if time < GENESIS:
        raise FrameError(EXCHANGE, f"time {value} ms lies before 2009, expected a time of these markets")
    return time


def trade_time(seconds: float, milliseconds: float | None) -> int:
    """The finer of the two times a trade carries, microseconds; REST of futures writes create_time_ms in seconds with decimals."""
    finer = milliseconds or seconds
    return millis(finer if finer > LATEST_SECONDS else finer * 1000)


def sent_time(envelope: Envelope) -> int:
    """When a frame was sent, microseconds."""
    return millis(envelope.time_ms) if envelope.time_ms else millis((envelope.time or 0) * 1000)


def number(text: str | float | None) -> float | None:
    """A number the venue may leave empty; raises `FrameError` when it is none."""
    if text is None or text == "":
        return None
    try:
        found = float(text)
    except ValueError as error:
        raise FrameError(EXCHANGE, f"{text!r} is no number") from error
    if not isfinite(found):
        raise FrameError(EXCHANGE, f"{text!r} is not finite")
    return found


def encode(message: dict[str, Any]) -> str:
    """A command as text."""
    return msgspec.json.encode(message).decode()
