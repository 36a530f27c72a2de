"""Coinbase's wire messages (Advanced Trade, Exchange and REST) as frozen structs, field for field.

Put here: shapes, their decoders, the spelling of times. Keep out: what a message means for a book or a tape.
"""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import Any, Generic, Literal, TypeVar

import msgspec
from msgspec import Struct

from collectors.errors import FrameError
from collectors.feeds import GENESIS

EXCHANGE = "coinbase"
T = TypeVar("T")
Kind = Literal["snapshot", "update"]


class Frame(Struct, Generic[T], frozen=True, gc=False):
    """Any frame of Advanced Trade with its events; `sequence_num` counts all frames of a connection."""

    events: list[T]
    timestamp: str = ""
    sequence_num: int | None = None


class Trade(Struct, frozen=True, gc=False):
    """One trade of `market_trades` or of REST; `side` is the MAKER's: BUY, SELL, or nothing that tells."""

    trade_id: int
    product_id: str
    price: float
    size: float
    time: str
    side: str = ""


class TradesEvent(Struct, frozen=True, gc=False):
    """Trades, newest first; a snapshot holds the last ones before the subscription."""

    type: Kind
    trades: list[Trade]


class BookUpdate(Struct, frozen=True, gc=False):
    """One level; `side` is bid or offer, `new_quantity` what rests there now."""

    side: Literal["bid", "offer"]
    price_level: float
    new_quantity: float
    event_time: str = ""


class BookEvent(Struct, frozen=True, gc=False):
    """The whole book of one product, or what changed of it."""

    type: Kind
    product_id: str
    updates: list[BookUpdate]


class Envelope(Struct, frozen=True, gc=False):
    """Any frame of either feed."""

    channel: str = ""
    type: str = ""
    timestamp: str = ""
    sequence_num: int | None = None
    message: str = ""
    reason: str = ""
    events: msgspec.Raw = msgspec.Raw()


class SubscriptionsEvent(Struct, frozen=True, gc=False):
    """What a connection is subscribed to: products by channel."""

    subscriptions: dict[str, list[str]] = {}


class Match(Struct, frozen=True, gc=False):
    """`match` and `last_match` of the Exchange feed; `side` is the MAKER's: buy or sell."""

    trade_id: int
    product_id: str
    side: Literal["buy", "sell"]
    size: float
    price: float
    time: str


class ExchangeSnapshot(Struct, frozen=True, gc=False):
    """`snapshot` of the Exchange feed; it carries no time."""

    product_id: str
    bids: list[tuple[float, float]]
    asks: list[tuple[float, float]]


class ExchangeUpdate(Struct, frozen=True, gc=False):
    """`l2update` of the Exchange feed; a change is (buy or sell, price, amount now resting)."""

    product_id: str
    changes: list[tuple[Literal["buy", "sell"], float, float]]
    time: str = ""


class FutureDetails(Struct, frozen=True, gc=False):
    """What a product of type FUTURE says about its contract."""

    contract_size: str = ""
    contract_root_unit: str = ""
    contract_expiry: str | None = None
    contract_expiry_type: str = ""


class Product(Struct, frozen=True, gc=False):
    """One product of the Advanced Trade list."""

    product_id: str
    base_currency_id: str = ""
    quote_currency_id: str = ""
    base_increment: str = ""
    price_increment: str = ""
    quote_increment: str = ""
    status: str = ""
    trading_disabled: bool = False
    is_disabled: bool = False
    product_type: str = "SPOT"
    alias: str = ""
    future_product_details: FutureDetails | None = None


class Products(Struct, frozen=True, gc=False):
    """REST market/products."""

    products: list[Product]


class ExchangeProduct(Struct, frozen=True, gc=False):
    """One product of the Exchange list."""

    id: str
    base_currency: str
    quote_currency: str
    base_increment: str = ""
    quote_increment: str = ""
    status: str = ""
    trading_disabled: bool = False


class TradesAnswer(Struct, frozen=True, gc=False):
    """REST ticker of a product: its trades, newest first."""

    trades: list[Trade]


decode_envelope = msgspec.json.Decoder(Envelope).decode
decode_trades = msgspec.json.Decoder(Frame[TradesEvent], strict=False).decode
decode_book = msgspec.json.Decoder(Frame[BookEvent], strict=False).decode
decode_subscriptions = msgspec.json.Decoder(list[SubscriptionsEvent]).decode
decode_match = msgspec.json.Decoder(Match, strict=False).decode
decode_exchange_snapshot = msgspec.json.Decoder(ExchangeSnapshot, strict=False).decode
decode_exchange_update = msgspec.json.Decoder(ExchangeUpdate, strict=False).decode
decode_products = msgspec.json.Decoder(Products).decode
decode_exchange_products = msgspec.json.Decoder(list[ExchangeProduct]).decode
decode_trades_answer = msgspec.json.Decoder(TradesAnswer, strict=False).decode


@lru_cache(maxsize=256)
def _second(text: str) -> int:
    return int(datetime.fromisoformat(f"{text}+00:00").timestamp())


def time_us(text: str) -> int:
    """A time in UTC with 0 to 9 decimals as microseconds; raises `FrameError` when it is none."""
    try:
        if text[-1:] != "Z" or text[19:20] not in (".", "Z"):
            moment = datetime.fromisoformat(text)
            return int(moment.replace(microsecond=0).timestamp()) * 1_000_000 + moment.microsecond
        return _second(text[:19]) * 1_000_000 + int(text[20:-1][:6].ljust(6, "0"))
    except (ValueError, OverflowError) as error:
        raise FrameError(EXCHANGE, f"time {text!r} is no RFC 3339 time") from error


def event_time(text: str) -> int:
    """A time of these markets as microseconds; raises `FrameError` when it lies before 2009."""
    time = time_us(text)
    if time < GENESIS:
        raise FrameError(EXCHANGE, f"time {text} lies before 2009, expected a time of these markets")
    return time


def encode(message: dict[str, Any]) -> str:
    """A command as text."""
    return msgspec.json.encode(message).decode()
