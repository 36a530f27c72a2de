"""The collector process against the simulator process: what was sent is what lies in the lake, whatever goes wrong on the way."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from lake.paths import Home
from lake.wal import WalWriter, open_segments
from tests.collectors.simulating import Running, Simulator, until


@pytest.fixture
def processes() -> Iterator[ExitStack]:
    """Whatever a test starts is dead when it ends."""
    with ExitStack() as stack:
        yield stack


def simulator(processes: ExitStack, root: Path, **options: object) -> Simulator:
    started = Simulator(root, **options)
    processes.callback(started.kill)
    return started


def collector(processes: ExitStack, root: Path, simulated: Simulator, **settings: str) -> Running:
    started = Running(root, simulated.endpoints, settings=settings)
    processes.callback(started.kill)
    return started


def published(simulated: Simulator) -> tuple[dict[tuple, tuple], set[tuple]]:
    """Trades of the stopped simulator by (exchange, symbol, id) as a collector knows them, and which of them a socket was sent.

    USD-M publishes aggregates: their amounts and fills are summed here.
    """
    trades: dict[tuple, tuple] = {}
    delivered = set()
    for row in simulated.rows("trades"):
        aggregate = row["market"] == "usdm"
        key = (row["exchange"], row["symbol"], row["aggregate_id"] if aggregate else row["trade_id"])
        amount, fills = (trades[key][2], trades[key][3]) if key in trades else (0.0, 0)
        trades[key] = (row["side"], row["price"], amount + row["amount"], fills + 1)
        if row["delivered"]:
            delivered.add(key)
    return trades, delivered


def landed(running: Running) -> list[dict]:
    return running.sql("select exchange, symbol, trade_id, side, price, amount, fill_count from trades")


def assert_conserved(running: Running) -> None:
    broken = running.sql(
        "select * from ledger where frames <> control + ignored + decoded + dead_letters or rows_decoded <> rows_landed + duplicates + discarded"
    )
    assert broken == []
    counted = running.sql("select dataset, sum(rows_landed)::bigint as rows from ledger where dataset <> '' group by all")
    for row in counted:
        if row["dataset"] in {"trades", "book_deltas", "book_snapshots", "dead_letters"}:
            assert running.sql(f"select count(*) as n from {row['dataset']}")[0]["n"] == row["rows"], row


def assert_same_books(running: Running) -> None:
    """No symbol's deltas come from two sockets: between snapshots the venue's sequence never goes back."""
    back = running.sql(
        """
        select * from (
          select exchange, symbol, sequence, is_snapshot,
                 lag(sequence) over (partition by exchange, symbol order by local_timestamp, ordinal) as before
          from book_deltas where exchange = 'binance')
        where not is_snapshot and before > sequence
        """
    )
    assert back == []


def test_what_the_simulator_sent_is_what_landed_and_sigterm_drains(processes, tmp_path):
    simulated = simulator(processes, tmp_path, rate=1500)
    running = collector(processes, tmp_path, simulated)
    running.wait_live()
    until(lambda: running.sql("select count(*) as n from trades")[0]["n"] > 1000)
    until(lambda: running.sql("select count(*) as n from liquidations")[0]["n"] > 0)
    waits: dict[int, float] = {}

    def prompt() -> bool:
        # The middle of seven in a row: a machine that stands still for a while is not the collector's doing.
        state = running.status()
        waits[state.time] = state.wal.append_wait_seconds
        return len(waits) >= 7 and sorted(list(waits.values())[-7:])[3] <= 0.25

    until(prompt, what="rows that wait a quarter of a second at most for their append")

    simulated.stop()
    until(lambda: all(each.state != "connected" for each in running.status().connections))
    assert running.stop() == 0

    assert open_segments(running.home, "main") == []
    assert running.status().state == "stopped"
    trades, delivered = published(simulated)
    rows = landed(running)
    keys = [(row["exchange"], row["symbol"], row["trade_id"]) for row in rows]
    assert len(keys) == len(set(keys))
    assert delivered <= set(keys)
    for key, row in zip(keys, rows, strict=True):
        side, price, amount, fills = trades[key]
        assert (row["side"], row["price"], row["fill_count"]) == (side, price, fills)
        assert row["amount"] == pytest.approx(amount, rel=1e-12)
    sent = [row for row in simulated.rows("liquidations") if row["delivered"]]
    assert running.sql("select count(*) as n from liquidations")[0]["n"] == len(sent)
    assert_conserved(running)
    assert_same_books(running)


def test_faults_hit_only_what_they_are_aimed_at(processes, tmp_path):
    simulated = simulator(processes, tmp_path)
    running = collector(processes, tmp_path, simulated)
    running.wait_live()

    simulated.fault("drop_delta", exchange="binance", symbol="BTC/USDT", channel="book")
    simulated.fault("corrupt", exchange="binance", symbol="ETH/USDT", channel="trades")
    simulated.fault("disconnect", exchange="kraken")
    healed = "select distinct exchange, symbol, channel, kind from gaps where healed_at is not null"
    until(lambda: len(running.sql(healed)) >= 6, what="six healed gaps")
    until(lambda: running.sql("select count(*) as n from gaps where healed_at is null")[0]["n"] == 0, what="every gap to be healed")
    before = running.sql("select exchange, symbol, count(*) as n from book_deltas group by all")
    until(
        lambda: all(
            running.sql(f"select count(*) as n from book_deltas where exchange = '{row['exchange']}' and symbol = '{row['symbol']}'")[0][
                "n"
            ]
            > row["n"] + 20
            for row in before
        ),
        what="every book to go on",
    )
    simulated.stop()
    until(lambda: all(each.state != "connected" for each in running.status().connections))
    assert running.stop() == 0

    gaps = running.sql("select * from gaps where healed_at is not null order by exchange, symbol, channel")
    assert [(gap["exchange"], gap["symbol"], gap["channel"], gap["kind"]) for gap in gaps] == [
        ("binance", "BTC/USDT", "book_deltas", "sequence"),
        ("binance", "ETH/USDT", "trades", "sequence"),
        ("kraken", "BTC/USD", "book_deltas", "disconnect"),
        ("kraken", "BTC/USD", "trades", "disconnect"),
        ("kraken", "ETH/USD", "book_deltas", "disconnect"),
        ("kraken", "ETH/USD", "trades", "disconnect"),
    ]
    assert all(gap["from_time"] <= gap["to_time"] for gap in gaps)
    letters = running.sql("select exchange, connection, reason, raw from dead_letters")
    assert [(row["exchange"], row["connection"]) for row in letters] == [("binance", "binance-spot-0")]
    assert letters[0]["reason"]
    assert letters[0]["raw"]
    trades, delivered = published(simulated)
    keys = [(row["exchange"], row["symbol"], row["trade_id"]) for row in landed(running)]
    assert len(keys) == len(set(keys))
    assert {key for key in delivered if key[0] == "binance"} <= set(keys)
    assert set(keys) <= set(trades)
    assert_conserved(running)
    assert_same_books(running)


def test_an_exchange_that_cannot_be_reached_leaves_the_other_flowing_and_comes_back(processes, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        free = taken.getsockname()[1]
    simulated = simulator(processes, tmp_path, exchanges="binance")
    absent = {"spot_ws": f"ws://127.0.0.1:{free}/kraken/spot/v2", "spot_rest": f"http://127.0.0.1:{free}/kraken/spot"}
    running = Running(
        tmp_path,
        {**simulated.endpoints, "kraken": absent},
        settings={"TICKHOUSE_BREAKER_FAILURES": "3", "TICKHOUSE_BREAKER_COOLDOWN_SECONDS": "1"},
    )
    processes.callback(running.kill)

    running.wait_live(exchange="binance")
    assert running.sql("select count(*) as n from trades where exchange = 'kraken'")[0]["n"] == 0
    returned = simulator(processes, tmp_path / "kraken", exchanges="kraken", port=free)
    assert absent.items() <= returned.endpoints["kraken"].items()
    running.wait_live(exchange="kraken")

    returned.fault("refuse", exchange="kraken", duration=3)
    returned.fault("disconnect", exchange="kraken")
    until(lambda: running.sql("select * from gaps where exchange = 'kraken' and to_time is null"), what="kraken to be gone")
    until(lambda: running.sql("select count(*) as n from gaps where to_time is null")[0]["n"] == 0, what="kraken to be back", seconds=30)
    assert running.stop() == 0
    # What the stop itself leaves open is not healed: nothing of binance was ever missed before.
    assert running.sql("select count(*) as n from gaps where exchange = 'binance' and healed_at is not null")[0]["n"] == 0


def test_a_stream_that_falls_silent_is_a_stall_that_its_first_row_heals(processes, tmp_path):
    simulated = simulator(processes, tmp_path)
    running = collector(processes, tmp_path, simulated, TICKHOUSE_STALL_FIRST_SECONDS="1.5", TICKHOUSE_STALL_FLOOR_SECONDS="1.5")
    running.wait_live()

    simulated.fault("stall", exchange="binance", symbol="BTC/USDT", channel="trades", duration=3)
    stalls = "select * from gaps where kind = 'stall'"
    until(lambda: running.sql(f"{stalls} and healed_at is not null"), what="a healed stall")

    assert running.stop() == 0
    found = running.sql(f"{stalls} order by from_time")
    assert {(gap["exchange"], gap["symbol"], gap["channel"]) for gap in found} == {("binance", "BTC/USDT", "trades")}
    assert (found[0]["to_time"] - found[0]["from_time"]).total_seconds() >= 1.5
    assert_conserved(running)


def test_a_restart_writes_what_it_missed_and_lands_nothing_twice(processes, tmp_path):
    simulated = simulator(processes, tmp_path)
    first = collector(processes, tmp_path, simulated)
    first.wait_live()
    assert first.stop() == 0
    stopped = first.sql("select max(local_timestamp) as t from trades")[0]["t"]
    open_gaps = first.sql("select distinct symbol, channel from gaps where healed_at is null")
    time.sleep(0.5)

    second = collector(processes, tmp_path, simulated)
    second.wait_live()
    until(
        lambda: second.sql("select count(*) as n from gaps where healed_at is null")[0]["n"] == 0,
        what="every gap to be healed",
    )
    simulated.stop()
    until(lambda: all(each.state != "connected" for each in second.status().connections))
    assert second.stop() == 0

    assert {(row["symbol"], row["channel"]) for row in open_gaps} >= {("BTC/USDT", "trades"), ("BTC/USDT", "book_deltas")}
    gaps = second.sql("select * from gaps where channel = 'trades' and exchange = 'binance' and healed_at is not null")
    assert gaps
    assert all(abs((gap["from_time"] - stopped).total_seconds()) < 3 for gap in gaps)
    _, delivered = published(simulated)
    keys = [(row["exchange"], row["symbol"], row["trade_id"]) for row in landed(second)]
    assert len(keys) == len(set(keys))
    assert delivered <= set(keys)
    # Binance numbers its trades without holes: what happened between the two lives came over REST.
    for symbol in ("BTC/USDT", "BTC/USDT:USDT"):
        numbers = sorted(int(number) for exchange, of, number in keys if exchange == "binance" and of == symbol)
        assert numbers == list(range(numbers[0], numbers[-1] + 1)), symbol
    assert second.sql("select count(*) as n from trades where source = 'rest'")[0]["n"] > 0
    assert_conserved(second)


def test_a_second_collector_of_the_same_name_is_refused_with_one_sentence(processes, tmp_path):
    home = Home(tmp_path / "home")
    with closing(WalWriter(home, "main")):
        second = Running(tmp_path, {"kraken": {}})
        processes.callback(second.kill)

        assert second.process.wait(20) == 1

    assert second.log.read_text().splitlines()[-1].startswith("collector 'main' is already running on this home")


def test_a_symbol_the_venue_does_not_list_stops_the_start_with_one_sentence(processes, tmp_path):
    simulated = simulator(processes, tmp_path)
    running = Running(tmp_path, simulated.endpoints, symbols={"binance": ["BTC/USDX"], "kraken": ["BTC/USD"]})
    processes.callback(running.kill)

    assert running.process.wait(20) == 2
    last = running.log.read_text().splitlines()[-1]
    assert last.startswith("symbol 'BTC/USDX' is not listed on binance; near or known are ")
