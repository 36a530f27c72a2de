"""The instance of a home: its configuration loads in Dagster itself, quick and silent, and everything lies under the home."""

import dagster as dg
import pytest
import yaml
from dagster._core.run_coordinator import QueuedRunCoordinator

from lake.settings import LakeSettings
from orchestration.automation import SYNC_TAG
from orchestration.errors import InstanceError
from orchestration.instance import environment, open_instance, prepare, workspace_file
from orchestration.settings import OrchestrationSettings


@pytest.fixture
def lake(tmp_path):
    return LakeSettings(home=tmp_path / "a home with spaces", _env_file=None)


@pytest.fixture
def settings():
    return OrchestrationSettings(max_concurrent_runs=3, _env_file=None)


def test_dagster_reads_the_configuration_we_write(lake, settings):
    with open_instance(lake, settings) as instance:
        assert isinstance(instance.run_coordinator, QueuedRunCoordinator)
        assert instance.run_coordinator.dequeue_interval_seconds == 1
        assert instance.get_concurrency_config().run_queue_config.max_concurrent_runs == 3
        assert instance.telemetry_enabled is False
        assert instance.run_monitoring_enabled
        assert not instance.run_retries_max_retries > 1


def test_of_the_runs_that_copy_to_timescale_one_runs_at_a_time(lake, settings):
    with open_instance(lake, settings) as instance:
        [limit] = instance.get_concurrency_config().run_queue_config.tag_concurrency_limits

    assert {limit["key"]: limit["value"]} == SYNC_TAG
    assert limit["limit"] == 1


def test_everything_of_the_instance_lies_under_the_home(lake, settings):
    with open_instance(lake, settings) as instance:
        instance.report_runless_asset_event(dg.AssetMaterialization("anything"))

    assert list((lake.house.dagster / "storage").rglob("*.db"))
    assert sorted(path.name for path in lake.house.root.iterdir()) == ["dagster"]


def test_what_was_materialised_is_remembered_by_the_next_start(lake, settings):
    with open_instance(lake, settings) as instance:
        instance.report_runless_asset_event(dg.AssetMaterialization("trades", partition="2026-03-05-11:00"))

    with open_instance(lake, settings) as instance:
        assert instance.get_materialized_partitions(dg.AssetKey("trades")) == {"2026-03-05-11:00"}


def test_the_workspace_names_our_definitions_by_module(lake, settings):
    prepare(lake, settings)

    loaded = yaml.safe_load(workspace_file(lake).read_text())

    assert loaded == {"load_from": [{"python_module": {"module_name": "orchestration.definitions", "location_name": "tickhouse"}}]}


def test_programs_are_told_the_home_and_the_instance_as_absolute_paths(lake):
    told = environment(lake)

    assert told["TICKHOUSE_HOME"] == str(lake.house.root)
    assert told["DAGSTER_HOME"] == str(lake.house.root / "dagster")
    assert told["TICKHOUSE_HOME"].startswith("/")


def test_a_home_that_cannot_be_written_is_refused_with_a_sentence(tmp_path, settings):
    (tmp_path / "dagster").write_text("a file where a directory should be")

    with pytest.raises(InstanceError, match=r"cannot be written .*expected a directory"):
        prepare(LakeSettings(home=tmp_path, _env_file=None), settings)


@pytest.mark.parametrize("text", ["2026-03-05T11:00", "2026-03-05T11:00:00+00:00", "2026-03-05T13:00:00+02:00"])
def test_the_start_hour_is_utc_however_it_is_written(monkeypatch, text):
    monkeypatch.setenv("TICKHOUSE_START_HOUR", text)

    assert OrchestrationSettings(_env_file=None).start_hour.isoformat() == "2026-03-05T11:00:00+00:00"


def test_a_start_that_is_no_whole_hour_is_refused_by_name(monkeypatch):
    monkeypatch.setenv("TICKHOUSE_START_HOUR", "2026-03-05T11:30")

    with pytest.raises(ValueError, match=r"TICKHOUSE_START_HOUR was 2026-03-05T11:30.*expected a whole hour"):
        OrchestrationSettings(_env_file=None)


def test_a_setting_left_empty_means_its_default(monkeypatch):
    monkeypatch.setenv("TICKHOUSE_HOUR_GRACE_SECONDS", "")

    assert OrchestrationSettings(_env_file=None).hour_grace_seconds is None
