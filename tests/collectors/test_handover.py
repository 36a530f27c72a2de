"""Planned hand-over with the venues' own sessions against the simulator process: nothing missing, nothing twice, no gap."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from collectors import config
from collectors.registry import VENUES
from collectors.runtime import Collector
from collectors.settings import CollectorSettings
from collectors.venue import ConnectionPlan, Instrument, Venue, Wanted
from lake.query import run_sql
from lake.settings import LakeSettings
from tests.collectors.simulating import SYMBOLS, Simulator, toml

pytestmark = pytest.mark.lengthy(waits=True)

HAND_OVERS = 2


@pytest.fixture
def simulated(tmp_path: Path) -> Iterator[Simulator]:
    started = Simulator(tmp_path, rate=1000)
    yield started
    started.kill()


class ShortLived:
    """A venue whose sockets live two seconds instead of a day; all else is the venue's own."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue

    def __getattr__(self, name: str) -> object:
        return getattr(self._venue, name)

    def plan(self, wanted: Wanted, instruments: Mapping[str, Instrument]) -> list[ConnectionPlan]:
        return [dataclasses.replace(plan, max_age_seconds=2.0) for plan in self._venue.plan(wanted, instruments)]


async def collect(collector: Collector) -> None:
    running = asyncio.create_task(collector.run())
    deadline = time.monotonic() + 40
    while not collector.connections or min(each.reconnects for each in collector.connections.values()) < HAND_OVERS:
        assert not running.done(), running.exception()
        assert time.monotonic() < deadline, [(name, each.reconnects) for name, each in collector.connections.items()]
        await asyncio.sleep(0.05)
    collector.stop()
    await running


def test_every_socket_is_replaced_twice_without_a_trace_in_the_data(simulated, tmp_path):
    venues = {name: ShortLived(venue) for name, venue in VENUES.items()}
    markets = config.parse(toml(simulated.endpoints, SYMBOLS), venues)
    lake = LakeSettings(home=tmp_path / "home", roll_seconds=1.0, visible_after_seconds=0.3)

    asyncio.run(collect(Collector(lake, CollectorSettings(), config=markets, venues=venues)))

    def sql(statement: str) -> list[dict]:
        return run_sql(lake.house, statement).table.to_pylist()

    # Stopping is what ends the last sockets: gaps that were open at the end are those of the stop.
    ended = sql("select max(local_timestamp) as at from trades")[0]["at"]
    assert [
        gap for gap in sql("select * from gaps") if gap["healed_at"] is not None or (ended - gap["from_time"]).total_seconds() > 1.5
    ] == []
    for exchange, symbol in (("binance", "BTC/USDT"), ("binance", "BTC/USDT:USDT"), ("kraken", "BTC/USD")):
        numbers = [
            int(row["trade_id"]) for row in sql(f"select trade_id from trades where exchange = '{exchange}' and symbol = '{symbol}'")
        ]
        assert sorted(numbers) == list(range(min(numbers), max(numbers) + 1)), symbol
        assert sql(f"select count(*) as n from book_deltas where exchange = '{exchange}' and symbol = '{symbol}'")[0]["n"] > 0
    back = """
        select * from (
          select symbol, sequence, is_snapshot, lag(sequence) over (partition by symbol order by local_timestamp, ordinal) as before
          from book_deltas where exchange = 'binance')
        where not is_snapshot and before > sequence
    """
    assert sql(back) == []
    snapshots = "select exchange, symbol, count(distinct local_timestamp) as n from book_deltas where is_snapshot group by all"
    assert all(row["n"] >= HAND_OVERS + 1 for row in sql(snapshots))
    assert sql("select count(*) as n from ledger where rows_decoded <> rows_landed + duplicates + discarded")[0]["n"] == 0
    assert sql("select sum(duplicates)::bigint as n from ledger where dataset = 'trades'")[0]["n"] > 0
    assert sql("select sum(discarded)::bigint as n from ledger where discard_reason = 'standby'")[0]["n"] > 0
