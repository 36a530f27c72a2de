"""Rules evaluated on Dagster's side: SQL over tables that were made, and the health of the data, on real files and a real instance."""

from __future__ import annotations

import dagster as dg
import pytest

from assets.hours import partition_key
from lake.alerts.rules import parse_rules
from lake.alerts.settings import AlertSettings
from lake.paths import HOUR_US
from lake.query import run_sql
from orchestration.alerting import health, materialised
from orchestration.alerting.jobs import DELIVER_ALERTS
from orchestration.alerting.watching import Watched, alert_conditions_sensor, alert_health_sensor
from orchestration.definitions import build, watched
from orchestration.run import materialize_range
from orchestration.settings import OrchestrationSettings
from tests.assets.landed_rows import hours_ago, lake_settings, land, trades, wait_until_visible
from tests.orchestration.alerting import MINUTE, SECOND, now_us

SETTINGS = OrchestrationSettings(_env_file=None)
SQL = """
[rules.any_candle]
kind = "sql"
table = "candles_1h"
where = "close > 0"
severity = "LOW"
value = "close"
cooldown_seconds = 0

[rules.broken]
kind = "sql"
table = "candles_1h"
where = "no_such_column > 0"
severity = "LOW"
"""


@pytest.fixture
def rules(tmp_path, monkeypatch):
    path = tmp_path / "alerts.toml"
    monkeypatch.setenv("TICKHOUSE_ALERTS", str(path))
    return path


@pytest.fixture
def instance():
    with dg.DagsterInstance.ephemeral() as made:
        yield made


class Ticked:
    """A sensor, its stored cursor and the time it believes it is."""

    def __init__(self, instance: dg.DagsterInstance, make) -> None:
        self.instance = instance
        self.at = now_us()
        self.sensor = make(lambda: self.at)
        self.cursor = None

    def tick(self, *, later: int = 0) -> str:
        self.at += later
        with dg.build_sensor_context(self.instance, cursor=self.cursor) as context:
            result = self.sensor(context)
        if isinstance(result, dg.SkipReason):
            return str(result.skip_message)
        self.cursor = result.cursor
        return str(result.skip_reason.skip_message)


def fired(lake) -> list[dict]:
    sql = "select rule, kind, severity, subject, exchange, value, epoch_us(timestamp) as moment from alerts order by rule, moment, subject, exchange"
    return run_sql(lake.house, sql).table.to_pylist()


def test_a_condition_fires_for_the_rows_that_were_made_since_once_and_one_that_is_broken_stops_no_other(tmp_path, rules, instance):
    lake = lake_settings(tmp_path / "home")
    rules.write_text(SQL)
    land(lake, {"trades": trades(hours_ago(3))}, {"trades": trades(hours_ago(2))})
    sensor = Ticked(instance, lambda now: alert_conditions_sensor(lake, SETTINGS, now=now))
    materialize_range(lake, ["trades", "candles_1h"], hours_ago(3), hours_ago(3), instance=instance)
    wait_until_visible(lake)
    sensor.tick()
    stood = fired(lake)

    materialize_range(lake, ["trades", "candles_1h"], hours_ago(2), hours_ago(2), instance=instance)
    wait_until_visible(lake)
    too_soon = sensor.tick()
    said = sensor.tick(later=10 * MINUTE)
    again = sensor.tick(later=MINUTE)

    candles = run_sql(lake.house, "select count(*) as n from candles_1h where epoch_us(timestamp) = $1", parameters=[hours_ago(2).start])
    assert stood == []
    assert too_soon == "0 tables were made, 0 alerts fired"
    assert said == f"1 tables were made, {candles.table['n'][0]} alerts fired"
    assert again == "0 tables were made, 0 alerts fired"
    assert {(row["rule"], row["moment"]) for row in fired(lake)} == {("any_candle", hours_ago(2).start)}


def test_a_back_fill_of_the_past_fires_nothing(tmp_path):
    rules = parse_rules(SQL, AlertSettings(_env_file=None))
    old = materialised.Made(asset="candles_1h", start=hours_ago(100).start, end=hours_ago(40).end, upto=1)

    # Nothing is asked, so that the rule that is broken is not found to be.
    assert materialised.held(lake_settings(tmp_path / "home").house, rules, [old], now=now_us()) == ([], [])


def test_a_table_is_watched_by_the_assets_it_is_made_of(tmp_path):
    home = lake_settings(tmp_path / "home").house

    assert materialised.tables_of(home, "candles_1h") == {"candles_1h": "candles_1h"}
    assert materialised.tables_of(home, "indicators") == {f"indicators_{span}": f"indicators_{span}" for span in ("hour", "day", "month")}
    assert materialised.tables_of(home, "book_spreads") == {"book_snapshots": "book_spreads"}


def health_sensor(lake, instance, *, datasets=(), checks=()):
    looked = Watched(datasets=tuple(datasets), checks=tuple(checks))
    return Ticked(instance, lambda now: alert_health_sensor(lake, SETTINGS, looked, grace_us=60 * SECOND, now=now))


def test_a_disk_fuller_than_the_threshold_fires_with_what_is_used(tmp_path, rules, instance):
    lake = lake_settings(tmp_path / "home")
    rules.write_text('[rules.disk]\nkind = "disk"\nthresholds = { LOW = 0.000001, CRITICAL = 100.1 }\n')

    said = health_sensor(lake, instance).tick()

    assert said == "1 figures, 1 alerts fired"
    assert [(row["rule"], row["severity"], row["subject"]) for row in fired(lake)] == [("disk", "LOW", "disk")]
    assert health.disk(lake.house, now=0).value == pytest.approx(fired(lake)[0]["value"], abs=5)


def test_failed_runs_of_other_jobs_than_delivery_fire_once_each(tmp_path, rules, instance):
    lake = lake_settings(tmp_path / "home")
    rules.write_text('[rules.failed_run]\nkind = "failed_run"\nthresholds = { HIGH = 1.0, CRITICAL = 2.0 }\ncooldown_seconds = 0\n')
    sensor = health_sensor(lake, instance)

    @dg.op
    def fails() -> None:
        raise dg.Failure(description="as it should")

    def run(name: str) -> None:
        dg.GraphDefinition(name=name, node_defs=[fails]).to_job().execute_in_process(instance=instance, raise_on_error=False)

    run("hours")
    sensor.at = now_us()
    sensor.tick()
    for name in ("hours", "days", DELIVER_ALERTS):
        run(name)
    sensor.at = now_us() + SECOND
    sensor.tick()
    sensor.tick(later=30 * SECOND)

    assert sorted((row["subject"], row["severity"]) for row in fired(lake)) == [("days", "HIGH"), ("hours", "CRITICAL")]


def test_checks_that_fail_as_errors_fire_and_those_that_warn_do_not(tmp_path, rules, instance):
    lake = lake_settings(tmp_path / "home")
    rules.write_text('[rules.failed_check]\nkind = "failed_check"\n')
    keys = [dg.AssetCheckKey(dg.AssetKey("trades"), name) for name in ("unique", "gaps", "schema")]
    sensor = health_sensor(lake, instance, checks=keys)
    sensor.tick()

    for key, passed, severity in zip(
        keys, (False, False, True), (dg.AssetCheckSeverity.ERROR, dg.AssetCheckSeverity.WARN, dg.AssetCheckSeverity.ERROR), strict=True
    ):
        instance.report_runless_asset_event(
            dg.AssetCheckEvaluation(asset_key=key.asset_key, check_name=key.name, passed=passed, severity=severity, metadata={})
        )
    sensor.at = now_us() + SECOND
    sensor.tick()
    sensor.tick(later=30 * SECOND)

    assert [(row["subject"], row["severity"]) for row in fired(lake)] == [("trades:unique", "HIGH")]


def test_a_partition_is_stale_once_it_is_overdue_for_as_long_as_the_rule_says(tmp_path, rules, instance):
    lake = lake_settings(tmp_path / "home")
    land(lake, {"trades": trades(hours_ago(4))})
    materialize_range(lake, ["trades"], hours_ago(4), hours_ago(4), instance=instance)
    due = hours_ago(3).end + 60 * SECOND

    def overdue(now: int, *, since: int = 0):
        return list(health.stale_partitions(lake.house, ["trades", "candles_1h"], now=now, grace_us=60 * SECOND, since=since))

    assert overdue(due) == []
    (late,) = overdue(due + 90 * SECOND)
    assert (late.subject, late.value, late.details["partition"]) == ("trades", 90.0, partition_key(hours_ago(3)))
    (caught,) = overdue(due + 90 * SECOND, since=due + 60 * SECOND)
    assert caught.value == 30.0


def test_after_the_house_was_down_what_it_missed_is_not_overdue_at_once(tmp_path, rules, instance):
    lake = lake_settings(tmp_path / "home")
    rules.write_text('[rules.stale]\nkind = "stale_partition"\nthresholds = { LOW = 1.0 }\n')
    land(lake, {"trades": trades(hours_ago(2))})
    materialize_range(lake, ["trades"], hours_ago(2), hours_ago(2), instance=instance)
    sensor = health_sensor(lake, instance, datasets=["trades"])

    at_start = sensor.tick()
    soon = sensor.tick(later=30 * SECOND)
    down = sensor.tick(later=2 * HOUR_US)
    running = [sensor.tick(later=300 * SECOND) for _ in range(2)]

    assert [at_start, down] == ["0 figures, 0 alerts fired"] * 2
    # Ours is a running hour: whether the last one is over by now depends on when this test runs.
    assert soon in {"0 figures, 0 alerts fired", "1 figures, 1 alerts fired"}
    assert all(said.startswith("1 figures") for said in running)
    assert {row["subject"] for row in fired(lake)} == {"trades"}


def test_everything_made_of_the_lake_is_watched_with_its_checks(tmp_path):
    definitions = build(SETTINGS, lake_settings(tmp_path / "home"))
    graph = definitions.resolve_asset_graph()

    found = watched([asset for asset in definitions.assets if isinstance(asset, dg.AssetsDefinition)])

    assert {"trades", "candles_1m", "indicators_hour", "coverage"} <= set(found.datasets)
    assert set(found.checks) == set(graph.asset_check_keys)
