"""The Dagster definitions: everything of `assets` wired with settings, resources, sensors and jobs.

Put here: the one place where it comes together. Keep out: any behaviour. Nothing here reads or writes a file: an empty home loads.
"""

import warnings
from collections.abc import Iterable

import dagster as dg

from assets.books import book_assets
from assets.candles import candle_assets
from assets.coverage import coverage_asset
from assets.flow import trade_flow_asset
from assets.indicators import indicator_assets
from assets.landed import compacted_assets, landed_specs
from assets.liquidation_windows import liquidation_windows_asset
from assets.longer import longer_assets
from assets.outcome import with_columns
from assets.settings import FlowSettings
from assets.studies import study_assets
from assets.timescale import timescale_assets
from lake.settings import LakeSettings
from lake.timescale.settings import TimescaleSettings, timescale_settings
from orchestration.alerting.jobs import delivery_job
from orchestration.alerting.sensors import alert_outbox_sensor
from orchestration.alerting.watching import Watched, alert_conditions_sensor, alert_health_sensor
from orchestration.automation import automation_sensor, sync_sensor
from orchestration.context import context_assets, context_jobs, context_schedules
from orchestration.jobs import retention_job, retention_schedule, span_jobs, upkeep_job, upkeep_schedule
from orchestration.pages import with_page
from orchestration.partitions import daily_partitions, hourly_partitions, monthly_partitions
from orchestration.resources import flow_resource, lake_resource
from orchestration.sensors import hour_grace, landed_hours_sensor
from orchestration.settings import OrchestrationSettings
from sources.settings import ContextSettings


def build(
    settings: OrchestrationSettings | None = None,
    lake: LakeSettings | None = None,
    *,
    sources: ContextSettings | None = None,
    timescale: TimescaleSettings | None = None,
) -> dg.Definitions:
    """The definitions for these settings; settings not given are read from the environment. Runs are in-process."""
    settings = settings or OrchestrationSettings()
    lake = lake or LakeSettings()
    sources = sources or ContextSettings()
    timescale = timescale or timescale_settings()
    partitions, days, months = hourly_partitions(settings), daily_partitions(settings), monthly_partitions(settings)
    with warnings.catch_warnings():
        # Backfill policies are marked beta in 1.13; without them each hour of a range would be a run of its own.
        warnings.simplefilter("ignore", dg.BetaWarning)
        made = [
            *compacted_assets(partitions),
            coverage_asset(partitions),
            *candle_assets(partitions),
            *longer_assets(days, months),
            *indicator_assets(partitions, days, months),
            *study_assets(partitions, days, months),
            trade_flow_asset(partitions),
            book_assets(partitions),
            liquidation_windows_asset(partitions),
        ]
        context = context_assets(settings, sources)
        tables = timescale_assets([*made, *context], timescale)
    link = with_page(settings.dashboard_url)

    def described(spec: dg.AssetSpec) -> dg.AssetSpec:
        return link(with_columns(spec))

    return dg.Definitions(
        assets=[*dg.map_asset_specs(described, [*landed_specs(partitions), *made, *context]), *tables],
        resources={"lake": lake_resource(lake), "flow": flow_resource(), "sources": sources},
        sensors=[
            landed_hours_sensor(settings, lake),
            automation_sensor(settings, timescale=bool(tables)),
            *([sync_sensor(settings)] if tables else []),
            alert_outbox_sensor(lake),
            alert_conditions_sensor(lake, settings),
            alert_health_sensor(lake, settings, watched(made), grace_us=hour_grace(settings, lake)),
        ],
        schedules=[upkeep_schedule(), retention_schedule(), *context_schedules(sources)],
        jobs=[*span_jobs(made), upkeep_job(lake), retention_job(lake, FlowSettings().config), *context_jobs(), delivery_job(lake)],
        executor=dg.in_process_executor,
    )


def watched(made: Iterable[dg.AssetsDefinition]) -> Watched:
    """What the health of the data is asked of: whatever is made of the lake, and its checks."""
    assets = list(made)
    names = sorted({key.to_user_string() for asset in assets for key in asset.keys})
    checks = sorted({check for asset in assets for check in asset.check_keys}, key=lambda check: check.to_user_string())
    return Watched(datasets=tuple(names), checks=tuple(checks))


@dg.definitions
def defs() -> dg.Definitions:
    """What Dagster loads from this module."""
    return build()
