"""A gap in one book: that book alone is made again, within two seconds, while the others go on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.collectors.simulating import SYMBOLS, Running, Simulator

FAULTS = (
    ("drop_delta", "binance", "BTC/USDT", "sequence"),
    ("drop_delta", "binance", "BTC/USDT:USDT", "sequence"),
    ("drop_delta", "kraken", "BTC/USD", "checksum"),
    ("bad_checksum", "kraken", "ETH/USD", "checksum"),
)


@pytest.fixture
def processes() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def test_a_dropped_or_spoilt_update_costs_its_book_less_than_two_seconds_and_the_others_nothing(processes, tmp_path: Path):
    simulated = Simulator(tmp_path, rate=600)
    processes.callback(simulated.kill)
    running = Running(tmp_path, simulated.endpoints)
    processes.callback(running.kill)
    running.wait_live()
    healed = "select exchange, symbol, kind, local_timestamp as noticed, healed_at, healed_by from gaps where channel = 'book_deltas'"
    for number, (kind, exchange, symbol, _) in enumerate(FAULTS, start=1):
        for _ in range(10):
            simulated.fault(kind, exchange=exchange, symbol=symbol, channel="book")
            if _within(4.0, lambda n=number: len(running.sql(f"{healed} and healed_at is not null")) == n):
                break
            # A checksum covers ten levels: a lost level below them shows only when it comes up.
        else:
            pytest.fail(f"no gap of {kind} on {symbol}")
    time.sleep(0.3)

    gaps = running.sql(healed)
    frozen = running.sql(
        """
        select symbol, max(date_diff('millisecond', before, local_timestamp)) as longest from (
          select symbol, local_timestamp, lag(local_timestamp) over (partition by symbol order by local_timestamp, ordinal) as before
          from book_deltas)
        group by all
        """
    )

    assert running.stop() == 0
    print([(gap["symbol"], gap["kind"], (gap["healed_at"] - gap["noticed"]).total_seconds()) for gap in gaps])
    assert sorted((gap["exchange"], gap["symbol"], gap["kind"]) for gap in gaps) == sorted(
        (exchange, symbol, seen) for _, exchange, symbol, seen in FAULTS
    )
    assert {gap["healed_by"] for gap in gaps} == {"snapshot"}
    assert all((gap["healed_at"] - gap["noticed"]).total_seconds() < 2 for gap in gaps)
    assert {row["symbol"] for row in frozen} == {symbol for symbols in SYMBOLS.values() for symbol in symbols}
    # A snapshot answers within the two seconds; nothing else of the others waits for it.
    assert all(row["longest"] < 2500 for row in frozen)


def _within(seconds: float, true: Callable[[], bool]) -> bool:
    """Whether it comes true in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if true():
            return True
        time.sleep(0.1)
    return False
