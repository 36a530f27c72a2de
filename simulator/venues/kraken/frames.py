"""Kraken's WebSocket v2 messages as text, field order as on the wire, and the book checksum.

What belongs here: one function per message type. What does not: which client gets it, and which levels a depth covers.
"""

from __future__ import annotations

import zlib
from datetime import UTC, datetime
from functools import lru_cache

from simulator.book import Book, Side
from simulator.market import Trade
from simulator.venues.kraken.catalogue import Spelling

CHECKSUM_LEVELS = 10
HEARTBEAT = '{"channel":"heartbeat"}'


@lru_cache(maxsize=16)
def _day(day: int) -> str:
    return datetime.fromtimestamp(day * 86_400, UTC).strftime("%Y-%m-%d")


def iso(time_us: int) -> str:
    """RFC 3339 with microseconds."""
    second, micro = divmod(time_us, 1_000_000)
    minute, second = divmod(second, 60)
    hour, minute = divmod(minute, 60)
    day, hour = divmod(hour, 24)
    return f"{_day(day)}T{hour:02d}:{minute:02d}:{second:02d}.{micro:06d}Z"


def checksum_text(side: Side) -> str:
    """The ten best levels as price and amount digits. Ticks and lots are those digits: point and leading zeros are gone."""
    amounts, sign = side.amounts, side.sign
    return "".join([f"{sign * key}{amounts[key]}" for key in side.keys[:CHECKSUM_LEVELS]])


def checksum(book: Book) -> int:
    """CRC32 over asks, then bids, best ten each."""
    return zlib.crc32((checksum_text(book.asks) + checksum_text(book.bids)).encode())


def status(connection_id: int) -> str:
    """The first message on every socket."""
    return (
        '{"channel":"status","type":"update","data":[{"version":"2.0.10","system":"online","api_version":"v2",'
        f'"connection_id":{connection_id}}}]}}'
    )


def trades(spelling: Spelling, fills: list[Trade], *, kind: str = "update") -> str:
    """Fills of one symbol; `kind` is update or snapshot."""
    head = f'{{"symbol":"{spelling.symbol}","side":"'
    rows = [
        f'{head}{"buy" if fill.buy else "sell"}","price":{spelling.price(fill.price)},"qty":{spelling.amount(fill.amount)},'
        f'"ord_type":"{"limit" if fill.trade_id % 3 else "market"}","trade_id":{fill.trade_id},"timestamp":"{iso(fill.time_us)}"}}'
        for fill in fills
    ]
    return f'{{"channel":"trade","type":"{kind}","data":[{",".join(rows)}]}}'


def book(spelling: Spelling, *, kind: str, bids: list[tuple[int, int]], asks: list[tuple[int, int]], crc: int, time_us: int) -> str:
    """Levels of one symbol; `kind` is snapshot or update."""
    return (
        f'{{"channel":"book","type":"{kind}","data":[{{"symbol":"{spelling.symbol}","bids":{spelling.levels(bids)},'
        f'"asks":{spelling.levels(asks)},"checksum":{crc},"timestamp":"{iso(time_us)}"}}]}}'
    )


def acknowledged(method: str, *, result: str, identity: str, time_us: int) -> str:
    """An acknowledgement; `result` is JSON text, `identity` the client's req_id as JSON text or empty."""
    tail = f',"req_id":{identity}' if identity else ""
    return f'{{"method":"{method}","result":{result},"success":true,"time_in":"{iso(time_us)}","time_out":"{iso(time_us + 40)}"{tail}}}'


def refused(method: str, *, error: str, symbol: str, identity: str, time_us: int) -> str:
    """A refusal; `error` and `symbol` are JSON text, symbol empty where none is concerned."""
    head = f'{{"error":{error},"method":"{method}","success":false'
    named = f',"symbol":{symbol}' if symbol else ""
    tail = f',"req_id":{identity}' if identity else ""
    return f'{head}{named},"time_in":"{iso(time_us)}","time_out":"{iso(time_us + 40)}"{tail}}}'


def pong(*, identity: str, time_us: int) -> str:
    """The answer to a ping; `identity` is the client's req_id as JSON text or empty."""
    tail = f'"req_id":{identity},' if identity else ""
    return f'{{"method":"pong",{tail}"time_in":"{iso(time_us)}","time_out":"{iso(time_us + 40)}"}}'
