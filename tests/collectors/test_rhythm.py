"""The rhythm of streams on a fixed clock: bounded, adapting, calm in a quiet market and quick in a lively one."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.errors import ConfigError
from collectors.rhythm import HALF_LIFE_SECONDS, Rhythm, SilencePolicy

POLICY = SilencePolicy()
PAUSES = st.lists(st.floats(0.0, 5000.0), max_size=200)


def heard(*pauses: float) -> Rhythm:
    rhythm = Rhythm()
    for pause in pauses:
        rhythm.heard(pause)
    return rhythm


def poisson(seconds: float, *, every: float, seed: int) -> list[float]:
    """Pauses of independent events that come `every` so many seconds, over `seconds`."""
    draw, pauses, at = random.Random(seed), [], 0.0
    while at < seconds:
        pauses.append(draw.expovariate(1 / every))
        at += pauses[-1]
    return pauses


@given(pauses=PAUSES, alarms=PAUSES)
def test_a_threshold_stays_between_the_floor_and_the_cap(pauses: list[float], alarms: list[float]):
    rhythm = heard(*pauses)
    for pause in alarms:
        rhythm.alarmed(pause, POLICY)
        assert POLICY.floor_seconds <= rhythm.threshold(POLICY) <= POLICY.cap_seconds


@given(pauses=PAUSES, last=st.floats(0.0, 400.0))
def test_a_pause_just_heard_is_never_called_silent(pauses: list[float], last: float):
    assert heard(*pauses, last).threshold(POLICY) >= min(4 * last, POLICY.cap_seconds)


@given(before=st.floats(0.0, 1000.0), longer=st.floats(0.0, 1000.0), pauses=PAUSES)
def test_a_longer_pause_once_never_makes_the_threshold_shorter_after_the_same_pauses(before: float, longer: float, pauses: list[float]):
    short, long = heard(before), heard(before + longer)
    long.watched = short.watched
    for pause in pauses:
        short.heard(pause)
        long.heard(pause)
    assert short.longest <= long.longest


@given(pauses=PAUSES)
def test_until_a_stream_is_known_its_silence_is_long(pauses: list[float]):
    rhythm = heard(*pauses[:19])
    assert rhythm.threshold(POLICY) >= POLICY.first_seconds


def test_a_burst_at_the_start_teaches_nothing():
    assert heard(*[0.1] * 300).threshold(POLICY) == POLICY.first_seconds
    assert heard(*[0.1] * 501).threshold(POLICY) == POLICY.floor_seconds


@pytest.mark.parametrize("seed", range(5))
def test_a_lively_stream_is_missed_within_seconds(seed: int):
    assert heard(*poisson(3600, every=0.3, seed=seed)).threshold(POLICY) < 20


@pytest.mark.parametrize("every", [0.05, 1.0, 20.0, 120.0, 400.0])
def test_a_steady_market_of_any_pace_is_hardly_ever_called_silent(every: float):
    alarms, events = 0, 0
    for seed in range(4):
        rhythm = Rhythm()
        for pause in poisson(86_400, every=every, seed=seed)[:50_000]:
            events += 1
            if pause > rhythm.threshold(POLICY):
                alarms += 1
                rhythm.alarmed(pause, POLICY)
            else:
                rhythm.heard(pause)
    # The slowest pace is beyond what the cap can learn: 400 s on average against 1,800 s at most.
    assert alarms <= (0 if every <= 20 else 1 if every <= 120 else events * 0.02), (alarms, events)


def test_a_market_that_grows_quiet_is_followed_at_once_and_one_that_grows_lively_within_hours():
    rhythm = heard(*[0.5] * 2000)
    assert rhythm.threshold(POLICY) == POLICY.floor_seconds

    for pause in (1.0, 3.0, 9.0, 27.0):
        assert pause <= rhythm.threshold(POLICY)
        rhythm.heard(pause)
    assert rhythm.threshold(POLICY) >= 4 * 27.0

    for _ in range(int(6 * HALF_LIFE_SECONDS / 0.5)):
        rhythm.heard(0.5)
    assert rhythm.threshold(POLICY) == POLICY.floor_seconds


def test_a_silence_that_was_called_one_doubles_the_threshold_at_most():
    rhythm = heard(*[0.5] * 2000)

    rhythm.alarmed(3600.0, POLICY)

    assert rhythm.threshold(POLICY) == pytest.approx(2 * POLICY.floor_seconds)


@pytest.mark.parametrize("bounds", [(0.0, 1.0, 2.0), (3.0, 2.0, 4.0), (1.0, 5.0, 4.0)])
def test_bounds_that_cross_are_refused(bounds: tuple[float, float, float]):
    with pytest.raises(ConfigError, match="expected 0 < floor_seconds <= first_seconds <= cap_seconds"):
        SilencePolicy(floor_seconds=bounds[0], first_seconds=bounds[1], cap_seconds=bounds[2])
