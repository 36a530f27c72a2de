"""Advanced Trade's messages as text, field order as on the wire.

What belongs here: one function per message type; a message is what stands before its number and what stands after it, because the
number is the socket's own. What does not: which client gets it, and the numbers themselves.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple

from simulator.market import Trade
from simulator.venues.coinbase.catalogue import Spelling


class Message(NamedTuple):
    """A message around the number of its socket."""

    head: str
    tail: str

    def numbered(self, number: int) -> str:
        return f"{self.head}{number}{self.tail}"


@lru_cache(maxsize=1024)
def _second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def event_time(time_us: int) -> str:
    """RFC 3339 with up to six decimals; trailing zeros are left out."""
    second, micro = divmod(time_us, 1_000_000)
    return f"{_second(second)}.{micro:06d}".rstrip("0").rstrip(".") + "Z"


def sent_time(time_us: int) -> str:
    """RFC 3339 with up to nine decimals; trailing zeros are left out."""
    second, micro = divmod(time_us, 1_000_000)
    # The market's clock ends at microseconds; the venue's does not.
    return f"{_second(second)}.{micro:06d}{micro * 7919 % 1000:03d}".rstrip("0").rstrip(".") + "Z"


def _message(channel: str, events: str, now_us: int) -> Message:
    head = f'{{"channel":"{channel}","timestamp":"{sent_time(now_us)}","sequence_num":'
    return Message(head, f',"events":[{events}]}}')


def _trade(spelling: Spelling, fill: Trade) -> str:
    """One trade; the side is the MAKER's: a taker that buys meets a maker that sells."""
    return (
        f'{{"product_id":"{spelling.product}","trade_id":"{fill.trade_id}","price":"{spelling.price(fill.price)}",'
        f'"size":"{spelling.size(fill.amount)}","time":"{event_time(fill.time_us)}","side":"{maker_side(fill)}"}}'
    )


def maker_side(fill: Trade) -> str:
    """SELL where the taker bought."""
    return "SELL" if fill.buy else "BUY"


def trades(spelling: Spelling, fills: list[Trade], *, kind: str, now_us: int) -> Message:
    """Trades of one product, newest first; `kind` is update or snapshot."""
    rows = ",".join([_trade(spelling, fill) for fill in reversed(fills)])
    return _message("market_trades", f'{{"type":"{kind}","trades":[{rows}]}}', now_us)


def book(
    spelling: Spelling,
    *,
    kind: str,
    bids: Iterable[tuple[int, int]],
    asks: Iterable[tuple[int, int]],
    time_us: int,
    now_us: int,
) -> Message:
    """Levels of one product, best first on each side; `kind` is snapshot or update. All levels of an event share a time."""
    when = f'","event_time":"{event_time(time_us)}","price_level":"'
    price, size = spelling.price, spelling.size
    rows = [f'{{"side":"bid{when}{price(ticks)}","new_quantity":"{size(lots)}"}}' for ticks, lots in bids]
    rows += [f'{{"side":"offer{when}{price(ticks)}","new_quantity":"{size(lots)}"}}' for ticks, lots in asks]
    return _message("l2_data", f'{{"type":"{kind}","product_id":"{spelling.product}","updates":[{",".join(rows)}]}}', now_us)


def subscriptions(held: Mapping[str, list[str]], now_us: int) -> Message:
    """Everything the socket is subscribed to: channel to products."""
    return _message("subscriptions", json.dumps({"subscriptions": dict(sorted(held.items()))}, separators=(",", ":")), now_us)


def heartbeat(counter: int, now_us: int) -> Message:
    """The heartbeat of a second; `counter` counts seconds of the venue's process."""
    second, micro = divmod(now_us, 1_000_000)
    nanos = f"{micro:06d}{micro * 104_729 % 1000:03d}"
    current = f"{_second(second).replace('T', ' ')}.{nanos} +0000 UTC m=+{counter}.{nanos}"
    return _message("heartbeats", f'{{"current_time":"{current}","heartbeat_counter":{counter}}}', now_us)


def error(message: str) -> str:
    """A refusal; it carries no number and is not counted."""
    return json.dumps({"type": "error", "message": message}, separators=(",", ":"))
