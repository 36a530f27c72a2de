"""HTX's wire messages as frozen structs, field for field, and the gzip around them.

Put here: shapes, decoders, decompression. Keep out: what a message means for a book or a tape.
"""

from __future__ import annotations

import zlib
from typing import Annotated, Final, TypeVar

import msgspec
from msgspec import Raw, Struct, field

from collectors.errors import FrameError

EXCHANGE: Final = "htx"
T = TypeVar("T")

LARGEST: Final = 64 * 1024 * 1024
"""Bytes a frame may have once unpacked."""
_GZIP: Final = b"\x1f\x8b"

Int = Annotated[int, msgspec.Meta(ge=-(1 << 63), le=(1 << 63) - 1)]
"""A whole number that fits the columns it goes to; anything larger is no message of this venue."""

Level = tuple[float, float]


class Frame(Struct, frozen=True, gc=False):
    """Any frame at all: a ping, an answer, a channel's data or a notification."""

    ping: Int | None = None
    op: str = ""
    ch: str = ""
    rep: str = ""
    topic: str = ""
    subbed: str = ""
    unsubbed: str = ""
    id: Int | str | None = None
    status: str = ""
    ts: Int | str | None = None
    tick: Raw = Raw()
    data: Raw = Raw()
    update: bool = False
    error: Int | str | None = field(name="err-code", default=None)
    message: str = field(name="err-msg", default="")


class Trade(Struct, frozen=True, gc=False):
    """One trade. Spot: base units, `tradeId` (absent before 2020). Swaps: `amount` is contracts, `quantity` base units where sent."""

    id: Raw
    ts: Int
    price: float
    amount: float
    direction: str = ""
    tradeId: Int | None = None  # noqa: N815 - the venue's name
    rest_id: Int | None = field(name="trade-id", default=None)
    quantity: float | None = None


class TradeTick(Struct, frozen=True, gc=False):
    """Payload of `trade.detail`, and one group of a REST history."""

    data: list[Trade] = []


class BookTick(Struct, frozen=True, gc=False):
    """Payload of every book channel; a contract that is gone sends neither side."""

    bids: list[Level] | None = None
    asks: list[Level] | None = None
    ts: Int | None = None
    version: Int | None = None
    mrid: Int | None = None
    event: str = ""
    seqNum: Int | None = None  # noqa: N815 - the venue's name
    prevSeqNum: Int | None = None  # noqa: N815 - the venue's name


class PriceTick(Struct, frozen=True, gc=False):
    """Payload of `basis` and of `mark_price`, which is shaped like a candle; `id` is its open time in seconds."""

    id: Int
    index_price: float | None = None
    close: float | None = None


class Liquidation(Struct, frozen=True, gc=False):
    """One forced order; `direction` is the side of the order, `volume` contracts, `amount` base units where sent."""

    contract_code: str
    direction: str
    volume: float
    price: float
    created_at: Int
    amount: float | None = None
    trade_turnover: float | None = None


class Funding(Struct, frozen=True, gc=False):
    """One funding state."""

    contract_code: str
    funding_rate: float | None = None
    funding_time: Int | None = None
    settlement_time: Int | None = None
    next_funding_time: Int | None = None


class OpenInterest(Struct, frozen=True, gc=False):
    """Open interest of one contract: `volume` contracts, `amount` base units."""

    contract_code: str
    volume: float | None = None
    amount: float | None = None


class SpotSymbol(Struct, frozen=True, gc=False):
    """One pair, by the long keys of /v1/common/symbols or the short ones of /v1/settings/common/symbols."""

    symbol: str = ""
    base: str = field(name="base-currency", default="")
    quote: str = field(name="quote-currency", default="")
    state: str = ""
    price_decimals: Int | None = field(name="price-precision", default=None)
    amount_decimals: Int | None = field(name="amount-precision", default=None)
    sc: str = ""
    bc: str = ""
    qc: str = ""
    tpp: Int | None = None
    tap: Int | None = None


class ContractInfo(Struct, frozen=True, gc=False):
    """One contract; `contract_size` is base units of a linear one, dollars of an inverse one."""

    symbol: str
    contract_code: str
    contract_size: float
    price_tick: float | None = None
    contract_status: Int = 1
    delivery_date: str = ""
    pair: str = ""


class Answer(Struct, frozen=True, gc=False):
    """A REST answer, not yet looked into."""

    status: str = ""
    data: Raw = Raw()
    ch: str = ""
    tick: Raw = Raw()
    ts: Int | None = None


def _decoder(type_: type[T]) -> msgspec.json.Decoder[T]:
    return msgspec.json.Decoder(type_, strict=False)


decode_frame = msgspec.json.Decoder(Frame).decode
decode_answer = msgspec.json.Decoder(Answer).decode
decode_trades = _decoder(TradeTick).decode
decode_history = _decoder(list[TradeTick]).decode
decode_book = _decoder(BookTick).decode
decode_price = _decoder(PriceTick).decode
decode_liquidations = _decoder(list[Liquidation]).decode
decode_funding = _decoder(list[Funding]).decode
decode_one_funding = _decoder(Funding).decode
decode_open_interest = _decoder(list[OpenInterest]).decode
decode_spot_symbols = _decoder(list[SpotSymbol]).decode
decode_contracts = _decoder(list[ContractInfo]).decode


def unpacked(frame: bytes | str) -> bytes:
    """The text of a frame, gzip taken off where it is there; raises `FrameError` when that fails."""
    if isinstance(frame, str):
        return frame.encode()
    if not frame.startswith(_GZIP):
        return frame
    unpacker = zlib.decompressobj(16 + zlib.MAX_WBITS)
    try:
        text = unpacker.decompress(frame, LARGEST)
    except zlib.error as error:
        raise FrameError(EXCHANGE, f"gzip frame: {error}") from error
    if not unpacker.eof:
        raise FrameError(EXCHANGE, f"gzip frame ends early or holds more than {LARGEST} bytes")
    return text


def encode(message: dict[str, object]) -> str:
    """A command as text: the venue takes no compressed ones."""
    return msgspec.json.encode(message).decode()
