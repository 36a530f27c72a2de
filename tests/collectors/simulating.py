"""The simulator and the collector as processes of their own, for tests that need both real."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pyarrow as pa

from collectors import status
from collectors.status import CollectorStatus
from lake.paths import Home
from lake.query import run_sql

SYMBOLS = {"binance": ["BTC/USDT", "ETH/USDT", "BTC/USDT:USDT"], "kraken": ["BTC/USD", "ETH/USD"]}
ROOT = Path(__file__).resolve().parents[2]
FAST = {
    "TICKHOUSE_ROLL_SECONDS": "1",
    "TICKHOUSE_VISIBLE_AFTER_SECONDS": "0.3",
    "TICKHOUSE_STATUS_SECONDS": "0.2",
    "TICKHOUSE_BACKOFF_FIRST_SECONDS": "0.1",
    "TICKHOUSE_BACKOFF_CAP_SECONDS": "0.5",
    "TICKHOUSE_LOG_FORMAT": "json",
}


def comes_true(true: Callable[[], Any], *, seconds: float = 60.0) -> Any:
    """Wait until `true()` is, and return what it gave last: nothing that counts where it never came true.

    The longer a look takes the less often it is taken, so that waiting leaves most of a core to those that are waited for.
    """
    deadline = time.monotonic() + seconds
    while True:
        began = time.monotonic()
        found = true()
        if found or began >= deadline:
            return found
        time.sleep(min(1.0, max(0.05, 4 * (time.monotonic() - began))))


def until(true: Callable[[], Any], *, seconds: float = 60.0, what: str = "the condition") -> Any:
    """As `comes_true`, and an assertion fails where it never does."""
    found = comes_true(true, seconds=seconds)
    assert found, f"{what} never came true"
    return found


class Simulator:
    """`python -m simulator serve` on a free port."""

    def __init__(
        self, directory: Path, *, rate: float = 1000.0, exchanges: str = "binance,kraken", port: int = 0, arguments: Sequence[str] = ()
    ) -> None:
        self.ledger = directory / "ledger"
        command = ["serve", "--port", str(port), "--rate", str(rate), "--ledger", str(self.ledger), "--exchanges", exchanges]
        command += ["--liquidations-per-minute", "120", *arguments]
        self.process = subprocess.Popen([sys.executable, "-m", "simulator", *command], stdout=subprocess.PIPE, text=True, cwd=ROOT)
        assert self.process.stdout is not None
        ready = json.loads(self.process.stdout.readline())
        self.port: int = ready["port"]
        self.endpoints: dict[str, dict[str, str]] = ready["endpoints"]

    def control(self, call: str, **parameters: object) -> Any:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/control/{call}?{urlencode(parameters)}", timeout=10) as answer:
            return json.loads(answer.read())

    def fault(self, kind: str, **parameters: object) -> None:
        assert self.control("fault", kind=kind, **parameters)["armed"]

    def rows(self, name: str) -> list[dict[str, Any]]:
        """Rows of the simulator's own ledger; complete once it has stopped."""
        path = self.ledger / f"{name}.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            assert self.process.wait(20) == 0
        if self.process.stdout is not None:
            self.process.stdout.close()

    def kill(self) -> None:
        """End it whatever state it is in; for cleaning up."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)
        if self.process.stdout is not None:
            self.process.stdout.close()


class Running:
    """`python -m collectors` on a home, against a simulator's endpoints."""

    def __init__(
        self,
        root: Path,
        endpoints: Mapping[str, Mapping[str, str]],
        *,
        symbols: Mapping[str, list[str]] = SYMBOLS,
        settings: Mapping[str, str] | None = None,
        redundant: bool = False,
    ) -> None:
        self.home = Home(root / "home")
        self.log = root / "collector.log"
        config = root / "tickhouse.toml"
        config.write_text(toml(endpoints, symbols, redundant=redundant))
        environment = {**os.environ, **FAST, **(settings or {})}
        command = [sys.executable, "-m", "collectors", "--home", str(self.home.root), "--config", str(config)]
        with self.log.open("a") as log:
            self.process = subprocess.Popen(command, stderr=log, env=environment, cwd=ROOT)

    def status(self) -> CollectorStatus | None:
        """The status file, if this process has written it."""
        found = status.read(self.home, "main")
        return found if found is not None and found.pid == self.process.pid else None

    def live(self, *, exchange: str | None = None) -> bool:
        """Whether every trade and book stream (of one exchange) has delivered."""
        assert self.process.poll() is None, self.log.read_text()
        state = self.status()
        if state is None:
            return False
        streams = [
            stream for stream in state.streams if stream.channel in {"trades", "book"} and (exchange is None or stream.exchange == exchange)
        ]
        return bool(streams) and all(stream.rows for stream in streams)

    def wait_live(self, *, exchange: str | None = None) -> None:
        until(lambda: self.live(exchange=exchange), what=f"delivery of {exchange or 'every exchange'}")

    def sql(self, statement: str) -> list[dict[str, Any]]:
        """Rows of a statement over files and log, now."""
        found: pa.Table = run_sql(self.home, statement).table
        return found.to_pylist()

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)

    def kill(self) -> None:
        """SIGKILL: dead at once, whatever it was doing."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)


def toml(endpoints: Mapping[str, Mapping[str, str]], symbols: Mapping[str, list[str]], *, redundant: bool = False) -> str:
    """A tickhouse.toml that asks for `symbols` at `endpoints`, over two sockets each where wanted."""
    lines: list[str] = []
    for exchange, addresses in endpoints.items():
        lines += [f"[exchanges.{exchange}]", f"symbols = {json.dumps(symbols[exchange])}", f"redundant = {json.dumps(redundant)}"]
        lines.append(f"[exchanges.{exchange}.endpoints]")
        lines += [f"{key} = {json.dumps(url)}" for key, url in addresses.items()]
    return "\n".join(lines) + "\n"
