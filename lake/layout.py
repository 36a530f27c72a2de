"""The state of a home before anything has landed: its format, and a zero-row file for each dataset and tier it has.

Put here: what must exist so that a view over an empty lake answers. Keep out: anything with rows.

DuckDB refuses a glob without a match, hence the sentinels: files at 1970-01-01 whose instant and watermark are 0.
"""

from __future__ import annotations

import json
from datetime import date
from functools import cache
from pathlib import Path
from typing import Final

import pyarrow as pa

from lake import files, parquet
from lake.errors import LakeFormatError
from lake.paths import Home, Hour, PartName, SealedName
from lake.registry import DATASETS, Dataset

FORMAT: Final = 1
SENTINEL_DAY: Final = date(1970, 1, 1)


def ensure(home: Home) -> None:
    """Make `home` a lake of this format, or check that it is one; cheap and safe to repeat. `LakeFormatError` for a newer one."""
    if home.format_file.exists():
        check_format(home)
    else:
        files.write_small(home.format_file, json.dumps({"format": FORMAT}) + "\n")
    for dataset in DATASETS.values():
        if dataset.landed:
            _lay(dataset, sentinel(home, dataset.name, "part"))
        if dataset.span == "hour":
            _lay(dataset, sentinel(home, dataset.name, "hour"))
        _lay(dataset, sentinel(home, dataset.name, "day"))


def sentinel(home: Home, dataset: str, kind: str) -> Path:
    """The file of no rows of a tier: `kind` is part, hour or day."""
    if kind == "day":
        return home.day_dir(dataset, SENTINEL_DAY) / str(SealedName("day", 0, 0))
    return home.hour_dir(dataset, Hour(0)) / str(PartName(0, "sentinel", 0) if kind == "part" else SealedName(kind, 0, 0))


def check_format(home: Home) -> None:
    """Raise `LakeFormatError` where `home` is no lake, or one that a newer version wrote."""
    try:
        text = home.format_file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise LakeFormatError(home=str(home.root), found="none (there is no format.json)", supported=FORMAT) from None
    try:
        found = json.loads(text)["format"]
    except (json.JSONDecodeError, KeyError, TypeError):
        raise LakeFormatError(home=str(home.root), found=f"{text.strip()!r}", supported=FORMAT) from None
    if not isinstance(found, int) or found > FORMAT or found < 1:
        raise LakeFormatError(home=str(home.root), found=repr(found), supported=FORMAT)


def _lay(dataset: Dataset, path: Path) -> None:
    if path.exists():
        return
    content = _empty(dataset.name)

    def write(staged: Path) -> None:
        staged.write_bytes(content)

    files.stage(path.parent, lambda _: path.name, write).path.replace(path)


@cache
def _empty(name: str) -> bytes:
    """The file of no rows of a dataset; the same in every tier and home."""
    dataset = DATASETS[name]
    sink = pa.BufferOutputStream()
    parquet.write_parquet(dataset, dataset.schema.empty_table(), sink, parquet.Metadata(dataset=name))
    content: bytes = sink.getvalue().to_pybytes()
    return content
