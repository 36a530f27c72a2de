"""What one exchange's run of the fault suite left behind, and how the accounts of both sides compare.

What belongs here: evidence per symbol, out of rows of the simulator's ledger and of the lake. What does not: making them happen
(fault_world.py), verdicts (test_fault_suite.py).
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from tests.collectors.venue_traits import LOSING_ROLES, Market

Rows = Sequence[Mapping[str, Any]]
TOLD_AGAIN_US = 1_000_000
"""Within this long a trade is told a second time where it is told twice."""
TOGETHER_US = 800_000
"""Less than the calm second a collector waits for behind a loss: trades closer to each other are one loss to it, though frames arrive
somewhat unevenly."""


@dataclass(slots=True)
class Traded:
    """One trade by the id the venue publishes."""

    side: str
    price: float
    amount: float
    time_us: int
    delivered: bool
    times: int = 1
    """How many real trades a natural key stands for."""


@dataclass(frozen=True, slots=True)
class Losses:
    """The most frames that a socket lost, the copies of silenced trades among them, and the most moments of loss with calm between them."""

    frames: int
    moments: int


@dataclass(slots=True)
class Evidence:
    """What one exchange's run left behind."""

    gaps: list[dict[str, Any]] = field(default_factory=list)
    """Distinct gaps: market-symbol, channel, kind, from_time, to_time, noticed and healed_at in microseconds, phase."""
    missing: dict[str, list[Traded]] = field(default_factory=dict)
    """By symbol: trades of the simulator's ledger, from the first that landed on, that did not land."""
    doubled: dict[str, list[str]] = field(default_factory=dict)
    """By symbol: ids that landed more than once."""
    different: dict[str, list[str]] = field(default_factory=dict)
    """By symbol: landed trades that are not what the ledger says, or that it does not know."""
    landed: dict[str, int] = field(default_factory=dict)
    sources: Counter[str] = field(default_factory=Counter)
    books: dict[str, dict[str, str]] = field(default_factory=dict)
    """By checkpoint and symbol, how the rebuilt book differs from the simulator's; equal books are left out."""
    book_updates: dict[str, int] = field(default_factory=dict)
    dead_letters: int = 0
    corrupted: int = 0
    unbalanced: list[dict[str, Any]] = field(default_factory=list)
    marks: dict[str, int] = field(default_factory=dict)
    """When each phase began, microseconds."""
    losses: dict[str, Losses] = field(default_factory=dict)
    """By symbol, what the faults cost the socket of its book."""
    throttled: int = 0
    slowness: float = 1.0
    """How many times its own time a small piece of work took at worst while the faults were healed, because others had the machine."""


def losses(symbols: Mapping[str, Market], sockets: Rows, *, faults: Rows, trades: Rows) -> dict[str, Losses]:
    """By symbol, what the socket of its book lost at most: one frame a losing role, two a trade silenced or about to be told again.

    `sockets` are the simulator's while the faults acted, `faults` and `trades` rows of its ledger.
    """
    stalls = {row["symbol"]: row["time_us"] for row in faults if row["kind"] == "stall"}
    ends = {row["symbol"]: row["time_us"] + int(row["duration_s"] * 1e6) for row in faults if row["kind"] == "stall"}
    silenced: dict[str, list[int]] = defaultdict(list)
    for row in trades:
        if row["symbol"] in stalls and stalls[row["symbol"]] - TOLD_AGAIN_US <= row["time_us"] <= ends[row["symbol"]]:
            silenced[row["symbol"]].append(row["time_us"])
    found = {}
    for symbol, market in symbols.items():
        carried = {stream for each in sockets if f"book {symbol}" in each["streams"] for stream in each["streams"]}
        roles = sum(f"book {market.symbol(role)}" in carried for role in LOSING_ROLES)
        stalled = market.symbol("stall")
        times = silenced[stalled] if f"trades {stalled}" in carried else []
        apart = bool(times) + sum(after - before > TOGETHER_US for before, after in pairwise(times))
        found[symbol] = Losses(frames=roles + 2 * len(times), moments=roles + apart)
    return found


def published(trades: Rows) -> dict[str, dict[Any, Traded]]:
    """Trades of the ledger by symbol and published id (a natural key where the venue names none)."""
    found: dict[str, dict[Any, Traded]] = defaultdict(dict)
    for row in trades:
        mine = found[row["symbol"]]
        key = row["wire_id"] or natural(row["time_us"], row["side"], row["price"], row["amount"])
        known = mine.get(key)
        if known is None:
            mine[key] = Traded(row["side"], row["price"], row["amount"], row["time_us"], row["delivered"])
        else:
            known.amount += row["amount"] if row["wire_id"] else 0.0
            known.times += not row["wire_id"]
            known.delivered = known.delivered or row["delivered"]
    return found


def compare_trades(found: Evidence, symbols: Iterable[str], *, ledger: Rows, landed: Rows) -> None:
    """Note in `found` what is missing, doubled or different; rows of the lake come in the order of their times."""
    known = published(ledger)
    by_symbol: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in landed:
        by_symbol[row["symbol"]].append(row)
        found.sources[row["source"]] += 1
    for symbol in symbols:
        mine, theirs = by_symbol[symbol], known[symbol]
        nameless = any(isinstance(key, tuple) for key in theirs)
        keys = [natural(row["moment"], row["side"], row["price"], row["amount"]) if nameless else row["trade_id"] for row in mine]
        found.landed[symbol] = len(keys)
        found.doubled[symbol] = [str(key) for key, times in Counter(keys).items() if key in theirs and times > theirs[key].times]
        found.different[symbol] = [
            f"{key}: landed {row['side']} {row['amount']} at {row['price']}, published {theirs.get(key)}"
            for key, row in zip(keys, mine, strict=True)
            if not _same(row, theirs.get(key))
        ]
        first = min((theirs[key].time_us for key in keys if key in theirs), default=0)
        here = set(keys)
        found.missing[symbol] = [trade for key, trade in theirs.items() if key not in here and first < trade.time_us]


def natural(time_us: int, side: str, price: float, amount: float) -> tuple[int, str, float, float]:
    """What tells trades without ids apart: milliseconds, side, price, amount."""
    return time_us // 1000, side, price, amount


def _same(row: Mapping[str, Any], trade: Traded | None) -> bool:
    return (
        trade is not None
        and (row["side"], row["price"]) == (trade.side, trade.price)
        and abs(row["amount"] - trade.amount) <= 1e-9 * max(1.0, trade.amount)
    )


def slowness() -> float:
    """Wall time over processor time of a small piece of work."""
    wall, own = time.perf_counter(), time.thread_time()
    while time.thread_time() - own < 0.01:
        pass
    return (time.perf_counter() - wall) / (time.thread_time() - own)
