"""Hours that have landed but of which something was never made: found, and reported once more so that automation makes them.

Put here: what `tickhouse up` does after the first tick. Keep out: the sensor's own work (`orchestration.arrivals`).

The first evaluation of an automation condition sets its memory and sees nothing that happened before it. So whatever was reported
before that tick (an older lake, a condition that was changed) would wait for its next late part.
"""

import time
from typing import Final

import dagster as dg
from dagster._core.definitions.run_request import InstigatorType

from assets.hours import partition_key
from lake.files import now_us
from lake.paths import Hour
from lake.registry import DATASETS
from lake.settings import LakeSettings
from orchestration.arrivals import Cursor, arrivals, uncompacted
from orchestration.automation import AUTOMATION
from orchestration.sensors import hour_grace, reported
from orchestration.settings import OrchestrationSettings

_POLL_SECONDS: Final = 0.5


def wait_for_first_tick(instance: dg.DagsterInstance, *, since: float, timeout: float) -> bool:
    """Wait until the automation sensor has finished a tick that began after `since` (seconds since 1970); False after `timeout` seconds."""
    ends = time.monotonic() + timeout
    while not _ticked(instance, since=since):
        if time.monotonic() >= ends:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def _ticked(instance: dg.DagsterInstance, *, since: float) -> bool:
    for state in instance.all_instigator_state(instigator_type=InstigatorType.SENSOR):
        if state.instigator_name == AUTOMATION:
            ticks = instance.get_ticks(state.instigator_origin_id, state.selector_id, after=since, limit=5)
            if any(tick.is_completed and not tick.is_failure for tick in ticks):
                return True
    return False


def report_unmaterialised(
    instance: dg.DagsterInstance, lake: LakeSettings, settings: OrchestrationSettings | None = None
) -> list[tuple[str, Hour]]:
    """Report the closed hours of which an asset is missing, or a part not compacted; returns the datasets and hours reported."""
    settings = settings or OrchestrationSettings()
    now, start, grace = now_us(), Hour.at(settings.start_hour), hour_grace(settings, lake)
    everything, _ = arrivals(lake.house, Cursor(), now=now, grace=grace, start=start, limit=_ALL)
    missing = _missing(instance, {arrival.hour for arrival in everything})
    loose = set(uncompacted(lake.house, now=now, until=Hour.of(now - grace), start=start))
    again = [arrival for arrival in everything if arrival.hour in missing or (arrival.dataset, arrival.hour) in loose]
    for arrival in again:
        instance.report_runless_asset_event(reported(arrival))
    return [(arrival.dataset, arrival.hour) for arrival in again]


_ALL: Final = 40_000
"""More hours than the partitions may ever have."""


def _missing(instance: dg.DagsterInstance, hours: set[Hour]) -> set[Hour]:
    """Those of `hours` of which some asset was never materialised."""
    keys = {partition_key(hour): hour for hour in hours}
    lacking: set[str] = set()
    for name in DATASETS:
        lacking |= keys.keys() - instance.get_materialized_partitions(dg.AssetKey(name))
    return {keys[key] for key in lacking}
