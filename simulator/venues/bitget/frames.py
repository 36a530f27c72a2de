"""Bitget's WebSocket messages as text, field order as on the wire: v2, and v3 for liquidations.

What belongs here: one function per message type. What does not: which client gets it, and when.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from simulator.market import Trade
from simulator.venues.bitget.catalogue import Spelling, plain, trade_id

PONG = "pong"
Levels = list[tuple[int, int]]


def arg(spelling: Spelling, channel: str) -> str:
    """What a v2 message belongs to."""
    return f'{{"instType":"{spelling.kind}","channel":"{channel}","instId":"{spelling.id}"}}'


def trades(spelling: Spelling, fills: Sequence[Trade], *, action: str, now_ms: int) -> str:
    """Fills of one symbol in the order given; `action` is snapshot (history, newest first) or update."""
    rows = [
        f'{{"ts":"{fill.time_us // 1000}","price":"{plain(spelling.price(fill.price))}","size":"{plain(spelling.amount(fill.amount))}",'
        f'"side":"{"buy" if fill.buy else "sell"}","tradeId":"{trade_id(fill.trade_id)}"}}'
        for fill in fills
    ]
    return f'{{"action":"{action}","arg":{arg(spelling, "trade")},"data":[{",".join(rows)}],"ts":{now_ms}}}'


def book(
    spelling: Spelling, *, channel: str, action: str, bids: Levels, asks: Levels, sequence: int, previous: int | None, matched_ms: int
) -> str:
    """Levels of one channel; `previous` is the sequence of the frame before, None in snapshots."""
    link = "" if previous is None else f',"pseq":{previous}'
    return (
        f'{{"action":"{action}","arg":{arg(spelling, channel)},"data":[{{"asks":{spelling.levels(asks)},"bids":{spelling.levels(bids)},'
        f'"ts":"{matched_ms}","seq":{sequence}{link}}}],"ts":{matched_ms + 2}}}'
    )


def ticker(spelling: Spelling, fields: Mapping[str, str], *, now_ms: int) -> str:
    """The state of a contract; every message is a whole one."""
    data = json.dumps({"instId": spelling.id, **fields, "ts": str(now_ms)}, separators=(",", ":"))
    return f'{{"action":"snapshot","arg":{arg(spelling, "ticker")},"data":[{data}],"ts":{now_ms + 2}}}'


def liquidation(spelling: Spelling, *, bought: bool, price: int, lots: int, time_ms: int, now_ms: int) -> str:
    """A forced order on v3: the side is the position's (a long is `buy`), the amount counts the quote."""
    item = spelling.instrument
    value = f"{item.price(price) * item.amount(lots):.12f}"
    row = (
        f'{{"symbol":"{spelling.id}","side":"{"sell" if bought else "buy"}","price":"{plain(spelling.price(price))}",'
        f'"amount":"{plain(value)}","ts":"{time_ms}"}}'
    )
    return f'{{"action":"update","arg":{{"instType":"{item.market}","topic":"liquidation"}},"data":[{row}],"ts":{now_ms}}}'


def event(name: str, named: Mapping[str, object]) -> str:
    """An acknowledgement; `named` is the client's own argument."""
    return f'{{"event":"{name}","arg":{json.dumps(named, separators=(",", ":"))}}}'


def error(named: Mapping[str, object], *, code: int, message: str) -> str:
    """A refusal of one argument."""
    text = json.dumps(named, separators=(",", ":"))
    return f'{{"event":"error","arg":{text},"code":{code},"msg":{json.dumps(message)}}}'
