"""Kraken's wire messages (spot v2 and REST) as frozen structs, field for field.

Put here: shapes, their decoders, the spelling of times. Keep out: what a message means for a book or a tape.
"""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import Any

import msgspec
from msgspec import Raw, Struct

from collectors.errors import FrameError

EXCHANGE = "kraken"


class BookLevel(Struct, frozen=True, gc=False):
    """A level as spelled: the checksum is over the digits."""

    price: Raw
    qty: Raw


class BookData(Struct, frozen=True, gc=False):
    """The book of one symbol, whole or what changed of it."""

    symbol: str
    bids: list[BookLevel]
    asks: list[BookLevel]
    checksum: int | None = None
    timestamp: str | None = None


class BookMessage(Struct, frozen=True, gc=False):
    """`book`; `type` is snapshot or update."""

    type: str
    data: list[BookData]


class TradeData(Struct, frozen=True, gc=False):
    """One trade; `side` is the taker's, `trade_id` counts up by one a symbol."""

    symbol: str
    side: str
    price: float
    qty: float
    trade_id: int
    timestamp: str


class TradeMessage(Struct, frozen=True, gc=False):
    """`trade`; a snapshot holds the last trades."""

    type: str
    data: list[TradeData]


class Pair(Struct, frozen=True, gc=False):
    """One pair of the `instrument` channel, as far as checksums need it."""

    symbol: str
    price_precision: int
    qty_precision: int


class Pairs(Struct, frozen=True, gc=False):
    """Payload of the `instrument` channel."""

    pairs: list[Pair] = []


class InstrumentMessage(Struct, frozen=True, gc=False):
    """`instrument`."""

    data: Pairs


class SubscribeResult(Struct, frozen=True, gc=False):
    """What was subscribed to."""

    channel: str = ""
    symbol: str = ""
    depth: int | None = None


class Envelope(Struct, frozen=True, gc=False):
    """Any v2 frame: a channel's, or the answer to a method."""

    channel: str = ""
    method: str = ""
    success: bool | None = None
    error: str | None = None
    symbol: str = ""
    req_id: int | None = None
    result: SubscribeResult | None = None


class AssetPair(Struct, frozen=True, gc=False):
    """One pair of REST AssetPairs."""

    base: str
    quote: str
    pair_decimals: int
    lot_decimals: int
    altname: str = ""
    wsname: str = ""
    tick_size: str | None = None
    status: str = "online"


class AssetPairsAnswer(Struct, frozen=True, gc=False):
    """REST AssetPairs."""

    error: list[str] = []
    result: dict[str, AssetPair] | None = None


RestTrade = tuple[float, float, float, str, str, str, int]
"""(price, volume, seconds, b or s of the taker, m or l, -, trade id)."""


class TradesAnswer(Struct, frozen=True, gc=False):
    """REST Trades: rows by pair, and `last`, the next `since`."""

    error: list[str] = []
    result: dict[str, list[RestTrade] | str] | None = None


decode_envelope = msgspec.json.Decoder(Envelope).decode
decode_book = msgspec.json.Decoder(BookMessage).decode
decode_trade = msgspec.json.Decoder(TradeMessage).decode
decode_instrument = msgspec.json.Decoder(InstrumentMessage).decode
decode_asset_pairs = msgspec.json.Decoder(AssetPairsAnswer).decode
decode_trades_answer = msgspec.json.Decoder(TradesAnswer, strict=False).decode


@lru_cache(maxsize=256)
def _second(text: str) -> int:
    return int(datetime.fromisoformat(f"{text}+00:00").timestamp())


def time_us(text: str) -> int:
    """An RFC 3339 time in UTC as microseconds; raises `FrameError` when it is none."""
    try:
        if text[19:20] == "." and text[-1] == "Z":
            return _second(text[:19]) * 1_000_000 + int(text[20:-1][:6].ljust(6, "0"))
        moment = datetime.fromisoformat(text)
        return int(moment.replace(microsecond=0).timestamp()) * 1_000_000 + moment.microsecond
    except ValueError as error:
        raise FrameError(EXCHANGE, f"time {text!r} is no RFC 3339 time") from error


def encode(message: dict[str, Any]) -> str:
    """A command as text."""
    return msgspec.json.encode(message).decode()
