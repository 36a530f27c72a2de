"""What is wrong with the data itself, asked of Dagster, of file names and of the disk, as figures for rules of data health.

Put here: the facts. Keep out: which of them make an alert (`lake.alerts`), and what collectors see themselves: silence, gaps, dead
letters.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import dagster as dg
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus

from assets.hours import partition_key
from lake.alerts import health
from lake.alerts.firing import Measured
from lake.alerts.rules import Rule
from lake.paths import DAY_US, HOUR_US, Home, Hour
from lake.periods import Period
from lake.registry import DATASETS, Span
from orchestration.missing import end_of, look

LOOK_BACK_US: Final[dict[Span, int]] = {"hour": DAY_US, "day": 4 * DAY_US, "month": 70 * DAY_US}
GRACE_US: Final[dict[Span, int]] = {"hour": 0, "day": HOUR_US, "month": HOUR_US}
"""Days and months are made once a whole tick has brought nothing new, and after the hours they are made of."""
MOST_RUNS: Final = 100


def kinds_in_force(rules: Mapping[str, Rule]) -> dict[str, list[str]]:
    """Names of the rules by kind."""
    found: dict[str, list[str]] = {}
    for name, rule in rules.items():
        found.setdefault(rule.kind, []).append(name)
    return found


def failed_runs(instance: dg.DagsterInstance, *, since_us: int, now: int, leave_out: Iterable[str]) -> list[Measured]:
    """Runs of other jobs than `leave_out` that failed since then, each with how many of its job did in the hour before `now`."""
    left_out = set(leave_out)
    oldest = min(since_us, now - HOUR_US)
    wanted = dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE], updated_after=_moment(oldest))
    counts: dict[str, int] = {}
    found = []
    for record in sorted(instance.get_run_records(wanted, limit=MOST_RUNS), key=lambda each: each.update_timestamp):
        run = record.dagster_run
        if run.job_name in left_out:
            continue
        counts[run.job_name] = counts.get(run.job_name, 0) + 1
        at = int((record.end_time or record.update_timestamp.timestamp()) * 1_000_000)
        if at > since_us:
            found.append(health.failed_run(run.job_name, run.run_id, at=at, failures=counts[run.job_name]))
    return found


def failed_checks(instance: dg.DagsterInstance, checks: Sequence[dg.AssetCheckKey], *, since_us: int) -> list[Measured]:
    """Checks whose latest evaluation came after that instant and failed as an error; what only warns is left out."""
    found = []
    for key, record in instance.event_log_storage.get_latest_asset_check_execution_by_key(list(checks)).items():
        event = record.event
        if record.status is not AssetCheckExecutionRecordStatus.FAILED or event is None or event.dagster_event is None:
            continue
        at = int(event.timestamp * 1_000_000)
        said = event.dagster_event.asset_check_evaluation_data
        if at > since_us and said.severity is dg.AssetCheckSeverity.ERROR:
            found.append(
                health.failed_check(
                    key.asset_key.to_user_string(), key.name, at=at, partition=said.partition or "", sentence=said.description or ""
                )
            )
    return found


def stale_partitions(home: Home, names: Iterable[str], *, now: int, grace_us: int, since: int) -> Iterator[Measured]:
    """The first partition after the newest of each dataset that was made, once it is overdue; nothing of one that was never made.

    `since` is when automation began to run: what was not made before is not overdue, it is being caught up with.
    """
    for name in names:
        span = DATASETS[name].span
        made = look(home, name, now - LOOK_BACK_US[span], now).made
        if not made:
            continue
        following = end_of(span, max(made))
        due = max(end_of(span, following) + grace_us + GRACE_US[span], since)
        if now > due:
            key = partition_key(Hour(following) if span == "hour" else Period.of(following, span))
            yield health.stale_partition(name, key, due=due, now=now)


def disk(home: Home, *, now: int) -> Measured:
    """How full the disk under the home is."""
    place: Path = home.root
    while not place.exists():
        place = place.parent
    usage = shutil.disk_usage(place)
    return health.disk(used=usage.total - usage.free, total=usage.total, now=now)


def _moment(at_us: int) -> datetime:
    return datetime.fromtimestamp(at_us / 1e6, UTC)
