from __future__ import annotations

import pytest

from collectors.breaker import BreakerPolicy, BreakerState, CircuitBreaker
from collectors.errors import ConfigError


def opened(at: float = 0.0) -> CircuitBreaker:
    breaker = CircuitBreaker(BreakerPolicy(threshold=3, cooldown_seconds=10, cooldown_cap_seconds=35))
    for _ in range(3):
        breaker.failed(at)
    return breaker


def test_it_stays_closed_below_the_threshold_and_opens_at_it():
    breaker = CircuitBreaker(BreakerPolicy(threshold=3))

    assert [breaker.failed(0.0), breaker.failed(0.0)] == [False, False]
    assert breaker.wait(0.0) == 0
    assert breaker.failed(0.0)
    assert breaker.state is BreakerState.OPEN
    assert breaker.wait(4.0) == 6


def test_a_success_in_between_forgets_the_failures():
    breaker = CircuitBreaker(BreakerPolicy(threshold=3))
    breaker.failed(0.0)
    breaker.failed(0.0)

    breaker.succeeded()

    assert not breaker.failed(0.0)
    assert breaker.state is BreakerState.CLOSED


def test_after_the_cooldown_exactly_one_probe_may_go():
    breaker = opened()

    assert breaker.wait(10.0) == 0
    assert breaker.state is BreakerState.HALF_OPEN
    assert breaker.wait(10.0) > 0
    assert breaker.wait(15.0) == 5


def test_a_probe_that_succeeds_closes_it_and_one_that_fails_doubles_the_cooldown_up_to_the_cap():
    breaker = opened()
    waits = []
    now = 0.0
    for _ in range(3):
        now += breaker.wait(now)
        assert breaker.wait(now) == 0
        assert breaker.failed(now)
        waits.append(breaker.wait(now))

    assert waits == [20, 35, 35]
    breaker.wait(now + 35)
    breaker.succeeded()
    assert breaker.wait(now + 35) == 0
    assert breaker.state is BreakerState.CLOSED


def test_a_probe_that_never_reports_gives_way_to_the_next():
    breaker = opened()
    breaker.wait(10.0)

    assert breaker.wait(20.0) == 0


def test_failures_of_attempts_that_were_under_way_do_not_prolong_an_open_breaker():
    breaker = opened()

    assert not breaker.failed(5.0)
    assert breaker.wait(5.0) == 5


def test_a_refusal_opens_it_at_once_for_the_longest_cooldown():
    breaker = CircuitBreaker(BreakerPolicy(threshold=3, cooldown_seconds=10, cooldown_cap_seconds=35))

    breaker.refused(0.0)

    assert breaker.wait(0.0) == 35


@pytest.mark.parametrize("policy", [{"threshold": 0}, {"cooldown_seconds": 0}, {"cooldown_seconds": 9, "cooldown_cap_seconds": 8}])
def test_a_policy_that_cannot_work_is_refused(policy):
    with pytest.raises(ConfigError, match="expected"):
        BreakerPolicy(**policy)
