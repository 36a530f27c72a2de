"""Runs whose process is gone: what Dagster's monitoring is told of them, and that it marks them as failed."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import time

import dagster as dg
import pytest
from dagster._core.events import DagsterEventType, EngineEventData
from dagster._core.launcher import WorkerStatus
from dagster._core.storage.tags import GRPC_INFO_TAG
from dagster._core.test_utils import create_run_for_test
from dagster._daemon.monitoring.run_monitoring import monitor_started_run

from lake.settings import LakeSettings
from orchestration.instance import open_instance
from orchestration.launching import LocalRunLauncher
from orchestration.settings import OrchestrationSettings


@pytest.fixture
def instance(tmp_path):
    with open_instance(LakeSettings(home=tmp_path, _env_file=None), OrchestrationSettings(_env_file=None)) as made:
        yield made


@pytest.fixture
def gone():
    """The id of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def started(instance: dg.DagsterInstance, pid: int | None, *, host: str = "localhost") -> str:
    tags = {GRPC_INFO_TAG: json.dumps({"host": host, "socket": "/nowhere"})}
    run = create_run_for_test(instance, job_name="deliver_alerts", status=dg.DagsterRunStatus.STARTED, tags=tags)
    if pid is not None:
        instance.report_engine_event("Executing steps", run, EngineEventData.in_process(pid))
    return run.run_id


def told(instance: dg.DagsterInstance, run_id: str) -> WorkerStatus:
    run = instance.get_run_by_id(run_id)
    assert run is not None
    return instance.run_launcher.check_run_worker_health(run).status


def test_the_instance_launches_with_it(instance):
    assert isinstance(instance.run_launcher, LocalRunLauncher)
    assert instance.run_launcher.supports_check_run_worker_health


def test_a_run_lives_as_long_as_its_process(instance, gone):
    assert told(instance, started(instance, os.getpid())) is WorkerStatus.RUNNING
    assert told(instance, started(instance, gone)) is WorkerStatus.FAILED


def test_a_process_that_is_younger_than_the_run_is_another_one(instance):
    run_id = started(instance, None)
    run = instance.get_run_by_id(run_id)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        said = dg.EventLogEntry(
            error_info=None,
            level=logging.INFO,
            user_message="",
            run_id=run_id,
            timestamp=time.time() - 3600,
            job_name=run.job_name,
            dagster_event=dg.DagsterEvent(
                event_type_value=DagsterEventType.ENGINE_EVENT.value,
                job_name=run.job_name,
                event_specific_data=EngineEventData.in_process(other.pid),
            ),
        )
        instance.handle_new_event(said)

        assert told(instance, run_id) is WorkerStatus.FAILED


def test_what_cannot_be_known_from_here_counts_as_alive(instance, gone):
    assert told(instance, started(instance, None)) is WorkerStatus.RUNNING
    assert told(instance, started(instance, gone, host="code")) is WorkerStatus.RUNNING


def test_monitoring_marks_a_run_whose_process_is_gone_as_failed(instance, gone):
    run_id = started(instance, gone)
    record = instance.get_run_record_by_id(run_id)

    monitor_started_run(instance, None, record, logging.getLogger("tests"))

    assert instance.get_run_by_id(run_id).status is dg.DagsterRunStatus.FAILURE
