"""Books at the end of every minute, and what is computed of them: book metrics, the heatmap, the consolidated book.

Put here: make the hour's books once -> three transforms -> three datasets. Keep out: the figures (`lake.transforms`) and making books
(`lake.hour_books`).

One step makes all three because making the books costs nearly everything: 0.7 s a million changes, the transforms a fortieth of
it. Each of the three can still be materialised alone.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import dagster as dg
import polars as pl

from assets.checks import check_specs, judge
from assets.flow import AFTER_CANDLES, described, done, write
from assets.landed import POOL
from assets.outcome import HourDone, Outcome, each_hour, materialized
from assets.resources import FlowResource, LakeResource
from lake.columns import Dataset
from lake.flow_datasets import BOOK_METRICS, CONSOLIDATED_BOOK, HEATMAP
from lake.hour_books import HourBooks
from lake.paths import Hour
from lake.transforms.book_metrics import BOOK_METRICS_SCHEMA, book_metrics
from lake.transforms.book_states import Books, joined, minute_ends
from lake.transforms.consolidated import consolidated_book, mergeable
from lake.transforms.heatmap import HEATMAP_SCHEMA, BucketSizes, heatmap, with_exchange_counts

OF_BOOKS: Final = {data.name: data for data in (BOOK_METRICS, HEATMAP, CONSOLIDATED_BOOK)}


def book_assets(partitions: dg.HourlyPartitionsDefinition) -> dg.AssetsDefinition:
    """The assets `book_metrics`, `heatmap` and `consolidated_book`."""
    specs = [
        dg.AssetSpec(name, deps=["book_deltas", "gaps"], partitions_def=partitions, skippable=True, **described(data))
        for name, data in OF_BOOKS.items()
    ]

    @dg.multi_asset(
        name="minute_books",
        specs=specs,
        can_subset=True,
        pool=POOL,
        op_tags=AFTER_CANDLES,
        backfill_policy=dg.BackfillPolicy.single_run(),
        check_specs=[spec for data in OF_BOOKS.values() for spec in check_specs(data)],
    )
    def books(context: dg.AssetExecutionContext, lake: LakeResource, flow: FlowResource) -> Iterator[dg.MaterializeResult]:  # type: ignore[type-arg]  # Dagster knows it by the bare class
        wanted = [data for name, data in OF_BOOKS.items() if dg.AssetKey(name) in context.selected_asset_keys]
        made: dict[str, list[HourDone]] = {data.name: [] for data in wanted}

        def work(hour: Hour) -> HourDone:
            all_of_it = _make(lake, flow, hour, wanted)
            for data, one in zip(wanted, all_of_it, strict=True):
                made[data.name].append(one)
            return all_of_it[-1]

        failed = each_hour(context, work).failed
        for data in wanted:
            outcome = Outcome(tuple(made[data.name]), failed)
            yield materialized(context, data, outcome, checks=[_of(data, result) for result in judge(lake.house, data, outcome)])

    return books


def _of(data: Dataset, result: dg.AssetCheckResult) -> dg.AssetCheckResult:
    """The result, saying which of the step's assets it speaks of."""
    return dg.AssetCheckResult(
        asset_key=data.name,
        check_name=result.check_name,
        passed=result.passed,
        severity=result.severity,
        description=result.description,
        metadata=result.metadata,
    )


@dataclass(slots=True)
class _Derived:
    """What grows of one dataset while the books of an hour go by, exchange by exchange."""

    take: Callable[[Books], None]
    rows: Callable[[], pl.DataFrame]


def _make(lake: LakeResource, flow: FlowResource, hour: Hour, wanted: list[Dataset]) -> list[HourDone]:
    derived = {data.name: _GROWING[data.name](flow) for data in wanted}
    hour_books = HourBooks(lake.house, hour, minute_ends(hour.start))
    for books in hour_books.read():
        for one in derived.values():
            one.take(books)
    made = []
    for name, one in derived.items():
        rows = one.rows()
        result = write(lake, OF_BOOKS[name], hour, rows, watermark=hour_books.watermark)
        made.append(done(hour, rows, result, left_out=hour_books.left_out))
    return made


def _metrics(_: FlowResource) -> _Derived:
    frames = [BOOK_METRICS_SCHEMA.to_frame()]
    return _Derived(lambda books: frames.append(book_metrics(books)), lambda: pl.concat(frames))


def _heat(flow: FlowResource) -> _Derived:
    frames = [HEATMAP_SCHEMA.to_frame()]
    sizes = BucketSizes(flow.bucket_sizes)
    return _Derived(lambda books: frames.append(heatmap(books, sizes)), lambda: with_exchange_counts(pl.concat(frames)))


def _consolidated(_: FlowResource) -> _Derived:
    parts: list[Books] = []
    return _Derived(lambda books: parts.append(mergeable(books)), lambda: consolidated_book(joined(parts)))


_GROWING: Final = {BOOK_METRICS.name: _metrics, HEATMAP.name: _heat, CONSOLIDATED_BOOK.name: _consolidated}
