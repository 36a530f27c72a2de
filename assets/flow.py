"""Trade flow by the minute, made from the trades of its own hour; and what every asset of the group `flow` has in common.

Put here: read the hour's trades -> transform -> write. Keep out: what the figures are (`lake.transforms.trade_flow`).
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final, TypedDict

import dagster as dg
import polars as pl

from assets.automation import FOLLOW
from assets.checks import check_specs, judge
from assets.landed import OWNER, POOL
from assets.outcome import HourDone, each_hour, materialized
from assets.resources import LakeResource
from assets.rules import unsound_exchanges
from lake.columns import Dataset
from lake.derived import WriteResult, read_hour, write_hour
from lake.flow_datasets import TRADE_FLOW
from lake.paths import Hour
from lake.transforms.trade_flow import trade_flow

GROUP: Final = "flow"

FLOW_FRESHNESS: Final = dg.FreshnessPolicy.time_window(fail_window=timedelta(minutes=90), warn_window=timedelta(minutes=75))

AFTER_CANDLES: Final = {"dagster/priority": "-1"}
"""Within an hour's run candles and indicators come first: people wait for those."""


class Described(TypedDict):
    """Arguments that an asset and an `AssetSpec` share."""

    description: str
    group_name: str
    owners: list[str]
    kinds: set[str]
    tags: dict[str, str]
    code_version: str
    automation_condition: dg.AutomationCondition[dg.AssetKey]
    freshness_policy: dg.FreshnessPolicy


def described(data: Dataset) -> Described:
    """What every asset of the group says of itself, as arguments of an asset or its spec."""
    return {
        "description": data.description,
        "group_name": GROUP,
        "owners": [OWNER],
        "kinds": {"parquet", "polars"},
        "tags": {"tier": "hours"},
        "code_version": "1",
        "automation_condition": FOLLOW,
        "freshness_policy": FLOW_FRESHNESS,
    }


def trade_flow_asset(partitions: dg.HourlyPartitionsDefinition) -> dg.AssetsDefinition:
    """The asset `trade_flow`."""

    @dg.asset(
        name=TRADE_FLOW.name,
        deps=["trades"],
        partitions_def=partitions,
        pool=POOL,
        op_tags=AFTER_CANDLES,
        backfill_policy=dg.BackfillPolicy.single_run(),
        check_specs=check_specs(TRADE_FLOW),
        **described(TRADE_FLOW),
    )
    def flow(context: dg.AssetExecutionContext, lake: LakeResource) -> dg.MaterializeResult:  # type: ignore[type-arg]  # Dagster knows it by the bare class
        outcome = each_hour(context, lambda hour: _make(lake, hour))
        return materialized(context, TRADE_FLOW, outcome, checks=judge(lake.house, TRADE_FLOW, outcome))

    return flow


def _make(lake: LakeResource, hour: Hour) -> HourDone:
    trades, watermark = read_hour(lake.house, "trades", hour)
    rows = pl.DataFrame(trades)
    left_out = unsound_exchanges(rows)
    made = trade_flow(rows.filter(~pl.col("exchange").is_in(list(left_out))))
    return done(hour, made, write(lake, TRADE_FLOW, hour, made, watermark=watermark), left_out=left_out)


def write(lake: LakeResource, data: Dataset, hour: Hour, rows: pl.DataFrame, *, watermark: int) -> WriteResult:
    """Write the rows of a derived hour."""
    table = rows.to_arrow().cast(data.schema)
    return write_hour(lake.house, data.name, hour, table, watermark=watermark, visible_after=lake.visible_after_seconds)


def done(hour: Hour, rows: pl.DataFrame, result: WriteResult, *, left_out: Mapping[str, str]) -> HourDone:
    """What became of an hour, for Dagster."""
    times: Iterable[datetime] = rows["timestamp"].unique().to_list()
    return HourDone(
        hour=hour,
        path=result.path,
        rows=rows.height,
        bytes=result.bytes,
        written=result.written,
        first_time=min(times, default=None),
        last_time=max(times, default=None),
        problems=tuple(f"{exchange} was left out: {reason}" for exchange, reason in left_out.items()),
    )
