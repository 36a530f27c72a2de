"""Market context by the day: CoinGecko's coins, and what a user declares; and the log of runs.

Put here: read -> transform -> write. Keep out: clients (`sources`), formulas (`lake.transforms`), when this runs
(`orchestration.context`).

The past cannot be asked for again: a run over earlier days leaves them as they stand and says so.
"""

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

import dagster as dg
import polars as pl
import pyarrow as pa

from assets.context_runs import COMPLETE, GROUP, POOL, PeriodDone, check_specs, judge, materialized, warned
from assets.hours import periods_of
from assets.landed import OWNER
from assets.resources import LakeResource
from lake.context_datasets import COINGECKO, DECLARATIONS, EXECUTION_LOG, FLAGS
from lake.edited import edit_period, with_rows
from lake.executions import logged
from lake.files import now_us
from lake.periods import Period
from lake.registry import Dataset
from lake.transforms.coingecko import RAW_SCHEMA, snapshot
from sources.coingecko import Coin, top_coins
from sources.declared import read_declarations, read_flags
from sources.errors import QuotaSpent, SourceError
from sources.quota import MonthlyQuota
from sources.settings import ContextSettings

COINGECKO_FRESHNESS: Final = dg.FreshnessPolicy.time_window(fail_window=timedelta(minutes=130), warn_window=timedelta(minutes=70))
"""Every half hour, one of six left out for the month's quota."""
DECLARED_FRESHNESS: Final = dg.FreshnessPolicy.time_window(fail_window=timedelta(minutes=130), warn_window=timedelta(minutes=70))

_ENOUGH: Final = 0.99
"""Ranks move between two pages, so a few coins are always missed."""

_PAST: Final = "left as it stands: only the running day can be fetched"


def quota_of(lake: LakeResource, settings: ContextSettings) -> MonthlyQuota:
    """CoinGecko's calls of the month, counted in the home."""
    path = lake.house.context / "coingecko-calls.json"
    return MonthlyQuota(source="CoinGecko", path=path, calls=settings.coingecko_quota)


def coingecko_asset(days: dg.DailyPartitionsDefinition) -> dg.AssetsDefinition:
    """The asset `coingecko`: each run adds one snapshot to the running day, or is skipped for the month's quota."""
    spec = dg.AssetSpec(
        COINGECKO.name,
        description=COINGECKO.description,
        group_name=GROUP,
        owners=[OWNER],
        kinds={"parquet", "polars"},
        tags={"source": "coingecko"},
        code_version="1",
        freshness_policy=COINGECKO_FRESHNESS,
        # A run may find that it is not to ask: then nothing is made, and nothing failed.
        skippable=True,
    )

    @dg.multi_asset(
        name=COINGECKO.name,
        specs=[spec],
        partitions_def=days,
        pool=POOL,
        backfill_policy=dg.BackfillPolicy.single_run(),
        check_specs=check_specs(
            COINGECKO, dg.AssetCheckSpec(COMPLETE, asset=COINGECKO.name, description="The snapshot holds as many coins as were asked for.")
        ),
        can_subset=True,
    )
    def coingecko(
        context: dg.AssetExecutionContext, lake: LakeResource, sources: dg.ResourceParam[ContextSettings]
    ) -> Iterator[dg.MaterializeResult]:  # type: ignore[type-arg]  # Dagster knows it by the bare class
        begun = now_us()
        today = Period.of(begun, "day")
        periods = periods_of(context, COINGECKO.span)
        coins: list[Coin] = []
        with logged(lake.house, COINGECKO.name, run_id=context.run.run_id, visible_after=lake.visible_after_seconds) as entry:
            if today in periods:
                try:
                    coins = top_coins(sources, quota_of(lake, sources))
                except QuotaSpent as spent:
                    entry.skip(str(spent))
                    context.log.warning("skipped: %s", spent)
                    return
                except SourceError as error:
                    raise dg.Failure(description=str(error), allow_retries=False) from error
            rows = snapshot(_raw(coins), at_us=begun).to_arrow().cast(COINGECKO.schema)
            done = [_add(lake, COINGECKO, period, rows if period == today else None) for period in periods]
            entry.rows = len(coins)
        lacking = [] if today not in periods or len(coins) >= _ENOUGH * sources.coingecko_coins else [_too_few(coins, sources)]
        checks = [*judge(lake.house, COINGECKO, done), warned(COMPLETE, lacking, holds=f"{len(coins)} coins")]
        yield materialized(context, COINGECKO, done, checks=checks)

    return coingecko


def _too_few(coins: list[Coin], settings: ContextSettings) -> str:
    return f"the snapshot holds {len(coins)} coins, expected {settings.coingecko_coins}"


def _raw(coins: list[Coin]) -> pl.DataFrame:
    rows = [
        (
            coin.id,
            coin.symbol,
            coin.name,
            coin.last_updated,
            coin.current_price,
            coin.market_cap,
            coin.market_cap_rank,
            coin.fully_diluted_valuation,
            coin.total_volume,
            coin.ath,
            coin.ath_date,
            coin.atl,
        )
        for coin in coins
    ]
    return pl.DataFrame(rows, schema=RAW_SCHEMA, orient="row")


def _add(lake: LakeResource, data: Dataset, period: Period, rows: pa.Table | None) -> PeriodDone:
    """Add rows to a day; None leaves it as it stands."""
    added = 0 if rows is None else rows.num_rows
    result = edit_period(
        lake.house,
        data.name,
        period,
        lambda former: former if rows is None else with_rows(data.name, former, rows),
        visible_after=lake.visible_after_seconds,
    )
    return PeriodDone(period=period, result=result, added=added, notes={} if rows is not None else {"past": _PAST})


def declared_assets(days: dg.DailyPartitionsDefinition) -> list[dg.AssetsDefinition]:
    """The assets `declarations` and `flags`: the files as they stand, one state a day."""
    return [_declared(DECLARATIONS, days), _declared(FLAGS, days)]


def _declared(data: Dataset, days: dg.DailyPartitionsDefinition) -> dg.AssetsDefinition:
    @dg.asset(
        name=data.name,
        partitions_def=days,
        description=data.description,
        group_name=GROUP,
        owners=[OWNER],
        kinds={"parquet", "toml"},
        tags={"source": "user"},
        pool=POOL,
        code_version="1",
        backfill_policy=dg.BackfillPolicy.single_run(),
        freshness_policy=DECLARED_FRESHNESS,
        check_specs=check_specs(data),
    )
    def declared(context: dg.AssetExecutionContext, lake: LakeResource, sources: dg.ResourceParam[ContextSettings]) -> dg.MaterializeResult:  # type: ignore[type-arg]  # Dagster knows it by the bare class
        today = Period.of(now_us(), "day")
        with logged(lake.house, data.name, run_id=context.run.run_id, visible_after=lake.visible_after_seconds) as entry:
            try:
                rows = _declared_rows(data, sources, today)
            except SourceError as error:
                raise dg.Failure(description=str(error), allow_retries=False) from error
            done = [_state(lake, data, period, rows if period == today else None) for period in periods_of(context, data.span)]
            entry.rows = rows.num_rows
        return materialized(context, data, done, checks=judge(lake.house, data, done))

    return declared


def _declared_rows(data: Dataset, settings: ContextSettings, day: Period) -> pa.Table:
    values: list[tuple[object, ...]]
    if data is DECLARATIONS:
        values = [(each.exchange, each.symbol, day.start, each.reason) for each in read_declarations(settings.declarations)]
    else:
        values = [(each.base, day.start, each.flag, each.value) for each in read_flags(settings.flags)]
    columns = zip(*values, strict=True) if values else ((),) * len(data.schema)
    arrays = [pa.array(column, field.type) for column, field in zip(columns, data.schema, strict=True)]
    return pa.Table.from_arrays(arrays, schema=data.schema)


def _state(lake: LakeResource, data: Dataset, period: Period, rows: pa.Table | None) -> PeriodDone:
    """Make `rows` the state of a day; None leaves it as it stands."""
    result = edit_period(
        lake.house, data.name, period, lambda former: former if rows is None else rows, visible_after=lake.visible_after_seconds
    )
    return PeriodDone(period=period, result=result, notes={} if rows is not None else {"past": _PAST})


def execution_log_spec(days: dg.DailyPartitionsDefinition) -> dg.AssetSpec:
    """The external asset `execution_log`: the runs write it themselves (`lake.executions`)."""
    return dg.AssetSpec(
        EXECUTION_LOG.name,
        partitions_def=days,
        description=EXECUTION_LOG.description,
        group_name=GROUP,
        owners=[OWNER],
        kinds={"parquet"},
        tags={"source": "runs"},
    )
