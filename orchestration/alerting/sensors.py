"""The sensor that hands alerts over to runs: the dataset `alerts` is the outbox, the cursor names what is with a run.

Put here: the tick. Keep out: what is due (`handover`) and the run (`jobs`).

Dagster's daemon looks at sensors every five seconds, whatever their interval: so a tick stays and watches the outbox for most of that time,
and an alert waits for a run no longer than the watch looks away.
"""

import time
from collections.abc import Callable
from typing import Final

import dagster as dg

from lake.files import now_us
from lake.paths import DAY_US
from lake.settings import LakeSettings
from orchestration.alerting import handover, ledger
from orchestration.alerting.configured import channel_names
from orchestration.alerting.jobs import DELIVER_ALERTS, delivery_config, rules_in_force
from orchestration.alerting.settings import AlertingSettings

ALERT_OUTBOX: Final = "alert_outbox"
AHEAD: Final = dg.RunsFilter(job_name=DELIVER_ALERTS, statuses=[dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.STARTING])
NOTHING: Final = "no alert is waiting"


def alert_outbox_sensor(
    lake: LakeSettings, settings: AlertingSettings | None = None, *, now: Callable[[], int] = now_us
) -> dg.SensorDefinition:
    """Requests a run for alerts that some channel has not taken. Settings not given are read at each tick.

    The cursor is stored with the request, and only if the tick succeeded; a tick that is repeated gives the same run key.
    """
    given = settings
    interval = (given or AlertingSettings()).alert_sensor_seconds

    @dg.sensor(
        name=ALERT_OUTBOX,
        job_name=DELIVER_ALERTS,
        description="Hands alerts that fired over to runs that deliver them.",
        minimum_interval_seconds=interval,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def alert_outbox(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        settings = given or AlertingSettings()
        if context.instance.get_runs_count(AHEAD):
            # On a machine that is behind, a run a tick would only make the queue longer: what is open waits, and shares the next one.
            return dg.SkipReason("a run is waiting for its turn")
        cursor = handover.Cursor.parse(context.cursor)
        again_us = int(settings.alert_again_seconds * 1_000_000)
        names = channel_names(settings)
        until = time.monotonic() + settings.alert_watch_seconds
        added = cursor.since is None or set(names) != set(cursor.since)
        if not added and not handover.wait_for_change(lake.house, cursor.mark, until=until, deadline=cursor.next_look(again_us)):
            return dg.SkipReason(NOTHING)
        time.sleep(settings.alert_gather_seconds)
        moment = now()
        # The files are looked at before the rows are read: what comes between is looked at again.
        mark = handover.look(lake.house, now=moment)
        channels = cursor.channels(names, now=moment)
        since = moment - settings.alert_horizon_days * DAY_US
        found = ledger.open_alerts(lake.house, rules_in_force(context.log), channels, since=since)
        handed = handover.hand_over(found, cursor, channels, mark=mark, now=moment, again_us=again_us)
        if not handed.ids:
            return dg.SensorResult(skip_reason=dg.SkipReason(NOTHING), cursor=str(handed.cursor))
        request = dg.RunRequest(
            run_key=handed.run_key, run_config=delivery_config(handed.ids), tags={"tickhouse/alerts": str(len(handed.ids))}
        )
        return dg.SensorResult(run_requests=[request], cursor=str(handed.cursor))

    return alert_outbox
