"""Which partitions Dagster knows to be made: its own summary of an asset's records, brought up to date before its daemon needs it.

Put here: what a long history costs once, paid before anything waits for it. Keep out: what is missing (`orchestration.missing`).

Dagster keeps the summary with the asset and adds to it what is new. Where there is none (the start hour was moved, a long back-fill ran
while no daemon did) the first tick makes it, and asks of each key by itself whether it is a partition: 5 seconds an asset for 43,800
hours, and minutes until the hour that has just closed is looked at. All keys together are a fraction of a second.
"""

from collections.abc import Set as AbstractSet
from datetime import UTC, datetime

import dagster as dg
from dagster._core.storage.partition_status_cache import get_and_update_asset_status_cache_value

from assets.landed import landed_key
from lake.registry import DATASETS, LANDED
from orchestration.partitions import hourly_partitions
from orchestration.settings import OrchestrationSettings


class _Hours(dg.HourlyPartitionsDefinition):
    """The hours, quick to say which keys are among them; equal to `hourly_partitions` in all that Dagster compares."""

    def filter_valid_partition_keys(self, partition_keys: AbstractSet[str]) -> set[str]:
        """Those of the keys that are partitions."""
        first, last = self.get_first_partition_window(), self.get_last_partition_window()
        if first is None or last is None:
            return set()
        return {key for key in partition_keys if first.start <= _moment(key, self.fmt) <= last.start}


def _moment(key: str, fmt: str) -> datetime:
    """When the hour of a key begins; before all of them where it is none."""
    never = datetime.min.replace(tzinfo=UTC)
    try:
        moment = datetime.strptime(key, fmt).replace(tzinfo=UTC)
    except ValueError:
        return never
    return moment if moment.minute == 0 else never


def remember(instance: dg.DagsterInstance, settings: OrchestrationSettings) -> list[str]:
    """Make the summary of every hourly asset that has records and no summary; returns the names of those assets."""
    hours = hourly_partitions(settings)
    quick = _Hours(start_date=settings.start_hour, fmt=hours.fmt, timezone="UTC", end_offset=hours.end_offset)
    keys = [*(dg.AssetKey(name) for name, data in DATASETS.items() if data.span == "hour"), *(landed_key(name) for name in LANDED)]
    made = []
    for record in instance.get_asset_records(keys):
        key, summary = record.asset_entry.asset_key, record.asset_entry.cached_status
        if summary is None or summary.partitions_def_id != hours.get_serializable_unique_identifier():
            get_and_update_asset_status_cache_value(instance, key, quick)
            made.append(key.to_user_string())
    return made
