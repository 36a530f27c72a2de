"""Jobs that are launched by hand or by the clock: a range of hours, and the upkeep of the lake.

Put here: jobs and their schedules. Keep out: what follows from landed hours (that is automation) and the upkeep itself
(`orchestration.upkeep`).
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from lake.registry import Span, dataset
from lake.retention import expire, retention_days
from lake.settings import LakeSettings
from lake.sweep import sweep
from orchestration.plan import FROM_THE_LAKE
from orchestration.upkeep import settle_days

HOURS = "hours"
DAYS = "days"
MONTHS = "months"
UPKEEP = "upkeep"
RETENTION = "retention"

_JOBS: Final[dict[Span, str]] = {"hour": HOURS, "day": DAYS, "month": MONTHS}


def span_jobs(made: Iterable[dg.AssetsDefinition]) -> list[UnresolvedAssetJobDefinition]:
    """Everything made of an hour, a day or a month of the lake, for a launch by hand: a range of partitions is one run.

    What is fetched from outside (it follows nothing) is left out: its past cannot be asked for again.
    """
    keys: dict[str, list[dg.AssetKey]] = {}
    for asset in made:
        for spec in asset.specs:
            if spec.automation_condition is not None and spec.automation_condition.get_label() in FROM_THE_LAKE:
                keys.setdefault(_JOBS[dataset(spec.key.to_user_string()).span], []).append(spec.key)
    return [
        dg.define_asset_job(
            name,
            selection=dg.AssetSelection.assets(*selected),
            description=f"Makes all assets that are made by the {name.removesuffix('s')}, of one or of a range of {name} as one run.",
        )
        for name, selected in keys.items()
    ]


def upkeep_job(lake: LakeSettings) -> dg.JobDefinition:
    """Settled days become one file a dataset, and superseded files go after their grace."""

    @dg.op(description="Compacts every settled day into one file a dataset.", pool="upkeep", out=dg.Out(dg.Nothing))
    def settle(context: dg.OpExecutionContext) -> None:
        settled = settle_days(lake)
        context.log.info(settled.sentence)
        if settled.problems:
            raise dg.Failure(description=settled.sentence, allow_retries=False)

    @dg.op(description="Removes files that are superseded since longer than the grace.", pool="upkeep", ins={"start": dg.In(dg.Nothing)})
    def clean(context: dg.OpExecutionContext) -> None:
        removal = sweep(lake.house, grace=lake.superseded_grace_seconds)
        gone = f"removed {len(removal.files)} files and {len(removal.segments)} log segments, {removal.bytes:,} bytes"
        context.log.info(f"{gone}; {len(removal.waiting)} files go with the next sweep")  # noqa: G004 - Dagster's logger takes a sentence

    @dg.job(name=UPKEEP, description="Settles days and removes superseded files.")
    def upkeep() -> None:
        clean(start=settle())

    return upkeep


def retention_job(lake: LakeSettings, config: Path) -> dg.JobDefinition:
    """What is older than `[retention]` of tickhouse.toml goes; nothing where that names no dataset."""

    @dg.op(description="Removes partitions older than their dataset's retention.", pool="upkeep", out=dg.Out(dg.Nothing))
    def expire_partitions(context: dg.OpExecutionContext) -> None:
        days = retention_days(config)
        found = expire(lake.house, days)
        for name, paths in found.files.items():
            context.log.info(f"{name}: {len(paths)} files older than {days[name]} days")  # noqa: G004 - Dagster's logger takes a sentence
        context.log.info(f"removed {len(found.removed)} files; what is still left goes with the next run")  # noqa: G004

    @dg.job(name=RETENTION, description="Removes what is older than tickhouse.toml says.")
    def retention() -> None:
        expire_partitions()

    return retention


def retention_schedule() -> dg.ScheduleDefinition:
    """Retention once a week, on Sunday morning: what one run leaves out of the views the next one removes."""
    return dg.ScheduleDefinition(
        name="retention_weekly",
        job_name=RETENTION,
        cron_schedule="45 4 * * 0",
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )


def upkeep_schedule() -> dg.ScheduleDefinition:
    """Upkeep once an hour, away from the full hour, when hours are compacted."""
    return dg.ScheduleDefinition(
        name="upkeep_hourly",
        job_name=UPKEEP,
        cron_schedule="30 * * * *",
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )
