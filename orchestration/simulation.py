"""The simulator as a child process: a live market on a port, or a past market as lines to be landed.

Put here: starting it, waiting until it is ready, feeding its history to the collectors. Keep out: what it pretends.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from lake.settings import LakeSettings
from orchestration.errors import ChildFailed


@dataclass(frozen=True, slots=True, kw_only=True)
class LandedHistory:
    """What a simulated past came to."""

    lines: int
    rows: Mapping[str, int]
    seconds: float

    @property
    def sentence(self) -> str:
        """The counts in one line."""
        rows = ", ".join(f"{count:,} {name}" for name, count in self.rows.items() if count)
        return f"landed {self.lines:,} frames in {self.seconds:.1f} s: {rows}"


def land_history(settings: LakeSettings, *, hours: float, end: datetime | None, arguments: Sequence[str]) -> LandedHistory:
    """Land `hours` of simulated market that end at `end` (now if None) through the collectors' own path.

    Raises `ChildFailed` when the simulator ends with an error.
    """
    import time

    from collectors.history import land_recording

    ends = end or datetime.now(UTC)
    command = [
        sys.executable,
        "-m",
        "simulator",
        "history",
        "--hours",
        f"{hours:g}",
        "--end",
        ends.isoformat(timespec="seconds"),
        *arguments,
    ]
    begun = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.PIPE, bufsize=1 << 20) as process:
        assert process.stdout is not None
        counts = land_recording(process.stdout, settings)
    if process.returncode != 0:
        raise ChildFailed("simulator history", process.returncode)
    return LandedHistory(lines=counts.lines, rows=dict(counts.rows), seconds=time.monotonic() - begun)


@dataclass(frozen=True, slots=True)
class LiveMarket:
    """A simulator that serves: its endpoints by exchange and key."""

    endpoints: Mapping[str, Mapping[str, str]]
    process: subprocess.Popen[bytes]


@contextmanager
def live_market(*, arguments: Sequence[str] = ()) -> Iterator[LiveMarket]:
    """A simulator on a free port of this machine for as long as the block lasts.

    Raises `ChildFailed` when it ends before it is ready.
    """
    command = [sys.executable, "-m", "simulator", "serve", "--port", "0", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)
    try:
        assert process.stdout is not None
        ready = process.stdout.readline()
        if not ready:
            raise ChildFailed("simulator serve", process.wait())
        yield LiveMarket(json.loads(ready)["endpoints"], process)
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        assert process.stdout is not None
        process.stdout.close()


def write_config(path: Path, market: LiveMarket, symbols: Mapping[str, Sequence[str]], *, depth: int = 100) -> None:
    """Write a tickhouse.toml that points the collectors at a live market; `symbols` by exchange."""
    lines = ["# Written for a simulated market: its endpoints change with every start."]
    for exchange, wanted in symbols.items():
        listed = ", ".join(json.dumps(symbol) for symbol in wanted)
        lines += [f"[exchanges.{exchange}]", f"symbols = [{listed}]", f"depth = {depth}", f"[exchanges.{exchange}.endpoints]"]
        lines += [f"{key} = {json.dumps(url)}" for key, url in market.endpoints[exchange].items()]
    path.write_text("\n".join(lines) + "\n")


def outside_environment(market: LiveMarket) -> dict[str, str]:
    """Variables by which market context (`sources.settings`) asks a live market that pretends Binance, and no one outside."""
    spot, usdm = market.endpoints["binance"]["spot_rest"], market.endpoints["binance"]["usdm_rest"]
    root = spot.partition("/binance")[0]
    return {
        "TICKHOUSE_CANDLE_EXCHANGES": "binance",
        "TICKHOUSE_CANDLE_SYMBOLS": "BTC/USDT,ETH/USDT,SOL/USDT",
        "TICKHOUSE_CANDLE_HISTORY_DAYS": "2",
        "TICKHOUSE_CANDLE_URLS": f"https://api.binance.com={spot},https://fapi.binance.com={usdm}",
        "TICKHOUSE_COINGECKO_URL": f"{root}/coingecko/api/v3",
        "TICKHOUSE_COINGECKO_PAUSE_SECONDS": "0",
        "TICKHOUSE_COINGLASS_URL": f"{root}/coinglass",
        "COINGECKO_API_KEY": "simulated",
        "COINGLASS_API_KEY": "simulated",
    }
