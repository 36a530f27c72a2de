"""When market context is fetched: partitions, jobs and schedules of what comes from outside.

Put here: clocks and ranges. Keep out: what a run does (`assets.context`, `assets.exchange_candles`, `assets.coinglass`).

Candles and histories are asked for by the range of months that the history setting reaches back to: the first run fills them, and each
later one fetches what is missing in any of them, so that a hole of last month is found too.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from assets.coinglass import NO_KEY, coinglass_assets
from assets.context import coingecko_asset, declared_assets, execution_log_spec
from assets.exchange_candles import exchange_candles_asset
from assets.hours import DAY_FORMAT
from lake.context_datasets import COINGECKO, DECLARATIONS, FLAGS, OPEN_INTEREST, WEIGHTED_FUNDING
from orchestration.partitions import daily_partitions
from orchestration.settings import OrchestrationSettings
from sources.settings import ContextSettings

RANGE_START: Final = "dagster/asset_partition_range_start"
RANGE_END: Final = "dagster/asset_partition_range_end"

EXCHANGE_CANDLES: Final = "exchange_candles"
COINS: Final = "coins"
DECLARED: Final = "declared"
COINGLASS: Final = "coinglass"


FIRST_MONTH: Final = "2017-01-01"
"""Histories may be asked for from here on: no exchange that is asked is older."""


def context_months() -> dg.MonthlyPartitionsDefinition:
    """Months from the first there can be history of to the running one, whatever hour the lake begins with."""
    return dg.MonthlyPartitionsDefinition(start_date=FIRST_MONTH, timezone="UTC", end_offset=1)


def context_assets(settings: OrchestrationSettings, sources: ContextSettings) -> list[dg.AssetsDefinition | dg.AssetSpec]:
    """Everything of the group `context`."""
    days, months = daily_partitions(settings), context_months()
    with warnings.catch_warnings():
        # Backfill policies are marked beta in 1.13; without them each partition of a range would be a run of its own.
        warnings.simplefilter("ignore", dg.BetaWarning)
        return [
            exchange_candles_asset(months),
            coingecko_asset(days),
            *declared_assets(days),
            *coinglass_assets(months, sources),
            execution_log_spec(days),
        ]


def context_jobs() -> list[UnresolvedAssetJobDefinition]:
    """One job a source, for the schedules and for a launch by hand."""
    return [_job(name, assets, description) for name, assets, description in _JOBS]


_JOBS: Final = (
    (EXCHANGE_CANDLES, (EXCHANGE_CANDLES,), "Fetches the exchange candles that are missing."),
    (COINS, (COINGECKO.name,), "Takes a snapshot of the largest coins."),
    (DECLARED, (DECLARATIONS.name, FLAGS.name), "Reads what a user declares."),
    (COINGLASS, (OPEN_INTEREST.name, WEIGHTED_FUNDING.name), "Fetches open interest and funding of Coinglass that are missing."),
)


def _job(name: str, assets: Iterable[str], description: str) -> UnresolvedAssetJobDefinition:
    return dg.define_asset_job(f"fetch_{name}", selection=dg.AssetSelection.assets(*assets), description=description)


def context_schedules(sources: ContextSettings) -> list[dg.ScheduleDefinition]:
    """Coins every 30 minutes, candles every hour, histories every four hours, each a little after the time its data closes."""
    return [
        _daily(COINS, "*/30 * * * *"),
        _daily(DECLARED, "*/30 * * * *"),
        _monthly(EXCHANGE_CANDLES, "2 * * * *", days=sources.candle_history_days),
        _monthly(COINGLASS, "6 */4 * * *", days=sources.coinglass_history_days, skip=None if sources.coinglass_api_key else NO_KEY),
    ]


def _daily(name: str, cron: str) -> dg.ScheduleDefinition:
    @dg.schedule(
        name=f"{name}_schedule",
        job_name=f"fetch_{name}",
        cron_schedule=cron,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )
    def tick(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        return dg.RunRequest(partition_key=context.scheduled_execution_time.astimezone(UTC).strftime(DAY_FORMAT))

    return tick


def _monthly(name: str, cron: str, *, days: int, skip: str | None = None) -> dg.ScheduleDefinition:
    @dg.schedule(
        name=f"{name}_schedule",
        job_name=f"fetch_{name}",
        cron_schedule=cron,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )
    def tick(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        if skip is not None:
            return dg.SkipReason(skip)
        return dg.RunRequest(tags=month_range(context.scheduled_execution_time.astimezone(UTC), days=days))

    return tick


def month_range(now: datetime, *, days: int) -> dict[str, str]:
    """Tags of a run over the months from `days` before `now` to `now`: one run, however many there are."""
    return {RANGE_START: max(FIRST_MONTH, f"{now - timedelta(days=days):%Y-%m}-01"), RANGE_END: f"{now:%Y-%m}-01"}
