"""Delivery from a lake to a server that stands for Discord: each alert once, the ledger, repeats after a kill, and channels that fail."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from orchestration.alerting import ledger
from orchestration.alerting.configured import opened
from orchestration.alerting.delivering import deliver
from simulator.discord import Discord
from tests.orchestration.alerting import HOUR, MINUTE, alert, alerting, embeds, lake_at, lay, ledger_of, now_us

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def discord():
    server = Discord()
    server.start()
    yield server
    server.close()


@pytest.fixture
def lake(tmp_path):
    return lake_at(tmp_path / "home")


def delivered(lake, settings, ids, **more):
    with opened(settings) as channels:
        return deliver(lake, settings, channels, {}, ids, sleep=lambda _: None, **more)


def test_an_alert_is_noted_before_it_leaves_and_after_it_was_taken(lake, discord):
    ids = lay(lake, alert("a"))

    (done,) = delivered(lake, alerting(discord), ids)

    assert (done.channel, done.outcome.state, done.outcome.tries) == ("discord", "sent", 1)
    assert [embed["footer"]["text"] for embed in embeds(discord)] == ["a"]
    common = {"alert_id": "a", "channel": "discord", "attempt": 1, "message_id": "a", "is_repeat": False, "error": None}
    assert ledger_of(lake) == [{**common, "state": "unknown"}, {**common, "state": "sent"}]


def test_what_was_delivered_is_not_delivered_again(lake, discord):
    ids = lay(lake, alert("a"), alert("b"))

    delivered(lake, alerting(discord), ids)
    again = delivered(lake, alerting(discord), ids)

    assert again == []
    assert len(embeds(discord)) == 2


def test_a_group_is_one_message_with_those_that_joined_it_meanwhile(lake, discord):
    ids = lay(lake, *(alert(f"a{number}", symbol=f"S{number}/USDT", group_key="move@1") for number in range(300)))
    lay(lake, alert("late", symbol="LATE/USDT", group_key="move@1"), alert("other"))

    delivered(lake, alerting(discord), ids[:1])

    (embed,) = embeds(discord)
    assert embed["title"] == "HIGH: 301 alerts of move"
    assert Counter(row["state"] for row in ledger_of(lake)) == {"unknown": 301, "sent": 301}


def test_only_the_channel_that_did_not_take_it_gets_it_again(lake, discord):
    other = Discord()
    other.start()
    settings = alerting(discord, discord_webhook_url_2=other.webhook("second-t0ken"), alert_attempts=1)
    other.obey({"answers": [429], "retry_after": 1})
    ids = lay(lake, alert("a"))

    first = delivered(lake, settings, ids)
    second = delivered(lake, settings, ids)
    other.close()

    assert [(each.channel, each.outcome.state) for each in first] == [("discord", "sent"), ("discord_2", "failed")]
    assert [(each.channel, each.outcome.state, each.outcome.marked) for each in second] == [("discord_2", "sent", False)]
    assert (len(discord.taken), len(other.taken)) == (1, 1)
    assert [(row["channel"], row["attempt"], row["state"]) for row in ledger_of(lake)] == [
        ("discord", 1, "unknown"),
        ("discord", 1, "sent"),
        ("discord_2", 1, "unknown"),
        ("discord_2", 1, "failed"),
        ("discord_2", 2, "unknown"),
        ("discord_2", 2, "sent"),
    ]


def test_after_a_channel_failed_the_rest_is_left_for_later_and_nothing_is_lost(lake, discord):
    discord.obey({"answers": [429], "retry_after": 1})
    ids = lay(lake, alert("a"), alert("b"), alert("c"))
    settings = alerting(discord, alert_attempts=1)

    first = delivered(lake, settings, ids)
    still_open = ledger.open_alerts(lake.house, {}, {"discord": 0}, since=now_us() - HOUR)
    delivered(lake, settings, ids)

    assert [each.outcome and each.outcome.state for each in first] == ["failed", None, None]
    assert [each.alert_id for each in still_open] == ["a", "b", "c"]
    assert sorted(embed["footer"]["text"] for embed in embeds(discord)) == ["a", "b", "c"]
    assert ledger.open_alerts(lake.house, {}, {"discord": 0}, since=now_us() - HOUR) == []


def test_no_answer_leaves_the_alert_open_and_the_next_run_marks_it(lake, discord):
    discord.obey({"answers": ["cut"]})
    ids = lay(lake, alert("a", group_key="g"), alert("b", group_key="g"))
    settings = alerting(discord, alert_attempts=1)

    (first,) = delivered(lake, settings, ids)
    lay(lake, alert("c", group_key="g"))
    second = delivered(lake, settings, ids)

    assert first.outcome.state == "uncertain"
    assert [(each.alerts, each.outcome.marked) for each in second] == [(2, True), (1, False)]
    titles = [embed["title"] for embed in embeds(discord)]
    assert [title.startswith("[retry] ") for title in titles] == [False, True, False]
    assert embeds(discord)[0]["footer"] == embeds(discord)[1]["footer"]
    assert [(row["attempt"], row["state"], row["is_repeat"]) for row in ledger_of(lake) if row["alert_id"] == "a"] == [
        (1, "unknown", False),
        (2, "unknown", True),
        (2, "sent", True),
    ]


def test_a_refused_alert_is_no_longer_open_and_a_run_for_it_offers_it_again(lake, discord):
    discord.obey({"answers": [404]})
    ids = lay(lake, alert("a"))

    (refused,) = delivered(lake, alerting(discord), ids)
    assert ledger.open_alerts(lake.house, {}, {"discord": 0}, since=now_us() - HOUR) == []
    (again,) = delivered(lake, alerting(discord), ids)

    assert refused.outcome.state == "refused"
    assert (again.outcome.state, again.outcome.marked) == ("sent", False)
    errors = [row["error"] for row in ledger_of(lake) if row["state"] == "refused"]
    assert errors == ["status 404 (Unknown Webhook, code 10015), expected 200"]


def test_a_week_of_alerts_is_one_summary_and_its_repeat_holds_the_same_alerts(lake, discord):
    ids = lay(lake, *(alert(f"a{number:03}", fired=now_us() - 7 * 24 * HOUR + number * MINUTE) for number in range(120)), alert("now"))
    discord.obey({"answers": ["cut"]})
    settings = alerting(discord, alert_attempts=1)

    delivered(lake, settings, ids)
    delivered(lake, settings, ["a007"])
    delivered(lake, settings, ids)

    titles = [embed["title"] for embed in embeds(discord)]
    assert titles == [
        "HIGH: 120 older alerts of move",
        "[retry] HIGH: 120 older alerts of move",
        "HIGH: move · binance BTC/USDT",
    ]


def test_channels_are_served_side_by_side(lake, discord):
    hanging = Discord()
    hanging.start()
    hanging.obey({"answers": ["hang"]})
    settings = alerting(
        discord, discord_webhook_url_2=hanging.webhook("second-t0ken"), alert_attempts=1, alert_timeout_seconds=2.0, alert_log=True
    )
    ids = lay(lake, alert("a"))

    done = delivered(lake, settings, ids)
    hanging.close()

    assert {each.channel: each.outcome.state for each in done} == {"discord": "sent", "discord_2": "uncertain", "log": "sent"}
    (posted,), (hung,) = discord.taken, hanging.posted
    assert posted.at < hung.at + 2.0


def test_alerts_older_than_a_channel_or_than_the_horizon_are_not_open_for_it(lake):
    lay(lake, alert("old", fired=now_us() - HOUR), alert("new"))
    since = now_us() - 24 * HOUR

    assert [each.alert_id for each in ledger.open_alerts(lake.house, {}, {"discord": now_us() - MINUTE}, since=since)] == ["new"]
    assert [each.alert_id for each in ledger.open_alerts(lake.house, {}, {"discord": 0}, since=now_us() - MINUTE)] == ["new"]
    assert ledger.open_alerts(lake.house, {}, {}, since=since) == []


KILLED = """
import os, signal, sys, threading, time
from pathlib import Path
from orchestration.alerting.configured import opened
from orchestration.alerting.delivering import deliver
from tests.orchestration.alerting import alerting, lake_at
from orchestration.alerting.settings import AlertingSettings
from pydantic import SecretStr

settings = AlertingSettings(_env_file=None, discord_webhook_url=SecretStr(sys.argv[2]), alert_log=False)
print("ready", flush=True)
with opened(settings) as channels:
    deliver(lake_at(Path(sys.argv[1])), settings, channels, {}, sys.stdin.read().split())
print("done", flush=True)
"""


def test_kill_9_of_a_delivery_loses_no_alert_and_every_repeat_is_marked(lake, discord):
    """Two moments: while the channel holds back its first answer, and in the middle of the rest."""
    ids = lay(lake, *(alert(f"a{number}") for number in range(12)))
    discord.obey({"delay": 0.05})
    for wanted in (1, 5):
        process = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(lake.home), discord.webhook("t0ken-of-the-tests")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(" ".join(ids))
        process.stdin.close()
        before = len(discord.posted)
        deadline = time.monotonic() + 120
        while len(discord.posted) < before + wanted and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.002)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()

    delivered(lake, alerting(discord), ids)

    seen = Counter(embed["footer"]["text"] for embed in embeds(discord))
    repeats = Counter(embed["footer"]["text"] for embed in embeds(discord) if embed["title"].startswith("[retry]"))
    assert set(seen) == set(ids)
    assert all(seen[name] - 1 <= repeats[name] for name in seen), json.dumps({"seen": seen, "repeats": repeats})
    states = {row["alert_id"] for row in ledger_of(lake) if row["state"] == "sent"}
    assert states == set(ids)
