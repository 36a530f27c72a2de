"""OKX's WebSocket messages as text, field order as on the wire.

What belongs here: one function per message type. What does not: which client gets it, and when.
"""

from __future__ import annotations

import json
from itertools import groupby
from typing import Any

from simulator.market import Trade
from simulator.prices import stream_key
from simulator.venues.okx.catalogue import Spelling, trimmed

Levels = list[tuple[int, int]]

FUNDING_HOURS = 8
_FUNDING_MS = FUNDING_HOURS * 3_600_000


def connection_id(identity: int) -> str:
    """Eight hexadecimal digits that name a socket."""
    return f"{identity * 2_654_435_761 & 0xFFFFFFFF:08x}"


def arg(channel: str, native: str) -> str:
    """The head of an instrument's channel."""
    return f'{{"channel":"{channel}","instId":"{native}"}}'


def acknowledged(event: str, wanted: Any, *, identity: Any, connection: str) -> str:
    """The answer to one argument of a command; `identity` is the command's id, None where it had none."""
    head = "" if identity is None else f'"id":{json.dumps(identity)},'
    return f'{{{head}"event":"{event}","arg":{json.dumps(wanted, separators=(",", ":"))},"connId":"{connection}"}}'


def refused(code: int, message: str, *, identity: Any, connection: str) -> str:
    """An error."""
    head = "" if identity is None else f'"id":{json.dumps(identity)},'
    return f'{{{head}"event":"error","code":"{code}","msg":{json.dumps(message)},"connId":"{connection}"}}'


def channel_count(channel: str, count: int, *, connection: str) -> str:
    """How many connections carry a channel."""
    return f'{{"event":"channel-conn-count","channel":"{channel}","connCount":"{count}","connId":"{connection}"}}'


def upgrade(connection: str) -> str:
    """The notice that a socket will be closed."""
    message = "The connection will soon be closed for a service upgrade. Please reconnect."
    return f'{{"event":"notice","code":"64008","msg":"{message}","connId":"{connection}"}}'


def merged(fills: list[Trade]) -> list[list[Trade]]:
    """Fills of one taker order as the venue sums them up: by price."""
    return [list(group) for _, group in groupby(fills, key=lambda fill: fill.aggregate_id)]


def trade(spelling: Spelling, fills: list[Trade], *, sequence: int) -> str:
    """`trades`: fills at one price in one row, under the id of the last."""
    last = fills[-1]
    amount = spelling.amount(sum(fill.amount for fill in fills))
    return (
        f'{{"arg":{arg("trades", spelling.native)},"data":[{{"instId":"{spelling.native}","tradeId":"{last.trade_id}",'
        f'"px":"{spelling.price(last.price)}","sz":"{amount}",'
        f'"side":"{"buy" if last.buy else "sell"}","ts":"{last.time_us // 1000}",'
        f'"count":"{len(fills)}","source":"0","seqId":{sequence}}}]}}'
    )


def single_trade(spelling: Spelling, fill: Trade) -> str:
    """`trades-all`: one fill."""
    return (
        f'{{"arg":{arg("trades-all", spelling.native)},"data":[{{"instId":"{spelling.native}","tradeId":"{fill.trade_id}",'
        f'"px":"{spelling.price(fill.price)}","sz":"{spelling.amount(fill.amount)}",'
        f'"side":"{"buy" if fill.buy else "sell"}","ts":"{fill.time_us // 1000}","source":"0"}}]}}'
    )


def book(spelling: Spelling, *, action: str, bids: Levels, asks: Levels, time_us: int, sequence: int, previous: int) -> str:
    """`books`; `action` is snapshot (previous -1) or update."""
    return (
        f'{{"arg":{arg("books", spelling.native)},"action":"{action}","data":[{{"asks":{spelling.levels(asks)},'
        f'"bids":{spelling.levels(bids)},"ts":"{time_us // 1000}","checksum":0,"seqId":{sequence},"prevSeqId":{previous}}}]}}'
    )


def liquidation(spelling: Spelling, fills: list[Trade], *, now_us: int) -> str:
    """`liquidation-orders`: a forced order; a forced sale closes a long."""
    first = fills[0]
    side, position = ("buy", "short") if first.buy else ("sell", "long")
    return (
        '{"arg":{"channel":"liquidation-orders","instType":"SWAP"},"data":[{"details":[{"bkLoss":"0",'
        f'"bkPx":"{spelling.price(first.price)}","ccy":"","posSide":"{position}","side":"{side}",'
        f'"sz":"{spelling.amount(sum(fill.amount for fill in fills))}","ts":"{now_us // 1000}"}}],'
        f'"instFamily":"{spelling.index}","instId":"{spelling.native}","instType":"SWAP","uly":"{spelling.index}"}}]}}'
    )


def funding_row(spelling: Spelling, *, premium: float, now_us: int) -> str:
    """The rate of the coming settlement; `premium` is mark over index less one."""
    now_ms = now_us // 1000
    coming = (now_ms // _FUNDING_MS + 1) * _FUNDING_MS
    rate = max(-0.00375, min(0.00375, premium + 0.0001))
    settled = (stream_key(spelling.native, coming) % 2_000_001 - 1_000_000) / 1e10
    return (
        f'{{"formulaType":"withRate","fundingRate":"{rate:.16f}","fundingTime":"{coming}","impactValue":"20000.0000000000000000",'
        f'"instId":"{spelling.native}","instType":"SWAP","interestRate":"0.0001000000000000","maxFundingRate":"0.00375",'
        f'"method":"current_period","minFundingRate":"-0.00375","nextFundingRate":"","nextFundingTime":"{coming + _FUNDING_MS}",'
        f'"premium":"{premium:.16f}","prevFundingTime":"{coming - _FUNDING_MS}","settFundingRate":"{settled:.16f}",'
        f'"settState":"settled","ts":"{now_ms}"}}'
    )


def interest_row(spelling: Spelling, *, mark: float, now_us: int) -> str:
    """Open interest in contracts, base units and dollars; it drifts with time and no client can check it against trades."""
    item = spelling.instrument
    base = 2_000_000_000 / mark * (1 + 0.1 * ((now_us // 3_000_000) % 97) / 97)
    contracts = round(base / item.contract_size, 2)
    base = contracts * item.contract_size
    return (
        f'{{"instId":"{spelling.native}","instType":"SWAP","oi":"{trimmed(f"{contracts:.2f}")}","oiCcy":"{trimmed(f"{base:.8f}")}",'
        f'"oiUsd":"{base * mark:.8f}","ts":"{now_us // 1000}"}}'
    )


def mark_row(spelling: Spelling, *, mark: float, now_us: int) -> str:
    """The mark price."""
    return f'{{"instId":"{spelling.native}","instType":"SWAP","markPx":"{spelling.quoted(mark)}","ts":"{now_us // 1000}"}}'


def index_row(spelling: Spelling, *, index: float, day: tuple[float, float, float], now_us: int) -> str:
    """The index price; `day` is open, high and low of the last 24 hours."""
    quoted = spelling.quoted
    opened, high, low = day
    return (
        f'{{"instId":"{spelling.index}","idxPx":"{quoted(index)}","open24h":"{quoted(opened)}","high24h":"{quoted(max(high, index))}",'
        f'"low24h":"{quoted(min(low, index))}","sodUtc0":"{quoted(opened)}","sodUtc8":"{quoted(opened)}","ts":"{now_us // 1000}"}}'
    )


def state(channel: str, identity: str, row: str) -> str:
    """A derivative state as a frame of its channel."""
    return f'{{"arg":{arg(channel, identity)},"data":[{row}]}}'
