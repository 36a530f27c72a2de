"""A start with 300 symbols of the simulated Binance, which counts request weight as the venue does: nothing is ever too much for it."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from collectors import alignment
from collectors.config import parse
from collectors.runtime import Collector
from collectors.settings import CollectorSettings
from collectors.venues.binance.venue import BinanceVenue
from lake.settings import LakeSettings
from tests.collectors.simulating import Simulator

PAIRS = [f"S{number:03}/USDT" for number in range(1, 151)]
SYMBOLS = [*PAIRS, *(f"{pair}:USDT" for pair in PAIRS)]
WEIGHT, SECONDS = 1000, 3
"""The venue allows 6,000 (spot) and 2,400 (USD-M) a minute; here it is this much in so many seconds, of each host."""
DEPTH = 500
"""Weight 25 a book on spot, 10 on USD-M."""


class HastyVenue(BinanceVenue):
    """Binance with the minute of its weight limits cut short."""

    limits = replace(
        BinanceVenue.limits, rest=tuple(replace(each, weight=WEIGHT, per_seconds=float(SECONDS)) for each in BinanceVenue.limits.rest)
    )


@pytest.fixture
def simulated(tmp_path: Path) -> Iterator[Simulator]:
    arguments = ["--symbols", ",".join(SYMBOLS), "--weight-limit", str(WEIGHT), "--weight-seconds", str(SECONDS)]
    with ExitStack() as stack:
        started = Simulator(tmp_path, rate=600.0, exchanges="binance", arguments=arguments)
        stack.callback(started.kill)
        yield started


def used_weight(address: str) -> int:
    """What the venue says it has counted in its running window; asking costs 1."""
    with urllib.request.urlopen(f"{address}/ping", timeout=5) as answer:
        return int(answer.headers["X-MBX-USED-WEIGHT-1M"])


def test_three_hundred_books_come_in_within_the_weight_limit(simulated: Simulator, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    endpoints = "\n".join(f"{key} = {json.dumps(url)}" for key, url in simulated.endpoints["binance"].items())
    text = f"[exchanges.binance]\nsymbols = {json.dumps(SYMBOLS)}\ndepth = {DEPTH}\n[exchanges.binance.endpoints]\n{endpoints}\n"
    venues = {"binance": HastyVenue()}
    collector = Collector(
        LakeSettings(home=tmp_path / "home", _env_file=None),
        CollectorSettings(_env_file=None),
        config=parse(text, venues),
        venues=venues,
    )
    peaks = {"spot": 0, "usdm": 0}
    held = 0
    began = time.monotonic()

    async def books() -> float:
        nonlocal held
        running = asyncio.create_task(collector.run())
        try:
            continuity = collector.events.continuity("binance")
            while len(continuity.books) < len(SYMBOLS):
                assert not running.done(), running.exception()
                assert time.monotonic() - began < 90, f"only {len(continuity.books)} books are whole"
                await asyncio.sleep(0.2)
                held = max(held, sum(shared.levels for shared in alignment._BUFFERED.values()))
                for market in peaks:
                    address = simulated.endpoints["binance"][f"{market}_rest"]
                    prefix = "/api/v3" if market == "spot" else "/fapi/v1"
                    peaks[market] = max(peaks[market], await asyncio.to_thread(used_weight, f"{address}{prefix}"))
            return time.monotonic() - began
        finally:
            collector.stop()
            await running

    seconds = asyncio.run(books())
    requests = simulated.control("stats")["requests"]

    with capsys.disabled():
        print(f"\n300 books in {seconds:.1f} s, weight used of {WEIGHT} in {SECONDS} s: {peaks}, levels held at most {held:,}, {requests}")
    assert set(requests) == {"200"}
    assert all(WEIGHT / 2 < peak <= WEIGHT for peak in peaks.values())
    # 150 books of weight 25 do not fit into three windows.
    assert seconds > 3 * SECONDS
    assert held < alignment.MAX_BUFFERED_LEVELS
