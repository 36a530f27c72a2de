"""`tickhouse alerts test | list | rules`: what they print, and with what exit code they end."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from orchestration.alerting.configured import opened
from orchestration.alerting.delivering import deliver
from orchestration.cli.app import app
from simulator.discord import Discord
from tests.orchestration.alerting import HOUR, alert, alerting, embeds, lake_at, lay, now_us

TOKEN = "s3cr3t-T0ken-of-a-webhook"
RULES = """
[rules.move]
kind = "price_move"
symbols = ["BTC/*"]
thresholds = { MEDIUM = 1.0, CRITICAL = 5.0 }
cooldown_seconds = 600

[rules.low]
kind = "sql"
table = "candles_1h"
where = "close < 1000"
severity = "HIGH"
channels = ["log"]
"""


@pytest.fixture
def discord(monkeypatch):
    server = Discord()
    server.start()
    monkeypatch.setenv("DISCORD_WEBHOOK_URL", server.webhook(TOKEN))
    monkeypatch.setenv("TICKHOUSE_ALERT_LONGEST_WAIT_SECONDS", "0")
    monkeypatch.delenv("TICKHOUSE_ALERT_URLS", raising=False)
    yield server
    server.close()


@pytest.fixture
def rules(tmp_path, monkeypatch):
    path = tmp_path / "alerts.toml"
    path.write_text(RULES)
    monkeypatch.setenv("TICKHOUSE_ALERTS", str(path))
    return path


def call(*arguments):
    return CliRunner().invoke(app, ["alerts", *map(str, arguments)])


def test_a_test_message_goes_through_every_channel(discord):
    result = call("test")

    assert result.exit_code == 0, result.output
    assert result.output.splitlines() == ["discord: sent", "log: sent"]
    (embed,) = embeds(discord)
    assert embed["title"] == "LOW: test message"


def test_a_channel_that_refuses_is_named_with_the_reason_and_without_its_address(discord):
    discord.obey({"answers": [404]})

    result = call("test", "--json")

    assert result.exit_code == 1
    assert json.loads(result.output)["discord"] == {
        "state": "refused",
        "tries": 1,
        "marked": False,
        "reason": "status 404 (Unknown Webhook, code 10015), expected 200",
    }
    assert TOKEN not in result.output


def test_without_any_channel_a_test_fails_and_says_what_to_set(monkeypatch):
    for name in ("DISCORD_WEBHOOK_URL", "DISCORD_WEBHOOK_URL_2", "TICKHOUSE_ALERT_URLS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TICKHOUSE_ALERT_LOG", "false")

    result = call("test")

    assert result.exit_code == 1
    assert "no channel is configured: set DISCORD_WEBHOOK_URL" in result.output


def test_alerts_are_listed_with_what_became_of_them(discord, rules, tmp_path):
    lake = lake_at(tmp_path / "home")
    ids = lay(lake, alert("first", fired=now_us() - HOUR))
    with opened(alerting(discord)) as channels:
        deliver(lake, alerting(discord), channels, {}, ids)
    lay(lake, alert("second"), alert("third", rule="low"), alert("ancient", fired=now_us() - 48 * HOUR))

    found = json.loads(call("list", "--home", lake.home, "--json").output)
    table = call("list", "--home", lake.home, "--since", "30m", "--limit", "1").output

    assert {row["alert_id"]: row["channels"] for row in found} == {
        "first": {"discord": "sent", "log": "waiting"},
        "second": {"discord": "waiting", "log": "waiting"},
        "third": {"log": "waiting"},
    }
    assert found[-1]["alert_id"] == "first"
    assert found[-1]["attempts"] == {"discord": 1}
    assert "1 alerts since" in table


def test_the_rules_in_force_say_from_what_on_they_fire_and_where_to(discord, rules):
    found = {rule["name"]: rule for rule in json.loads(call("rules", "--json").output)}
    table = call("rules").output

    assert found["move"]["goes_to"] == ["discord", "log"]
    assert found["low"]["goes_to"] == ["log"]
    assert found["move"]["thresholds"] == {"MEDIUM": 1.0, "CRITICAL": 5.0}
    assert "2 rules; channels: discord, log" in table
    assert "CRITICAL 5 pct" in " ".join(table.split())


def test_a_broken_file_of_rules_is_a_sentence(discord, tmp_path):
    broken = tmp_path / "broken.toml"
    broken.write_text('[rules.move]\nkind = "price_mov"\n')

    result = call("rules", "--rules", broken)

    assert result.exit_code != 0
    assert "did you mean 'price_move'?" in str(result.exception)
