"""Runs inside a throw-away environment that has cryptofeed, and nothing of ours: recorded frames through its handlers, timed.

    python cryptofeed_frames.py FRAMES SECONDS

FRAMES holds a JSON header line (`feed`: class name, `url`: of the socket, `natives`: symbols as the venue writes them, `snapshots`:
recorded REST books as {"url", "body"}) and one JSON line a message: {"ts", "text" | "base64"}. Callbacks only count. Prints one JSON
object: seconds of a pass (passes are repeated until SECONDS are spent), frames, callbacks by kind, frames whose handler raised, and the
commonest reasons.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import sys
import time
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

logging.disable(logging.CRITICAL)

from cryptofeed import exchanges  # noqa: E402
from cryptofeed.defines import L2_BOOK, TRADES  # noqa: E402
from cryptofeed.symbols import Symbols  # noqa: E402


class Names(dict[str, str]):
    """Every symbol is known, and called what the venue calls it."""

    def __missing__(self, name: str) -> str:
        self[name] = name
        return name


class Snapshots:
    """Stands where the feed's HTTP client is: the recorded book of the symbol that is asked for."""

    def __init__(self, recorded: list[dict[str, str]], natives: list[str]) -> None:
        self.recorded = recorded
        self.natives = natives

    async def read(self, url: str, *_: object, **__: object) -> str:
        for native in self.natives:
            if native in url:
                for snapshot in self.recorded:
                    if native in snapshot["url"]:
                        return snapshot["body"]
        raise RuntimeError("no recorded snapshot")


def make(header: dict[str, Any], seen: Counter[str]) -> Any:
    feed_class = getattr(exchanges, header["feed"])
    Symbols.set(feed_class.id, {}, {"instrument_type": {}})

    async def trade(*_: object) -> None:
        seen["trades"] += 1

    async def book(*_: object) -> None:
        seen["books"] += 1

    feed = feed_class(callbacks={TRADES: trade, L2_BOOK: book}, checksum_validation=False)
    feed.exchange_symbol_mapping = Names()
    feed.normalized_symbol_mapping = Names()
    feed.http_conn = Snapshots(header["snapshots"], header["natives"])
    return feed


async def play(header: dict[str, Any], messages: list[tuple[float, str | bytes]]) -> tuple[float, int, Counter[str], Counter[str]]:
    seen = Counter()
    feed = make(header, seen)
    subscription = {feed.std_channel_to_exchange(name): list(header["natives"]) for name in (TRADES, L2_BOOK)}
    feed.subscription = subscription

    async def write(_: object) -> None:
        return

    conn = SimpleNamespace(uuid="peer", address=header["url"], subscription=subscription, write=write, auth=None)
    for name in ("reset_state", "_reset", f"_{type(feed).__name__}__reset"):
        reset = getattr(feed, name, None)
        if reset is not None:
            try:
                reset(conn)
            except TypeError:
                reset()
            break
    failed, kinds = 0, Counter()
    began = time.perf_counter()
    for ts, payload in messages:
        try:
            await feed.message_handler(payload, conn, ts)
        except Exception as error:  # noqa: BLE001 - what a handler cannot take is a figure here
            failed += 1
            kinds[f"{type(error).__name__}: {error}"[:120]] += 1
    seconds = time.perf_counter() - began
    return seconds, failed, seen, kinds


def main() -> None:
    path, shortest = sys.argv[1], float(sys.argv[2])
    with Path(path).open(encoding="utf-8") as lines:
        header = json.loads(next(lines))
        messages = []
        for line in lines:
            row = json.loads(line)
            payload = row["text"] if "text" in row else base64.b64decode(row["base64"])
            messages.append((row["ts"], payload))
    passes, spent = 0, 0.0
    while spent < shortest:
        seconds, failed, seen, kinds = asyncio.run(play(header, messages))
        passes, spent = passes + 1, spent + seconds
    print(
        json.dumps(
            {"seconds": spent / passes, "frames": len(messages), "failed": failed, "callbacks": seen, "errors": kinds.most_common(3)}
        )
    )


if __name__ == "__main__":
    main()
