"""What the server does under load: 200 live clients on 5,000 messages a second, and candles over REST beside the query alone.

`python -m benchmarks.serving [--clients 200] [--rate 5000] [--seconds 20]` prints end-to-end times (from the instant of receiving that a
row carries to its decoding in a client), what was dropped and said to be, what is missing without a word (there must be none), processor
time and memory of the server, and p50 and p99 of `/v1/candles` beside the same statement of DuckDB in this process.

Writer and clients share the machine with the server: on few cores the times are an upper bound.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

import httpx
import msgspec
import numpy as np
import psutil
import pyarrow as pa
from websockets.asyncio.client import connect

from lake import layout, query
from lake.paths import Home
from lake.registry import dataset
from lake.wal import WalWriter

MARKETS = 50
OF_EACH = 3
TICK = 0.05
THIRDS = 3
DRAIN = 3.0


class Said(msgspec.Struct, tag_field="type"):
    """Any event, as far as it is measured."""


class Trade(Said, tag="trade"):
    """A trade, as far as it is measured."""

    symbol: str
    local_timestamp: int


class Dropped(Said, tag="dropped"):
    """Events the server says were lost."""

    topic: str
    count: int


class Subscribed(Said, tag="subscribed"):
    """The subscription stands."""

    topics: list[str]


DECODER = msgspec.json.Decoder(list[Trade | Dropped | Subscribed])


def symbol(number: int) -> str:
    return f"C{number % MARKETS}/USDT"


def batch(first: int, rows: int) -> pa.RecordBatch:
    """Trades received now, over all markets in turn."""
    now = time.time_ns() // 1000
    numbers = np.arange(first, first + rows)
    plain = {
        "exchange": pa.array(["binance"] * rows),
        "symbol": pa.array([symbol(number) for number in range(first, first + rows)]),
        "timestamp": pa.array(np.full(rows, now)),
        "local_timestamp": pa.array(np.full(rows, now)),
        "ordinal": pa.array(numbers),
        "trade_id": pa.array(numbers).cast(pa.string()),
        "side": pa.array(["buy"] * rows),
        "price": pa.array(100.0 + numbers % 17),
        "amount": pa.array(0.5 + numbers % 3),
        "fill_count": pa.array(np.ones(rows, np.int32)),
        "source": pa.array(["stream"] * rows),
        "clock_suspect": pa.array(np.zeros(rows, np.bool_)),
    }
    schema = dataset("trades").schema
    return pa.RecordBatch.from_arrays([plain[field.name].cast(field.type) for field in schema], schema=schema)


def produce(home: Path, rate: int, seconds: float, go: multiprocessing.Event, written: multiprocessing.Value) -> None:  # type: ignore[valid-type]
    """Append `rate` rows a second, and roll as a collector does."""
    writer = WalWriter(Home(home), "bench")
    writer.append("trades", batch(0, MARKETS))
    number = MARKETS
    go.wait()
    begun = time.monotonic()
    step = 0
    while (elapsed := time.monotonic() - begun) < seconds:
        due = int(elapsed * rate) + MARKETS - number
        if due > 0:
            writer.append("trades", batch(number, due))
            number += due
        step += 1
        if step % 200 == 0:
            writer.roll()
        time.sleep(TICK)
    written.value = number
    writer.close()


async def listen(url: str, number: int, times: list[int], counts: Counter[str], ready: asyncio.Semaphore) -> None:
    wanted = [{"channel": "trades", "symbol": symbol(number + place)} for place in range(OF_EACH)]
    async with connect(f"{url}/v1/live", max_size=None, compression=None) as socket:
        await socket.send(msgspec.json.encode({"op": "subscribe", "channels": wanted}).decode())
        async for message in socket:
            now = time.time_ns() // 1000
            for event in DECODER.decode(message):
                if isinstance(event, Trade):
                    counts[event.symbol] += 1
                    times.append(now - event.local_timestamp)
                elif isinstance(event, Dropped):
                    counts["dropped"] += event.count
                else:
                    ready.release()


async def clients(
    url: str,
    count: int,
    go: multiprocessing.Event,  # type: ignore[valid-type]
    *,
    seconds: float,
    sample: Callable[[], None],
) -> tuple[list[int], list[Counter[str]]]:
    """All clients, until everything written has had time to come; `sample` is called after each third of it."""
    times: list[int] = []
    counts: list[Counter[str]] = [Counter() for _ in range(count)]
    ready = asyncio.Semaphore(0)
    tasks = [asyncio.create_task(listen(url, number, times, counts[number], ready)) for number in range(count)]
    for _ in range(count):
        await ready.acquire()
    go.set()
    for _ in range(THIRDS):
        await asyncio.sleep((seconds + DRAIN) / THIRDS)
        sample()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return times, counts


def _sample(process: psutil.Process, memory: list[int]) -> None:
    memory.append(process.memory_info().rss)


def percentiles(values: list[float] | list[int], scale: float) -> str:
    p50, p99 = np.percentile(np.asarray(values), [50, 99]) / scale
    return f"p50 {p50:.1f} ms, p99 {p99:.1f} ms"


def rest(url: str, home: Home) -> None:
    """Candles over REST, and the same statement here."""
    sql = "SELECT * FROM candles_now('1m') WHERE symbol = 'C1/USDT' ORDER BY timestamp, exchange LIMIT 1000"
    over, here, kept = [], [], []
    with httpx.Client(base_url=url, timeout=60) as http:
        for _ in range(60):
            begun = time.perf_counter()
            answer = http.get("/v1/candles", params={"symbol": "C1/USDT", "start": "-1h"})
            over.append(time.perf_counter() - begun)
            assert answer.status_code == 200, answer.text
            begun = time.perf_counter()
            query.run_sql(home, sql)
            here.append(time.perf_counter() - begun)
    with query.connect(home, statement=sql) as connection:
        for _ in range(60):
            begun = time.perf_counter()
            query.execute(connection, sql)
            kept.append(time.perf_counter() - begun)
    print(f"candles over REST:            {percentiles(over, 1e-3)}")
    print(f"the statement here, anew:     {percentiles(here, 1e-3)}")
    print(f"the statement here, prepared: {percentiles(kept, 1e-3)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--rate", type=int, default=5000)
    parser.add_argument("--seconds", type=float, default=20.0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as root:
        home = Home(Path(root))
        layout.ensure(home)
        go, written = multiprocessing.Event(), multiprocessing.Value("q", 0)
        writer = multiprocessing.Process(target=produce, args=(home.root, given.rate, given.seconds, go, written))
        writer.start()
        command = [sys.executable, "-u", "-c", "from orchestration.cli import main; main()", "serve", "--home", root, "--port", "0"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            try:
                url = next(word for word in server.stdout.readline().split() if word.startswith("http://"))
                while httpx.get(f"{url}/health/ready", timeout=60).status_code != 200:
                    time.sleep(0.1)
                process = psutil.Process(server.pid)
                before = process.cpu_times()
                memory = [process.memory_info().rss]
                address = f"ws{url.removeprefix('http')}"
                sample = partial(_sample, process, memory)
                times, counts = asyncio.run(clients(address, given.clients, go, seconds=given.seconds, sample=sample))
                after = process.cpu_times()
                writer.join()
                report(given, times, counts, written.value)
                used = after.user + after.system - before.user - before.system
                share = used / (given.seconds + DRAIN) * 100
                shown = ", ".join(f"{each / 1e6:.0f}" for each in memory)
                print(f"server: {share:.0f} % of a core; memory at the start and after each third: {shown} MB")
                rest(url, home)
            finally:
                server.terminate()
                server.wait(60)


def report(given: argparse.Namespace, times: list[int], counts: list[Counter[str]], written: int) -> None:
    """What clients got of what was written for them."""
    sent = Counter(symbol(number) for number in range(MARKETS, written))
    expected = sum(sent[symbol(number + place)] for number in range(given.clients) for place in range(OF_EACH))
    dropped = sum(count.pop("dropped", 0) for count in counts)
    received = sum(count.total() for count in counts)
    print(f"{given.clients} clients, {OF_EACH} of {MARKETS} markets each; {written / given.seconds:,.0f} messages a second written")
    print(f"{received:,} events received ({received / given.seconds:,.0f} a second): end to end {percentiles(times, 1e3)}")
    print(f"dropped and said so: {dropped:,}; missing without a word: {expected - received - dropped:,}")


if __name__ == "__main__":
    main()
