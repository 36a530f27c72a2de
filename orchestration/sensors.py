"""Sensors that report: what has landed becomes materialisations of the external assets `landed/…`.

Put here: telling Dagster what happened outside of it. Keep out: finding it (`orchestration.arrivals`) and requesting runs
(`orchestration.automation`).
"""

from collections.abc import Callable

import dagster as dg

from assets.hours import partition_key
from assets.landed import landed_key
from lake.files import now_us
from lake.paths import Hour
from lake.settings import LakeSettings
from orchestration.arrivals import Arrival, Cursor, arrivals
from orchestration.settings import OrchestrationSettings

LANDED_HOURS = "landed_hours"


def hour_grace(settings: OrchestrationSettings, lake: LakeSettings) -> int:
    """Microseconds after its end until an hour counts as over: by default one roll of the log, and the time until its parts count."""
    seconds = settings.hour_grace_seconds
    return int((lake.roll_seconds + lake.visible_after_seconds if seconds is None else seconds) * 1_000_000)


def landed_hours_sensor(settings: OrchestrationSettings, lake: LakeSettings, *, now: Callable[[], int] = now_us) -> dg.SensorDefinition:
    """Reports each hour that is over, empty or not, and each late part of an hour reported before.

    The cursor is stored by Dagster together with the reports, and only if the tick succeeded: a tick that fails is repeated whole.
    """
    home = lake.house
    start = Hour.at(settings.start_hour)
    grace = hour_grace(settings, lake)

    @dg.sensor(
        name=LANDED_HOURS,
        description="Reports the hours that have landed.",
        minimum_interval_seconds=settings.sensor_seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
        asset_selection=dg.AssetSelection.assets(),
    )
    def landed_hours(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        found, cursor = arrivals(home, Cursor.parse(context.cursor), now=now(), grace=grace, start=start, limit=settings.hours_per_tick)
        return dg.SensorResult(asset_events=[reported(arrival) for arrival in found], cursor=str(cursor))

    return landed_hours


def reported(arrival: Arrival) -> dg.AssetMaterialization:
    """The materialisation that reports one arrival."""
    return dg.AssetMaterialization(
        landed_key(arrival.dataset),
        partition=partition_key(arrival.hour),
        metadata={
            "parts": arrival.parts,
            "bytes": arrival.bytes,
            "counts_from_us": arrival.newest,
            "late": arrival.late,
            "empty": arrival.parts == 0,
        },
    )
