"""Alerts of processes that are no collectors: durable when the call returns, each once, whoever calls and how often."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from lake.alerts import health
from lake.alerts.firing import Measured, batches
from lake.alerts.outbox import FIRING_WRITER, fire, open_outbox, recent
from lake.alerts.rules import Rule, parse_rules
from lake.alerts.settings import AlertSettings
from lake.errors import WalLocked
from lake.query import run_sql
from lake.settings import LakeSettings
from lake.wal import WalWriter, open_segments
from tests.lake.making import Clock

SECOND = 1_000_000
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def settings(tmp_path: Path) -> LakeSettings:
    return LakeSettings(_env_file=None, home=tmp_path, visible_after_seconds=0.2)


def alert_rules(cooldown: int = 600) -> dict[str, Rule]:
    text = f'[rules.run]\nkind = "failed_run"\ncooldown_seconds = {cooldown}\nthresholds = {{ LOW = 1, HIGH = 5 }}\n'
    return parse_rules(text, AlertSettings(_env_file=None))


def failed(at: int, failures: int = 1, job: str = "hourly") -> tuple[str, Measured]:
    return "run", health.failed_run(job, "id", at=at, failures=failures)


def test_what_fires_is_a_row_at_once_and_a_part_when_the_call_returns(settings: LakeSettings):
    now = time.time_ns() // 1000

    fired = fire(settings, alert_rules(), [failed(now)])

    rows = run_sql(settings.house, "select rule, kind, severity, subject, value, threshold, unit, message, details from alerts").table
    assert rows.to_pylist() == [
        {
            "rule": "run",
            "kind": "failed_run",
            "severity": "LOW",
            "subject": "hourly",
            "value": 1.0,
            "threshold": 1.0,
            "unit": "failures",
            "message": "hourly: failed run 1 failures (LOW from 1)",
            "details": '{"run_id": "id"}',
        }
    ]
    assert [row["alert_id"] for row in recent(settings.house, since=now)] == [fired[0].alert_id]
    assert open_segments(settings.house, FIRING_WRITER) == []


def test_the_same_call_again_fires_nothing_and_a_later_or_graver_figure_does(settings: LakeSettings):
    now = time.time_ns() // 1000 - 2000 * SECOND
    found = [failed(now), failed(now + SECOND), failed(now + 2 * SECOND, failures=5), failed(now, job="daily")]

    first = fire(settings, alert_rules(), found)
    again = fire(settings, alert_rules(), found)
    later = fire(settings, alert_rules(), [*found, failed(now + 700 * SECOND)])

    assert [(alert.subject, alert.severity) for alert in first] == [("hourly", "LOW"), ("hourly", "HIGH"), ("daily", "LOW")]
    assert again == []
    assert [alert.timestamp for alert in later] == [now + 700 * SECOND]


def test_without_a_cooldown_the_same_figure_is_the_same_alert(settings: LakeSettings):
    now = time.time_ns() // 1000

    assert len(fire(settings, alert_rules(0), [failed(now), failed(now + 1)])) == 2
    assert fire(settings, alert_rules(0), [failed(now), failed(now + 1)]) == []


def test_nothing_to_judge_takes_no_lock(settings: LakeSettings):
    writer = WalWriter(settings.house, FIRING_WRITER)

    assert fire(settings, alert_rules(), []) == []
    writer.close()


def test_a_writer_waits_for_the_one_that_has_the_name_and_says_so_when_it_stays(settings: LakeSettings):
    with pytest.raises(WalLocked), open_outbox(settings), open_outbox(settings, wait_seconds=0.1):
        pass

    entered = threading.Event()

    def second() -> None:
        with open_outbox(settings):
            entered.set()

    with open_outbox(settings):
        other = threading.Thread(target=second)
        other.start()
        assert not entered.is_set()
    other.join(60)
    assert entered.is_set()


def test_what_a_killed_process_appended_is_there_and_is_sealed_by_the_next(settings: LakeSettings):
    now = time.time_ns() // 1000
    program = f"""
import os, signal
from lake.alerts.firing import Firing, batches
from lake.alerts.outbox import open_outbox
from lake.settings import LakeSettings
from tests.lake.alerts.test_alert_outbox import alert_rules, failed
alert = Firing().offer(alert_rules()["run"], failed({now})[1], local={now})
with open_outbox(LakeSettings(_env_file=None, home={str(settings.home)!r})) as outbox:
    outbox.append(batches([alert]))
    os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=120, check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(open_segments(settings.house, FIRING_WRITER)) == 1

    repeated = fire(settings, alert_rules(), [failed(now)])

    assert repeated == []
    assert open_segments(settings.house, FIRING_WRITER) == []
    assert [row["timestamp"] for row in recent(settings.house, since=now)] == [now]


def test_recent_rows_are_those_whose_instant_is_recent_in_the_order_they_were_written(settings: LakeSettings):
    clock = Clock()
    rules = alert_rules(0)
    for number, back in enumerate((50, 10, 5)):
        clock.advance(1)
        fire(settings, rules, [failed(clock.us - back * SECOND, job=str(number))], clock=clock)
    clock.advance(10)

    rows = recent(settings.house, since=clock.us - 25 * SECOND, clock=clock)

    assert [row["subject"] for row in rows] == ["1", "2"]


def test_batches_of_nothing_are_none():
    assert batches([]) == {}
