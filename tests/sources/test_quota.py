"""Calls of a month: counted across restarts, spread evenly, and never more than allowed."""

from __future__ import annotations

import calendar
import itertools
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sources.errors import QuotaSpent
from sources.quota import MonthlyQuota


class Clock:
    def __init__(self, moment: datetime) -> None:
        self.moment = moment

    def __call__(self) -> float:
        return self.moment.timestamp()


def quota(tmp_path: Path, clock: Clock, *, calls: int | None = 100) -> MonthlyQuota:
    return MonthlyQuota(source="CoinGecko", path=tmp_path / "calls.json", calls=calls, clock=clock)


def test_calls_are_counted_across_restarts_and_begin_anew_with_the_month(tmp_path):
    clock = Clock(datetime(2026, 11, 30, 23, 59, tzinfo=UTC))
    for _ in range(3):
        quota(tmp_path, clock).take()

    assert quota(tmp_path, clock).used() == 3
    clock.moment += timedelta(minutes=1)
    assert quota(tmp_path, clock).used() == 0


def test_the_call_beyond_the_last_is_refused_before_it_is_made(tmp_path):
    one = quota(tmp_path, Clock(datetime(2026, 11, 30, tzinfo=UTC)), calls=2)
    one.take()
    one.take()

    with pytest.raises(QuotaSpent, match="2 calls of CoinGecko were made in 2026-11, expected at most 2"):
        one.take()
    assert one.used() == 2


def test_without_a_bound_nothing_is_refused_but_all_is_counted(tmp_path):
    one = quota(tmp_path, Clock(datetime(2026, 11, 1, tzinfo=UTC)), calls=None)
    one.check_pace(10_000)
    one.take()

    assert one.used() == 1


def test_snapshots_every_half_hour_stay_within_the_free_plan_and_are_spread_over_the_month(tmp_path):
    clock = Clock(datetime(2026, 10, 1, tzinfo=UTC))
    days = calendar.monthrange(2026, 10)[1]
    limit = quota(tmp_path, clock, calls=10_000)
    at = []
    for _ in range(days * 48):
        try:
            limit.check_pace(8)
        except QuotaSpent:
            pass
        else:
            at.append(clock.moment)
            limit.path.write_text(json.dumps({"month": "2026-10", "calls": 8 * len(at)}))
        clock.moment += timedelta(minutes=30)

    assert 10_000 - 16 <= 8 * len(at) <= 10_000
    assert max(later - former for former, later in itertools.pairwise(at)) <= timedelta(hours=1)
