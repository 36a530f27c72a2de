"""Bitfinex's WebSocket messages: events as text, data as bodies without the channel, number and time that each socket has its own of.

What belongs here: one function per message, the checksum of a book. What does not: who gets it (venue.py), what stands around a body
(session.py).
"""

from __future__ import annotations

import zlib
from itertools import zip_longest

from simulator.book import Book, Side
from simulator.market import Trade
from simulator.venues.bitfinex.catalogue import Spelling

CHECKED_LEVELS = 25
HEARTBEAT = '"hb"'
RESTART = 20_051
_INFO = {RESTART: "Stopping. Please try to reconnect"}
Levels = list[tuple[int, int]]


def info(server: int) -> str:
    """The first message on every socket."""
    return f'{{"event":"info","version":2,"serverId":"2d56c29e-4730-4c83-8d2b-{server:012x}","platform":{{"status":1}}}}'


def announcement(code: int) -> str:
    """The venue says what is about to happen to it."""
    return f'{{"event":"info","code":{code},"msg":"{_INFO[code]}"}}'


def trade(spelling: Spelling, fill: Trade) -> str:
    """[id, milliseconds, amount with the taker's sign, price]."""
    amount = fill.amount if fill.buy else -fill.amount
    return f"[{spelling.trade_id(fill.trade_id)},{fill.time_us // 1000},{spelling.amount(amount)},{spelling.price(fill.price)}]"


def trades(spelling: Spelling, fills: list[Trade]) -> str:
    """Trades newest first."""
    return "[" + ",".join([trade(spelling, fill) for fill in reversed(fills)]) + "]"


def levels(spelling: Spelling, *, bids: Levels, asks: Levels) -> list[str]:
    """One body for each level: [price, orders, amount]; asks are negative, a level that is gone has no orders and names its side.

    What is gone comes first, so that the book is never crossed between two of them.
    """
    gone, there = [], []
    for side, sign in ((bids, 1), (asks, -1)):
        for price, amount in side:
            if amount:
                there.append(f"[{spelling.price(price)},{1 + amount % 5},{spelling.amount(sign * amount)}]")
            else:
                gone.append(f"[{spelling.price(price)},0,{sign}]")
    return gone + there


def checksum(spelling: Spelling, book: Book, depth: int) -> int:
    """Signed CRC32 over price:amount of bids and asks in turn, best 25 of each that the depth shows, as they are written."""
    count = min(depth, CHECKED_LEVELS)
    pairs = zip_longest(_texts(spelling, book.bids, 1, count), _texts(spelling, book.asks, -1, count))
    found = zlib.crc32(":".join([text for pair in pairs for text in pair if text is not None]).encode())
    return found - (1 << 32) if found >= 1 << 31 else found


def _texts(spelling: Spelling, side: Side, sign: int, count: int) -> list[str]:
    return [f"{spelling.price(price)}:{spelling.amount(sign * amount)}" for price, amount in side.levels(count)]


def status(*, price: str, spot: str, mark: str, funding: str, open_interest: str, next_us: int, time_us: int) -> str:
    """The state of a perpetual; what has not changed or is not told is null."""
    return (
        f"[{time_us // 1000},null,{price},{spot},null,101120.80328179,null,{next_us // 1000},0.00000725,296,null,{funding},null,null,"
        f"{mark},null,null,{open_interest},null,null,null,-0.0005,0.0025]"
    )


def position(spelling: Spelling, *, identity: int, lots: int, base_price: int, acquired: int | None, time_us: int) -> str:
    """A position that is closed by force: its own sign, announced (acquired is None) or taken over at a price."""
    matched = 0 if acquired is None else 1
    last = "null" if acquired is None else spelling.price(acquired)
    return (
        f'[["pos",{identity},{time_us // 1000},null,"{spelling.symbol}",{spelling.amount(lots)},{spelling.price(base_price)},null,'
        f"{matched},{matched},null,{last}]]"
    )
