"""What a sensor hands over to runs: the cursor's rules alone, and the sensor with its job on a Dagster instance and a pretended Discord."""

from __future__ import annotations

import logging
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.test_utils import create_run_for_test

from orchestration.alerting.handover import MOST_AT_ONCE, Cursor, hand_over, look
from orchestration.alerting.jobs import DELIVER_ALERTS, DELIVER_OP, delivery_job
from orchestration.alerting.ledger import Open
from orchestration.alerting.sensors import alert_outbox_sensor
from simulator.discord import Discord
from tests.orchestration.alerting import MINUTE, SECOND, alert, alerting, embeds, lake_at, lay, ledger_of, now_us

pytestmark = pytest.mark.lengthy(waits=True)

TOKEN = "s3cr3t-T0ken-of-a-webhook"
NOW = 1_800_000_000 * SECOND
AGAIN = 60 * SECOND


def handed(ids, cursor=None, *, now=NOW, channels=None):
    found = [Open(alert_id=name, fired=NOW) for name in ids]
    return hand_over(found, cursor or Cursor(), channels or {"discord": 0}, mark="m", now=now, again_us=AGAIN)


def test_an_alert_is_handed_over_once_while_its_run_is_given_time():
    first = handed(["a", "b"])

    assert first.ids == ("a", "b")
    assert handed(["a", "b", "c"], first.cursor, now=NOW + AGAIN - 1).ids == ("c",)


def test_what_is_still_open_is_handed_over_again_after_pauses_that_double():
    cursor, moments = handed(["a"]).cursor, []
    for second in range(0, 4000, 10):
        found = handed(["a"], cursor, now=NOW + second * SECOND)
        if found.ids:
            moments.append(second)
        cursor = found.cursor

    assert moments == [60, 180, 420, 900, 1860, 3780]


def test_a_repeated_tick_gives_the_same_key_and_another_attempt_another_one():
    first = handed(["a", "b"])
    again = handed(["a", "b"], first.cursor, now=NOW + AGAIN)

    assert handed(["b", "a"], now=NOW + SECOND).run_key == first.run_key
    assert again.ids == ("a", "b")
    assert again.run_key != first.run_key


def test_what_every_channel_has_taken_leaves_the_cursor():
    cursor = handed(["a", "b"]).cursor

    assert set(handed(["b"], cursor).cursor.handed) == {"b"}


def test_more_alerts_than_a_run_takes_wait_for_the_next_tick():
    names = [f"a{number:05}" for number in range(MOST_AT_ONCE + 5)]

    first = handed(names)
    second = handed(names, first.cursor)

    assert len(first.ids) == MOST_AT_ONCE
    assert first.cursor.mark == ""
    assert list(second.ids) == names[MOST_AT_ONCE:]
    assert second.cursor.mark == "m"


def test_a_channel_added_later_gets_alerts_from_then_on():
    cursor = handed([]).cursor

    assert Cursor().channels(["discord"], now=NOW) == {"discord": 0}
    assert cursor.channels(["discord", "slack"], now=NOW) == {"discord": 0, "slack": NOW}


def test_the_cursor_survives_being_stored():
    cursor = handed(["a", "b"]).cursor

    assert Cursor.parse(str(cursor)) == cursor
    assert Cursor.parse(None) == Cursor()


def test_the_files_look_different_once_an_alert_was_added(tmp_path):
    lake = lake_at(tmp_path)
    before = look(lake.house, now=now_us())

    lay(lake, alert("a"))

    assert look(lake.house, now=now_us()) != before


class House:
    """The sensor and the job on one instance, ticked by hand."""

    def __init__(self, root: Path, instance: dg.DagsterInstance, **more) -> None:
        self.lake = lake_at(root / "home")
        self.settings = alerting(**more)
        self.instance = instance
        self.sensor = alert_outbox_sensor(self.lake, self.settings)
        self.job = delivery_job(self.lake, retry_seconds=0)
        self.cursor: str | None = None

    def tick(self) -> list[dg.RunRequest]:
        with dg.build_sensor_context(self.instance, cursor=self.cursor) as context:
            result = self.sensor(context)
        if isinstance(result, dg.SkipReason):
            return []
        self.cursor = result.cursor
        return list(result.run_requests or [])

    def run(self, request: dg.RunRequest) -> dg.ExecuteInProcessResult:
        return self.job.execute_in_process(run_config=request.run_config, instance=self.instance, raise_on_error=False, tags=request.tags)


@pytest.fixture
def discord(monkeypatch):
    server = Discord()
    server.start()
    # The run reads the addresses itself, as in a process of its own.
    monkeypatch.setenv("DISCORD_WEBHOOK_URL", server.webhook(TOKEN))
    monkeypatch.setenv("TICKHOUSE_ALERT_LONGEST_WAIT_SECONDS", "0")
    monkeypatch.delenv("TICKHOUSE_ALERT_URLS", raising=False)
    yield server
    server.close()


@pytest.fixture
def house(tmp_path, discord):
    with dg.DagsterInstance.ephemeral() as instance:
        yield House(tmp_path, instance, discord_webhook_url=discord.webhook(TOKEN), alert_log=True)


@pytest.fixture
def stored_house(tmp_path, discord):
    """The same on an instance whose storage is files."""
    directory = tmp_path / "dagster"
    directory.mkdir()
    with dg.DagsterInstance.local_temp(str(directory), overrides={"telemetry": {"enabled": False}}) as instance:
        yield House(tmp_path, instance, discord_webhook_url=discord.webhook(TOKEN), alert_log=True)


def test_alerts_become_one_run_whose_metadata_says_what_it_did(house, discord):
    assert house.tick() == []
    lay(house.lake, alert("a", group_key="g"), alert("b", group_key="g"))

    (request,) = house.tick()
    result = house.run(request)

    assert result.success
    (output,) = [event for event in result.all_events if event.event_type_value == "STEP_OUTPUT"]
    metadata = output.step_output_data.metadata
    assert {name: metadata[name].value for name in ("alerts", "messages", "sent", "failed", "repeats", "channels", "attempts")} == {
        "alerts": 2,
        "messages": 2,
        "sent": 2,
        "failed": 0,
        "repeats": 0,
        "channels": "discord, log",
        "attempts": 2,
    }
    assert [embed["title"] for embed in embeds(discord)] == ["HIGH: 2 alerts of move"]
    assert house.tick() == []


def test_a_tick_whose_cursor_was_lost_requests_the_same_run_and_nothing_is_sent_twice(house, discord):
    house.tick()
    lay(house.lake, alert("a"))
    stored = house.cursor

    (first,) = house.tick()
    house.cursor = stored
    (second,) = house.tick()
    house.run(first)
    house.run(second)

    assert first.run_key == second.run_key
    assert len(embeds(discord)) == 1


def test_a_channel_that_fails_makes_a_failed_run_that_can_be_executed_again(house, discord):
    lay(house.lake, alert("a"))
    discord.obey({"answers": [404]})
    (request,) = house.tick()

    failed = house.run(request)
    again = house.run(request)

    assert not failed.success
    (failure,) = failed.get_step_failure_events()
    assert "discord: refused (status 404" in failure.step_failure_data.user_failure_data.description
    assert again.success
    assert len(embeds(discord)) == 1
    assert {row["channel"] for row in ledger_of(house.lake) if row["attempt"] == 2} == {"discord"}


def test_alerts_that_fired_before_the_first_tick_are_delivered(house):
    lay(house.lake, alert("a", fired=now_us() - 10 * MINUTE))

    (request,) = house.tick()

    assert request.run_config["ops"][DELIVER_OP]["config"]["alerts"] == ["a"]


def test_while_a_run_waits_for_its_turn_what_fires_waits_for_the_next(house):
    house.tick()
    lay(house.lake, alert("a"))
    ahead = create_run_for_test(house.instance, job_name=DELIVER_ALERTS, status=dg.DagsterRunStatus.STARTING)

    assert house.tick() == []
    lay(house.lake, alert("b"))
    house.instance.delete_run(ahead.run_id)
    (request,) = house.tick()

    assert sorted(request.run_config["ops"][DELIVER_OP]["config"]["alerts"]) == ["a", "b"]


def test_no_secret_reaches_run_config_logs_events_or_storage(stored_house, discord, caplog, capfd, tmp_path):
    """Whatever the channel answers: refusals, failures, cut connections, and an address that cannot be used."""
    caplog.set_level(logging.DEBUG)
    discord.obey({"answers": [404, 500, "cut", 429]})
    requests = []
    for number in range(4):
        lay(stored_house.lake, alert(f"a{number}"))
        requests += stored_house.tick()
        stored_house.run(requests[-1])

    stored = [path for path in (tmp_path / "dagster").rglob("*") if path.is_file()]
    written = [path for path in (tmp_path / "home").rglob("*") if path.is_file()]
    said = capfd.readouterr()
    assert len(discord.posted) >= 4
    assert stored
    assert [path for path in (*stored, *written) if TOKEN.encode() in path.read_bytes()] == []
    assert TOKEN not in caplog.text + said.out + said.err
    assert TOKEN not in repr(requests)


def test_a_wrong_address_fails_the_run_by_the_name_of_its_setting(stored_house, monkeypatch, tmp_path):
    monkeypatch.setenv("DISCORD_WEBHOOK_URL", f"http://127.0.0.1:{TOKEN}/api")
    lay(stored_house.lake, alert("a"))
    (request,) = stored_house.tick()

    result = stored_house.run(request)

    (failure,) = result.get_step_failure_events()
    said = failure.step_failure_data.error.to_string()
    assert "setting DISCORD_WEBHOOK_URL has a value that names no channel" in said
    assert TOKEN not in said
    assert [path for path in (tmp_path / "dagster").rglob("*") if path.is_file() and TOKEN.encode() in path.read_bytes()] == []
