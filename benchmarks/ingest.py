"""How fast recorded Binance frames become rows, beside how fast a bare WebSocket client takes the very same frames.

    python -m benchmarks.ingest [--rounds 5] [--recording FILE]
    python -m benchmarks.ingest --venues [--rounds 5] [--peer PYTHON | --install-peer]

Prints medians over several rounds, in one run: parse + normalise + book (to row tuples), the same with those turned into Arrow batches,
the same plus log and Parquet parts, and the receive rate of the `websockets` client alone over loopback with the sender in another
process. The recording is looked for in TICKHOUSE_RECORDINGS, by default ../shared/recordings. With `--venues` every venue's recorded frames
are decoded instead, beside cryptofeed's handlers (`benchmarks/venues.py`).
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import multiprocessing
import os
import platform
import statistics
import sys
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

import msgspec
import websockets
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve

from benchmarks import venues
from collectors.recording import open_recording, parse
from collectors.registry import venue
from collectors.rows import EventBuffer
from lake.landing import Landing
from lake.settings import LakeSettings

RECORDING = "binance/usdm_btcusdt_depth_trade_bookticker_20240808.jsonl.gz"
DRAIN_EVERY = 10_000
Frame = tuple[str | None, bytes, int | None, bool]


def frames_of(path: Path) -> list[Frame]:
    """(conn, payload, receive time, is REST) of each incoming line."""
    with open_recording(path) as lines:
        read = [parse(line, where=str(path)) for line in lines]
    return [(line.conn, line.payload, line.received, line.kind == "http") for line in read if line.dir == "in" and line.kind != "connect"]


def decode(frames: list[Frame], landing: Landing | None) -> tuple[float, float, int]:
    """Seconds of one pass, those of them spent on Arrow batches, and book levels; with a landing, until the last part is written."""
    events = EventBuffer()
    session = venue("binance").recorded_session(events)
    levels = 0
    arrow = 0.0
    began = time.perf_counter()
    for number, (conn, payload, received, rest) in enumerate(frames, start=1):
        if rest:
            session.feed_http(conn, payload, received)
        else:
            session.feed(conn, payload, received)
        if number % DRAIN_EVERY == 0 or number == len(frames):
            drained = time.perf_counter()
            batches = events.drain()
            arrow += time.perf_counter() - drained
            levels += batches["book_deltas"].num_rows if "book_deltas" in batches else 0
            if landing is not None:
                landing.append(batches)
    if landing is not None:
        landing.roll()
        landing.wait_sealed()
    return time.perf_counter() - began, arrow, levels


def decode_and_land(frames: list[Frame]) -> float:
    """Seconds of one pass into a lake of its own."""
    with tempfile.TemporaryDirectory(prefix="tickhouse-bench-") as home:
        landing = Landing(LakeSettings(home=Path(home)), "bench")
        seconds, _, _ = decode(frames, landing)
        landing.drain_and_close()
    return seconds


def _send(texts: list[str], ready: Connection) -> None:
    async def main() -> None:
        done = asyncio.Event()

        async def handle(socket: ServerConnection) -> None:
            for text in texts:
                await socket.send(text)
            await socket.wait_closed()
            done.set()

        async with serve(handle, "127.0.0.1", 0, compression=None, max_queue=None) as server:
            ready.send(next(iter(server.sockets)).getsockname()[1])
            await done.wait()

    asyncio.run(main())


async def _receive(port: int, count: int) -> float:
    async with connect(f"ws://127.0.0.1:{port}", compression=None, max_size=None) as socket:
        await socket.recv(decode=False)
        began = time.perf_counter()
        for _ in range(count - 1):
            await socket.recv(decode=False)
        return time.perf_counter() - began


def receive(texts: list[str]) -> float:
    """Seconds the bare client takes to receive the frames from another process, doing nothing with them."""
    here, there = multiprocessing.Pipe()
    sender = multiprocessing.get_context("spawn").Process(target=_send, args=(texts, there), daemon=True)
    sender.start()
    try:
        seconds = asyncio.run(_receive(here.recv(), len(texts)))
    finally:
        sender.join(10)
    return seconds


def main() -> None:
    if "--venues" in sys.argv:
        sys.argv.remove("--venues")
        venues.main()
        return
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--venues", action="store_true", help="every venue's frames beside cryptofeed; takes the options of benchmarks.venues"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--recording", type=Path, default=None)
    options = parser.parse_args()
    root = Path(os.environ.get("TICKHOUSE_RECORDINGS", Path(__file__).resolve().parents[2] / "shared" / "recordings"))
    frames = frames_of(options.recording or root / RECORDING)
    texts = [payload.decode() for _, payload, _, rest in frames if not rest]
    size = sum(len(payload) for _, payload, _, _ in frames) / len(frames)
    # As the collector's own start does: what is loaded stays, and frames make no cycles worth looking for often.
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
    rounds: list[tuple[float, float, float, float]] = []
    levels = 0
    for _ in range(options.rounds):
        batched, arrow, levels = decode(frames, None)
        rounds.append((batched - arrow, batched, decode_and_land(frames), receive(texts)))
    parsed, batched, landed, bare = (statistics.median(column) for column in zip(*rounds, strict=True))
    best = min(seconds for seconds, *_ in rounds)
    print(f"{len(frames)} frames of {size:.0f} bytes, {levels} book levels, {options.rounds} rounds, {os.cpu_count()} cores, ", end="")
    print(f"Python {platform.python_version()}, msgspec {msgspec.__version__}, websockets {websockets.__version__}")
    print(f"{'median':54}{'frames/s':>12}{'levels/s':>12}{'to bare':>9}")
    for name, seconds, count in (
        ("parse + normalise + book", parsed, len(frames)),
        ("the same + Arrow batches", batched, len(frames)),
        ("the same + log + Parquet", landed, len(frames)),
        ("websockets alone, same frames over loopback", bare, len(texts)),
    ):
        rate = "" if seconds is bare else f"{levels / seconds:12,.0f}"
        print(f"{name:54}{count / seconds:12,.0f}{rate:>12}{(count / seconds) / (len(texts) / bare):9.2f}")
    print(f"{'best round: parse + normalise + book':54}{len(frames) / best:12,.0f}{levels / best:12,.0f}")


if __name__ == "__main__":
    main()
