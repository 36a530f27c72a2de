"""A venue that sends garbage: the others flow on, what is kept of it is bounded, and it comes back alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from collectors.link import MOST_UNREADABLE
from tests.collectors.simulating import Running, Simulator, until

pytestmark = pytest.mark.lengthy(waits=True)

OPEN = "select symbol, channel, from_time from gaps where exchange = 'kraken' group by all having max(healed_at) is null"


def test_a_venue_that_sends_garbage_leaves_the_others_untouched_and_comes_back_alone(tmp_path: Path) -> None:
    simulated = Simulator(tmp_path, rate=700)
    running = Running(tmp_path, simulated.endpoints)
    try:
        running.wait_live()
        simulated.fault("corrupt", exchange="kraken", duration=5)
        until(lambda: running.sql("select * from gaps where exchange = 'kraken' and to_time is null"), what="kraken to be given up")
        until(lambda: simulated.control("stats")["uptime_s"] > 0 and _sockets(running, "kraken") > 2, what="kraken to be tried again")
        until(lambda: running.live(exchange="kraken") and not running.sql(OPEN), seconds=60, what="kraken to be whole again")
        simulated.stop()
        until(lambda: all(each.state != "connected" for each in running.status().connections), what="the end of every socket")
        assert running.stop() == 0
    finally:
        running.kill()
        simulated.kill()

    letters = {row["exchange"]: row["n"] for row in running.sql("select exchange, count(*) as n from dead_letters group by all")}
    assert set(letters) == {"kraken"}
    # A socket counts anew behind each frame that can be read, as the answers to its subscriptions can: that is once, when it has opened.
    assert MOST_UNREADABLE <= letters["kraken"] <= 2 * MOST_UNREADABLE * _sockets(running, "kraken")
    assert running.sql("select * from gaps where exchange = 'binance' and healed_at is not null") == []
    landed = {(row["exchange"], row["symbol"], row["trade_id"]) for row in running.sql("select exchange, symbol, trade_id from trades")}
    first = {
        (row["exchange"], row["symbol"]): row["since"]
        for row in running.sql("select exchange, symbol, min(epoch_us(timestamp)) as since from trades group by all")
    }
    sent = {
        (row["exchange"], row["symbol"], row["wire_id"])
        for row in simulated.rows("trades")
        if row["time_us"] > first.get((row["exchange"], row["symbol"]), 1 << 62)
    }
    assert sent - landed == set()


def _sockets(running: Running, exchange: str) -> int:
    """Sockets that were opened so far."""
    return sum(f'"exchange": "{exchange}"' in line and '"event": "connected"' in line for line in running.log.read_text().splitlines())
