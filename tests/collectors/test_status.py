from __future__ import annotations

import json
import threading

from msgspec import structs

from collectors import status
from collectors.rows import EventBuffer
from collectors.watch import Watch
from lake.paths import Home

SECOND = 1_000_000
NOW = 1_800_000_000 * SECOND


def trades(symbol: str, *times: int) -> dict:
    events = EventBuffer()
    writer = events.writer("binance", "binance-spot-0")
    for number, time in enumerate(times):
        writer.trade((writer.key(symbol), time, time, number, number, False, 1.0, 1.0, 1, False, False))
    return events.drain()


def watching(*symbols: str) -> Watch:
    watch = Watch()
    for symbol in symbols:
        watch.expect("binance", "trades", symbol, connection="binance-spot-0")
    return watch


def connection(*, connected_since: int | None = NOW) -> status.ConnectionStatus:
    return status.ConnectionStatus(
        name="binance-spot-0",
        exchange="binance",
        market="spot",
        state="connected",
        connected_since=connected_since,
        frames=3,
        reconnects=0,
        last_frame=NOW,
        dead_letters=2,
    )


def test_rows_and_last_event_are_counted_by_stream():
    watch = watching("BTC/USDT", "ETH/USDT")

    watch.observe(trades("BTC/USDT", NOW, NOW + 5))
    watch.observe(trades("BTC/USDT", NOW + 9))

    assert watch.streams["binance", "trades", "BTC/USDT"].rows == 3
    assert watch.streams["binance", "trades", "BTC/USDT"].last_event == NOW + 9
    assert watch.streams["binance", "trades", "ETH/USDT"].rows == 0


def test_rows_of_a_stream_nobody_asked_for_are_not_an_error():
    assert watching("BTC/USDT").observe(trades("DOGE/USDT", NOW)) == []


def test_a_gap_counts_once_although_it_lands_open_and_healed():
    events = EventBuffer()
    writer = events.writer("binance", "binance-spot-0")
    gap = writer.continuity.open_gap(writer, "BTC/USDT", channel="trades", kind="disconnect", now=NOW, from_time=NOW)
    writer.continuity.heal(writer, gap, by="reconnect", now=NOW + 1, to_time=NOW + 1)
    watch = watching("BTC/USDT")

    watch.observe(events.drain())

    assert watch.streams["binance", "trades", "BTC/USDT"].gaps == 1


def test_a_stream_is_live_waiting_silent_refused_or_down():
    watch = watching("A/B", "C/D", "E/F", "G/H")
    watch.observe(trades("A/B", NOW))
    watch.streams["binance", "trades", "E/F"].silent = True
    watch.streams["binance", "trades", "G/H"].refused = "not listed"

    up = status.stream_statuses(watch, [connection()], {})
    down = status.stream_statuses(watch, [connection(connected_since=None)], {})

    assert [stream.state for stream in up] == ["live", "waiting", "silent", "refused"]
    assert [stream.reason for stream in up] == ["", "", "", "not listed"]
    assert [stream.state for stream in down] == ["down"] * 4
    assert {stream.dead_letters for stream in up} == {2}


def test_a_stream_of_a_pair_is_down_only_when_both_its_sockets_are():
    watch = watching("A/B")
    watch.observe(trades("A/B", NOW))
    twin = structs.replace(connection(), name="binance-spot-0b")

    one = status.stream_statuses(watch, [connection(connected_since=None), twin], {})
    none = status.stream_statuses(watch, [connection(connected_since=None), structs.replace(twin, connected_since=None)], {})

    assert [stream.state for stream in (*one, *none)] == ["live", "down"]
    assert one[0].dead_letters == 4


def test_rates_are_over_the_last_ten_seconds():
    watch = watching("BTC/USDT")
    rates = status.Rates()
    key = ("binance", "trades", "BTC/USDT")
    count = watch.streams[key]
    for second in range(40):
        count.rows = min(second, 20) * 100
        found = rates.update(watch, NOW + second * SECOND)
        if second == 20:
            assert found[key] == 100.0

    assert found[key] == 0.0


def written(number: int) -> status.CollectorStatus:
    log = status.LogStatus(lag_seconds=1.5, bytes=number)
    return status.CollectorStatus(collector="main", pid=1, time=NOW, state="running", connections=[connection()] * 50, streams=[], wal=log)


def test_the_file_has_the_shape_that_readers_expect(tmp_path):
    home = Home(tmp_path)

    status.write(home, written(7))

    found = json.loads((tmp_path / "status" / "main.json").read_text())
    assert set(found) == {"collector", "pid", "time", "state", "connections", "streams", "wal"}
    assert set(found["connections"][0]) >= {"name", "exchange", "market", "state", "connected_since", "frames", "reconnects", "last_frame"}
    assert found["wal"]["bytes"] == 7
    assert status.read(home, "main") == written(7)
    assert status.read(home, "other") is None


def test_a_reader_never_sees_half_a_file(tmp_path):
    home = Home(tmp_path)
    status.write(home, written(0))
    enough = threading.Event()
    writes = 0

    def write() -> None:
        nonlocal writes
        while not enough.is_set():
            writes += 1
            status.write(home, written(writes))

    writing = threading.Thread(target=write)
    writing.start()
    reads = 0
    try:
        while writing.is_alive() and (reads < 300 or writes < 300):
            assert status.read(home, "main") is not None
            reads += 1
    finally:
        enough.set()
        writing.join()
    assert min(reads, writes) >= 300
