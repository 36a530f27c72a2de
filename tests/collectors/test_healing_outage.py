"""Outages of the simulated venues, and a stop of our own: afterwards every trade of the venues' ledger has landed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.collectors.simulating import SYMBOLS, Running, Simulator, until

pytestmark = pytest.mark.lengthy(waits=True)

UNHEALED = "select exchange, symbol, kind, from_time, to_time from gaps where channel = 'trades' and healed_at is null"


@pytest.fixture
def processes() -> Iterator[ExitStack]:
    """Whatever a test starts is dead when it ends."""
    with ExitStack() as stack:
        yield stack


def ledger_of(simulated: Simulator) -> dict[tuple[str, str], dict[int, float]]:
    """Amounts the stopped simulator traded, by (exchange, symbol) and id as a collector knows it: USD-M's are aggregates."""
    found: dict[tuple[str, str], dict[int, float]] = {}
    for row in simulated.rows("trades"):
        number = int(row["aggregate_id"] if row["market"] == "usdm" else row["trade_id"])
        amounts = found.setdefault((row["exchange"], row["symbol"]), {})
        amounts[number] = amounts.get(number, 0.0) + row["amount"]
    return found


def assert_whole(running: Running, simulated: Simulator) -> int:
    """Every trade of the ledger between the first and the last that landed has landed, once; returns how many came over REST."""
    rows = running.sql("select exchange, symbol, trade_id::bigint as id, amount, source from trades")
    landed: dict[tuple[str, str], dict[int, float]] = {}
    for row in rows:
        mine = landed.setdefault((row["exchange"], row["symbol"]), {})
        assert row["id"] not in mine, row
        mine[row["id"]] = row["amount"]
    traded_by = ledger_of(simulated)
    assert set(landed) == {(exchange, symbol) for exchange, symbols in SYMBOLS.items() for symbol in symbols}
    for place, mine in landed.items():
        traded = traded_by[place]
        first, last = min(mine), max(mine)
        expected = {number: amount for number, amount in traded.items() if first <= number <= last}
        assert mine == pytest.approx(expected, rel=1e-12), place
    return sum(row["source"] == "rest" for row in rows)


def outage(simulated: Simulator, seconds: float) -> None:
    """Every socket is cut, and neither sockets nor REST are to be had for a while."""
    simulated.fault("refuse", duration=seconds)
    simulated.fault("disconnect")
    time.sleep(seconds)


def test_an_outage_and_a_restart_lose_no_trade(processes: ExitStack, tmp_path: Path) -> None:
    simulated = Simulator(tmp_path, rate=600)
    processes.callback(simulated.kill)
    running = Running(tmp_path, simulated.endpoints)
    processes.callback(running.kill)
    running.wait_live()

    def fetched_after_an_outage() -> int:
        outage(simulated, 6.0)
        # The venues' REST answers again a moment later than their sockets, and turns requests away at first.
        simulated.fault("http_429", duration=1.5)
        until(lambda: running.sql("select * from gaps where channel = 'trades' and healed_by = 'rest'"), what="a healed gap")
        until(lambda: not running.sql(UNHEALED), what="the end of every gap of the outage")
        return int(running.sql("select count(*) as n from trades where source = 'rest'")[0]["n"])

    # A machine that has little time for the simulator trades less in one outage.
    fetched = until(lambda: (found := fetched_after_an_outage()) > 500 and found, seconds=180, what="an outage of more than 500 trades")

    assert running.stop() == 0
    time.sleep(2.0)
    running = Running(tmp_path, simulated.endpoints)
    processes.callback(running.kill)
    running.wait_live()
    until(lambda: not running.sql(UNHEALED), what="the end of every gap of the restart")
    simulated.stop()
    until(lambda: all(each.state != "connected" for each in running.status().connections))
    assert running.stop() == 0

    assert assert_whole(running, simulated) > fetched
    kinds = running.sql("select distinct exchange, healed_by from gaps where channel = 'trades' and healed_by = 'rest' order by all")
    assert [row["exchange"] for row in kinds] == ["binance", "kraken"]
