"""The exchanges' own candles by the month: what is missing is fetched, holes included, and compared with ours from trades.

Put here: what is wanted -> fetch -> write -> result. Keep out: the clients (`sources.exchange_candles`), the arithmetic of holes
(`lake.transforms.missing`) and of the comparison (`lake.transforms.candle_comparison`).
"""

from datetime import timedelta
from typing import Final

import dagster as dg
import numpy as np
import polars as pl
import pyarrow as pa

from assets.candle_agreement import AGREES, agreement
from assets.context_runs import COMPLETE, GROUP, POOL, PeriodDone, check_specs, judge, materialized, warned
from assets.hours import periods_of
from assets.landed import OWNER
from assets.resources import LakeResource
from lake.edited import edit_period, newest_rows, with_rows
from lake.executions import logged
from lake.files import now_us
from lake.paths import DAY_US
from lake.periods import Period
from lake.registry import dataset
from lake.transforms.missing import Window, merged, missing_opens, stretches, windows
from lake.transforms.timeframes import WIDTH_US
from sources.declared import read_declarations
from sources.errors import DeclarationError
from sources.exchange_candles import COLUMNS, PAGE_ROWS, SETTLE_SECONDS, Fetched, Series, Wanted, fetch
from sources.holes import FINAL_AFTER_US, KnownHoles
from sources.retrying import RetryPolicy
from sources.settings import ContextSettings, listed

CANDLES: Final = dataset("exchange_candles")
FRESHNESS: Final = dg.FreshnessPolicy.time_window(fail_window=timedelta(minutes=150), warn_window=timedelta(minutes=90))


def exchange_candles_asset(months: dg.MonthlyPartitionsDefinition) -> dg.AssetsDefinition:
    """The asset `exchange_candles`: every run fills what its months lack, up to now."""

    @dg.asset(
        name=CANDLES.name,
        partitions_def=months,
        description=CANDLES.description,
        group_name=GROUP,
        owners=[OWNER],
        kinds={"parquet", "polars"},
        tags={"source": "exchanges"},
        pool=POOL,
        code_version="1",
        backfill_policy=dg.BackfillPolicy.single_run(),
        freshness_policy=FRESHNESS,
        check_specs=check_specs(
            CANDLES,
            dg.AssetCheckSpec(COMPLETE, asset=CANDLES.name, description="Every series that was asked for came."),
            dg.AssetCheckSpec(AGREES, asset=CANDLES.name, description="Where both exist, they agree with candles from trades."),
        ),
    )
    def exchange_candles(
        context: dg.AssetExecutionContext, lake: LakeResource, sources: dg.ResourceParam[ContextSettings]
    ) -> dg.MaterializeResult:  # type: ignore[type-arg]  # Dagster knows it by the bare class
        periods = periods_of(context, CANDLES.span)
        with logged(lake.house, CANDLES.name, run_id=context.run.run_id, visible_after=lake.visible_after_seconds) as entry:
            series, problems = wanted_series(sources)
            done = []
            for period in periods:
                filled, trouble = _fill(lake, sources, period, series)
                done.append(filled)
                problems += [reason for reason in trouble if reason not in problems]
            entry.rows = sum(each.added for each in done)
            if problems:
                entry.fail(problems[0])
        checks = [
            *judge(lake.house, CANDLES, done),
            warned(COMPLETE, problems, holds=f"{len(series)} series"),
            agreement(lake.house, [each.period for each in done if each.result is not None]),
        ]
        return materialized(context, CANDLES, done, checks=checks)

    return exchange_candles


def wanted_series(settings: ContextSettings) -> tuple[dict[Series, bool], list[str]]:
    """Every series to fetch, with whether it was declared; and what is wrong with the declarations, if anything."""
    found = {(exchange, symbol): False for exchange in listed(settings.candle_exchanges) for symbol in listed(settings.candle_symbols)}
    problems = []
    try:
        found |= {(each.exchange, each.symbol): True for each in read_declarations(settings.declarations)}
    except DeclarationError as error:
        problems.append(str(error))
    timeframes = listed(settings.candle_timeframes)
    return {Series(*market, timeframe): declared for market, declared in found.items() for timeframe in timeframes}, problems


def _fill(lake: LakeResource, settings: ContextSettings, period: Period, series: dict[Series, bool]) -> tuple[PeriodDone, list[str]]:
    """Fetch what a month lacks; also a sentence for everything that did not come."""
    now = now_us()
    start = max(period.start, (now - settings.candle_history_days * DAY_US) // DAY_US * DAY_US)
    end = min(period.end, now - int(SETTLE_SECONDS * 1_000_000))
    holes = KnownHoles(lake.house.context / f"holes-{period.first:%Y-%m}.json")
    lacking = _lacking(lake, period, list(series), holes=holes, start=start, end=end)
    wanted = [
        Wanted(series=one, windows=tuple(windows(opens, width=WIDTH_US[one.timeframe], reach=PAGE_ROWS)))
        for one, opens in lacking.items()
        if len(opens)
    ]
    fetched = fetch(wanted, retry=RetryPolicy(first_seconds=settings.source_retry_seconds), urls=settings.replaced_urls)
    rows = _table(fetched)
    added = 0

    def joined(former: pa.Table) -> pa.Table:
        # Holes near each other are asked for in one piece, so that candles come that stand already.
        nonlocal added
        whole = with_rows(CANDLES.name, former, rows)
        added = whole.num_rows - former.num_rows
        return whole

    result = edit_period(lake.house, CANDLES.name, period, joined, visible_after=lake.visible_after_seconds)
    holes.add(_empty(fetched, lacking, before=now - FINAL_AFTER_US))
    unlisted = sorted({f"{one.exchange} has no candles of {one.symbol} {one.timeframe}" for one in fetched.unlisted})
    problems = list(fetched.problems.values())
    problems += [f"{one} is declared, but {one.exchange} has no such candles" for one in fetched.unlisted if series[one]]
    notes = {"requests": sum(len(one.windows) for one in wanted), "not_listed": unlisted, "problems": problems[:50]}
    return PeriodDone(period=period, result=result, added=added, notes=notes), problems


def _lacking(
    lake: LakeResource, period: Period, series: list[Series], *, holes: KnownHoles, start: int, end: int
) -> dict[Series, np.ndarray[tuple[int], np.dtype[np.int64]]]:
    """Open times of the closed candles that each series lacks in [start, end), microseconds."""
    standing = pl.DataFrame(newest_rows(lake.house, CANDLES.name, period).select(["exchange", "symbol", "timeframe", "timestamp"]))
    times = standing.with_columns(pl.col("timestamp").dt.epoch("us")).partition_by("exchange", "symbol", "timeframe", as_dict=True)
    known = holes.read()
    nothing = np.array([], dtype=np.int64)
    found = {}
    for one in series:
        have = times.get((one.exchange, one.symbol, one.timeframe))
        found[one] = missing_opens(
            nothing if have is None else have["timestamp"].to_numpy(),
            start=start,
            end=end,
            width=WIDTH_US[one.timeframe],
            known=known.get(one, ()),
        )
    return found


def _empty(
    fetched: Fetched, lacking: dict[Series, np.ndarray[tuple[int], np.dtype[np.int64]]], *, before: int
) -> dict[Series, list[Window]]:
    """What was asked for, answered without a candle, and ended before an instant: it stays empty."""
    came: dict[Series, list[int]] = {}
    for row in fetched.rows:
        came.setdefault(Series(*row[:3]), []).append(row[3])
    found = {}
    for one, answered in fetched.answered.items():
        opens, width = lacking[one], WIDTH_US[one.timeframe]
        asked = np.zeros(len(opens), dtype=bool)
        for window in merged(answered, ()):
            asked |= (opens >= window.start) & (opens < window.end)
        empty = opens[asked & ~np.isin(opens, came.get(one, [])) & (opens + width <= before)]
        if len(empty):
            found[one] = stretches(empty, width=width)
    return found


def _table(fetched: Fetched) -> pa.Table:
    """The rows in the dataset's columns; what an exchange does not say is null."""
    columns = dict(zip(COLUMNS, zip(*fetched.rows, strict=True), strict=True)) if fetched.rows else {}
    arrays = []
    for field in CANDLES.schema:
        values = ["exchange"] * len(fetched.rows) if field.name == "source" else columns.get(field.name, [None] * len(fetched.rows))
        arrays.append(pa.array(values, field.type))
    return pa.Table.from_arrays(arrays, schema=CANDLES.schema)
