"""The event log that keeps its databases open: Dagster's own reads the same from it, and a process that is killed loses nothing."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import dagster as dg
import psutil
from dagster._core.storage.event_log import SqliteEventLogStorage

from lake.settings import LakeSettings
from orchestration.event_log import KEPT, KeptOpenEventLog
from orchestration.instance import open_instance
from orchestration.settings import OrchestrationSettings

ROOT = Path(__file__).resolve().parents[2]

REPORTS_UNTIL_KILLED = """
import sys, dagster as dg
from lake.settings import LakeSettings
from orchestration.instance import open_instance
from orchestration.settings import OrchestrationSettings
with open_instance(LakeSettings(home=sys.argv[1]), OrchestrationSettings(_env_file=None)) as instance:
    number = 0
    while True:
        instance.report_runless_asset_event(dg.AssetMaterialization("trades", partition=str(number)))
        print(number, flush=True)
        number += 1
"""


@dg.op
def nothing():
    pass


@dg.job
def trivial():
    nothing()


def opened(home):
    lake = LakeSettings(home=home, _env_file=None)
    return open_instance(lake, OrchestrationSettings(_env_file=None))


def test_what_it_stores_dagsters_own_event_log_reads(tmp_path):
    with opened(tmp_path) as instance:
        assert isinstance(instance.event_log_storage, KeptOpenEventLog)
        instance.report_runless_asset_event(dg.AssetMaterialization("trades", partition="1"))
        run = trivial.execute_in_process(instance=instance).run_id
        ours = instance.all_logs(run)
        directory = Path(instance.event_log_storage.path_for_shard("index")).parent

    theirs = SqliteEventLogStorage(str(directory))
    try:
        assert [record.event_log_entry for record in theirs.get_records_for_run(run).records] == list(ours)
        assert theirs.get_materialized_partitions(dg.AssetKey("trades")) == {"1"}
    finally:
        theirs.dispose()


def test_a_few_databases_stay_open_however_many_runs_there_are(tmp_path):
    with opened(tmp_path) as instance:
        runs = [trivial.execute_in_process(instance=instance).run_id for _ in range(KEPT + 3)]
        held = {file.path for file in psutil.Process().open_files() if file.path.startswith(str(tmp_path)) and file.path.endswith(".db")}
        logs = Path(instance.event_log_storage.path_for_shard("index")).parent
        assert len([path for path in held if Path(path).parent == logs]) <= KEPT
        instance.delete_run(runs[-1])
        assert instance.all_logs(runs[0])
        assert not instance.all_logs(runs[-1])

    left = [file.path for file in psutil.Process().open_files() if file.path.startswith(str(logs))]
    assert left == []


def test_a_process_that_is_killed_loses_nothing_it_had_stored(tmp_path):
    command = [sys.executable, "-c", REPORTS_UNTIL_KILLED, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env={**os.environ}) as process:
        assert process.stdout is not None
        said = [process.stdout.readline().strip() for _ in range(20)]
        process.send_signal(signal.SIGKILL)
        said += process.stdout.read().split()

    with opened(tmp_path) as instance:
        stored = instance.get_materialized_partitions(dg.AssetKey("trades"))

    assert set(said) <= stored
