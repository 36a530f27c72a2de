"""The simulator as a process: the ready line, a clean end, history on a pipe, load, and what it may import."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def process() -> Iterator[tuple[subprocess.Popen[str], Any]]:
    command = [sys.executable, "-m", "simulator", "serve", "--exchanges", "binance,kraken", "--rate", "3000"]
    command += ["--fault", "duplicate:binance:BTC/USDT:trades:0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as started:
        try:
            assert started.stdout is not None
            yield started, json.loads(started.stdout.readline())
        finally:
            started.kill()


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT])
def test_it_says_where_it_listens_and_closes_cleanly(process: Any, dial: Any, end: signal.Signals) -> None:
    started, ready = process
    port = ready["port"]

    async def run() -> int:
        async with dial(ready["endpoints"]["binance"]["spot_ws"] + "/stream?streams=btcusdt@trade") as socket:
            await socket.recv()
            started.send_signal(end)
            await socket.wait_closed()
            return int(socket.close_code or 0)

    assert asyncio.run(run()) == 1001
    assert started.wait(10) == 0
    assert ready == {
        "ready": True,
        "port": port,
        "endpoints": {
            "binance": {
                "spot_ws": f"ws://127.0.0.1:{port}/binance/spot",
                "spot_rest": f"http://127.0.0.1:{port}/binance/spot",
                "usdm_ws": f"ws://127.0.0.1:{port}/binance/usdm",
                "usdm_rest": f"http://127.0.0.1:{port}/binance/usdm",
            },
            "kraken": {
                "spot_ws": f"ws://127.0.0.1:{port}/kraken/spot/v2",
                "spot_rest": f"http://127.0.0.1:{port}/kraken/spot",
                "futures_ws": f"ws://127.0.0.1:{port}/kraken/futures/ws/v1",
                "futures_rest": f"http://127.0.0.1:{port}/kraken/futures",
            },
        },
    }


def test_a_load_of_thousands_of_messages_a_second_is_kept_up(simulate: Any, dial: Any) -> None:
    async def run() -> None:
        names = "/".join(f"{symbol}usdt@{stream}" for symbol in ("btc", "eth", "sol") for stream in ("trade", "depth@100ms"))
        async with (
            simulate("--rate", "5000", "--exchanges", "binance") as sim,
            dial(sim.url("binance", "spot_ws", f"/stream?streams={names}")) as socket,
        ):
            loop = asyncio.get_running_loop()
            await socket.recv()
            begin, count = loop.time(), 0
            while loop.time() < begin + 2.0:
                await socket.recv()
                count += 1
        # Half of the rate is the perpetuals', which nobody listens to here.
        assert count / 2.0 > 1_200

    asyncio.run(run())


def test_history_ends_quietly_when_its_reader_leaves() -> None:
    command = [sys.executable, "-m", "simulator", "history", "--hours", "6", "--end", "2026-11-21T03:00:00Z"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT) as started:
        assert started.stdout is not None
        assert started.stderr is not None
        line = json.loads(started.stdout.readline())
        started.stdout.close()
        error = started.stderr.read()
        assert started.wait(20) == 0
    assert line["ts"] == 1_795_208_400.0
    assert error == ""


def test_it_imports_nothing_of_the_house() -> None:
    code = (
        "import sys, simulator.cli; "
        "print([name for name in ('collectors', 'lake', 'assets', 'orchestration', 'serving', 'dagster') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "[]"
