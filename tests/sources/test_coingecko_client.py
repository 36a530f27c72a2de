"""CoinGecko's client: recorded pages, and the simulator over HTTP with its faults."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from sources.coingecko import PAGE_ROWS, decode_page, distinct, plan_of, top_coins
from sources.errors import QuotaSpent, SourceRefused, SourceUnavailable, UnexpectedAnswer
from sources.quota import MonthlyQuota
from sources.retrying import RetryPolicy
from tests.sources.outside import KEY, Outside


@pytest.fixture
def quota(tmp_path) -> MonthlyQuota:
    return MonthlyQuota(source="CoinGecko", path=tmp_path / "calls.json", calls=10_000)


class Sleeps:
    """Waits that are noted instead of waited for; `hook` runs at each."""

    def __init__(self, hook: Callable[[], object] = lambda: None) -> None:
        self.seconds: list[float] = []
        self.hook = hook

    def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)
        self.hook()

    @property
    def policy(self) -> RetryPolicy:
        return RetryPolicy(first_seconds=0.05, sleep=self)


def pages(recordings: Path) -> list[bytes]:
    lines = (recordings / "coingecko" / "coins_markets_usd_20210624.jsonl").read_text().splitlines()
    return [json.loads(line)["raw"].encode() for line in lines]


def test_recorded_pages_are_read_with_their_nulls(recordings):
    coins = [coin for page in pages(recordings) for coin in decode_page(page)]

    assert len(coins) == 70
    assert (coins[0].id, coins[0].current_price, coins[0].ath, coins[0].market_cap_rank) == ("bitcoin", 32797.0, 64805.0, 1)
    assert coins[1].fully_diluted_valuation is None
    assert sum(coin.fully_diluted_valuation is None for coin in coins) == 45
    assert all(coin.ath_date is not None and coin.ath_date.tzinfo is not None for coin in coins)


def test_a_coin_without_any_number_is_read(recordings):
    (row, *_) = json.loads(pages(recordings)[0])
    bare = {name: value if name in {"id", "symbol", "name"} else None for name, value in row.items()}

    (coin,) = decode_page(json.dumps([bare]).encode())

    assert (coin.id, coin.current_price, coin.ath, coin.ath_date, coin.market_cap_rank) == ("bitcoin", None, None, None, None)


def test_numbers_in_exponent_form_are_read():
    (coin,) = decode_page(b'[{"id":"a","symbol":"a","name":"A","current_price":1.2e-9,"ath":3E-9}]')

    assert (coin.current_price, coin.ath) == (1.2e-9, 3e-9)


def test_a_coin_that_moved_between_pages_counts_once(recordings):
    first, second = (decode_page(page) for page in pages(recordings))

    assert [coin.id for coin in distinct([*first, first[-1], *second], most=50)] == [coin.id for coin in (*first, *second)][:50]


@pytest.mark.parametrize("body", [b"", b"{}", b'{"status":{"error_code":429}}', b'[{"id":1}]'])
def test_an_answer_that_is_no_list_of_coins_is_refused(body):
    with pytest.raises(UnexpectedAnswer, match="cannot be read"):
        decode_page(body)


def test_the_largest_coins_come_in_pages_and_every_call_counts(outside: Outside, quota):
    coins = top_coins(outside.settings(coingecko_coins=600), quota)

    assert len(coins) == len({coin.id for coin in coins}) == 600
    assert [coin.market_cap_rank for coin in coins[:3]] == [1, 2, 3]
    assert quota.used() == 3


def test_it_stops_at_a_page_that_is_not_full(outside: Outside, quota):
    coins = top_coins(outside.settings(coingecko_coins=5000), quota)

    assert len(coins) == 2300
    assert quota.used() == -(-2300 // PAGE_ROWS)


def test_pages_are_paced(outside: Outside, quota):
    sleeps = Sleeps()

    top_coins(outside.settings(coingecko_coins=500, coingecko_pause_seconds=30.0), quota, retry=sleeps.policy)

    assert len(sleeps.seconds) == 1
    assert 25 < sleeps.seconds[0] <= 30


def test_too_many_requests_wait_as_long_as_asked_and_then_go_on(outside: Outside, quota):
    outside.simulator.fault("http_429", exchange="coingecko", symbol="2")
    sleeps = Sleeps()

    coins = top_coins(outside.settings(coingecko_coins=500), quota, retry=sleeps.policy)

    assert len(coins) == 500
    assert quota.used() == 3, "the refused call counts too"
    assert sleeps.seconds == [0.0], "Retry-After said so; without it the wait would be a minute"


def test_a_page_that_fails_for_good_gives_the_whole_run_up_after_five_growing_waits(outside: Outside, quota):
    outside.simulator.fault("refuse", exchange="coingecko", symbol="4", duration=60)
    sleeps = Sleeps()

    with pytest.raises(SourceUnavailable, match="failed 6 times, the last time with status 503") as raised:
        top_coins(outside.settings(coingecko_coins=1000), quota, retry=sleeps.policy)

    assert len(sleeps.seconds) == 5
    assert sleeps.seconds == sorted(sleeps.seconds)
    assert KEY not in str(raised.value)


def test_a_page_that_fails_for_a_moment_comes_at_last(outside: Outside, quota):
    outside.simulator.fault("refuse", exchange="coingecko", symbol="3", duration=60)
    sleeps = Sleeps(lambda: len(sleeps.seconds) == 2 and outside.simulator.control("calm"))

    coins = top_coins(outside.settings(coingecko_coins=750), quota, retry=sleeps.policy)

    assert len(coins) == 750
    assert quota.used() == 5


def test_a_key_of_the_wrong_plan_is_told_at_once_and_never_shown(outside: Outside, quota):
    sleeps = Sleeps()

    with pytest.raises(SourceRefused, match=r"status 400 .*10010") as raised:
        top_coins(outside.settings(coingecko_plan="pro"), quota, retry=sleeps.policy)

    assert sleeps.seconds == []
    assert KEY not in str(raised.value)


def test_nothing_is_asked_ahead_of_the_months_pace(outside: Outside, tmp_path):
    spent = MonthlyQuota(source="CoinGecko", path=tmp_path / "calls.json", calls=2)
    spent.take()

    with pytest.raises(QuotaSpent, match="1 calls of CoinGecko were made this month and 2 more are wanted"):
        top_coins(outside.settings(coingecko_coins=500), spent)
    assert spent.used() == 1


def test_the_plan_is_what_the_settings_say(outside: Outside):
    assert plan_of(outside.settings(coingecko_api_key=None)) == "keyless"
    assert plan_of(outside.settings()) == "demo"
    assert plan_of(outside.settings(coingecko_plan="pro")) == "pro"
    assert outside.settings().coingecko_quota == 10_000
    assert outside.settings(coingecko_plan="pro").coingecko_quota is None
    assert outside.settings(coingecko_plan="pro", coingecko_monthly_calls=5).coingecko_quota == 5


def test_settings_never_show_a_key(outside: Outside):
    assert KEY not in repr(outside.settings())
    assert KEY not in outside.settings().model_dump_json()
