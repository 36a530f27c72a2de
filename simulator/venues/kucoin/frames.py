"""The unified gateway's messages as text, field order as recorded where a recording has it. Times are nanoseconds.

What belongs here: one function per message type. What does not: which client gets it, and when.
"""

from __future__ import annotations

import json

from simulator.market import Trade
from simulator.venues.kucoin.catalogue import Spelling

PING_INTERVAL_MS = 18_000


def welcome(identity: int) -> str:
    """The first message on every socket."""
    digits = f"{identity:032x}"
    session = "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
    return f'{{"sessionId":"{session}","message":"welcome","pingInterval":{PING_INTERVAL_MS}}}'


def pong(*, identity: str, now_us: int) -> str:
    """The answer to a ping; `identity` is the client's id as JSON text."""
    return f'{{"type":"pong","id":{identity},"ts":{now_us}000}}'


def done(*, identity: str) -> str:
    """A command was carried out; `identity` is the client's id as JSON text."""
    return f'{{"id":{identity},"result":true}}'


def refused(message: str, *, identity: str) -> str:
    """A command was refused."""
    return f'{{"id":{identity},"result":false,"message":{json.dumps(message)}}}'


def trade(spelling: Spelling, fill: Trade) -> str:
    """One fill on `trade`."""
    number, nanos = spelling.trade_id(fill.trade_id), fill.time_us * 1000
    side = "buy" if fill.buy else "sell"
    price, amount = spelling.price(fill.price), spelling.amount(fill.amount)
    head = f'{{"T":"trade.{spelling.trade_type}","P":{nanos + 2_145_319},"d":'
    if spelling.spot:
        return f'{head}{{"E":{number},"M":{nanos},"S":"{side}","p":"{price}","q":"{amount}","s":"{spelling.native}","ti":"{number}"}}}}'
    return (
        f'{head}{{"p":"{price}","q":"{amount}","s":"{spelling.native}","S":"{side}","E":{number},"ti":"{number}","rpi":false,'
        f'"M":{nanos}}}}}'
    )


def book(
    spelling: Spelling,
    *,
    depth: str,
    kind: str,
    bids: list[tuple[int, int]],
    asks: list[tuple[int, int]],
    first: int,
    last: int,
    time_us: int,
    now_us: int,
) -> str:
    """A frame of `obu`: `kind` is snapshot or delta, `first` and `last` the numbers it spans."""
    return (
        f'{{"T":"obu.{spelling.trade_type}","dp":"{depth}","t":"{kind}","P":{now_us}000,"d":{{"a":{spelling.levels(asks)},'
        f'"b":{spelling.levels(bids)},"s":"{spelling.native}","C":{last},"M":{time_us}000,"O":{first}}}}}'
    )
