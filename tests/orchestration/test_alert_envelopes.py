"""Which alerts become one message: groups, repeats, summaries of old ones, and channels that rules name."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from lake.alerts.rules import parse_rules
from lake.alerts.settings import AlertSettings
from orchestration.alerting.envelopes import envelopes, message_id, message_of
from orchestration.alerting.ledger import Noted
from tests.orchestration.alerting import MINUTE, SECOND, alert

NOW = 1_800_000_000 * SECOND
OLD = 60 * MINUTE


def row(name, *, ago=0, **more):
    found = asdict(alert(name, fired=NOW - ago, **more))
    return {**found, "details": '{"window_seconds": 300, "nested": [1]}'}


def made(rows, former=None, channels=("discord",), rules=None):
    return envelopes(rows, former or {}, channels, rules or {}, now=NOW, old_us=OLD, worst=3)


def noted(message, *, state="unknown", attempt=1, may_have_arrived=None):
    return Noted(
        attempt=attempt,
        state=state,
        message_id=message,
        may_have_arrived=state == "unknown" if may_have_arrived is None else may_have_arrived,
    )


def test_alerts_of_one_group_are_one_message_with_the_worst_first():
    rows = [row(f"a{number}", symbol=f"S{number}/USDT", value=float(number), group_key="move@1") for number in range(1, 501)]
    rows[7] = row("a8", symbol="S8/USDT", value=2.5, severity="CRITICAL", group_key="move@1")

    (one,) = made(rows)

    lines = one.message.text.splitlines()
    assert one.message.alerts == 500
    assert one.message.severity == "CRITICAL"
    assert [line.split()[1] for line in lines[:3]] == ["S8/USDT:", "S500/USDT:", "S499/USDT:"]
    assert lines[3] == "and 497 more"
    assert dict(one.message.fields)["by severity"] == "1 CRITICAL, 499 HIGH"
    assert dict(one.message.fields)["markets"] == "500"
    assert len(one.attempts) == 500


def test_alerts_of_different_groups_are_messages_of_their_own():
    found = made([row("a", group_key="move@1"), row("b", group_key="move@2")])

    assert [list(each.attempts) for each in found] == [["a"], ["b"]]


def test_what_a_channel_has_taken_goes_to_the_others_only():
    found = made([row("a"), row("b")], {("a", "discord"): noted("a", state="sent")}, channels=("discord", "slack"))

    assert [(each.channel, list(each.attempts)) for each in found] == [("discord", ["b"]), ("slack", ["a"]), ("slack", ["b"])]


def test_a_message_that_may_have_arrived_is_made_again_of_the_same_alerts_and_marked():
    rows = [row("a", group_key="g"), row("b", group_key="g"), row("c", group_key="g")]
    shared = message_id(["a", "b"])
    former = {("a", "discord"): noted(shared), ("b", "discord"): noted(shared, attempt=2)}

    repeat, new = made(rows, former)

    assert (repeat.message.id, repeat.message.retry, dict(repeat.attempts)) == (shared, True, {"a": 2, "b": 3})
    assert (new.message.retry, dict(new.attempts)) == (False, {"c": 1})


def test_what_failed_for_sure_is_sent_again_without_a_mark_unless_an_earlier_try_may_have_arrived():
    former = {
        ("a", "discord"): noted("a", state="failed"),
        ("b", "discord"): noted("b", state="failed", attempt=2, may_have_arrived=True),
    }

    found = {each.message.id: (each.message.retry, dict(each.attempts)) for each in made([row("a"), row("b")], former)}

    assert found == {"a": (False, {"a": 2}), "b": (True, {"b": 3})}


def test_old_alerts_become_one_summary():
    rows = [row(f"a{number}", ago=OLD + number * MINUTE, rule=f"rule{number % 2}") for number in range(1, 41)] + [row("new")]

    summary, new = made(rows)

    assert summary.message.title == "40 older alerts of rule1 (20), rule0 (20)"
    assert summary.message.alerts == 40
    assert list(new.attempts) == ["new"]


def test_the_limit_of_old_alerts_is_their_age_by_our_clock():
    found = made([row("at", ago=OLD), row("over", ago=OLD + 1)])

    assert [each.message.title.startswith("older alert") for each in found] == [True, False]
    assert [list(each.attempts) for each in found] == [["over"], ["at"]]


def test_a_rule_that_names_channels_goes_to_those_alone():
    text = '[rules.move]\nkind = "price_move"\nthresholds = { HIGH = 1.0 }\nchannels = ["slack"]\n'
    rules = parse_rules(text, AlertSettings(_env_file=None))

    found = made([row("a"), row("b", rule="other")], channels=("discord", "slack"), rules=rules)

    assert [(each.channel, list(each.attempts)) for each in found] == [("discord", ["b"]), ("slack", ["a"]), ("slack", ["b"])]


def test_a_message_of_one_alert_says_all_of_it():
    message = message_of([row("a", subject="trades")], worst=3)

    assert message.id == "a"
    assert message.title == "move · binance BTC/USDT trades"
    assert dict(message.fields) == {
        "rule": "move",
        "exchange": "binance",
        "symbol": "BTC/USDT",
        "subject": "trades",
        "value": "5 pct",
        "threshold": "2 pct",
        "happened": "2027-01-15 08:00:00.000000 UTC",
        "window_seconds": "300",
    }


@pytest.mark.parametrize("missing", [{"value": None, "threshold": None, "unit": ""}, {"exchange": "", "symbol": "", "subject": "disk"}])
def test_what_a_rule_does_not_have_is_left_out(missing):
    message = message_of([row("a", **missing)], worst=3)

    assert not {name for name, value in message.fields if value in {"", "None"}}


def test_the_id_of_a_message_is_that_of_its_alerts_in_any_order():
    assert message_id(["a", "b"]) == message_id(["b", "a"]) != message_id(["a", "c"])
    assert message_id(["a"]) == "a"
