"""Two sockets for every stream, against the simulator process through a proxy that cuts single sockets: the data shows nothing of it."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.collectors.proxying import Proxy
from tests.collectors.simulating import SYMBOLS, Running, Simulator, until

pytestmark = pytest.mark.lengthy(waits=True)

CUTS = 4
TWICE = "select sum(duplicates)::bigint as n from ledger where dataset = 'trades'"
SETTLED = """
    select count(*) as n from trades
    where timestamp > (select max(first) from (select min(timestamp) as first from trades group by exchange, symbol))
      and timestamp < (select max(local_timestamp) - interval 1 second from trades)
"""
"""Trades since every symbol has traded, without those of the last second."""


class Redundant(Running):
    """A collector whose every exchange is wanted twice."""

    def __init__(self, root: Path, proxy: Proxy, simulated: Simulator, **settings: str) -> None:
        super().__init__(root, proxy.through(simulated.endpoints), settings=settings, redundant=True)


@pytest.fixture
def processes() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def simulated(processes: ExitStack, tmp_path: Path) -> Simulator:
    started = Simulator(tmp_path, rate=600)
    processes.callback(started.kill)
    return started


@pytest.fixture
def proxy(processes: ExitStack, simulated: Simulator) -> Proxy:
    started = Proxy(simulated.port)
    processes.callback(started.stop)
    return started


@pytest.fixture
def running(processes: ExitStack, tmp_path: Path, proxy: Proxy, simulated: Simulator) -> Redundant:
    started = Redundant(tmp_path, proxy, simulated, TICKHOUSE_STALL_FLOOR_SECONDS="2", TICKHOUSE_STALL_FIRST_SECONDS="2")
    processes.callback(started.kill)
    started.wait_live()
    wait_both_stand(started)
    return started


def wait_both_stand(running: Running) -> None:
    """Wait until every planned connection has two sockets that have both brought frames for a while."""
    begun = time.time_ns() // 1000

    def stand() -> bool:
        state = running.status()
        each_stands = [each.connected_since and state.time - each.connected_since > 1_500_000 for each in state.connections]
        return len(each_stands) == 8 and all(each_stands) and state.time - begun > 500_000

    until(stand, what="both sockets of every pair")


def replaced(running: Running, begun: int) -> bool:
    """Whether one of Kraken's two sockets was opened after `begun`."""
    found = [each.connected_since for each in running.status().connections if each.name.startswith("kraken-spot-0")]
    return max(found) > begun + 1_000_000


def test_a_silent_socket_and_cutting_either_socket_at_random_moments_leave_no_trace(simulated, proxy, running):
    by_path: dict[str, list[float]] = {}
    for passage in proxy.passages:
        by_path.setdefault(passage.path.split("?")[0], []).append(passage.opened)
    assert sorted(map(len, by_path.values())) == [2, 2, 2, 2]
    assert all(abs(first - second) >= 0.9 for first, second in by_path.values()), "the two of a pair are opened apart"

    # The older of Kraken's two, whose books land, stays open and says nothing any more.
    next(passage for passage in proxy.passages if passage.path.startswith("/kraken")).hushed = True
    begun = time.time_ns() // 1000
    until(lambda: replaced(running, begun), what="a new socket in place of the one that stands still")
    draw = random.Random(time.time_ns())
    for _ in range(CUTS):
        wait_both_stand(running)
        time.sleep(draw.uniform(0.0, 0.4))
        proxy.cut(draw.choice(proxy.passages))
    wait_both_stand(running)
    first = running.sql("select max(first) as at from (select min(timestamp) as first from trades group by exchange, symbol)")[0]["at"]
    until(lambda: running.sql(SETTLED)[0]["n"] > 500, what="500 trades that both sockets had time to bring")
    until(lambda: (running.sql(TWICE)[0]["n"] or 0) > 500, what="500 trades that came twice")
    ended = running.sql("select max(local_timestamp) as at from trades")[0]["at"]
    # Stopping the collector is what opens gaps: none may be older than that.
    assert running.sql("select * from gaps") == []
    simulated.stop()
    until(lambda: all(each.state != "connected" for each in running.status().connections))
    assert running.stop() == 0

    rows = running.sql("select exchange, symbol, trade_id, side, price, amount, fill_count, timestamp from trades")
    landed = {(row["exchange"], row["symbol"], row["trade_id"]): row for row in rows}
    assert len(landed) == len(rows)
    expected = published(simulated)
    since = first.timestamp() * 1e6
    until_ = ended.timestamp() * 1e6 - 1e6
    window = {key for key, row in expected.items() if since < row["time_us"] < until_}
    assert len(window) > 500
    assert window <= set(landed)
    assert set(landed) <= set(expected)
    for key, row in landed.items():
        sent = expected[key]
        assert (row["side"], row["price"], row["fill_count"]) == (sent["side"], sent["price"], sent["fills"])
        assert row["amount"] == pytest.approx(sent["amount"], rel=1e-12)
    assert running.sql("select count(*) as n from trades where source = 'rest'")[0]["n"] == 0
    assert_books_went_on(running)
    assert_conserved(running)
    assert sum(each.reconnects for each in running.status().connections) >= CUTS


def published(simulated: Simulator) -> dict[tuple[str, str, str], dict]:
    """Trades of the wanted symbols by the stopped simulator, as a collector knows them: USD-M publishes aggregates."""
    found: dict[tuple[str, str, str], dict] = {}
    for row in simulated.rows("trades"):
        if row["symbol"] not in SYMBOLS[row["exchange"]]:
            continue
        key = (row["exchange"], row["symbol"], row["aggregate_id"] if row["market"] == "usdm" else row["trade_id"])
        known = found.setdefault(key, {**row, "amount": 0.0, "fills": 0})
        known["amount"] += row["amount"]
        known["fills"] += 1
    return found


def assert_books_went_on(running: Running, *, still: int = 3000) -> None:
    """No book stood still for longer than a take-over takes, and none mixes two sockets."""
    pauses = running.sql(
        """
        select exchange, symbol, max(date_diff('millisecond', before, local_timestamp)) as longest from (
          select exchange, symbol, local_timestamp,
                 lag(local_timestamp) over (partition by exchange, symbol order by local_timestamp, ordinal) as before
          from book_deltas)
        group by all
        """
    )
    assert {row["symbol"] for row in pauses} == {symbol for symbols in SYMBOLS.values() for symbol in symbols}
    assert [row for row in pauses if row["longest"] > still] == []
    back = """
        select * from (
          select symbol, sequence, is_snapshot, lag(sequence) over (partition by symbol order by local_timestamp, ordinal) as before
          from book_deltas where exchange = 'binance')
        where not is_snapshot and before > sequence
    """
    assert running.sql(back) == []


def assert_conserved(running: Running) -> None:
    broken = "frames <> control + ignored + decoded + dead_letters or rows_decoded <> rows_landed + duplicates + discarded"
    assert running.sql(f"select * from ledger where {broken}") == []
    names = {row["connection"] for row in running.sql("select distinct connection from ledger")}
    assert {"binance-spot-0", "binance-spot-0b", "kraken-spot-0", "kraken-spot-0b"} <= names
    counted = running.sql(
        "select dataset, sum(rows_landed)::bigint as n from ledger where dataset in ('trades', 'book_deltas') group by all"
    )
    for row in counted:
        assert running.sql(f"select count(*) as n from {row['dataset']}")[0]["n"] == row["n"], row
    assert running.sql(TWICE)[0]["n"] > 500
    assert running.sql("select sum(discarded)::bigint as n from ledger where discard_reason = 'standby'")[0]["n"] > 0
