"""The core suite of indicators on candles of every timeframe, and the states they go on from: by the hour, the day and the month.

Put here: run the chain over the partitions of a run -> results and checks. Keep out: what is carried on and how far a repair reaches
(`lake.carried`), and the formulas (`lake.transforms.indicators`).
"""

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

import dagster as dg

from assets.automation import FOLLOW
from assets.checks import check_specs, judge
from assets.hours import Partition, hours_of, partition_key, periods_of
from assets.landed import FIRST, OWNER, POOL
from assets.outcome import HourDone, Outcome, each_partition, materialized, partition_metadata
from assets.resources import LakeResource
from lake import files
from lake.carried import TIMEFRAMES_OF, Carried, Chain, former
from lake.derived import WriteResult
from lake.indicator_datasets import indicator_dataset, indicator_state_dataset
from lake.registry import Dataset, Span, candle_dataset, dataset

INDICATORS_FRESHNESS: Final = dg.FreshnessPolicy.time_window(fail_window=timedelta(minutes=100), warn_window=timedelta(minutes=80))


def indicator_assets(
    hours: dg.HourlyPartitionsDefinition, days: dg.DailyPartitionsDefinition, months: dg.MonthlyPartitionsDefinition
) -> list[dg.AssetsDefinition]:
    """Indicators and their states, together, for each span of partitions."""
    return [_indicators("hour", hours), _indicators("day", days), _indicators("month", months)]


def _indicators(span: Span, partitions: dg.TimeWindowPartitionsDefinition) -> dg.AssetsDefinition:
    rows, states = dataset(indicator_dataset(span)), dataset(indicator_state_dataset(span))
    candles = [candle_dataset(timeframe) for timeframe in TIMEFRAMES_OF[span]]

    @dg.multi_asset(
        name=rows.name,
        specs=[_spec(data, candles) for data in (rows, states)],
        partitions_def=partitions,
        pool=POOL,
        op_tags=FIRST,
        backfill_policy=dg.BackfillPolicy.single_run(),
        check_specs=[*check_specs(rows), *check_specs(states)],
    )
    def indicators(context: dg.AssetExecutionContext, lake: LakeResource) -> Iterator[dg.MaterializeResult[None]]:
        chain = Chain(lake.house, span, lake.visible_after_seconds)
        wanted = _wanted(context, span)
        repaired = [*_resumed(chain), *_reaching_in(chain, wanted[0])]
        made: list[Carried] = []

        def work(partition: Partition) -> HourDone:
            made.append(chain.make(partition))
            return _done(made[-1], made[-1].rows)

        outcome = each_partition(context, wanted, work)
        if made and made[-1].spreads:
            repaired += chain.forward(made[-1].partition)
        chain.settled()
        own = {each.partition for each in made}
        further = [each for each in repaired if each.partition not in own]
        for data, of in ((rows, _rows_of), (states, _state_of)):
            for each in further:
                found = {**partition_metadata(_done(each, of(each))), "repaired_by": context.run.run_id}
                context.log_event(dg.AssetMaterialization(data.name, partition=partition_key(each.partition), metadata=found))
            done = tuple(_done(each, of(each)) for each in made)
            whole = Outcome((*done, *(_done(each, of(each)) for each in further)), outcome.failed)
            yield materialized(context, data, Outcome(done, outcome.failed), checks=judge(lake.house, data, whole))

    return indicators


def _spec(data: Dataset, candles: list[str]) -> dg.AssetSpec:
    return dg.AssetSpec(
        data.name,
        deps=candles,
        description=data.description,
        group_name="indicators",
        owners=[OWNER],
        kinds={"parquet", "polars"},
        tags={"span": data.span},
        code_version="1",
        automation_condition=FOLLOW,
        freshness_policy=INDICATORS_FRESHNESS,
    )


def _wanted(context: dg.AssetExecutionContext, span: Span) -> list[Partition]:
    return [*hours_of(context)] if span == "hour" else [*periods_of(context, span)]


def _reaching_in(chain: Chain, first: Partition) -> list[Carried]:
    """The month before the first one of a run, made again: the last candles of 3d and 1w that open in it end in the next."""
    before = former(first)
    return [chain.make(before)] if chain.span == "month" and chain.stands(before) else []


def _resumed(chain: Chain) -> list[Carried]:
    """What a run that died left to be made again."""
    made: list[Carried] = []
    for note, partition in chain.unsettled():
        made += chain.forward(partition)
        files.remove(note)
    return made


def _rows_of(made: Carried) -> WriteResult:
    return made.rows


def _state_of(made: Carried) -> WriteResult:
    return made.state


def _done(made: Carried, result: WriteResult) -> HourDone:
    return HourDone(
        hour=made.partition,
        path=result.path,
        rows=result.rows,
        bytes=result.bytes,
        written=result.written,
        first_time=made.first_time,
        last_time=made.last_time,
    )
