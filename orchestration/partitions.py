"""Which hours, days and months are partitions: one dimension, all exchanges together, the running one included.

Put here: partition definitions. Keep out: how a key names an hour (that is `assets.hours`).

The Dagster pages freeze above 40,000 keys of one asset, which hours reach after 4.6 years: then move the start hour.
"""

import dagster as dg

from assets.hours import DAY_FORMAT, KEY_FORMAT
from orchestration.settings import OrchestrationSettings


def hourly_partitions(settings: OrchestrationSettings) -> dg.HourlyPartitionsDefinition:
    """Every hour from the setting's start to the one that is running now (`end_offset=1`), UTC."""
    return dg.HourlyPartitionsDefinition(start_date=settings.start_hour, fmt=KEY_FORMAT, timezone="UTC", end_offset=1)


def daily_partitions(settings: OrchestrationSettings) -> dg.DailyPartitionsDefinition:
    """Every day from the one of the start hour to the one that is running now, UTC."""
    return dg.DailyPartitionsDefinition(start_date=f"{settings.start_hour:%Y-%m-%d}", fmt=DAY_FORMAT, timezone="UTC", end_offset=1)


def monthly_partitions(settings: OrchestrationSettings) -> dg.MonthlyPartitionsDefinition:
    """Every month from the one of the start hour to the one that is running now, UTC, called by its first day."""
    return dg.MonthlyPartitionsDefinition(start_date=f"{settings.start_hour:%Y-%m}-01", fmt=DAY_FORMAT, timezone="UTC", end_offset=1)
