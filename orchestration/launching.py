"""Launching runs as Dagster does by default, and noticing when the process of one is gone.

Put here: whether a run's process lives. Keep out: what happens to a run whose process does not (`run_monitoring` of the instance).

A code server notices the death of the runs it has started, but may die with them: kill -9 of the daemon, a machine that lost power. Their
runs would count as running for ever, and each would keep its place of `max_concurrent_runs`.
"""

import json
import os
from pathlib import Path
from typing import Any, Final

from dagster import DagsterEventType, DagsterRun
from dagster._core.launcher import CheckRunHealthResult, DefaultRunLauncher, WorkerStatus
from dagster._core.storage.tags import GRPC_INFO_TAG

_PROC: Final = Path("/proc")
_STARTED: Final = 19
"""Field 22 of /proc/PID/stat, counted from the third: clock ticks from boot to the start of the process (man proc_pid_stat)."""
_HERE: Final = frozenset({"localhost", "127.0.0.1"})
_CLOCKS_DIFFER_SECONDS: Final = 5.0
"""Between the kernel's start time of a process and the time of the event it wrote first."""


class LocalRunLauncher(DefaultRunLauncher):
    """The default launcher, asked by Dagster's monitoring about the process of each run; runs of a code server elsewhere count as alive."""

    @property
    def supports_check_run_worker_health(self) -> bool:
        """It can be asked."""
        return True

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """Whether the process of a started run is there; a run that has not named its process yet counts as alive."""
        server = json.loads(run.tags.get(GRPC_INFO_TAG, "{}"))
        named = self._process(run.run_id)
        if server.get("host") not in _HERE or named is None or _lives(*named):
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(WorkerStatus.FAILED, f"process {named[0]} is gone, expected it to run until the run has ended")

    def _process(self, run_id: str) -> tuple[int, float] | None:
        """Id of the run's newest process, and when it said so (seconds)."""
        found = None
        for entry in self._instance.all_logs(run_id, of_type=DagsterEventType.ENGINE_EVENT):
            event = entry.dagster_event
            named: Any = event.engine_event_data.metadata.get("pid") if event is not None else None
            if named is not None:
                found = (int(named.value), entry.timestamp)
        return found


def _lives(pid: int, since: float) -> bool:
    """Whether the process that had this id at `since` is there: a younger one has only inherited its number."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        # Somebody else's: ours has gone, and its number was given away.
        return False
    begun = _begun(pid)
    return begun is None or begun <= since + _CLOCKS_DIFFER_SECONDS


def _begun(pid: int) -> float | None:
    """When a process began, unix seconds, to a second or so; None where the system does not say."""
    try:
        # The name of the program, in brackets, may hold anything: fields are counted after it.
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
        booted = next(int(line.split()[1]) for line in (_PROC / "stat").read_text().splitlines() if line.startswith("btime"))
    except FileNotFoundError:
        return None
    return booted + int(fields[_STARTED]) / os.sysconf("SC_CLK_TCK")
