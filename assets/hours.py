"""Hours, days and months and their partition keys: the one place that knows how a partition of Dagster names a partition of the lake.

Put here: the translation. Keep out: which partitions exist (that is `orchestration.partitions`) and what is done with them.
"""

from datetime import UTC, datetime
from typing import Final

import dagster as dg

from assets.errors import OutsidePartitions
from lake.errors import PeriodError
from lake.paths import Hour
from lake.periods import Period
from lake.registry import Span

KEY_FORMAT: Final = "%Y-%m-%d-%H:%M"
DAY_FORMAT: Final = "%Y-%m-%d"
"""Of days, and of months by their first day."""

Partition = Hour | Period


def partition_key(partition: Partition) -> str:
    """The partition key of an hour, e.g. `2026-11-21-07:00`, or of a day or a month, e.g. `2026-11-01`."""
    return partition.moment.strftime(KEY_FORMAT) if isinstance(partition, Hour) else partition.first.strftime(DAY_FORMAT)


def hour_of(key: str) -> Hour:
    """The hour a partition key stands for; `OutsidePartitions` if it is no hour."""
    try:
        moment = datetime.strptime(key, KEY_FORMAT).replace(tzinfo=UTC)
    except ValueError:
        raise OutsidePartitions(key=key) from None
    return Hour.at(moment)


def periods_of(context: dg.AssetExecutionContext, span: Span) -> list[Period]:
    """The days or months of this run, in order of time; `OutsidePartitions` for a key that is none."""
    return sorted(_period_of(key, span) for key in context.partition_keys)


def _period_of(key: str, span: Span) -> Period:
    try:
        return Period(datetime.strptime(key, DAY_FORMAT).replace(tzinfo=UTC).date(), span)
    except (ValueError, PeriodError):
        raise OutsidePartitions(key=key) from None


def hours_of(context: dg.AssetExecutionContext) -> list[Hour]:
    """The hours of this run, in order of time: one, or every hour of a range."""
    return sorted(hour_of(key) for key in context.partition_keys)
