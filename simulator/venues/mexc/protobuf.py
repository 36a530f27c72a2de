"""MEXC's spot frames in protobuf, written field by field with the official numbers.

What belongs here: the wire format (varints, lengths) and one function per body. What does not: when a frame is sent.
Fields come in the order of the recorded frames: channel, symbol, time of sending, body.
"""

from __future__ import annotations

from collections.abc import Iterable

from simulator.market import Trade
from simulator.venues.mexc.catalogue import Spelling

Levels = Iterable[tuple[int, int]]

CHANNEL, SYMBOL, SEND_TIME = 1, 3, 6
LIMIT_DEPTHS, AGGRE_DEPTHS, AGGRE_DEALS, AGGRE_TICKER = 303, 313, 314, 315
BUY, SELL = 1, 2
FIRST_ORDER = 731_901_896_985_399_296
_VARINT, _BYTES = 0, 2


def varint(value: int) -> bytes:
    """A whole number of at least 0, seven bits a byte, the lowest first."""
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)


def number(field: int, value: int) -> bytes:
    """A numeric field; zero is left out, as proto3 does."""
    return varint(field << 3 | _VARINT) + varint(value) if value else b""


def piece(field: int, value: bytes) -> bytes:
    """A field with a length: text or a message."""
    return varint(field << 3 | _BYTES) + varint(len(value)) + value


def text(field: int, value: str) -> bytes:
    """A text field; empty text is left out."""
    return piece(field, value.encode()) if value else b""


def head(channel: str, native: str) -> bytes:
    """What every frame of a channel begins with."""
    return text(CHANNEL, channel) + text(SYMBOL, native)


def frame(head: bytes, field: int, body: bytes, *, now_us: int) -> bytes:
    """One wrapper."""
    return head + number(SEND_TIME, now_us // 1000) + piece(field, body)


def trade_id(fill: Trade) -> str:
    """The ids of both orders of a fill."""
    first = FIRST_ORDER + 2 * fill.trade_id
    return f"{first}X0_{first + 1}X0"


def deals(spelling: Spelling, fills: Iterable[Trade], *, event: str) -> bytes:
    """Body 314."""
    items = [
        piece(
            1,
            text(1, spelling.price(fill.price))
            + text(2, spelling.amount(fill.amount))
            + number(3, BUY if fill.buy else SELL)
            + number(4, fill.time_us // 1000)
            + text(5, trade_id(fill)),
        )
        for fill in fills
    ]
    return b"".join(items) + text(2, event)


def _levels(field: int, levels: Iterable[tuple[str, str]]) -> bytes:
    return b"".join([piece(field, text(1, price) + text(2, amount)) for price, amount in levels])


def depths(spelling: Spelling, *, bids: Levels, asks: Levels, event: str, first: int, last: int, time_us: int) -> bytes:
    """Body 313: asks before bids, versions as text."""
    price, amount = spelling.price, spelling.amount
    return (
        _levels(1, [(price(ticks), amount(lots)) for ticks, lots in asks])
        + _levels(2, [(price(ticks), amount(lots)) for ticks, lots in bids])
        + text(3, event)
        + text(4, str(first))
        + text(5, str(last))
        + number(6, time_us // 1000)
    )


def limit_depths(spelling: Spelling, *, bids: Levels, asks: Levels, event: str, version: int, time_us: int) -> bytes:
    """Body 303: a whole top, numbers with all their decimals."""
    price, amount = spelling.padded_price, spelling.padded_amount
    return (
        _levels(1, [(price(ticks), amount(lots)) for ticks, lots in asks])
        + _levels(2, [(price(ticks), amount(lots)) for ticks, lots in bids])
        + text(3, event)
        + text(4, str(version))
        + number(5, time_us // 1000)
    )


def ticker(spelling: Spelling, *, bid: tuple[int, int], ask: tuple[int, int], version: int, time_us: int) -> bytes:
    """Body 315: the best level of each side."""
    return (
        text(1, spelling.price(bid[0]))
        + text(2, spelling.amount(bid[1]))
        + text(3, spelling.price(ask[0]))
        + text(4, spelling.amount(ask[1]))
        + text(5, str(version))
        + number(6, time_us // 1000)
    )
