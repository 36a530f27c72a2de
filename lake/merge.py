"""Order and uniqueness of rows: how rows of a dataset are sorted, and how those that share the unique key become one.

Put here: pure functions on Arrow tables. Keep out: files.

Sorting is stable: rows equal in the whole sort key keep the order they came in. Which row of a group wins is decided by the rows
alone, so that it does not matter in which order parts are merged:
* first: a row of the stream before one fetched over REST, then the earliest `local_timestamp`, then the least of the other columns;
* last: each column has its latest value that is not null, by `local_timestamp`, `ordinal`, then the value itself (so a healed gap
  completes the open one, and two messages of one instant complete each other); a row completed before counts as of its latest arrival;
* sum: the integer columns outside the key are added.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from lake.parquet import Duplicates
from lake.registry import Dataset

_ROW = "__row"


def sort_rows(dataset: Dataset, table: pa.Table) -> pa.Table:
    """The rows in the order of the dataset's sort key, stable; the table itself where it is in order already."""
    order = sort_order(dataset, table)
    return table if order is None else table.take(pa.array(order))


def sort_order(dataset: Dataset, table: pa.Table) -> np.ndarray[Any, Any] | None:
    """Row numbers in the order of the sort key, or None where the rows are in order already."""
    if table.num_rows < 2:
        return None
    keys = [_codes(table[name]) for name in dataset.sort_key if not _is_text_id(dataset, name)]
    if len(keys) == len(dataset.sort_key):
        return None if _in_order(keys) else np.lexsort(keys[::-1])
    # The text id at the end only decides between rows equal in all else, which are few: rank it only if there are any.
    order = None if _in_order(keys) else np.lexsort(keys[::-1])
    arranged = keys if order is None else [key[order] for key in keys]
    tied = np.logical_and.reduce([key[1:] == key[:-1] for key in arranged])
    if not tied.any():
        return order
    keys += [_codes(table[name]) for name in dataset.sort_key if _is_text_id(dataset, name)]
    return None if _in_order(keys) else np.lexsort(keys[::-1])


def is_sorted(dataset: Dataset, table: pa.Table) -> bool:
    """Whether the rows follow the sort key."""
    return sort_order(dataset, table) is None


def _is_text_id(dataset: Dataset, name: str) -> bool:
    """A text column with nearly as many values as rows; always the last of a sort key."""
    return name == dataset.sort_key[-1] and dataset.column(name).delta and pa.types.is_string(dataset.column(name).type)


def _codes(column: pa.ChunkedArray) -> np.ndarray[Any, Any]:
    """Integers (or floats) in the order of the column's values; nulls before everything."""
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())
    if pa.types.is_integer(column.type):
        return np.asarray(column.fill_null(np.iinfo(np.int64).min if column.type == pa.int64() else -1))
    if pa.types.is_floating(column.type):
        return np.asarray(column.fill_null(float("-inf")))
    encoded = column.combine_chunks()
    if not pa.types.is_dictionary(encoded.type):
        encoded = encoded.dictionary_encode()
    order = np.asarray(pc.sort_indices(encoded.dictionary))
    rank = np.empty(len(order), dtype=np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    indices = np.asarray(encoded.indices.fill_null(-1))
    return np.where(indices < 0, np.int32(-1), rank[indices] if len(rank) else np.int32(-1))


def _in_order(keys: list[np.ndarray[Any, Any]]) -> bool:
    """Whether adjacent rows never fall, lexicographically."""
    undecided = np.ones(len(keys[0]) - 1, dtype=bool)
    for key in keys:
        if bool((undecided & (key[1:] < key[:-1])).any()):
            return False
        undecided &= key[1:] == key[:-1]
        if not undecided.any():
            return True
    return True


def merge_rows(dataset: Dataset, table: pa.Table) -> tuple[pa.Table, Duplicates]:
    """Sorted rows with one row a unique key, and how many were merged away by exchange and symbol.

    Counts are given where a row stands for an event (first, last), not where it is a sum.
    """
    table = sort_rows(dataset, table)
    if dataset.merge == "none" or table.num_rows < 2:
        return table, {}
    repeated = _repeated(dataset, table)
    if repeated.is_empty():
        return table, {}
    rows = repeated[_ROW]
    groups = _polars(table.take(pa.array(rows.to_numpy())))
    merged = _resolve(dataset, groups)
    keep = np.ones(table.num_rows, dtype=bool)
    keep[rows.to_numpy()] = False
    rest = table.filter(pa.array(keep))
    result = sort_rows(dataset, pa.concat_tables([rest, merged.to_arrow().cast(table.schema)]).combine_chunks())
    return result, _counts(dataset, groups, merged)


def _repeated(dataset: Dataset, table: pa.Table) -> pl.DataFrame:
    """Row number and key of every row whose key another row has too."""
    # Hashes first, a column at a time: all keys of a busy hour side by side would take a gigabyte, and few repeat.
    hashes = np.zeros(table.num_rows, dtype=np.uint64)
    for seed, name in enumerate(dataset.unique_key, start=1):
        column = pl.from_arrow(table[name])
        assert isinstance(column, pl.Series)
        hashes = hashes * np.uint64(0x9E3779B97F4A7C15) + column.hash(seed).to_numpy()
    ordered = np.sort(hashes)
    shared = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    rows = np.flatnonzero(np.isin(hashes, shared)) if len(shared) else np.empty(0, dtype=np.int64)
    keys = _polars(table.select(list(dataset.unique_key)).take(pa.array(rows))).with_columns(pl.Series(_ROW, rows))
    return keys.filter(pl.struct(dataset.unique_key).is_duplicated())


def _polars(table: pa.Table) -> pl.DataFrame:
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    return frame


def repeated_keys(dataset: Dataset, table: pa.Table) -> int:
    """Rows beyond the first of each unique key."""
    repeated = _repeated(dataset, table)
    return repeated.height - repeated.select(dataset.unique_key).unique().height


def _resolve(dataset: Dataset, groups: pl.DataFrame) -> pl.DataFrame:
    """One row a unique key, from rows that all share theirs with another."""
    key = list(dataset.unique_key)
    names = list(groups.columns)
    if dataset.merge == "sum":
        return groups.group_by(key, maintain_order=True).agg(pl.exclude(key).sum()).select(names)
    arrival = [name for name in ("local_timestamp", "ordinal") if name in names]
    # Lists have no order; where one is there, arrival alone decides.
    rest = [name for name in names if name not in {*key, *arrival, "source"} and not isinstance(groups.schema[name], pl.List)]
    if dataset.merge == "first":
        rank = [pl.col("source").ne("stream")] if "source" in names else []
        ordered = groups.sort([*rank, *arrival, *rest], nulls_last=True, maintain_order=True)
        return ordered.group_by(key, maintain_order=True).first().select(names)
    columns = [name for name in names if name not in key]
    by_column = [
        groups.sort([*key, *arrival, *({name} - set(arrival))], nulls_last=False)
        .group_by(key, maintain_order=True)
        .agg(pl.col(name).drop_nulls().last())
        for name in columns
    ]
    return pl.concat([by_column[0].select(key), *(frame.select(pl.exclude(key)) for frame in by_column)], how="horizontal").select(names)


def _counts(dataset: Dataset, groups: pl.DataFrame, merged: pl.DataFrame) -> Duplicates:
    if dataset.merge == "sum" or "symbol" not in groups.columns:
        return {}
    by = ["exchange", "symbol"]
    before = {(exchange, symbol): count for exchange, symbol, count in groups.group_by(by).len().iter_rows()}
    after = {(exchange, symbol): count for exchange, symbol, count in merged.group_by(by).len().iter_rows()}
    return {key: count - after[key] for key, count in sorted(before.items())}
