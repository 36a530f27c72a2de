from __future__ import annotations

import io

from msgspec import structs, to_builtins
from rich.console import Console

from collectors.status import CollectorStatus, LogStatus, StreamStatus
from orchestration.cli.statusboard import print_states

LIVE = StreamStatus(
    exchange="kraken",
    symbol="BTC/USD",
    channel="trades",
    state="live",
    rows=3,
    rows_per_second=1.0,
    last_event=1_800_000_000_000_000,
    gaps=0,
    dead_letters=0,
    silent_after=5.0,
)


def printed(*streams: StreamStatus) -> list[str]:
    log = LogStatus(lag_seconds=0.0, bytes=0)
    state = CollectorStatus(collector="main", pid=1, time=1, state="running", connections=[], streams=list(streams), wal=log)
    out = io.StringIO()
    print_states([{**to_builtins(state), "running": True, "age_seconds": 0.0}], Console(file=out, width=200))
    return out.getvalue().splitlines()


def test_a_refused_stream_says_why_and_a_silent_one_that_it_is():
    refused = structs.replace(LIVE, symbol="OLD/USD", state="refused", reason="Currency pair not supported")
    silent = structs.replace(LIVE, symbol="ETH/USD", state="silent")

    lines = printed(LIVE, refused, silent)

    assert any("OLD/USD" in line and "refused: Currency pair not supported" in line for line in lines)
    assert any("ETH/USD" in line and "silent" in line for line in lines)
    assert any("BTC/USD" in line and "live" in line for line in lines)
