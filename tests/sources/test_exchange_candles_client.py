"""Candles through ccxt itself, over HTTP, of five simulated exchanges: closed ones only, whole, with holes and faults."""

from __future__ import annotations

import time

import pytest

from lake.transforms.missing import Window
from lake.transforms.timeframes import WIDTH_US
from sources.exchange_candles import ExchangeClient, Fetched, Series, Wanted, fetch
from sources.retrying import RetryPolicy
from tests.sources.outside import EXCHANGES, Outside

MINUTE = 60_000_000
QUICK = RetryPolicy(first_seconds=0.02)
VENUES = EXCHANGES.split(",")


def until_now(exchange: str, count: int, *, symbol: str = "BTC/USDT", timeframe: str = "1m", back: int = 0) -> Wanted:
    """The last `count` intervals that end by now, or `back` intervals earlier."""
    width = WIDTH_US[timeframe]
    end = time.time_ns() // 1000 // width * width - back * width
    return Wanted(series=Series(exchange, symbol, timeframe), windows=(Window(end - count * width, end),))


def opens(found: Fetched, series: Series) -> list[int]:
    return [row[3] for row in found.rows if Series(*row[:3]) == series]


@pytest.mark.parametrize("exchange", VENUES)
def test_every_interval_of_a_window_of_several_pages_comes_once(outside: Outside, exchange):
    minutes, hours = until_now(exchange, 1100, back=1), until_now(exchange, 30, timeframe="1h", back=1)

    found = fetch([minutes, hours], retry=QUICK, urls=outside.urls)

    assert found.problems == {}
    for one in (minutes, hours):
        (window,) = one.windows
        assert opens(found, one.series) == list(range(window.start, window.end, WIDTH_US[one.series.timeframe]))
        assert found.answered[one.series] == [window]


@pytest.mark.parametrize("exchange", VENUES)
def test_the_running_candle_is_left_out(outside: Outside, exchange):
    (window,) = until_now(exchange, 3).windows
    wanted = Wanted(series=Series(exchange, "BTC/USDT", "1m"), windows=(Window(window.start, window.end + 5 * MINUTE),))

    found = fetch([wanted], retry=QUICK, urls=outside.urls)

    assert opens(found, wanted.series)
    assert max(opens(found, wanted.series)) + MINUTE <= time.time_ns() // 1000


def test_prices_are_those_of_the_answer_digit_for_digit(outside: Outside):
    wanted = until_now("binance", 1, back=1)

    (row,) = fetch([wanted], retry=QUICK, urls=outside.urls).rows

    with ExchangeClient("binance", retry=QUICK, urls=outside.urls) as client:
        client.symbols()
        (raw,) = client._client.publicGetKlines({"symbol": "BTCUSDT", "interval": "1m", "startTime": row[3] // 1000, "limit": 1})
    assert row[4:] == tuple(float(text) for text in raw[1:6])


def test_a_contract_has_its_volume_in_base_units(outside: Outside):
    wanted = until_now("mexc", 3, symbol="BTC/USDT:USDT", back=1)

    with ExchangeClient("mexc", retry=QUICK, urls=outside.urls, contracts=True) as client:
        client.symbols()
        size = client._client.markets["BTC/USDT:USDT"]["contractSize"]
        raw = client._client.fetch_ohlcv("BTC/USDT:USDT", "1m", since=wanted.windows[0].start // 1000, limit=3)
    found = fetch([wanted], retry=QUICK, urls=outside.urls)

    assert size < 1
    assert [row[8] for row in found.rows] == pytest.approx([each[5] * size for each in raw[:3]])


def test_a_hole_of_the_exchange_is_answered_without_a_candle(outside: Outside):
    wanted = until_now("okx", 1200, symbol="ETH/USDT", back=1)
    (window,) = wanted.windows
    hole = range(window.start + 300 * MINUTE, window.start + 900 * MINUTE, MINUTE)
    outside.simulator.control("hole", exchange="okx", symbol="ETH/USDT", start=hole[0] // 1_000_000, seconds=len(hole) * 60)

    found = fetch([wanted], retry=QUICK, urls=outside.urls)

    assert opens(found, wanted.series) == [at for at in range(window.start, window.end, MINUTE) if at not in hole]
    assert found.answered[wanted.series] == [window]


def test_a_symbol_or_a_timeframe_an_exchange_does_not_have_is_told_and_no_problem(outside: Outside):
    absent, odd = until_now("bybit", 2, symbol="NO/SUCH"), until_now("mexc", 2, timeframe="3m")

    found = fetch([absent, odd, until_now("bybit", 2, back=1)], retry=QUICK, urls=outside.urls)

    assert found.unlisted == [absent.series, odd.series]
    assert (found.problems, len(found.rows)) == ({}, 2)


def test_too_many_requests_are_tried_again(outside: Outside):
    outside.simulator.fault("http_429", exchange="bitget", symbol="BTC/USDT")

    found = fetch([until_now("bitget", 2, back=1)], retry=QUICK, urls=outside.urls)

    assert (found.problems, len(found.rows)) == ({}, 2)


def test_one_series_that_fails_leaves_the_others(outside: Outside):
    outside.simulator.fault("http_429", exchange="bybit", symbol="ETH/USDT", duration=30)
    waits: list[float] = []
    retry = RetryPolicy(first_seconds=1.0, sleep=waits.append)

    found = fetch([until_now("bybit", 2, symbol="ETH/USDT", back=1), until_now("bybit", 2, back=1)], retry=retry, urls=outside.urls)

    assert list(found.problems) == ["bybit ETH/USDT 1m"]
    assert "failed 6 times" in found.problems["bybit ETH/USDT 1m"]
    assert {row[1] for row in found.rows} == {"BTC/USDT"}
    assert len(waits) == 5
    assert waits == sorted(waits)
    assert waits[-1] >= 16 * waits[0] / 1.25


def test_one_exchange_that_is_down_leaves_the_others(outside: Outside):
    outside.simulator.fault("refuse", exchange="okx", duration=60)

    found = fetch([until_now(name, 2, back=1) for name in VENUES], retry=RetryPolicy(first_seconds=0.001), urls=outside.urls)

    assert list(found.problems) == ["okx"]
    assert {row[0] for row in found.rows} == set(VENUES) - {"okx"}


def test_an_exchange_ccxt_does_not_know_is_told(outside: Outside):
    found = fetch([until_now("nosuchvenue", 1), until_now("binance", 1, back=1)], retry=QUICK, urls=outside.urls)

    assert "unknown to ccxt" in found.problems["nosuchvenue"]
    assert len(found.rows) == 1


def test_nothing_wanted_asks_nobody():
    assert fetch([], retry=QUICK).rows == []
