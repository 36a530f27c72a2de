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
from assets.landed import landed_key
from lake.files import now_us
from lake.paths import Hour
from lake.periods import Period
from lake.registry import DATASETS
from lake.settings import LakeSettings
from orchestration.arrivals import Cursor, arrivals, uncompacted
from orchestration.automation import AUTOMATION
from orchestration.sensors import LANDED_HOURS, hour_grace, reported, requested_hours
from orchestration.settings import OrchestrationSettings

_POLL_SECONDS: Final = 0.5


def wait_for_first_tick(instance: dg.DagsterInstance, *, since: float, timeout: float) -> float | None:
    """Wait until both sensors have ticked since `since`; when the automation sensor's tick ended, or None after `timeout` seconds.

    Instants are seconds since 1970. The sensor that reports is waited for too, so that its reports are not taken for missing.
    """
    ends = time.monotonic() + timeout
    while True:
        ticked, reports = (_first_tick(instance, name, since=since) for name in (AUTOMATION, LANDED_HOURS))
        if ticked is not None and reports is not None:
            return ticked
        if time.monotonic() >= ends:
            return None
        time.sleep(_POLL_SECONDS)


def _first_tick(instance: dg.DagsterInstance, name: str, *, since: float) -> float | None:
    """When the first successful tick of a sensor after `since` ended."""
    ended = [
        tick.end_timestamp
        for state in instance.all_instigator_state(instigator_type=InstigatorType.SENSOR)
        if state.instigator_name == name
        for tick in instance.get_ticks(state.instigator_origin_id, state.selector_id, after=since)
        if tick.end_timestamp is not None and not tick.is_failure
    ]
    return min(ended, default=None)


def report_unmaterialised(
    instance: dg.DagsterInstance, lake: LakeSettings, settings: OrchestrationSettings | None = None, *, ticked: float | None = None
) -> list[tuple[str, Hour]]:
    """Report the closed hours of which an asset is missing, or a part not compacted; returns the datasets and hours reported.

    `ticked` is when the first tick ended (see `wait_for_first_tick`): what was reported since then is left alone, as the next sees it. So
    is an hour whose chain the sensor has requested itself.
    """
    settings = settings or OrchestrationSettings()
    now, start, grace = now_us(), Hour.at(settings.start_hour), hour_grace(settings, lake)
    everything, _ = arrivals(lake.house, Cursor(), now=now, grace=grace, start=start, limit=_ALL)
    missing = _missing(instance, {arrival.hour for arrival in everything})
    loose = set(uncompacted(lake.house, now=now, until=Hour.of(now - grace), start=start))
    wanted = [arrival for arrival in everything if arrival.hour in missing or (arrival.dataset, arrival.hour) in loose]
    begun = requested_hours(instance)
    seen = {name: _reported_since(instance, name, ticked) for name in {arrival.dataset for arrival in wanted}}
    again = [arrival for arrival in wanted if partition_key(arrival.hour) not in seen[arrival.dataset] | begun]
    for arrival in again:
        instance.report_runless_asset_event(reported(arrival))
    return [(arrival.dataset, arrival.hour) for arrival in again]


def _reported_since(instance: dg.DagsterInstance, name: str, since: float | None) -> set[str]:
    """Partition keys of `landed/<name>` reported after an instant; none where there is no instant."""
    if since is None:
        return set()
    records = dg.AssetRecordsFilter(asset_key=landed_key(name), after_timestamp=since)
    found: set[str] = set()
    cursor = None
    while True:
        page = instance.fetch_materializations(records, limit=1000, cursor=cursor)
        found |= {record.partition_key for record in page.records if record.partition_key}
        if not page.has_more:
            return found
        cursor = page.cursor


_ALL: Final = 400_000
"""More hours than the partitions may ever have."""

_LONGER: Final = tuple(
    name for name, data in DATASETS.items() if data.span != "hour" and name.startswith(("candles_", "indicators_", "indicator_state_"))
)
"""Made of hours by the day or month; what else has days and months is fetched from outside."""


def _missing(instance: dg.DagsterInstance, hours: set[Hour]) -> set[Hour]:
    """Those of `hours` of which some asset was never materialised; for a day or month that was not, its last hour, which brings it on."""
    keys = {partition_key(hour): hour for hour in hours}
    lacking: set[str] = set()
    for name, data in DATASETS.items():
        if data.span == "hour":
            lacking |= keys.keys() - instance.get_materialized_partitions(dg.AssetKey(name))
    found = {keys[key] for key in lacking}
    for name in _LONGER:
        latest = {Period.of(hour.start, DATASETS[name].span): hour for hour in sorted(hours)}
        made = instance.get_materialized_partitions(dg.AssetKey(name))
        found |= {hour for period, hour in latest.items() if partition_key(period) not in made}
    return found
