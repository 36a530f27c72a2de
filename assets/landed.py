"""What collectors land, as Dagster sees it: external assets `landed/…`, and the assets that compact each hour of them.

Put here: specs and assets of landed datasets. Keep out: the merge rules and the files (`lake.compact`).
"""

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Final

import dagster as dg

from assets.automation import FOLLOW
from assets.checks import check_specs, judge
from assets.hours import hours_of, partition_key
from assets.outcome import HourDone, each_hour, materialized
from assets.resources import LakeResource
from lake.compact import compact_hour
from lake.derived import read_hour
from lake.paths import Home, Hour
from lake.registry import LANDED, Dataset, dataset

OWNER: Final = "team:tickhouse"
POOL: Final = "hours"

LANDED_TAG: Final = "tickhouse/landed"
"""Tag of a run that reports itself what landed in its hour: figures by dataset."""

FIRST: Final = {"dagster/priority": "1"}
"""Of the steps on the way from trades to indicators: a run takes them before its others."""

LANDED_FRESHNESS: Final = dg.FreshnessPolicy.time_window(fail_window=timedelta(minutes=80), warn_window=timedelta(minutes=70))
"""An hour is reported once, shortly after it ended, so a landed dataset may look up to an hour and a few minutes old."""


def landed_key(name: str) -> dg.AssetKey:
    """Key of the external asset that stands for the parts of a dataset."""
    return dg.AssetKey(["landed", name])


def landed_specs(partitions: dg.HourlyPartitionsDefinition) -> list[dg.AssetSpec]:
    """External assets: the parts that collectors write, reported by the sensor `landed_hours` for each hour that is over."""
    return [
        dg.AssetSpec(
            landed_key(name),
            partitions_def=partitions,
            description=f"Parts of {name} as collectors landed them. {dataset(name).description}",
            group_name="landed",
            owners=[OWNER],
            kinds={"parquet"},
            tags={"tier": "parts"},
            freshness_policy=LANDED_FRESHNESS,
        )
        for name in LANDED
    ]


def compacted_assets(partitions: dg.HourlyPartitionsDefinition) -> list[dg.AssetsDefinition]:
    """One asset for each landed dataset: its hour as one sorted, de-duplicated file."""
    return [_compacted(dataset(name), partitions) for name in LANDED]


def _compacted(data: Dataset, partitions: dg.HourlyPartitionsDefinition) -> dg.AssetsDefinition:
    @dg.asset(
        name=data.name,
        deps=[landed_key(data.name)],
        partitions_def=partitions,
        description=data.description,
        group_name="landed",
        owners=[OWNER],
        kinds={"parquet", "duckdb"},
        tags={"tier": "hours"},
        pool=POOL,
        code_version="1",
        backfill_policy=dg.BackfillPolicy.single_run(),
        automation_condition=FOLLOW,
        check_specs=check_specs(data),
        op_tags=FIRST if data.name == "trades" else None,
    )
    def compacted(context: dg.AssetExecutionContext, lake: LakeResource) -> dg.MaterializeResult:  # type: ignore[type-arg]  # Dagster knows it by the bare class
        _report_landed(context, data)
        outcome = each_hour(context, lambda hour: _compact(lake, data, hour))
        return materialized(context, data, outcome, checks=judge(lake.house, data, outcome))

    return compacted


def landed_tag(figures: Mapping[str, Mapping[str, int | bool]]) -> str:
    """The value of `LANDED_TAG`: what landed in the hour of a run, by dataset."""
    return json.dumps(figures)


def _report_landed(context: dg.AssetExecutionContext, data: Dataset) -> None:
    """Report what the run was told has landed, before its parts are listed: later ones are reported by the sensor."""
    figures = json.loads(context.run.tags.get(LANDED_TAG, "{}")).get(data.name)
    if figures is not None:
        hour = partition_key(hours_of(context)[0])
        context.log_event(dg.AssetMaterialization(landed_key(data.name), partition=hour, metadata=figures))


def _compact(lake: LakeResource, data: Dataset, hour: Hour) -> HourDone:
    result = compact_hour(lake.house, data.name, hour, visible_after=lake.visible_after_seconds)
    return HourDone(
        hour=hour,
        path=result.path,
        rows=result.rows,
        bytes=result.bytes,
        written=result.written,
        first_time=result.first_time,
        last_time=result.last_time,
        duplicates=sum(result.duplicates.values()),
        gaps=gaps_of(lake.house, data.name, hour),
        problems=result.problems,
    )


def gaps_of(home: Home, channel: str, hour: Hour) -> int:
    """Gaps of one channel that were noticed in the hour."""
    gaps, _ = read_hour(home, "gaps", hour, columns=["channel"])
    return int(gaps["channel"].to_pylist().count(channel))
