"""Silent streams, with the collector and the simulator as processes: noticed, renewed alone, filled, and one row in `gaps` each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.collectors.simulating import Running, Simulator, until

STALLED = "select * from gaps where kind = 'stall'"


@pytest.fixture
def processes() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def started(processes: ExitStack, root: Path, **settings: str) -> tuple[Simulator, Running]:
    simulated = Simulator(root, rate=1500)
    processes.callback(simulated.kill)
    running = Running(root, simulated.endpoints, settings=settings)
    processes.callback(running.kill)
    running.wait_live()
    return simulated, running


def stream(running: Running, exchange: str, symbol: str, channel: str):
    return next(each for each in running.status().streams if (each.exchange, each.symbol, each.channel) == (exchange, symbol, channel))


def test_a_lively_stream_that_falls_silent_is_noticed_within_seconds_by_what_it_taught(processes, tmp_path):
    simulated, running = started(processes, tmp_path, TICKHOUSE_STALL_FLOOR_SECONDS="1", TICKHOUSE_STALL_FIRST_SECONDS="120")
    assert stream(running, "kraken", "BTC/USD", "trades").silent_after == 120
    until(lambda: stream(running, "kraken", "BTC/USD", "trades").silent_after < 5, seconds=60, what="a rhythm that is known")
    learnt = stream(running, "kraken", "BTC/USD", "trades").silent_after
    sockets = {each.name: each.connected_since for each in running.status().connections}

    simulated.fault("stall", exchange="kraken", symbol="BTC/USD", channel="trades", duration=round(1.5 * learnt + 1.0, 1))
    until(lambda: stream(running, "kraken", "BTC/USD", "trades").state == "silent", what="silence in the status")
    until(lambda: running.sql(f"{STALLED} and healed_at is not null"), what="the end of the stall")

    assert {each.name: each.connected_since for each in running.status().connections} == sockets, "no socket was replaced"
    simulated.stop()
    assert running.stop() == 0
    (gap,) = running.sql(STALLED)
    assert (gap["exchange"], gap["symbol"], gap["channel"], gap["healed_by"]) == ("kraken", "BTC/USD", "trades", "rest")
    assert learnt * 0.9 <= (gap["local_timestamp"] - gap["from_time"]).total_seconds() <= learnt + 2.5
    numbers = sorted(int(row["trade_id"]) for row in running.sql("select trade_id from trades where symbol = 'BTC/USD'"))
    assert numbers == list(range(numbers[0], numbers[-1] + 1))
    others = running.sql("select count(*) as n from gaps where (symbol, channel) <> ('BTC/USD', 'trades') and healed_at is not null")
    assert others[0]["n"] == 0


def test_what_a_new_subscription_does_not_bring_back_gets_a_new_socket_beside_the_old_one(processes, tmp_path):
    simulated, running = started(processes, tmp_path, TICKHOUSE_STALL_FLOOR_SECONDS="1", TICKHOUSE_STALL_FIRST_SECONDS="1")
    simulated.fault("stall", exchange="binance", symbol="BTC/USDT", channel="book", duration=5)

    until(lambda: any(each.reconnects for each in running.status().connections if each.name == "binance-spot-0"), seconds=40)
    until(lambda: running.sql(f"{STALLED} and healed_at is not null"), what="the end of the stall")

    assert running.stop() == 0
    (gap,) = running.sql(STALLED)
    assert (gap["exchange"], gap["symbol"], gap["channel"]) == ("binance", "BTC/USDT", "book_deltas")
    lost = running.sql("select * from gaps where kind <> 'stall' and healed_at is not null")
    assert lost == [], "the streams beside it went on over the old socket until the new one stood"
