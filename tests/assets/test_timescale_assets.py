"""The assets of TimescaleDB on a real server: made from a real lake, equal to it, and failing alone."""

import warnings
from urllib.parse import urlsplit

import dagster as dg
import pytest

from assets.hours import partition_key
from assets.resources import LakeResource
from assets.timescale import EQUAL, RETRIES, timescale_assets, timescale_key
from lake.registry import DATASETS
from lake.timescale.settings import timescale_settings
from lake.timescale.sync import sync
from lake.timescale.tables import tables
from orchestration.automation import AUTOMATION, SYNC_SENSOR
from orchestration.definitions import build
from orchestration.partitions import daily_partitions, hourly_partitions, monthly_partitions
from orchestration.run import RANGE_END, RANGE_START, materialize_range
from orchestration.settings import OrchestrationSettings
from tests.assets.landed_rows import hours_ago, lake_settings, land, trades, wait_until_visible
from tests.tcp_proxy import TcpProxy
from tests.timescale_server import run, with_port

HOURS = [hours_ago(4), hours_ago(3)]
HOURLY = ("h1_data", "trade_events", "trade_flow", "ohlcv_data_hour", "indicators_hour")


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    """Two hours of trades, and everything that is made of them."""
    settings = lake_settings(tmp_path_factory.mktemp("timescale") / "home")
    for number, hour in enumerate(HOURS):
        land(settings, {"trades": trades(hour, seed=number, first_id=number * 100_000, per_market=60)})
    wait_until_visible(settings)
    made = materialize_range(settings, ["trades", "candles_1m", "candles_1h", "trade_flow", "indicators_hour"], HOURS[0], HOURS[1])
    assert made.success, made.sentence
    wait_until_visible(settings)
    return settings


def patient(dsn, **more):
    return timescale_settings(timescale_dsn=dsn, timescale_backoff_seconds=0.05, timescale_backoff_cap_seconds=0.2, _env_file=None, **more)


def definitions(lake, settings, *, retries=RETRIES):
    """The assets of the tables alone, of datasets that are made elsewhere: the whole house takes a second to build."""
    orchestration = OrchestrationSettings(_env_file=None)
    partitions = {
        "hour": hourly_partitions(orchestration),
        "day": daily_partitions(orchestration),
        "month": monthly_partitions(orchestration),
    }
    made = [dg.AssetSpec(name, partitions_def=partitions[DATASETS[name].span]) for name in sorted({table.dataset for table in tables()})]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)
        assets = [*made, *timescale_assets(made, settings, retries=retries)]
    resource = LakeResource(home=str(lake.house.root), visible_after_seconds=lake.visible_after_seconds)
    return dg.Definitions(assets=assets, resources={"lake": resource}, executor=dg.in_process_executor)


def materialise(lake, settings, *names, first=HOURS[0], last=HOURS[1], instance=None, retries=RETRIES):
    job = definitions(lake, settings, retries=retries).resolve_implicit_global_asset_job_def()
    return job.execute_in_process(
        instance=instance,
        asset_selection=[timescale_key(name) for name in names],
        tags={RANGE_START: partition_key(first), RANGE_END: partition_key(last)},
        raise_on_error=False,
    )


def count(dsn, table):
    return run(dsn, lambda connection: connection.fetchval(f"SELECT count(*) FROM {table}"))


def test_a_range_of_hours_is_one_run_whose_tables_equal_the_lake(lake, timescale_dsn):
    settings = patient(timescale_dsn)

    first = materialise(lake, settings, *HOURLY)
    again = materialise(lake, settings, *HOURLY)

    for result in (first, again):
        assert result.success
        checks = result.get_asset_check_evaluations()
        assert {(check.asset_key.path[-1], check.check_name, check.passed) for check in checks} == {(name, EQUAL, True) for name in HOURLY}
    assert count(timescale_dsn, "trade_events") == 2 * 3 * 60
    assert count(timescale_dsn, "h1_data") == 2 * 3
    written = [
        event.step_materialization_data.materialization.metadata["rows_written"].value for event in again.get_asset_materialization_events()
    ]
    assert set(written) == {0}


def test_a_table_that_differs_from_the_lake_is_told_by_the_check(lake, timescale_dsn, monkeypatch):
    settings = patient(timescale_dsn)
    assert materialise(lake, settings, "trade_events").success

    def meddle(*given, **more):
        done = sync(*given, **more)
        run(timescale_dsn, lambda connection: connection.execute("UPDATE trade_events SET price = price + 1"))
        return done

    monkeypatch.setattr("lake.timescale.sync.sync", meddle)
    result = materialise(lake, settings, "trade_events")

    assert [(check.passed, "price" in check.description) for check in result.get_asset_check_evaluations()] == [(False, True)]


def test_a_server_that_is_away_for_a_while_is_waited_for(lake, timescale_dsn):
    parts = urlsplit(timescale_dsn)
    with TcpProxy(parts.hostname, parts.port or 5432) as proxy:
        settings = patient(with_port(timescale_dsn, proxy.port), timescale_attempts=20)
        assert materialise(lake, settings, "h1_data").success
        proxy.cut_after(3_000)

        result = materialise(lake, settings, "trade_events")

        assert result.success
        assert [check.passed for check in result.get_asset_check_evaluations()] == [True]


def test_a_server_that_stays_away_fails_its_steps_and_the_next_run_makes_the_tables_whole(lake, timescale_dsn):
    parts = urlsplit(timescale_dsn)
    with TcpProxy(parts.hostname, parts.port or 5432) as proxy:
        settings = patient(with_port(timescale_dsn, proxy.port), timescale_attempts=2)
        quick = dg.RetryPolicy(max_retries=1, delay=0.01)
        proxy.shut()
        failed = materialise(lake, settings, "trade_events", "trade_flow", retries=quick)
        proxy.open()
        again = materialise(lake, settings, "trade_events", "trade_flow", retries=quick)

    assert not failed.success
    assert len(failed.filter_events(lambda event: event.is_step_failure)) == 2
    assert len(failed.filter_events(lambda event: event.is_step_up_for_retry)) == 2
    assert again.success
    assert count(timescale_dsn, "trade_events") == 2 * 3 * 60


def test_a_server_that_refuses_is_not_asked_again_by_the_step(lake, timescale_dsn):
    nobody = timescale_dsn.rpartition("/")[0] + "/no_such_database"

    failed = materialise(lake, patient(nobody), "trade_events")

    assert not failed.success
    assert failed.filter_events(lambda event: event.is_step_up_for_retry) == []


def test_without_a_server_there_are_no_assets_and_with_one_an_asset_for_every_table_whose_address_is_not_shown(lake):
    def built(settings):
        return build(OrchestrationSettings(_env_file=None), lake, timescale=settings)

    def keys(definitions):
        return {key for key in definitions.resolve_asset_graph().get_all_asset_keys() if key.path[0] == "timescale"}

    without = built(timescale_settings(_env_file=None))
    there = built(patient("postgresql://nobody:unspeakable@127.0.0.1:1/nothing"))

    assert keys(without) == set()
    assert {sensor.name for sensor in without.sensors} >= {AUTOMATION}
    assert SYNC_SENSOR not in {sensor.name for sensor in without.sensors}
    assert keys(there) == {timescale_key(table.name) for table in tables()}
    assert {sensor.name for sensor in there.sensors} >= {AUTOMATION, SYNC_SENSOR}
    job = there.resolve_implicit_global_asset_job_def()
    assert "unspeakable" not in repr(job.run_config_schema) + repr(dict(job.resource_defs)) + repr(job.nodes)


class Clockwork:
    """The definitions on an instance in memory, evaluated tick by tick at times of our own; only the tables' conditions."""

    def __init__(self, lake, instance, settings):
        self.lake, self.instance, self.settings = lake, instance, settings
        self.defs = definitions(lake, settings)
        self.cursor = None

    def tick(self, minute):
        result = dg.evaluate_automation_conditions(
            self.defs, self.instance, asset_selection=dg.AssetSelection.groups("timescale"), cursor=self.cursor,
            evaluation_time=HOURS[1].moment.replace(minute=minute),
        )  # fmt: skip
        self.cursor = result.cursor
        return {(table.name, str(key)) for table in tables() for key in result.get_requested_partitions(timescale_key(table.name))}

    def made(self, name, hour):
        self.instance.report_runless_asset_event(dg.AssetMaterialization(name, partition=partition_key(hour)))


def test_a_table_follows_what_it_is_made_from_once_nothing_more_comes(lake):
    with dg.DagsterInstance.ephemeral() as instance:
        clockwork = Clockwork(lake, instance, patient("postgresql://nobody@127.0.0.1:1/nothing"))
        assert clockwork.tick(1) == set()
        clockwork.made("trades", HOURS[0])

        arriving, settled, after = clockwork.tick(2), clockwork.tick(3), clockwork.tick(4)

        assert (arriving, settled, after) == (set(), {("trade_events", partition_key(HOURS[0]))}, set())


def test_what_failed_is_requested_again_every_ten_minutes_and_no_oftener(lake):
    settings = patient("postgresql://nobody@127.0.0.1:1/nothing", timescale_attempts=1)
    with dg.DagsterInstance.ephemeral() as instance:
        clockwork = Clockwork(lake, instance, settings)
        clockwork.tick(1)
        assert not materialise(
            lake, settings, "trade_events", instance=instance, last=HOURS[0], retries=dg.RetryPolicy(max_retries=0)
        ).success

        quiet = [clockwork.tick(minute) for minute in (2, 5, 9)]
        again = clockwork.tick(11)

        assert quiet == [set(), set(), set()]
        assert again == {("trade_events", partition_key(HOURS[0]))}
        assert clockwork.tick(12) == set()
