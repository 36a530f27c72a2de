"""What a run did to its hours, and how that is told to Dagster.

Put here: the loop over the hours of a run and the metadata of its result. Keep out: how an hour is computed, and the checks.

An hour that fails (an unreadable part, say) fails alone: the others are written, the reason stands in its metadata and in the
check `hours`. A run of which every hour failed ends as failed, without retries: the same bytes would fail again.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import dagster as dg

from assets import progress
from assets.hours import Partition, hours_of, partition_key
from assets.lineage import column_lineage
from lake.errors import LakeError
from lake.paths import Hour
from lake.periods import Period
from lake.registry import DATASETS, Dataset

P = TypeVar("P", bound=Hour | Period)


@dataclass(frozen=True, slots=True, kw_only=True)
class HourDone:
    """One hour (or day, or month) as it stands on disk after its work; the times are None when it holds no row."""

    hour: Partition
    path: Path
    rows: int
    bytes: int
    written: bool
    first_time: datetime | None = None
    last_time: datetime | None = None
    duplicates: int = 0
    gaps: int = 0
    problems: tuple[str, ...] = ()
    """One sentence for each part that could not be read, and each exchange that was left out."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The hours (or days, or months) of one run: those done, and those that failed with a sentence why."""

    done: tuple[HourDone, ...]
    failed: dict[Partition, str]

    @property
    def hours(self) -> int:
        return len(self.done) + len(self.failed)


def each_hour(context: dg.AssetExecutionContext, work: Callable[[Hour], HourDone]) -> Outcome:
    """Do `work` for every hour of the run; a `LakeError` fails its own hour only."""
    return each_partition(context, hours_of(context), work)


def each_partition(context: dg.AssetExecutionContext, partitions: Iterable[P], work: Callable[[P], HourDone]) -> Outcome:
    """Do `work` for every one of `partitions`; a `LakeError` fails its own only."""
    done: list[HourDone] = []
    failed: dict[Partition, str] = {}
    for hour in partitions:
        try:
            done.append(work(hour))
        except LakeError as error:
            context.log.exception("%s failed", partition_key(hour))
            failed[hour] = str(error)
        for key in context.selected_asset_keys:
            progress.done(key.to_user_string(), partition_key(hour))
    return Outcome(tuple(done), failed)


def materialized(
    context: dg.AssetExecutionContext, dataset: Dataset, outcome: Outcome, *, checks: Iterable[dg.AssetCheckResult]
) -> dg.MaterializeResult[None]:
    """The result of a run: totals on every partition, and each hour's own figures on its partition.

    Raises:
        dagster.Failure: no hour of the run could be done.

    """
    if not outcome.done:
        raise dg.Failure(
            description=f"no hour of {dataset.name} could be made: {next(iter(outcome.failed.values()))}",
            metadata={partition_key(hour): reason for hour, reason in outcome.failed.items()},
            allow_retries=False,
        )
    for hour, reason in outcome.failed.items():
        context.add_asset_metadata({"failed": reason}, asset_key=dataset.name, partition_key=partition_key(hour))
    for done in outcome.done:
        context.add_asset_metadata(partition_metadata(done), asset_key=dataset.name, partition_key=partition_key(done.hour))
    # Once a run, on its last partition, the one that Dagster shows: a run may have thousands, and keeps what it says of each in memory.
    context.add_asset_metadata(
        columns_metadata(dataset, context.assets_def.specs_by_key[dg.AssetKey(dataset.name)]),
        asset_key=dataset.name,
        partition_key=partition_key(max((*(done.hour for done in outcome.done), *outcome.failed), key=lambda one: one.start)),
    )
    return dg.MaterializeResult(
        asset_key=dataset.name,
        metadata={
            "hours": outcome.hours,
            "failed_hours": len(outcome.failed),
        },
        check_results=[check._replace(asset_key=dg.AssetKey(dataset.name)) for check in checks],
    )


def columns_metadata(dataset: Dataset, spec: dg.AssetSpec) -> dict[str, Any]:
    """The columns of an asset, and the columns of its deps they are made of."""
    return {
        "dagster/column_schema": column_schema(dataset),
        "dagster/column_lineage": column_lineage(dataset, (dep.asset_key for dep in spec.deps)),
    }


def with_columns(spec: dg.AssetSpec) -> dg.AssetSpec:
    """A spec that says which columns its dataset has, and of which columns they are made; unchanged where it is no dataset."""
    data = DATASETS.get(spec.key.path[-1])
    return spec if data is None else spec.merge_attributes(metadata=columns_metadata(data, spec))


@cache
def column_schema(dataset: Dataset) -> dg.TableSchema:
    """The registry's columns, with their comments and units, as Dagster shows them."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                name=column.name,
                type=str(column.type),
                description=column.comment,
                constraints=dg.TableColumnConstraints(nullable=column.nullable),
            )
            for column in dataset.columns
        ]
    )


def partition_metadata(done: HourDone) -> dict[str, Any]:
    """A partition's own figures, as its materialisation carries them."""
    metadata: dict[str, Any] = {
        "dagster/partition_row_count": done.rows,
        "rows": done.rows,
        "bytes": done.bytes,
        "duplicates": done.duplicates,
        "gaps": done.gaps,
        "rewritten": done.written,
        "path": dg.MetadataValue.path(str(done.path)),
    }
    if done.first_time is not None and done.last_time is not None:
        metadata["first_time"] = dg.MetadataValue.timestamp(done.first_time)
        metadata["last_time"] = dg.MetadataValue.timestamp(done.last_time)
    if done.problems:
        metadata["problems"] = list(done.problems)
    return metadata
