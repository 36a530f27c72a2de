"""Sensors that report: what has landed becomes materialisations of the external assets `landed/…`.

Put here: telling Dagster what happened outside of it, and the run of the hour that has just closed. Keep out: finding it
(`orchestration.arrivals`) and whatever else follows (`orchestration.automation`).
"""

from collections.abc import Callable, Sequence

import dagster as dg
from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES
from dagster._core.storage.tags import PARTITION_NAME_TAG

from assets.automation import CHAIN_TAG
from assets.hours import partition_key
from assets.landed import LANDED_TAG, landed_key, landed_tag
from lake.files import now_us
from lake.paths import Hour
from lake.settings import LakeSettings
from orchestration.arrivals import Arrival, Cursor, arrivals
from orchestration.jobs import HOURS
from orchestration.settings import OrchestrationSettings

LANDED_HOURS = "landed_hours"


def hour_grace(settings: OrchestrationSettings, lake: LakeSettings) -> int:
    """Microseconds after its end until an hour counts as over: by default one roll of the log, and the time until its parts count."""
    seconds = settings.hour_grace_seconds
    return int((lake.roll_seconds + lake.visible_after_seconds if seconds is None else seconds) * 1_000_000)


def landed_hours_sensor(settings: OrchestrationSettings, lake: LakeSettings, *, now: Callable[[], int] = now_us) -> dg.SensorDefinition:
    """Reports each hour that is over, empty or not, and each late part of an hour reported before.

    An hour that has just closed does not wait for automation to look, which takes two ticks of five seconds and more: its chain is
    requested here, as one run, and that run reports what landed, so that automation sees nothing left to do. Several hours at once
    (a house that was down) and late parts are reported here, and automation requests what follows.

    The cursor is stored by Dagster together with the reports, and only if the tick succeeded: a tick that fails is repeated whole.
    """
    home = lake.house
    start = Hour.at(settings.start_hour)
    grace = hour_grace(settings, lake)

    @dg.sensor(
        name=LANDED_HOURS,
        description="Reports the hours that have landed, and has the one that has just closed made.",
        minimum_interval_seconds=settings.sensor_seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
        job_name=HOURS,
    )
    def landed_hours(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        found, cursor = arrivals(home, Cursor.parse(context.cursor), now=now(), grace=grace, start=start, limit=settings.hours_per_tick)
        closed = [arrival for arrival in found if not arrival.late]
        at_once = closed if len({arrival.hour for arrival in closed}) == 1 else []
        return dg.SensorResult(
            asset_events=[reported(arrival) for arrival in found if arrival not in at_once],
            run_requests=[chain_request(at_once)] if at_once else [],
            cursor=str(cursor),
        )

    return landed_hours


def chain_request(closed: Sequence[Arrival]) -> dg.RunRequest:
    """The run that makes everything of one hour, of whose datasets it reports what landed."""
    told = {arrival.dataset: _figures(arrival) for arrival in closed}
    return dg.RunRequest(job_name=HOURS, partition_key=partition_key(closed[0].hour), tags={**CHAIN_TAG, LANDED_TAG: landed_tag(told)})


def requested_hours(instance: dg.DagsterInstance) -> set[str]:
    """Partition keys of the hours whose chain this sensor has requested in a run that has not ended."""
    running = instance.get_runs(dg.RunsFilter(job_name=HOURS, tags=CHAIN_TAG, statuses=list(NOT_FINISHED_STATUSES)))
    return {run.tags[PARTITION_NAME_TAG] for run in running if LANDED_TAG in run.tags and PARTITION_NAME_TAG in run.tags}


def reported(arrival: Arrival) -> dg.AssetMaterialization:
    """The materialisation that reports one arrival."""
    return dg.AssetMaterialization(
        landed_key(arrival.dataset),
        partition=partition_key(arrival.hour),
        metadata=_figures(arrival),
    )


def _figures(arrival: Arrival) -> dict[str, int | bool]:
    return {
        "parts": arrival.parts,
        "bytes": arrival.bytes,
        "counts_from_us": arrival.newest,
        "late": arrival.late,
        "empty": arrival.parts == 0,
    }
