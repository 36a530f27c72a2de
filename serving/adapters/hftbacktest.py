"""Books and trades as hftbacktest reads them: a structured NumPy array in an `.npz` file, under the key `data`.

Put here: its event type and flags, as its documentation gives them, and the order it wants. Keep out: reading the lake (`serving.replay`).

An event happens twice: on the exchange and here. One row stands for both where both orders allow it; where an event overtook another on its
way, the row is split in two, one with the flag of the exchange and one with ours, so that either side sees its own order.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from serving.client import replay
from serving.events import Book, BookDelta, Event, Trade

DTYPE: Final = np.dtype(
    [
        ("ev", "<u8"),
        ("exch_ts", "<i8"),
        ("local_ts", "<i8"),
        ("px", "<f8"),
        ("qty", "<f8"),
        ("order_id", "<u8"),
        ("ival", "<i8"),
        ("fval", "<f8"),
    ],
    align=True,
)
"""One event; times in nanoseconds since 1970."""

DEPTH, TRADE, CLEAR, SNAPSHOT = 1, 2, 3, 4
EXCHANGE, LOCAL, BUY, SELL = 1 << 31, 1 << 30, 1 << 29, 1 << 28

Events = npt.NDArray[Any]


def array(events: Iterable[Event], *, base_latency_us: int = 0) -> Events:
    """Events of one market as rows of `DTYPE`, in the order hftbacktest wants.

    Where our clock was behind the exchange's, our times move forward by one amount, so that no event is here less than `base_latency_us`
    after it happened. Other events than trades and books are left out.
    """
    rows: list[tuple[int, int, int, float, float]] = []
    for event in events:
        if isinstance(event, Trade):
            rows.append((TRADE | (BUY if event.side == "buy" else SELL), event.timestamp, event.local_timestamp, event.price, event.amount))
        elif isinstance(event, Book | BookDelta):
            rows += _levels(event)
    made = np.zeros(len(rows), DTYPE)
    if not rows:
        return made
    for name, values in zip(("ev", "exch_ts", "local_ts", "px", "qty"), zip(*rows, strict=True), strict=True):
        made[name] = values
    behind = int((made["local_ts"] - made["exch_ts"]).min())
    made["local_ts"] += max(0, base_latency_us - behind)
    made["exch_ts"] *= 1000
    made["local_ts"] *= 1000
    return _ordered(made)


def write(path: str | Path, *, start: str, end: str, exchange: str, symbol: str, **source: Any) -> int:
    """Write books and trades of one market and range as a file for hftbacktest; returns its rows.

    `source` is `home=` for a lake on this machine, or `url=` and `token=` of a server. Raises `ClientError`.
    """

    async def gathered() -> list[Event]:
        stream = replay(["books", "trades"], start=start, end=end, exchange=exchange, symbol=symbol, speed=None, by="receive", **source)
        return [event async for event in stream]

    made = array(asyncio.run(gathered()))
    np.savez_compressed(path, data=made)
    return len(made)


def _levels(event: Book | BookDelta) -> Iterable[tuple[int, int, int, float, float]]:
    local = event.local_timestamp
    time = local if event.timestamp is None else event.timestamp
    kind = SNAPSHOT if isinstance(event, Book) else DEPTH
    for side, levels in ((BUY, event.bids), (SELL, event.asks)):
        if kind == SNAPSHOT and levels:
            # What lies up to the farthest level is cleared before the levels are given anew.
            yield CLEAR | side, time, local, levels[-1][0], 0.0
        for price, amount in levels:
            yield kind | side, time, local, price, amount


def _ordered(rows: Events) -> Events:
    """Rows with their flags, each side's in order of its time."""
    there = np.argsort(rows["exch_ts"], kind="stable")
    here = np.argsort(rows["local_ts"], kind="stable")
    if np.array_equal(there, here):
        made: Events = rows[there]
        made["ev"] |= np.uint64(EXCHANGE | LOCAL)
        return made
    taken: list[int] = []
    flags: list[int] = []
    exchange_times, local_times = rows["exch_ts"].tolist(), rows["local_ts"].tolist()
    left, right, count = 0, 0, len(rows)
    order, arrivals = there.tolist(), here.tolist()
    while left < count or right < count:
        if left < count and right < count and order[left] == arrivals[right]:
            taken.append(order[left])
            flags.append(EXCHANGE | LOCAL)
            left, right = left + 1, right + 1
        elif right == count or (left < count and exchange_times[order[left]] <= local_times[arrivals[right]]):
            taken.append(order[left])
            flags.append(EXCHANGE)
            left += 1
        else:
            taken.append(arrivals[right])
            flags.append(LOCAL)
            right += 1
    made = np.asarray(rows[np.asarray(taken)])
    made["ev"] |= np.asarray(flags, np.uint64)
    return made
