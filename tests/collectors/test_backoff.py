from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.backoff import Backoff, BackoffPolicy
from collectors.errors import ConfigError


@given(failures=st.integers(0, 5000), seed=st.integers(0, 2**32))
def test_a_wait_lies_between_zero_and_its_bound_however_many_failures(failures, seed):
    policy = BackoffPolicy(first_seconds=0.5, cap_seconds=30)
    backoff = Backoff(policy, random.Random(seed), failures)

    delay = backoff.next_delay()

    assert 0 <= delay <= min(30, 0.5 * 2 ** min(failures, 100))
    assert backoff.failures == failures + 1


def test_the_bound_doubles_up_to_the_cap():
    policy = BackoffPolicy(first_seconds=1, cap_seconds=10)

    assert [policy.bound(n) for n in range(6)] == [1, 2, 4, 8, 10, 10]


def test_waits_are_spread_over_the_whole_bound():
    policy = BackoffPolicy(first_seconds=8, cap_seconds=8)

    delays = [Backoff(policy, random.Random(seed)).next_delay() for seed in range(400)]

    assert min(delays) < 0.4
    assert max(delays) > 7.6
    assert 3.5 < sum(delays) / len(delays) < 4.5


def test_a_healthy_life_forgets_failures_and_a_short_one_does_not():
    backoff = Backoff(BackoffPolicy(healthy_seconds=30), failures=5)

    backoff.lived(29.9)
    assert backoff.failures == 5
    backoff.lived(30.0)
    assert backoff.failures == 0


@pytest.mark.parametrize(("first", "cap"), [(0, 1), (2, 1), (-1, 5)])
def test_half_specified_bounds_are_refused_with_a_sentence(first, cap):
    with pytest.raises(ConfigError, match="expected 0 < first_seconds <= cap_seconds"):
        BackoffPolicy(first_seconds=first, cap_seconds=cap)
