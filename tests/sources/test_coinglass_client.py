"""Coinglass's client: the envelope and its errors, units, and the simulator over HTTP."""

from __future__ import annotations

import json
import time

import pytest

from sources.coinglass import INTERVAL_US, OPEN_INTEREST, WEIGHTED_FUNDING, Coinglass, decode
from sources.errors import SourceRefused, SourceUnavailable, UnexpectedAnswer
from tests.sources.outside import KEY, Outside

OPENED = 1_764_000_000_000
ROW = {"time": OPENED, "open": "0.0092", "high": "0.0100", "low": "0.0001", "close": "-0.0050"}


def answer(code: str = "0", **more: object) -> bytes:
    return json.dumps({"code": code, "msg": "success", **more}).encode()


def test_funding_in_per_cent_becomes_a_fraction_and_open_interest_stays():
    later = OPENED * 1000 + INTERVAL_US

    (rate,) = decode(answer(data=[ROW]), WEIGHTED_FUNDING, now_us=later)
    (interest,) = decode(answer(data=[{**ROW, "open": "57437891724"}]), OPEN_INTEREST, now_us=later)

    assert (rate.start, rate.open, rate.high, rate.low, rate.close) == (OPENED * 1000, 0.000092, 0.0001, 0.000001, -0.00005)
    assert interest.open == 57_437_891_724.0


def test_the_running_interval_is_left_out():
    assert decode(answer(data=[ROW]), OPEN_INTEREST, now_us=OPENED * 1000 + INTERVAL_US - 1) == []


def test_no_data_is_no_interval():
    assert decode(answer(), OPEN_INTEREST, now_us=0) == []


@pytest.mark.parametrize(
    ("body", "error"), [(answer("401"), SourceRefused), (b"<html>", UnexpectedAnswer), (answer(data=[1]), UnexpectedAnswer)]
)
def test_an_answer_that_says_no_under_status_200_is_an_error(body, error):
    with pytest.raises(error, match="Coinglass"):
        decode(body, OPEN_INTEREST, now_us=0)


def test_a_history_is_whole_in_pages(outside: Outside):
    now = time.time_ns() // 1000
    first = now // INTERVAL_US * INTERVAL_US - 1500 * INTERVAL_US

    with Coinglass(outside.settings()) as client:
        found = client.history(WEIGHTED_FUNDING, "BTC", start_us=first, end_us=now, now_us=now)

    assert [row.start for row in found] == list(range(first, first + 1500 * INTERVAL_US, INTERVAL_US))
    assert all(row.low <= min(row.open, row.close) <= max(row.open, row.close) <= row.high < 0.001 for row in found)


def test_errors_of_the_server_are_tried_again_and_then_told_without_the_key(outside: Outside):
    now = time.time_ns() // 1000
    outside.simulator.fault("refuse", exchange="coinglass", symbol="ETH", duration=60)

    with (
        Coinglass(outside.settings(source_retry_seconds=0.001)) as client,
        pytest.raises(SourceUnavailable, match="failed 6 times, the last time with status 500") as raised,
    ):
        client.history(OPEN_INTEREST, "ETH", start_us=now - 3 * INTERVAL_US, end_us=now, now_us=now)

    assert KEY not in str(raised.value)


def test_a_coin_it_does_not_know_is_refused_at_once(outside: Outside):
    now = time.time_ns() // 1000

    with Coinglass(outside.settings()) as client, pytest.raises(SourceRefused, match="code 400"):
        client.history(OPEN_INTEREST, "NOSUCH", start_us=now - INTERVAL_US, end_us=now, now_us=now)


def test_without_a_key_there_is_no_client(outside: Outside):
    with pytest.raises(SourceRefused, match="COINGLASS_API_KEY is not set"):
        Coinglass(outside.settings(coinglass_api_key=None))
