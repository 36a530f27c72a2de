"""What requests runs: the sensor that evaluates every asset's automation condition.

Put here: automation sensors. Keep out: the conditions themselves (`assets.automation`).

Dagster would add a sensor of its own, but STOPPED; ours runs. Where a tick requests one hour, its assets become one run; where it
requests several, they become one backfill, which runs the whole range as one run (`BackfillPolicy.single_run`).
"""

import dagster as dg

from assets.automation import CHAIN_TAG
from orchestration.settings import OrchestrationSettings

AUTOMATION = "follow_landed_hours"


def automation_sensor(settings: OrchestrationSettings) -> dg.AutomationConditionSensorDefinition:
    """Evaluates the conditions of all assets every few seconds."""
    return dg.AutomationConditionSensorDefinition(
        AUTOMATION,
        target=dg.AssetSelection.all(),
        description="Requests what follows from the hours that have landed.",
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=settings.sensor_seconds,
        run_tags=CHAIN_TAG,
    )
