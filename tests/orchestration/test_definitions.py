"""The definitions as Dagster loads them: from the module, on an empty home, without an instance, and without touching anything."""

import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import yaml

from assets.hours import hour_of
from lake.files import now_us
from lake.settings import LakeSettings
from orchestration.alerting.sensors import ALERT_OUTBOX
from orchestration.alerting.watching import ALERT_CONDITIONS, ALERT_HEALTH
from orchestration.automation import AUTOMATION
from orchestration.definitions import build
from orchestration.sensors import LANDED_HOURS
from orchestration.settings import OrchestrationSettings

ROOT = Path(__file__).resolve().parents[2]


def plain_environment(tmp_path: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DAGSTER", "TICKHOUSE"))}
    return {**kept, "PYTHONPATH": str(ROOT), "TICKHOUSE_HOME": str(tmp_path / "absent"), "DAGSTER_DISABLE_TELEMETRY": "yes"}


def test_dagster_validates_them_on_an_empty_home_without_an_instance(tmp_path):
    command = [sys.executable, "-m", "dagster", "definitions", "validate", "-m", "orchestration.definitions"]

    done = subprocess.run(command, cwd=tmp_path, env=plain_environment(tmp_path), capture_output=True, text=True, timeout=120, check=False)

    assert done.returncode == 0, done.stderr
    assert "Validation successful" in done.stdout + done.stderr
    assert list(tmp_path.iterdir()) == []


def test_sensors_and_schedules_run_without_being_switched_on(tmp_path):
    definitions = build(OrchestrationSettings(_env_file=None), LakeSettings(home=tmp_path, _env_file=None))

    sensors = {sensor.name: sensor for sensor in definitions.sensors}

    assert set(sensors) == {LANDED_HOURS, AUTOMATION, ALERT_OUTBOX, ALERT_CONDITIONS, ALERT_HEALTH}
    assert all(sensor.default_status is dg.DefaultSensorStatus.RUNNING for sensor in sensors.values())
    assert all(2 <= sensor.minimum_interval_seconds <= 5 for sensor in sensors.values() if sensor.name != ALERT_HEALTH)
    assert all(schedule.default_status is dg.DefaultScheduleStatus.RUNNING for schedule in definitions.schedules)


def test_runs_stay_in_one_process(tmp_path):
    definitions = build(OrchestrationSettings(_env_file=None), LakeSettings(home=tmp_path, _env_file=None))

    assert definitions.resolve_job_def("hours").executor_def is dg.in_process_executor


def test_the_running_hour_is_a_partition(tmp_path):
    definitions = build(OrchestrationSettings(_env_file=None), LakeSettings(home=tmp_path, _env_file=None))
    partitions = definitions.resolve_assets_def("trades").partitions_def

    last = hour_of(partitions.get_last_partition_key())
    assert last.start <= now_us() < last.end + 5_000_000


def test_the_upkeep_job_settles_and_cleans_an_empty_lake(tmp_path):
    definitions = build(OrchestrationSettings(_env_file=None), LakeSettings(home=tmp_path, _env_file=None))

    with dg.DagsterInstance.ephemeral() as instance:
        assert definitions.resolve_job_def("upkeep").execute_in_process(instance=instance).success


def test_the_workspace_of_the_repository_loads_the_same_module():
    loaded = yaml.safe_load((ROOT / "workspace.yaml").read_text())

    assert loaded["load_from"][0]["python_module"]["module_name"] == "orchestration.definitions"
