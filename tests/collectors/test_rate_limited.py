"""A venue that answers 429 while a book must be fetched anew: the book comes back by itself, the other host's books are not touched."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.collectors.simulating import Running, Simulator, until

BOOK_GAPS = "select symbol, kind, from_time, healed_at, healed_by from gaps where exchange = 'binance' and channel = 'book_deltas'"


@pytest.fixture
def processes() -> Iterator[ExitStack]:
    """Whatever a test starts is dead when it ends."""
    with ExitStack() as stack:
        yield stack


def test_snapshots_resume_when_the_pause_is_over_and_the_other_host_goes_on(processes: ExitStack, tmp_path: Path) -> None:
    simulated = Simulator(tmp_path, rate=600, exchanges="binance")
    processes.callback(simulated.kill)
    symbols = {"binance": ["BTC/USDT", "BTC/USDT:USDT"]}
    running = Running(tmp_path, simulated.endpoints, symbols=symbols)
    processes.callback(running.kill)
    running.wait_live()

    simulated.fault("http_429", exchange="binance", symbol="BTC/USDT", duration=3)
    before = simulated.control("stats")["requests"].get("429", 0)
    simulated.fault("drop_delta", exchange="binance", symbol="BTC/USDT", channel="book")
    until(lambda: simulated.control("stats")["requests"].get("429", 0) > before, what="a 429")
    simulated.fault("drop_delta", exchange="binance", symbol="BTC/USDT:USDT", channel="book")
    healed = f"{BOOK_GAPS} and healed_by = 'snapshot' order by healed_at"
    until(lambda: len(running.sql(healed)) == 2, what="both books to be whole again")
    requests = simulated.control("stats")["requests"]
    assert running.stop() == 0

    perpetual, spot = running.sql(healed)
    assert (perpetual["symbol"], spot["symbol"]) == ("BTC/USDT:USDT", "BTC/USDT")
    assert (perpetual["healed_at"] - perpetual["from_time"]).total_seconds() < 2
    assert (spot["healed_at"] - spot["from_time"]).total_seconds() > 1.5
    # Retry-After is kept to: one request told us, and none tried again meanwhile.
    assert requests["429"] - before <= 2
