"""How fast recorded frames of each venue become rows, beside cryptofeed's handlers on the very same frames in the same run.

    python -m benchmarks.venues [--rounds 5] [--peer PYTHON | --install-peer]

`--install-peer` makes an environment with cryptofeed 3.0.1 for this one run (it needs a Python 3.13 on the PATH or `--python`);
`--peer` names the interpreter of one that exists. Without either the peer is left out, with a word. Ours is parse + normalise + book,
to row tuples, checksums verified where the recording carries them; the peer's is its message handlers with callbacks that count and its
checksum validation off, since it needs instrument lists that were not recorded. Recordings are looked for in TICKHOUSE_RECORDINGS.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from collectors.recording import open_recording, parse
from collectors.registry import venue
from collectors.rows import EventBuffer

PEER = "cryptofeed==3.0.1"
DRAIN_EVERY = 10_000
SHORTEST_SECONDS = 0.2
"""A recording is played again and again, each time anew, until a round has taken this long."""


@dataclass(frozen=True, slots=True)
class Case:
    """A recording of an exchange, and the peer's class that speaks its protocol with the symbols as that class is told them."""

    exchange: str
    recording: str
    feed: str
    natives: tuple[str, ...]


CASES = (
    Case("binance", "binance/usdm_btcusdt_depth_trade_bookticker_20240808.jsonl.gz", "BinanceFutures", ("BTCUSDT",)),
    Case("bitfinex", "bitfinex/v2_book_trades_ticker_seq_20210405.jsonl.gz", "Bitfinex", ()),
    Case("bitget", "bitget/message_samples.jsonl", "Bitget", ()),
    Case("bybit", "bybit/v5_linear_btc_eth_20260809.jsonl.gz", "Bybit", ("BTCUSDT", "ETHUSDT")),
    Case("coinbase", "coinbase/advanced_level2_trades_ticker_candles_20260809.jsonl.gz", "Coinbase", ("BTC-USD", "ETH-USD")),
    Case("gateio", "gateio/futures_v4_orderbookupdate_20230524.jsonl.gz", "GateFutures", ("BTC_USDT",)),
    Case("htx", "htx/linear_swap_depth_step0_trade_20220219.jsonl.gz", "HTXSwap", ()),
    Case("kraken", "kraken/v2_book_checksum_btcusd_20260802.jsonl.gz", "Kraken", ("BTC/USD",)),
    Case("kucoin", "kucoin/message_samples.jsonl", "KuCoin", ()),
    Case("mexc", "mexc/v3_spot_protobuf_frames.jsonl", "MEXCSpot", ("BTCUSDT",)),
    Case("okx", "okx/v5_bookstbt_checksum_trades_20220227.jsonl.gz", "OKX", ()),
)


@dataclass(frozen=True, slots=True)
class Message:
    """One incoming line: the connection it came over, its payload as recorded and as bytes, its receive time, whether it is REST."""

    conn: str | None
    recorded: dict[str, Any]
    payload: bytes
    received: int | None
    rest: bool


def messages_of(path: Path) -> list[Message]:
    """Incoming frames and answers of a recording."""
    found: list[Message] = []
    with open_recording(path) as lines:
        for text in lines:
            line = parse(text, where=str(path))
            if line.dir == "in" and line.kind != "connect":
                found.append(Message(line.conn, json.loads(text), line.payload, line.received, line.kind == "http"))
    return found


def ours(exchange: str, messages: list[Message]) -> float:
    """Seconds a pass takes, batches left out."""
    passes, spent = 0, 0.0
    while spent < SHORTEST_SECONDS:
        events = EventBuffer()
        session = venue(exchange).recorded_session(events)
        passes += 1
        for start in range(0, len(messages), DRAIN_EVERY):
            began = time.perf_counter()
            for message in messages[start : start + DRAIN_EVERY]:
                if message.rest:
                    session.feed_http(message.conn, message.payload, message.received)
                else:
                    session.feed(message.conn, message.payload, message.received)
            spent += time.perf_counter() - began
            events.drain()
    return spent / passes


def written(case: Case, messages: list[Message], directory: Path) -> Path:
    """The frames as the peer's program reads them."""
    url = next((message.conn for message in messages if not message.rest and message.conn), "")
    snapshots = [{"url": message.conn, "body": message.recorded.get("raw", "")} for message in messages if message.rest]
    header = {"feed": case.feed, "url": url, "natives": case.natives, "snapshots": snapshots}
    path = directory / f"{case.exchange}.jsonl"
    with path.open("w", encoding="utf-8") as file:
        file.write(json.dumps(header) + "\n")
        for message in messages:
            if not message.rest:
                row = {"ts": (message.received or 0) / 1e6}
                raw = message.recorded
                file.write(json.dumps(row | ({"text": raw["raw"]} if "raw" in raw else {"base64": raw["raw_b64"]})) + "\n")
    return path


def theirs(python: str, path: Path) -> Any:
    """What the peer's program says of one round."""
    program = Path(__file__).parent / "peers" / "cryptofeed_frames.py"
    answer = subprocess.run([python, str(program), str(path), str(SHORTEST_SECONDS)], capture_output=True, text=True, check=False)
    if answer.returncode != 0:
        raise SystemExit(f"the peer ended with {answer.returncode} on {path.name}: {answer.stderr.strip().splitlines()[-1]}")
    return json.loads(answer.stdout)


def installed(directory: Path, python: str) -> str | None:
    """The interpreter of a new environment with the peer; None, with a word, where it cannot be made."""
    found = shutil.which(python)
    if found is None:
        print(f"peer left out: no {python} to install {PEER} with")
        return None
    subprocess.run([found, "-m", "venv", str(directory)], check=True)
    made = str(directory / "bin" / "python")
    done = subprocess.run([made, "-m", "pip", "install", "-q", PEER], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        print(f"peer left out: {PEER} could not be installed: {done.stderr.strip().splitlines()[-1]}")
        return None
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peer", default=None, help="interpreter of an environment that has the peer")
    parser.add_argument("--install-peer", action="store_true", help=f"make an environment with {PEER} for this run")
    parser.add_argument("--python", default="python3.13", help="interpreter that makes it")
    options = parser.parse_args()
    root = Path(os.environ.get("TICKHOUSE_RECORDINGS", Path(__file__).resolve().parents[2] / "shared" / "recordings"))
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
    with tempfile.TemporaryDirectory(prefix="tickhouse-bench-") as place:
        directory = Path(place)
        peer = installed(directory / "peer", options.python) if options.install_peer else options.peer
        if peer is None and not options.install_peer:
            print(f"peer left out: --install-peer makes an environment with {PEER}, --peer names one")
        print(f"{options.rounds} rounds, {os.cpu_count()} cores, Python {platform.python_version()}; medians, frames a second")
        print(f"{'venue':10}{'frames':>8}{'tickhouse':>12}{'cryptofeed':>12}{'ratio':>8}  what the peer made of them")
        for case in CASES:
            messages = messages_of(root / case.recording)
            path = written(case, messages, directory)
            mine: list[float] = []
            peers: list[float] = []
            note = ""
            for _ in range(options.rounds):
                mine.append(len(messages) / ours(case.exchange, messages))
                if peer is not None:
                    said = theirs(peer, path)
                    peers.append(said["frames"] / said["seconds"])
                    note = f"{said['callbacks'].get('trades', 0)} trades, {said['callbacks'].get('books', 0)} books"
                    note += f", {said['failed']} frames refused" if said["failed"] else ""
            rate = statistics.median(mine)
            other = f"{statistics.median(peers):12,.0f}{rate / statistics.median(peers):8.1f}" if peers else f"{'':20}"
            print(f"{case.exchange:10}{len(messages):8}{rate:12,.0f}{other}  {note}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
