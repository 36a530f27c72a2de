"""Bybit's v5 WebSocket messages as text, field order as on the wire: spot and contracts spell the same message differently.

What belongs here: one function per message type, and trade ids. What does not: which client gets it, and when.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from simulator.market import Trade
from simulator.venues.bybit.catalogue import SPOT, Spelling

# Spot counts its trades up from here, far beyond what a double holds.
SPOT_IDS_FROM = 2_290_000_000_000_000_000
_MIX = 0x9E3779B97F4A7C15
_WORD = (1 << 64) - 1


def trade_id(spelling: Spelling, number: int) -> str:
    """The id of a fill: a count as text on spot, a UUID (version 5) elsewhere."""
    if spelling.instrument.market == SPOT:
        return str(SPOT_IDS_FROM + number)
    word = (number ^ sum(spelling.id.encode()) << 40) * _MIX & _WORD
    text = f"{word:016x}"
    return f"{text[:8]}-{text[8:12]}-5{text[12:15]}-{'89ab'[word & 3]}{text[13:16]}-{number & 0xFFFFFFFFFFFF:012x}"


def trades(spelling: Spelling, fills: list[Trade], *, sequence: int, now_ms: int, block: bool = False) -> str:
    """New fills of one symbol, all matched under one cross sequence."""
    marks = f'"BT":{"true" if block else "false"},"RPI":false'
    topic = f'{{"topic":"publicTrade.{spelling.id}"'
    rows = []
    previous = fills[0].price
    for fill in fills:
        time, price, amount = fill.time_us // 1000, spelling.price(fill.price), spelling.amount(fill.amount)
        side, identity = "Buy" if fill.buy else "Sell", trade_id(spelling, fill.trade_id)
        if spelling.instrument.market == SPOT:
            head = f'{{"i":"{identity}","T":{time},"p":"{price}","v":"{amount}","S":"{side}","seq":{sequence}'
            rows.append(f'{head},"s":"{spelling.id}",{marks}}}')
        else:
            tick = "ZeroPlusTick" if fill.price == previous else "PlusTick" if fill.price > previous else "MinusTick"
            head = f'{{"T":{time},"s":"{spelling.id}","S":"{side}","v":"{amount}","p":"{price}","L":"{tick}","i":"{identity}"'
            rows.append(f'{head},{marks},"seq":{sequence}}}')
        previous = fill.price
    data = f'"data":[{",".join(rows)}]}}'
    if spelling.instrument.market == SPOT:
        return f'{topic},"ts":{now_ms},"type":"snapshot",{data}'
    return f'{topic},"type":"snapshot","ts":{now_ms},{data}'


def book(
    spelling: Spelling,
    *,
    depth: int,
    kind: str,
    bids: list[tuple[int, int]],
    asks: list[tuple[int, int]],
    update: int,
    sequence: int,
    matched_ms: int,
    now_ms: int,
) -> str:
    """Levels of one topic; `kind` is snapshot or delta, `update` the topic's own count."""
    times = f'"ts":{now_ms},"type":"{kind}"' if spelling.instrument.market == SPOT else f'"type":"{kind}","ts":{now_ms}'
    return (
        f'{{"topic":"orderbook.{depth}.{spelling.id}",{times},"data":{{"s":"{spelling.id}","b":{spelling.levels(bids)},'
        f'"a":{spelling.levels(asks)},"u":{update},"seq":{sequence}}},"cts":{matched_ms}}}'
    )


def ticker(spelling: Spelling, fields: Mapping[str, str], *, kind: str, sequence: int, now_ms: int) -> str:
    """What is known of a contract (snapshot) or has changed (delta)."""
    data = json.dumps({"symbol": spelling.id, **fields}, separators=(",", ":"))
    return f'{{"topic":"tickers.{spelling.id}","type":"{kind}","data":{data},"cs":{sequence},"ts":{now_ms}}}'


def liquidation(spelling: Spelling, *, bought: bool, price: int, lots: int, time_ms: int, now_ms: int) -> str:
    """A forced order; `S` is the side of the position, so that a long that had to be sold is a Buy."""
    side = "Sell" if bought else "Buy"
    row = f'{{"T":{time_ms},"s":"{spelling.id}","S":"{side}","v":"{spelling.amount(lots)}","p":"{spelling.price(price)}"}}'
    return f'{{"topic":"allLiquidation.{spelling.id}","type":"snapshot","ts":{now_ms},"data":[{row}]}}'


def answer(*, market: str, op: str, success: bool, message: str, connection: str, identity: str | None) -> str:
    """The answer to a command. Spot repeats a request id only where there is one, the others send it empty."""
    word = json.dumps(message)
    named = f'"req_id":{json.dumps(identity or "")},' if market != SPOT or identity is not None else ""
    return f'{{"success":{"true" if success else "false"},"ret_msg":{word},"conn_id":"{connection}",{named}"op":"{op}"}}'
