"""Hours and their partition keys: the one place that knows how a partition of Dagster names an hour of the lake.

Put here: the translation. Keep out: which hours exist (that is `orchestration.partitions`) and what is done with them.
"""

from datetime import UTC, datetime
from typing import Final

import dagster as dg

from assets.errors import OutsidePartitions
from lake.paths import Hour

KEY_FORMAT: Final = "%Y-%m-%d-%H:%M"


def partition_key(hour: Hour) -> str:
    """The partition key of `hour`, e.g. `2026-11-21-07:00`."""
    return hour.moment.strftime(KEY_FORMAT)


def hour_of(key: str) -> Hour:
    """The hour a partition key stands for; `OutsidePartitions` if it is no hour."""
    try:
        moment = datetime.strptime(key, KEY_FORMAT).replace(tzinfo=UTC)
    except ValueError:
        raise OutsidePartitions(key=key) from None
    return Hour.at(moment)


def hours_of(context: dg.AssetExecutionContext) -> list[Hour]:
    """The hours of this run, in order of time: one, or every hour of a range."""
    return sorted(hour_of(key) for key in context.partition_keys)
