"""Bucket sizes of the heatmap, as a user writes them in tickhouse.toml.

Put here: reading and validating the table `[heatmap.buckets]`. Keep out: what a size is used for, and the sizes of what is not named
there (`lake.transforms.heatmap`).
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from math import isfinite
from pathlib import Path

from lake.errors import BucketSizeError


def read_bucket_sizes(path: Path) -> dict[str, float]:
    """Sizes in quote units by symbol (`BTC/USDT:USDT`) or by base asset (`BTC`); none where the file or the table is absent.

    Raises `BucketSizeError` for a file that is no TOML, or a size that is not a positive number.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise BucketSizeError(f"configuration {path} cannot be read: {error.strerror}") from error
    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BucketSizeError(f"configuration {path} is no TOML: {error}") from error
    return bucket_sizes(found.get("heatmap", {}), source=path.name)


def bucket_sizes(table: object, *, source: str = "tickhouse.toml") -> dict[str, float]:
    """The sizes in a table `heatmap`. Raises `BucketSizeError`."""
    if not isinstance(table, Mapping) or not table.keys() <= {"buckets"} or not isinstance(table.get("buckets", {}), Mapping):
        raise BucketSizeError(f"heatmap in {source} is {table!r}, allowed is a table with one table in it, buckets")
    sizes: dict[str, float] = {}
    for name, size in table.get("buckets", {}).items():
        if isinstance(size, bool) or not isinstance(size, int | float) or not isfinite(size) or size <= 0:
            raise BucketSizeError(f"heatmap.buckets.{name} in {source} is {size!r}, allowed is a positive number of quote units")
        sizes[name] = float(size)
    return sizes
