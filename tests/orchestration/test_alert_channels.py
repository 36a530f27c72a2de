"""Channels against a server that stands for Discord, over real sockets: payloads, waits, repeats, and no secret in any text."""

from __future__ import annotations

import json
import logging
import socket
from datetime import UTC, datetime

import pytest
from pydantic import SecretStr

from orchestration.alerting.channels import LogChannel, Redactor
from orchestration.alerting.configured import addresses, channel_names, opened
from orchestration.alerting.discord import COLOURS, DiscordChannel, payload
from orchestration.alerting.errors import (
    ChannelBusy,
    ChannelError,
    ChannelMisconfigured,
    ChannelRefused,
    ChannelUnavailable,
    ChannelUncertain,
)
from orchestration.alerting.messages import Message
from orchestration.alerting.offering import Outcome, offer
from orchestration.alerting.relayed import RelayedChannel
from orchestration.alerting.settings import AlertingSettings
from simulator.discord import Discord

TOKEN = "s3cr3t-T0ken-abcdefghij"
MESSAGE = Message(
    id="m-1",
    title="liquidations of BTC/USDT:USDT",
    severity="HIGH",
    text="650,000 USD in 300 s",
    at=datetime(2026, 11, 21, 7, 14, tzinfo=UTC),
    fields=(("exchange", "binance"), ("value", "650,000")),
)


@pytest.fixture
def discord():
    server = Discord()
    server.start()
    yield server
    server.close()


@pytest.fixture
def channel(discord):
    made = DiscordChannel("discord", discord.webhook(TOKEN), timeout=30)
    yield made
    made.close()


def offered(channel: DiscordChannel, *, attempts: int = 5, longest_wait: float = 60.0) -> tuple[Outcome, list[float]]:
    waits: list[float] = []
    return offer(channel, MESSAGE, attempts=attempts, longest_wait=longest_wait, sleep=waits.append), waits


def test_a_message_reaches_discord_as_an_embed_with_colour_fields_and_time(discord, channel):
    channel.send(MESSAGE)

    (posted,) = discord.taken
    assert posted.path == f"/api/webhooks/1/{TOKEN}"
    assert posted.body == {
        "embeds": [
            {
                "title": "HIGH: liquidations of BTC/USDT:USDT",
                "description": "650,000 USD in 300 s",
                "color": COLOURS["HIGH"],
                "fields": [
                    {"name": "exchange", "value": "binance", "inline": True},
                    {"name": "value", "value": "650,000", "inline": True},
                ],
                "timestamp": "2026-11-21T07:14:00+00:00",
                "footer": {"text": "m-1"},
            }
        ],
        "allowed_mentions": {"parse": []},
    }


def test_a_repeat_says_so_in_its_title_and_in_a_field():
    embed = payload(MESSAGE.repeated())["embeds"][0]

    assert embed["title"].startswith("[retry] ")
    assert embed["fields"][0]["name"] == "retry"
    assert payload(MESSAGE)["embeds"][0]["fields"] == embed["fields"][1:]


def test_a_message_too_long_for_discord_is_cut_to_its_limits():
    fields = tuple((f"symbol {number} {'x' * 300}", "y" * 2000) for number in range(40))
    long = Message(id="m", title="t" * 1000, severity="LOW", text="z" * 9000, at=MESSAGE.at, fields=fields)

    embed = payload(long)["embeds"][0]

    texts = [embed["title"], embed["description"], embed["footer"]["text"]]
    texts += [field[part] for field in embed["fields"] for part in ("name", "value")]
    assert len(embed["title"]) <= 256
    assert len(embed["description"]) <= 4096
    assert 0 < len(embed["fields"]) <= 25
    assert all(len(field["name"]) <= 256 and len(field["value"]) <= 1024 for field in embed["fields"])
    assert sum(map(len, texts)) <= 6000


def test_a_429_is_waited_out_as_long_as_it_says_and_is_no_repeat(discord, channel):
    discord.obey({"answers": [429, 429], "retry_after": 2.75})

    outcome, waits = offered(channel)

    assert outcome == Outcome(state="sent", tries=3, marked=False)
    assert waits == [2.75, 2.75]
    assert len(discord.taken) == 1


def test_a_wait_that_stands_in_the_header_alone_is_respected(discord, channel):
    discord.obey({"answers": [429], "retry_after": 7.0})

    with pytest.raises(ChannelBusy) as caught:
        channel.send(MESSAGE)

    assert caught.value.seconds == 7.0


def test_a_wait_beyond_the_longest_is_left_to_a_later_run(discord, channel):
    discord.obey({"answers": [429], "retry_after": 90.0})

    outcome, waits = offered(channel, longest_wait=60.0)

    assert (outcome.state, outcome.tries, outcome.marked, waits) == ("failed", 1, False, [])
    assert "90 s" in outcome.reason


def test_after_a_500_the_message_is_sent_again_with_growing_waits_and_marked(discord, channel):
    discord.obey({"answers": [500, 502, 503]})

    outcome, waits = offered(channel)

    assert outcome == Outcome(state="sent", tries=4, marked=True)
    assert len(waits) == 3
    assert waits == sorted(waits)
    titles = [each.body["embeds"][0]["title"].startswith("[retry]") for each in discord.posted]
    assert titles == [False, True, True, True]


def test_a_channel_that_keeps_failing_is_left_after_as_many_tries_as_allowed(discord, channel):
    discord.obey({"answers": [500] * 9})

    outcome, _ = offered(channel, attempts=3)

    assert (outcome.state, outcome.tries) == ("uncertain", 3)
    assert len(discord.posted) == 3


@pytest.mark.parametrize("order", ["hang", "cut"])
def test_a_message_without_an_answer_may_have_arrived_so_its_repeat_is_marked(discord, order):
    impatient = DiscordChannel("discord", discord.webhook(TOKEN), timeout=0.3)
    discord.obey({"answers": [order]})

    outcome, _ = offered(impatient)
    impatient.close()

    assert outcome == Outcome(state="sent", tries=2, marked=True)
    assert discord.posted[-1].body["embeds"][0]["title"].startswith("[retry] ")


def test_a_webhook_that_is_gone_is_refused_at_once(discord, channel):
    discord.obey({"answers": [404]})

    outcome, waits = offered(channel)

    assert (outcome.state, outcome.tries, waits) == ("refused", 1, [])
    assert outcome.reason == "status 404 (Unknown Webhook, code 10015), expected 200"


def test_where_nobody_listens_nothing_was_sent():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        closed = DiscordChannel("discord", f"http://127.0.0.1:{taken.getsockname()[1]}/api/webhooks/1/{TOKEN}")
        outcome, _ = offered(closed, attempts=2)
        closed.close()

    assert (outcome.state, outcome.tries, outcome.marked) == ("failed", 2, False)


def test_no_log_and_no_error_holds_the_secret_even_at_debug(discord, caplog):
    caplog.set_level(logging.DEBUG)
    texts = []
    hooks = [discord.webhook(TOKEN), f"http://127.0.0.1:9/api/webhooks/1/{TOKEN}", f"http://no.such.host.invalid/api/webhooks/1/{TOKEN}"]
    discord.obey({"answers": [404, 500, 429, "cut"]})

    for hook in [hooks[0]] * 4 + hooks:
        made = DiscordChannel("discord", hook, timeout=5)
        texts.append(repr(made))
        try:
            made.send(MESSAGE)
        except ChannelError as error:
            texts += [str(error), repr(error), repr(error.__cause__), error.reason]
        made.close()
    relayed = RelayedChannel("apprise_json", f"json://127.0.0.1:9/{TOKEN}")
    with pytest.raises(ChannelUncertain) as caught:
        relayed.send(MESSAGE)
    texts += [str(caught.value), repr(relayed)]

    assert len(discord.posted) == 5
    assert TOKEN not in caplog.text
    assert not [text for text in texts if TOKEN in text]


def test_what_apprise_reaches_gets_heading_and_text(discord):
    # Apprise's own Discord client speaks to discord.com alone; its JSON client posts wherever it is told.
    relayed = RelayedChannel("apprise_json", discord.webhook(TOKEN).replace("http://", "json://"))

    relayed.send(MESSAGE)

    (posted,) = discord.taken
    assert posted.body["title"] == MESSAGE.heading
    assert "650,000 USD in 300 s" in posted.body["message"]
    assert "2026-11-21 07:14:00 UTC" in posted.body["message"]


def test_what_apprise_could_not_send_may_have_arrived(discord):
    discord.obey({"answers": [500]})
    relayed = RelayedChannel("apprise_json", discord.webhook(TOKEN).replace("http://", "json://"))

    with pytest.raises(ChannelUncertain) as caught:
        relayed.send(MESSAGE)

    assert caught.value.may_have_arrived
    assert "500" in caught.value.reason


def test_the_settings_name_the_channels_in_order_and_each_once():
    settings = AlertingSettings(
        _env_file=None,
        discord_webhook_url=SecretStr("https://discord.com/api/webhooks/1/aaaaaaaa"),
        discord_webhook_url_2=SecretStr("https://discord.com/api/webhooks/2/bbbbbbbb"),
        alert_urls=SecretStr("tgram://123456789:abcdefghijklmnopqrstuvwxyz/1  json://localhost/x json://localhost/y"),
    )

    assert channel_names(settings) == ("discord", "discord_2", "apprise_tgram", "apprise_json", "apprise_json_2", "log")
    with opened(settings) as channels:
        assert [each.name for each in channels] == list(channel_names(settings))


def test_without_any_setting_there_is_the_log_alone(monkeypatch):
    for name in ("DISCORD_WEBHOOK_URL", "DISCORD_WEBHOOK_URL_2", "TICKHOUSE_ALERT_URLS"):
        monkeypatch.delenv(name, raising=False)

    assert channel_names(AlertingSettings(_env_file=None)) == ("log",)
    assert channel_names(AlertingSettings(_env_file=None, alert_log=False)) == ()


def test_the_names_people_already_have_are_accepted(monkeypatch):
    monkeypatch.setenv("DISCORD_WEBHOOK_URL", "https://discord.com/api/webhooks/1/first")
    monkeypatch.setenv("DISCORD_WEBHOOK_URL_2", "https://discord.com/api/webhooks/2/second")

    found = addresses(AlertingSettings(_env_file=None))

    assert found["discord"][1].endswith("first")
    assert found["discord_2"][1].endswith("second")


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ({"discord_webhook_url": SecretStr(f"discord.com/{TOKEN}")}, "DISCORD_WEBHOOK_URL"),
        ({"discord_webhook_url_2": SecretStr(f"https://discord.com/api/ {TOKEN}")}, "DISCORD_WEBHOOK_URL_2"),
        ({"alert_urls": SecretStr(TOKEN)}, "TICKHOUSE_ALERT_URLS"),
        ({"alert_urls": SecretStr(f"nosuchscheme://{TOKEN}")}, "TICKHOUSE_ALERT_URLS"),
    ],
)
def test_a_wrong_address_is_named_by_its_setting_and_never_repeated(more, named, caplog):
    caplog.set_level(logging.DEBUG)

    with pytest.raises(ChannelMisconfigured, match=f"setting {named} ") as caught, opened(AlertingSettings(_env_file=None, **more)):
        pass

    assert TOKEN not in str(caught.value)
    assert TOKEN not in caplog.text


def test_settings_never_show_a_secret():
    settings = AlertingSettings(_env_file=None, discord_webhook_url=SecretStr(TOKEN), alert_urls=SecretStr(TOKEN))

    assert TOKEN not in repr(settings)
    assert TOKEN not in str(settings)
    assert TOKEN not in settings.model_dump_json()


def test_a_redactor_takes_every_piece_of_an_address_out_of_a_text():
    redact = Redactor(["https://discord.com/api/webhooks/123456789/abcDEF-token?thread_id=987654321"])

    text = redact("POST https://discord.com/api/webhooks/123456789/abcDEF-token failed: abcDEF-token of 123456789 at discord.com")

    assert "abcDEF-token" not in text
    assert "123456789" not in text
    assert "discord.com" in text


def test_the_log_channel_writes_what_others_send(caplog):
    caplog.set_level(logging.INFO, logger="tickhouse.alerts")

    LogChannel().send(MESSAGE.repeated())

    assert "[retry] HIGH: liquidations of BTC/USDT:USDT" in caplog.text
    assert "exchange: binance" in caplog.text


def test_errors_say_whether_to_try_again_and_whether_it_may_have_arrived():
    kinds = [
        ChannelRefused("a", "x"),
        ChannelBusy("a", seconds=1),
        ChannelUnavailable("a", "x"),
        ChannelUncertain("a", "x"),
    ]

    assert [(each.transient, each.may_have_arrived) for each in kinds] == [(False, False), (True, False), (True, False), (True, True)]


def test_the_ledger_of_the_stand_in_is_one_json_line_a_request(tmp_path):
    server = Discord(ledger=tmp_path / "ledger.jsonl")
    server.start()
    hook = DiscordChannel("discord", server.webhook(TOKEN))
    hook.send(MESSAGE)
    hook.close()
    server.close()

    (line,) = (tmp_path / "ledger.jsonl").read_text().splitlines()
    assert json.loads(line)["status"] == 200
