"""What a new process makes of what an earlier one left in the lake and the log."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from collectors.resume import Past
from collectors.rows import EventBuffer
from collectors.venue import ConnectionPlan, Stream
from lake.landing import Landing
from lake.paths import HOUR_US
from lake.settings import LakeSettings

SECOND = 1_000_000
NOW = time.time_ns() // 1000
PLAN = ConnectionPlan(
    name="binance-spot-0",
    exchange="binance",
    market="spot",
    url="ws://127.0.0.1",
    streams=(Stream("trades", "BTC/USDT"), Stream("book", "BTC/USDT"), Stream("trades", "ETH/USDT")),
    instruments=(),
)


def trade(events: EventBuffer, symbol: str, number: int | str, at: int, *, exchange: str = "binance") -> None:
    writer = events.writer(exchange, "former")
    writer.trade((writer.key(symbol), at, at, 1, number, False, 1.0, 1.0, 1, False, False))


@pytest.fixture(params=["log", "parts"])
def leave(request, tmp_path: Path):
    """Lands what is in a buffer and ends: killed before sealing (log), or after it (parts, whose instant is still to come)."""

    def land(events: EventBuffer) -> LakeSettings:
        settings = LakeSettings(home=tmp_path, visible_after_seconds=2.0)
        landing = Landing(settings, "main")
        landing.append(events.drain())
        if request.param == "parts":
            landing.drain_and_close()
        return settings

    return land


def restored(settings: LakeSettings, *, now: int = NOW, hours: float = 2.0, plans: tuple[ConnectionPlan, ...] = (PLAN,)) -> EventBuffer:
    events = EventBuffer()
    Past(settings.house, now=now, hours=hours).restore(events.continuity("binance"), plans, events)
    return events


def gap_rows(events: EventBuffer) -> list[dict]:
    batch = events.drain().get("gaps")
    return batch.to_pylist() if batch else []


def micros(moment) -> int:
    return round(moment.timestamp() * SECOND)


def test_ids_that_landed_within_the_time_are_known(leave):
    former = EventBuffer()
    for number in (7, 8, 11):
        trade(former, "BTC/USDT", number, NOW - 60 * SECOND)
    trade(former, "BTC/USDT", 3, NOW - 5 * HOUR_US)
    trade(former, "BTC/USDT", 99, NOW - 60 * SECOND, exchange="kraken")

    tape = restored(leave(former)).continuity("binance").tape("BTC/USDT")

    assert [number in tape.seen for number in (7, 8, 11)] == [True] * 3
    assert [number in tape.seen for number in (3, 9, 10, 99)] == [False] * 4
    assert tape.last_time == NOW - 60 * SECOND


def test_ids_of_every_kind_that_landed_are_known(leave):
    former = EventBuffer()
    trade(former, "BTC/USDT", "a-1", NOW - SECOND)
    trade(former, "BTC/USDT", "1363157300000000001", NOW - SECOND)
    trade(former, "BTC/USDT", "9363157300000000001", NOW - SECOND)
    trade(former, "BTC/USDT", 5, NOW - SECOND)

    known = restored(leave(former)).continuity("binance")
    assert 5 in known.tape("BTC/USDT").seen
    assert known.tape("BTC/USDT").seen.last == 1363157300000000001
    assert not known.recent("trades of BTC/USDT").add("a-1")
    assert not known.recent("trades of BTC/USDT").add("9363157300000000001")  # more than 64 bits hold
    assert known.recent("trades of BTC/USDT").add("a-2")


def test_after_a_kill_each_stream_that_had_delivered_gets_a_gap_from_the_last_row_of_its_exchange(leave):
    former = EventBuffer()
    trade(former, "BTC/USDT", 1, NOW - 90 * SECOND)
    trade(former, "DOGE/USDT", 1, NOW - 60 * SECOND)
    trade(former, "BTC/USDT", 1, NOW - 10 * SECOND, exchange="kraken")

    rows = gap_rows(restored(leave(former)))

    assert [(row["symbol"], row["channel"], row["kind"], row["healed_at"]) for row in rows] == [("BTC/USDT", "trades", "disconnect", None)]
    assert micros(rows[0]["from_time"]) == NOW - 60 * SECOND
    assert micros(rows[0]["local_timestamp"]) == NOW


def test_an_outage_longer_than_the_time_read_for_ids_is_a_gap_all_the_same(leave):
    former = EventBuffer()
    trade(former, "BTC/USDT", 1, NOW - 30 * HOUR_US)
    trade(former, "BTC/USDT", 2, NOW - 29 * HOUR_US)

    rows = gap_rows(restored(leave(former)))

    assert [micros(row["from_time"]) for row in rows] == [NOW - 29 * HOUR_US]


def test_a_gap_that_was_left_open_is_taken_over_instead_of_opened_again(leave):
    former = EventBuffer()
    trade(former, "BTC/USDT", 1, NOW - 60 * SECOND)
    writer = former.writer("binance", "former")
    continuity = former.continuity("binance")
    continuity.open_gap(writer, "BTC/USDT", channel="trades", kind="disconnect", now=NOW - 59 * SECOND, from_time=NOW - 60 * SECOND)
    healed = continuity.open_gap(writer, "BTC/USDT", channel="trades", kind="sequence", now=NOW - 99 * SECOND, from_time=NOW - 99 * SECOND)
    continuity.heal(writer, healed, by="rest", now=NOW - 98 * SECOND, to_time=NOW - 98 * SECOND)

    events = restored(leave(former))

    assert gap_rows(events) == []
    taken = events.continuity("binance").open_gaps("BTC/USDT", "trades")
    assert [(gap.kind, gap.from_time, gap.to_time) for gap in taken] == [("disconnect", NOW - 60 * SECOND, None)]
    assert taken[0].last_event == NOW - 60 * SECOND
    events.continuity("binance").heal(events.writer("binance", "x"), taken[0], by="reconnect", now=NOW, to_time=NOW)
    row = gap_rows(events)[0]
    assert (row["symbol"], row["channel"], micros(row["from_time"]), row["healed_by"]) == (
        "BTC/USDT",
        "trades",
        NOW - 60 * SECOND,
        "reconnect",
    )


def test_a_gap_of_a_stream_that_never_delivered_is_taken_over_too(leave):
    former = EventBuffer()
    writer = former.writer("binance", "former")
    former.continuity("binance").open_gap(
        writer, "ETH/USDT", channel="trades", kind="disconnect", now=NOW - 9 * SECOND, from_time=NOW - 9 * SECOND
    )

    events = restored(leave(former))

    assert gap_rows(events) == []
    assert [gap.from_time for gap in events.continuity("binance").open_gaps("ETH/USDT", "trades")] == [NOW - 9 * SECOND]


def test_a_hole_that_never_healed_does_not_hide_the_end_of_the_last_life(leave):
    former = EventBuffer()
    writer = former.writer("binance", "former")
    former.continuity("binance").open_gap(
        writer, "BTC/USDT", channel="trades", kind="sequence", now=NOW - 99 * SECOND, from_time=NOW - 99 * SECOND
    )
    trade(former, "BTC/USDT", 9, NOW - 60 * SECOND)

    events = restored(leave(former))

    assert [(row["kind"], micros(row["from_time"])) for row in gap_rows(events)] == [("disconnect", NOW - 60 * SECOND)]
    assert [gap.kind for gap in events.continuity("binance").open_gaps("BTC/USDT", "trades")] == ["sequence", "disconnect"]


def test_an_empty_home_has_no_past(tmp_path):
    settings = LakeSettings(home=tmp_path)
    Landing(settings, "main").drain_and_close()

    events = restored(settings)

    assert not events.pending
    assert events.continuity("binance").tape("BTC/USDT").seen.last is None
