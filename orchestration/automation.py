"""What requests runs: the sensor that evaluates every asset's automation condition.

Put here: automation sensors. Keep out: the conditions themselves (`assets.automation`).

Dagster would add a sensor of its own, but STOPPED; ours runs. Where a tick requests one hour, its assets become one run; where it
requests several, they become one backfill, which runs the whole range as one run (`BackfillPolicy.single_run`).
"""

import dagster as dg

from assets.automation import CHAIN_TAG
from assets.timescale import GROUP as TIMESCALE
from orchestration.settings import OrchestrationSettings

AUTOMATION = "follow_landed_hours"
SYNC_SENSOR = "sync_timescale"

SYNC_TAG = {"tickhouse/trigger": TIMESCALE}
"""Tag of the runs that copy to TimescaleDB, of which one runs at a time (`orchestration.instance`)."""


def automation_sensor(settings: OrchestrationSettings, *, timescale: bool = False) -> dg.AutomationConditionSensorDefinition:
    """Evaluates the conditions of all assets every few seconds; those of TimescaleDB, if there are any, have a sensor of their own."""
    everything = dg.AssetSelection.all()
    return dg.AutomationConditionSensorDefinition(
        AUTOMATION,
        target=everything - dg.AssetSelection.groups(TIMESCALE) if timescale else everything,
        description="Requests what follows from the hours that have landed.",
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=settings.sensor_seconds,
        run_tags=CHAIN_TAG,
    )


def sync_sensor(settings: OrchestrationSettings) -> dg.AutomationConditionSensorDefinition:
    """Evaluates the conditions of the tables of TimescaleDB: their runs are never those of the lake, which a server must not hold up."""
    return dg.AutomationConditionSensorDefinition(
        SYNC_SENSOR,
        target=dg.AssetSelection.groups(TIMESCALE),
        description="Requests the copies of what has been made to TimescaleDB.",
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=settings.sensor_seconds,
        run_tags=SYNC_TAG,
    )
