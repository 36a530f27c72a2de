"""Messages of the Futures socket (v1) as text, field order as on the wire.

What belongs here: one function per message type. What does not: which client gets it, and when.
"""

from __future__ import annotations

import json

from simulator.market import Trade
from simulator.venues.kraken.futures_catalogue import Contract

HOUR_MS = 3_600_000
INFO = '{"event":"info","version":1}'


def trade(contract: Contract, fill: Trade, *, kind: str) -> str:
    """One trade; `kind` is fill or liquidation."""
    return (
        f'{{"feed":"trade","product_id":"{contract.product}","uid":"{contract.uid(fill.trade_id)}",'
        f'"side":"{"buy" if fill.buy else "sell"}","type":"{kind}","seq":{fill.trade_id},'
        f'"time":{fill.time_us // 1000},"qty":{contract.size(fill.amount)},"price":{contract.price(fill.price)}}}'
    )


def trade_snapshot(contract: Contract, fills: list[Trade], forced: set[int]) -> str:
    """The last trades, newest first; `forced` are the ids of those that were liquidations."""
    rows = ",".join(trade(contract, fill, kind="liquidation" if fill.trade_id in forced else "fill") for fill in reversed(fills))
    return f'{{"feed":"trade_snapshot","product_id":"{contract.product}","trades":[{rows}]}}'


def _levels(contract: Contract, levels: list[tuple[int, int]]) -> str:
    return ",".join([f'{{"price":{contract.price(ticks)},"qty":{contract.size(lots)}}}' for ticks, lots in levels])


def book_snapshot(contract: Contract, *, bids: list[tuple[int, int]], asks: list[tuple[int, int]], sequence: int, time_us: int) -> str:
    """The whole book."""
    return (
        f'{{"feed":"book_snapshot","product_id":"{contract.product}","timestamp":{time_us // 1000},"seq":{sequence},"tickSize":null,'
        f'"bids":[{_levels(contract, bids)}],"asks":[{_levels(contract, asks)}]}}'
    )


def book(contract: Contract, *, side: str, level: tuple[int, int], sequence: int, time_us: int) -> str:
    """One level; `side` is buy for a bid."""
    return (
        f'{{"feed":"book","product_id":"{contract.product}","side":"{side}","seq":{sequence},"price":{contract.price(level[0])},'
        f'"qty":{contract.size(level[1])},"timestamp":{time_us // 1000}}}'
    )


def ticker(
    contract: Contract, *, bid: tuple[int, int], ask: tuple[int, int], mark: float, index: float, interest: float, now_us: int
) -> str:
    """State of a perpetual; the rate that counts is the relative one, a fraction per hour."""
    now_ms = now_us // 1000
    rate = round((mark - index) / index / 24 + 1.25e-6, 18)
    price = contract.price(bid[0])
    return (
        f'{{"time":{now_ms},"product_id":"{contract.product}","funding_rate":{rate * mark!r},'
        f'"funding_rate_prediction":{rate * mark * 0.9!r},"relative_funding_rate":{rate!r},'
        f'"relative_funding_rate_prediction":{rate * 0.9!r},"next_funding_rate_time":{(now_ms // HOUR_MS + 1) * HOUR_MS},"feed":"ticker",'
        f'"bid":{price},"ask":{contract.price(ask[0])},"bid_size":{contract.size(bid[1])},"ask_size":{contract.size(ask[1])},"volume":100353.21,"dtm":0,"leverage":"50x",'
        f'"index":{round(index, 5)!r},"premium":-0.1,"last":{price},"change":-0.52,"suspended":false,"tag":"perpetual",'
        f'"pair":"{contract.base}:USD","openInterest":{interest!r},"markPrice":{round(mark, 6)!r},"maturityTime":0,"post_only":false,'
        f'"volumeQuote":{round(100353.21 * index, 2)!r}}}'
    )


def heartbeat(now_us: int) -> str:
    """The heartbeat of a second, for those that subscribed to it."""
    return f'{{"feed":"heartbeat","time":{now_us // 1000}}}'


def acknowledged(event: str, feed: str, product: str = "") -> str:
    """`event` is subscribed or unsubscribed; one message a product."""
    named = f',"product_ids":["{product}"]' if product else ""
    return f'{{"event":"{event}","feed":"{feed}"{named}}}'


def said(event: str, message: str) -> str:
    """An error or an alert; neither says which command it answers."""
    return json.dumps({"event": event, "message": message}, separators=(",", ":"))
