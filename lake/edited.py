"""Partitions that grow: a day or month whose rows are changed time and again by different processes.

Put here: read, change, write as one step. Keep out: the change, and partitions made from other datasets (`lake.derived`).
"""

from __future__ import annotations

import time
from collections.abc import Callable

import polars as pl
import pyarrow as pa

from lake import files
from lake.derived import WriteResult, write_period
from lake.files import Clock, now_us
from lake.gather import Gathering
from lake.merge import sort_rows
from lake.parquet import row_count
from lake.paths import Home
from lake.periods import Period
from lake.registry import dataset
from lake.visible import VisibleFile, by_instant, day_files

Change = Callable[[pa.Table], pa.Table]


def edit_period(
    home: Home, dataset_name: str, period: Period, change: Change, *, visible_after: float, clock: Clock = time.time
) -> WriteResult | None:
    """Replace the rows of a partition by `change` of them; None where it has no file and stays empty.

    `change` gets the newest rows, counting or about to, and sees no other change meanwhile: it runs under a lock of the partition. Where it
    returns the same rows nothing is written. Raises what `lake.derived.write_period` raises.
    """
    with files.locked(home.locks / dataset_name / f"edit-{period.first:%m-%d}"):
        latest = newest_file(home, dataset_name, period)
        former = newest_rows(home, dataset_name, period, file=latest)
        rows = change(former)
        if latest is None and rows.num_rows == 0:
            return None
        if latest is not None and rows.equals(former):
            size = latest.path.stat().st_size
            return WriteResult(path=latest.path, rows=row_count(latest.path), bytes=size, watermark=latest.watermark, written=False)
        mark = max(now_us(clock), latest.watermark if latest else 0)
        return write_period(home, dataset_name, period, rows, watermark=mark, visible_after=visible_after, clock=clock)


def newest_file(home: Home, dataset_name: str, period: Period) -> VisibleFile | None:
    """The file that is the partition, or will be in a moment."""
    return max((file for file in day_files(home, dataset_name, period.first) if file.visible_from > 0), key=by_instant, default=None)


def newest_rows(home: Home, dataset_name: str, period: Period, *, file: VisibleFile | None = None) -> pa.Table:
    """The rows of that file, in the registry's columns."""
    spec = dataset(dataset_name)
    file = file or newest_file(home, dataset_name, period)
    tables = [] if file is None else [table for _, found in Gathering(spec, [file.path]).tables() for table in found]
    return pa.concat_tables([spec.schema.empty_table(), *tables]).combine_chunks().select(spec.schema.names)


def with_rows(dataset_name: str, former: pa.Table, rows: pa.Table) -> pa.Table:
    """`former` with `rows` (at most one a unique key) in place of those of the same key, in the dataset's order."""
    spec = dataset(dataset_name)
    key = list(spec.unique_key)
    fresh = pl.DataFrame(rows.select(key)).with_columns(pl.lit(value=True).alias("_fresh"))
    replaced = pl.DataFrame(former.select(key)).join(fresh, on=key, how="left", maintain_order="left")["_fresh"].is_not_null()
    kept = former.filter(pa.array(~replaced.to_numpy()))
    return sort_rows(spec, pa.concat_tables([kept, rows.cast(spec.schema)]).combine_chunks())
