"""Open interest and funding weighted by it, as Coinglass sums them up over all exchanges, by the month.

Put here: what is missing -> fetch -> write -> result. Keep out: the client (`sources.coinglass`). Without a key nothing is asked, and the
run says so and is skipped.
"""

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

import dagster as dg
import numpy as np
import polars as pl
import pyarrow as pa

from assets.context_runs import COMPLETE, GROUP, POOL, PeriodDone, check_specs, judge, materialized, warned
from assets.hours import periods_of
from assets.landed import OWNER
from assets.resources import LakeResource
from lake.context_datasets import OPEN_INTEREST, WEIGHTED_FUNDING
from lake.edited import edit_period, newest_rows, with_rows
from lake.executions import logged
from lake.files import now_us
from lake.paths import DAY_US
from lake.periods import Period
from lake.registry import Dataset
from lake.transforms.missing import missing_opens
from sources import coinglass
from sources.errors import SourceError
from sources.settings import ContextSettings, listed

FRESHNESS: Final = dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=9), warn_window=timedelta(hours=5))
NO_KEY: Final = "COINGLASS_API_KEY is not set: open interest and funding of Coinglass are left out"

_SERIES: Final = ((OPEN_INTEREST, coinglass.OPEN_INTEREST), (WEIGHTED_FUNDING, coinglass.WEIGHTED_FUNDING))


def coinglass_assets(months: dg.MonthlyPartitionsDefinition, settings: ContextSettings) -> list[dg.AssetsDefinition]:
    """The two assets; without a key they are never late."""
    return [_history(data, series, months, fresh=settings.coinglass_api_key is not None) for data, series in _SERIES]


def _history(data: Dataset, series: coinglass.Series, months: dg.MonthlyPartitionsDefinition, *, fresh: bool) -> dg.AssetsDefinition:
    spec = dg.AssetSpec(
        data.name,
        description=data.description,
        group_name=GROUP,
        owners=[OWNER],
        kinds={"parquet", "polars"},
        tags={"source": "coinglass"},
        code_version="1",
        freshness_policy=FRESHNESS if fresh else None,
        # A run may find that it is not to ask: then nothing is made, and nothing failed.
        skippable=True,
    )

    @dg.multi_asset(
        name=data.name,
        specs=[spec],
        partitions_def=months,
        pool=POOL,
        backfill_policy=dg.BackfillPolicy.single_run(),
        check_specs=check_specs(data, dg.AssetCheckSpec(COMPLETE, asset=data.name, description="Every coin that was asked for came.")),
        can_subset=True,
    )
    def history(
        context: dg.AssetExecutionContext, lake: LakeResource, sources: dg.ResourceParam[ContextSettings]
    ) -> Iterator[dg.MaterializeResult]:  # type: ignore[type-arg]  # Dagster knows it by the bare class
        with logged(lake.house, data.name, run_id=context.run.run_id, visible_after=lake.visible_after_seconds) as entry:
            if sources.coinglass_api_key is None:
                entry.skip(NO_KEY)
                context.log.info("skipped: %s", NO_KEY)
                return
            problems: list[str] = []
            with coinglass.Coinglass(sources) as client:
                done = [_fill(lake, sources, data, period, client, series, problems) for period in periods_of(context, data.span)]
            entry.rows = sum(each.added for each in done)
            if problems:
                entry.fail(problems[0])
        checks = [*judge(lake.house, data, done), warned(COMPLETE, problems, holds=f"{len(listed(sources.coinglass_symbols))} coins")]
        yield materialized(context, data, done, checks=checks)

    return history


def _fill(
    lake: LakeResource,
    settings: ContextSettings,
    data: Dataset,
    period: Period,
    client: coinglass.Coinglass,
    series: coinglass.Series,
    problems: list[str],
) -> PeriodDone:
    """Fetch what a month lacks, coin by coin; one that fails adds a sentence to `problems` and leaves the others."""
    now = now_us()
    start = max(period.start, (now - settings.coinglass_history_days * DAY_US) // DAY_US * DAY_US)
    standing = pl.DataFrame(newest_rows(lake.house, data.name, period).select(["symbol", "timestamp"]))
    times = standing.with_columns(pl.col("timestamp").dt.epoch("us"))
    values: list[tuple[object, ...]] = []
    for symbol in listed(settings.coinglass_symbols):
        have: np.ndarray[tuple[int], np.dtype[np.int64]] = times.filter(pl.col("symbol") == symbol)["timestamp"].to_numpy()
        lacking = missing_opens(have, start=start, end=min(period.end, now), width=coinglass.INTERVAL_US)
        if not len(lacking):
            continue
        span = int(lacking[0]), int(lacking[-1]) + coinglass.INTERVAL_US
        try:
            found = client.history(series, symbol, start_us=span[0], end_us=span[1], now_us=now)
        except SourceError as error:
            problems.append(f"{symbol}: {error}")
            continue
        values += [(symbol, coinglass.INTERVAL, row.start, row.open, row.high, row.low, row.close) for row in found]
    columns = zip(*values, strict=True) if values else ((),) * len(data.schema)
    rows = pa.Table.from_arrays([pa.array(each, field.type) for each, field in zip(columns, data.schema, strict=True)], schema=data.schema)
    result = edit_period(
        lake.house,
        data.name,
        period,
        lambda former: with_rows(data.name, former, rows),
        visible_after=lake.visible_after_seconds,
    )
    return PeriodDone(period=period, result=result, added=len(values), notes={"coins": len(listed(settings.coinglass_symbols))})
