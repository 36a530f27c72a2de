"""The Dagster instance of a home: its `dagster.yaml` and `workspace.yaml`, and the environment programs need to find them.

Put here: how Dagster is set up. Keep out: what it runs (`orchestration.definitions`) and starting it (`orchestration.processes`).
"""

import argparse
import json
import os
from pathlib import Path
from typing import Final

import dagster as dg

from lake.files import write_small
from lake.settings import LakeSettings
from orchestration.errors import InstanceError
from orchestration.settings import OrchestrationSettings

LOCATION: Final = "tickhouse"
MODULE: Final = "orchestration.definitions"

_DAGSTER: Final = """\
# Written at every start by Tickhouse from its settings; changes made here are lost.
run_storage:
  module: dagster._core.storage.runs
  class: SqliteRunStorage
  config:
    base_dir: {runs_directory}
# Connections stay open: an event costs a third of what it costs with Dagster's own, and does not wait for a busy disk.
event_log_storage:
  module: orchestration.event_log
  class: KeptOpenEventLog
  config:
    base_dir: {events_directory}
schedule_storage:
  module: dagster._core.storage.schedules
  class: SqliteScheduleStorage
  config:
    base_dir: {schedules_directory}
# A run whose process is gone keeps no place in the queue, also when the code server went with it.
run_launcher:
  module: orchestration.launching
  class: LocalRunLauncher
# A queue that is looked at every second: by default Dagster waits five.
run_coordinator:
  module: dagster.core.run_coordinator
  class: QueuedRunCoordinator
  config:
    dequeue_interval_seconds: 1
concurrency:
  runs:
    max_concurrent_runs: {runs}
    # A server that is slow or away holds up one run, and leaves the others to the lake.
    tag_concurrency_limits:
      - key: tickhouse/trigger
        value: timescale
        limit: 1
  pools:
    default_limit: {pool}
    granularity: op
# A run whose process died is marked as failed; assets that fail fail again on the same bytes, so only crashes are tried once more.
run_monitoring:
  enabled: true
  start_timeout_seconds: 180
  poll_interval_seconds: 30
run_retries:
  enabled: true
  max_retries: 1
  retry_on_asset_or_op_failure: false
# One of them stays with the sensor that watches for alerts.
sensors:
  use_threads: true
  num_workers: 4
schedules:
  use_threads: true
  num_workers: 1
# Sensors tick every few seconds: without this the tick table grows for ever.
retention:
  sensor:
    purge_after_days: {{skipped: 1, success: 7, failure: 30, started: 1}}
  auto_materialize:
    purge_after_days: {{skipped: 1, success: 7, failure: 30, started: 1}}
  schedule:
    purge_after_days: 30
telemetry:
  enabled: false
nux:
  enabled: false
"""

_WORKSPACE: Final = f"""\
load_from:
  - python_module:
      module_name: {MODULE}
      location_name: {LOCATION}
"""


def prepare(lake: LakeSettings, settings: OrchestrationSettings) -> Path:
    """Write the instance's configuration under the home and make its databases; returns its directory, the DAGSTER_HOME.

    Dagster makes missing databases when it opens them, and two programs that do so at once make one of them fail: so they are made here,
    before any program starts.

    Raises:
        InstanceError: the directory cannot be written.

    """
    directory = lake.house.dagster
    storage = directory / "storage"
    text = _DAGSTER.format(
        runs_directory=json.dumps(str(storage / "history")),
        events_directory=json.dumps(str(storage / "history" / "runs")),
        schedules_directory=json.dumps(str(storage / "schedules")),
        runs=settings.max_concurrent_runs,
        pool=settings.pool_limit,
    )
    try:
        directory.mkdir(parents=True, exist_ok=True)
        write_small(directory / "dagster.yaml", text)
        write_small(workspace_file(lake), _WORKSPACE)
    except OSError as error:
        message = f"the Dagster instance at {directory} cannot be written ({error.strerror}), expected a directory that is ours"
        raise InstanceError(message) from error
    if not (directory / "storage" / "schedules").exists():
        with dg.DagsterInstance.from_config(str(directory)):
            pass
    return directory


def workspace_file(lake: LakeSettings) -> Path:
    """The workspace that `prepare` writes, for `-w` of Dagster's programs."""
    return lake.house.dagster / "workspace.yaml"


def open_instance(lake: LakeSettings, settings: OrchestrationSettings) -> dg.DagsterInstance:
    """The instance of the home, prepared first; use it as a context manager, which closes its databases."""
    return dg.DagsterInstance.from_config(str(prepare(lake, settings)))


def environment(lake: LakeSettings) -> dict[str, str]:
    """The environment of every program of this home: ours, with the home absolute and Dagster's beside it."""
    return {
        **os.environ,
        "TICKHOUSE_HOME": str(lake.house.root),
        "DAGSTER_HOME": str(lake.house.dagster),
        "DAGSTER_DISABLE_TELEMETRY": "yes",
        # A tick evaluates what was reported up to its start and nothing after: without this an hour reported while a tick runs is seen
        # by that tick and by the next, and made twice.
        "DAGSTER_AUTOMATION_TICK_SETTLE_SECONDS": "0.2",
    }


def main(argv: list[str] | None = None) -> None:
    """Prepare the home of the settings, for programs that something else starts; with `--code-host` its code is served there."""
    parser = argparse.ArgumentParser(prog="python -m orchestration.instance", description="Prepare the Dagster instance of a home.")
    parser.add_argument("--code-host", help="host of the code server; by default each program loads the code itself")
    parser.add_argument("--code-port", type=int, default=4000, help="port of the code server (default: 4000)")
    asked = parser.parse_args(argv)
    lake = LakeSettings()
    prepare(lake, OrchestrationSettings())
    if asked.code_host is not None:
        served = (
            f"load_from:\n  - grpc_server:\n      host: {asked.code_host}\n      port: {asked.code_port}\n      location_name: {LOCATION}\n"
        )
        write_small(workspace_file(lake), served)


if __name__ == "__main__":
    main()
