"""MEXC's perpetual pushes and the answers to commands as JSON text, field order as recorded.

What belongs here: one function per message type. What does not: which client gets it, and when.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from simulator.market import Trade
from simulator.prices import stream_key
from simulator.venues.mexc.catalogue import Spelling, trimmed

Levels = Iterable[tuple[int, int]]

_FUNDING_MS = 8 * 3_600_000
SPOT_PONG = '{"id":0,"code":0,"msg":"PONG"}'


def spot_answer(message: str) -> str:
    """The answer to a spot command; refusals have code 0 too."""
    return f'{{"id":0,"code":0,"msg":{json.dumps(message, ensure_ascii=False)}}}'


def not_subscribed(names: Iterable[str]) -> str:
    """What the answer says of channels that are refused."""
    return f"Not Subscribed successfully! [{','.join(names)}].  Reason\uff1a Blocked! "


def acknowledged(method: str, native: str) -> str:
    """The answer to a perpetual's subscription."""
    return f'{{"channel":"rs.{method}","param":{{"symbol":"{native}"}}}}'


def refused(message: str, *, now_us: int) -> str:
    """An error of the perpetual socket."""
    return f'{{"channel":"rs.error","data":{json.dumps(message)},"ts":{now_us // 1000}}}'


def pong(now_us: int) -> str:
    """The answer to a ping on the perpetual socket."""
    return f'{{"channel":"pong","data":{now_us // 1000}}}'


def deal(spelling: Spelling, fills: list[Trade]) -> str:
    """`push.deal`: newest first, amounts in contracts, 1 a taker's buy."""
    rows = [
        f'{{"p":{spelling.price(fill.price)},"v":{fill.amount},"T":{1 if fill.buy else 2},"O":{1 + fill.trade_id % 3},"M":1,'
        f'"t":{fill.time_us // 1000},"i":"{fill.trade_id}","cts":"{fill.time_us // 1000}"}}'
        for fill in reversed(fills)
    ]
    return f'{{"symbol":"{spelling.native}","data":[{",".join(rows)}],"channel":"push.deal","ts":{fills[-1].time_us // 1000}}}'


def levels(spelling: Spelling, side: Levels) -> str:
    """Rows of price, contracts, orders."""
    price = spelling.price
    return "[" + ",".join([f"[{price(ticks)},{lots},{1 + (lots ^ ticks) % 9 if lots else 0}]" for ticks, lots in side]) + "]"


def depth(spelling: Spelling, *, bids: Levels, asks: Levels, first: int, last: int, now_us: int) -> str:
    """`push.depth`: what changed from version `first` to version `last`."""
    return (
        f'{{"channel":"push.depth","data":{{"asks":{levels(spelling, asks)},"bids":{levels(spelling, bids)},"begin":{first},"end":{last},'
        f'"version":{last}}},"symbol":"{spelling.native}","ts":{now_us // 1000}}}'
    )


def ticker(spelling: Spelling, *, bid: int, ask: int, mark: float, index: float, rate: float, interest: int, now_us: int) -> str:
    """`push.ticker`; `interest` is contracts."""
    quoted = spelling.quoted
    now_ms = now_us // 1000
    return (
        f'{{"channel":"push.ticker","data":{{"amount24":{mark * interest:.4f},"ask1":{spelling.price(ask)},"bid1":{spelling.price(bid)},'
        f'"contractId":{10 + stream_key(spelling.native) % 900},"fairPrice":{quoted(mark)},"fundingRate":{rate:.6f},'
        f'"high24Price":{quoted(mark * 1.02)},"holdVol":{interest},"indexPrice":{quoted(index)},"lastPrice":{spelling.price(bid)},'
        f'"lower24Price":{quoted(mark * 0.98)},"maxBidPrice":{quoted(mark * 1.1)},"minAskPrice":{quoted(mark * 0.9)},'
        f'"riseFallRate":0.0012,"riseFallValue":{quoted(mark * 0.0012)},"symbol":"{spelling.native}","timestamp":{now_ms},'
        f'"volume24":{interest * 7}}},"symbol":"{spelling.native}","ts":{now_ms}}}'
    )


def settlement(now_us: int) -> int:
    """The coming settlement, milliseconds."""
    return (now_us // 1000 // _FUNDING_MS + 1) * _FUNDING_MS


def funding(spelling: Spelling, *, rate: float, now_us: int) -> str:
    """`push.funding.rate`."""
    return (
        f'{{"channel":"push.funding.rate","data":{{"rate":{trimmed(f"{rate:.6f}")},"symbol":"{spelling.native}",'
        f'"nextSettleTime":{settlement(now_us)}}},"symbol":"{spelling.native}","ts":{now_us // 1000}}}'
    )


def price(kind: str, spelling: Spelling, value: float, *, now_us: int) -> str:
    """`push.fair.price` and `push.index.price`."""
    native = spelling.native
    return (
        f'{{"channel":"push.{kind}","data":{{"price":{spelling.quoted(value)},"symbol":"{native}"}},"symbol":"{native}",'
        f'"ts":{now_us // 1000}}}'
    )
