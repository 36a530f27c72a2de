"""Which streams count as silent, and what is to be done about it, on a fixed clock."""

from __future__ import annotations

import random
from itertools import pairwise

from collectors.rhythm import SilencePolicy
from collectors.rows import EventBuffer
from collectors.watch import Step, Watch

SECOND = 1_000_000
HOUR = 3600 * SECOND
NOW = 1_800_000_000 * SECOND + 1
TRADES = ("binance", "trades", "BTC/USDT")
BOOK = ("binance", "book", "BTC/USDT")
POLICY = SilencePolicy(floor_seconds=5.0, first_seconds=60.0, cap_seconds=600.0)


def watching(*keys: tuple[str, str, str]) -> Watch:
    watch = Watch(POLICY)
    for key in keys:
        watch.expect(*key, connection="binance-spot-0")
    watch.since["binance-spot-0"] = NOW
    return watch


def trade(*times: int) -> dict:
    events = EventBuffer()
    writer = events.writer("binance", "binance-spot-0")
    for number, time in enumerate(times):
        writer.trade((writer.key("BTC/USDT"), time, time, number, number, False, 1.0, 1.0, 1, False, False))
    return events.drain()


def lively(watch: Watch, *, seconds: int = 120, start: int = NOW) -> int:
    """Trades about every half second; returns the time of the last."""
    draw, at = random.Random(1), start
    while at < start + seconds * SECOND:
        at += draw.randrange(SECOND)
        watch.observe(trade(at))
    return at


def due(watch: Watch, key: tuple[str, str, str], now: int, *, since: int = NOW) -> list[Step]:
    return [step for _, step in watch.silent([key], now=now, since=since)]


def test_a_stream_that_never_delivered_is_given_the_first_patience_and_not_more():
    watch = watching(TRADES)

    assert due(watch, TRADES, NOW + 60 * SECOND) == []
    assert due(watch, TRADES, NOW + 61 * SECOND) == [Step.RESUBSCRIBE]


def test_a_lively_stream_is_missed_after_seconds_then_gets_a_socket_then_is_asked_for_now_and_then():
    watch = watching(TRADES)
    last = lively(watch)
    assert watch.threshold(watch.streams[TRADES]) == POLICY.floor_seconds

    steps = [(second, step) for second in range(4 * 3600) for step in due(watch, TRADES, last + second * SECOND)]

    assert steps[:2] == [(6, Step.RESUBSCRIBE), (11, Step.RECONNECT)]
    later = [second for second, _ in steps[2:]]
    assert {step for _, step in steps[2:]} == {Step.RESUBSCRIBE}
    waits = [after - before for before, after in pairwise(later)]
    assert waits[:4] == [120, 240, 480, 960]
    assert max(waits) <= 3600


def test_a_row_ends_the_silence_once_and_the_next_one_is_judged_more_patiently():
    watch = watching(TRADES)
    last = lively(watch)
    assert due(watch, TRADES, last + 6 * SECOND) == [Step.RESUBSCRIBE]

    assert watch.observe(trade(last + 20 * SECOND)) == [TRADES]
    assert watch.observe(trade(last + 21 * SECOND)) == []

    assert due(watch, TRADES, last + 27 * SECOND) == []
    assert due(watch, TRADES, last + 32 * SECOND) == [Step.RESUBSCRIBE]


def test_the_pause_of_a_lost_socket_is_not_the_rhythm_of_its_streams():
    watch = watching(TRADES)
    last = lively(watch)
    again = last + 300 * SECOND
    watch.since["binance-spot-0"] = again

    watch.observe(trade(again + SECOND))
    watch.observe(trade(again + 2 * SECOND))

    assert watch.threshold(watch.streams[TRADES]) == POLICY.floor_seconds


def test_a_stream_of_known_rhythm_that_a_new_socket_does_not_bring_is_missed_after_a_minute():
    watch = watching(TRADES)
    last = lively(watch)
    since = last + 10 * SECOND

    assert due(watch, TRADES, since + 60 * SECOND, since=since) == []
    assert due(watch, TRADES, since + 61 * SECOND, since=since) == [Step.RESUBSCRIBE]


def test_a_stall_of_the_last_life_gives_the_new_socket_its_time():
    watch = watching(TRADES)
    watch.streams[TRADES].silent = True

    assert due(watch, TRADES, NOW + 59 * SECOND) == []
    assert due(watch, TRADES, NOW + 60 * SECOND) == [Step.RESUBSCRIBE]


def test_the_book_written_out_at_the_hour_is_no_sign_of_life():
    watch = watching(BOOK)
    hour = NOW - NOW % HOUR + HOUR
    assert due(watch, BOOK, NOW + 61 * SECOND) == [Step.RESUBSCRIBE]

    def book(at: int, *, snapshot: bool) -> dict:
        events = EventBuffer()
        writer = events.writer("binance", "binance-spot-0")
        writer.book((writer.key("BTC/USDT"), at, at, 1, snapshot, [(1.0, 1.0)], []))
        return events.drain()

    assert watch.observe(book(hour, snapshot=True)) == []
    assert watch.observe(book(hour + 1, snapshot=True)) == [BOOK]


def test_the_silence_of_liquidations_and_derivatives_is_normal():
    keys = [("binance", channel, "BTC/USDT:USDT") for channel in ("liquidations", "derivatives")]
    watch = watching(*keys)

    assert watch.silent(keys, now=NOW + 99 * HOUR, since=NOW) == []


def test_a_refused_stream_is_not_silent_and_its_first_row_says_that_it_is_back():
    watch = watching(TRADES)
    watch.streams[TRADES].refused = "not listed"

    assert due(watch, TRADES, NOW + 9 * HOUR) == []
    assert watch.observe(trade(NOW + SECOND)) == [TRADES]
    assert watch.streams[TRADES].refused == ""
