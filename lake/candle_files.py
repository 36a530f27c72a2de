"""Files of candles from elsewhere, in and out.

Put here: telling and reading CSV, Parquet and Feather, and writing tables beside them. Keep out: what their columns mean
(`lake.transforms.candle_table`), and the lake's own files.
"""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal

import polars as pl
import zstandard

from lake.errors import CandleTableError

TableFormat = Literal["parquet", "csv"]

_SEPARATORS: Final = ",;\t|"


def read_table(path: Path, *, columns: Sequence[str] = ()) -> pl.DataFrame:
    """The table of a CSV, Parquet or Feather file, told by its first bytes, gzip and zstd undone; columns of CSV are text.

    `columns` are the names of a CSV file without a header. Raises `CandleTableError`.
    """
    try:
        return _table(path.read_bytes(), columns)
    except OSError as error:
        raise CandleTableError(f"{path} cannot be read: {error.strerror or error}") from error
    except (pl.exceptions.PolarsError, UnicodeDecodeError, zlib.error, zstandard.ZstdError, EOFError, ValueError) as error:
        raise CandleTableError(f"{path} cannot be read as CSV, Parquet or Feather: {str(error).splitlines()[0]}") from error
    except CandleTableError as error:
        raise CandleTableError(f"{path}: {error}") from None


def write_table(table: pl.DataFrame, path: Path, *, as_format: TableFormat) -> None:
    """Write Parquet (zstd), or CSV as `csv_text` has it, gzipped where the name ends in .gz; the file appears by rename."""
    staged = path.with_name(f".{path.name}.part")
    if as_format == "parquet":
        table.write_parquet(staged, compression="zstd", statistics=True)
    else:
        text = csv_text(table).encode()
        staged.write_bytes(gzip.compress(text, mtime=0) if path.suffix == ".gz" else text)
    staged.replace(path)


def csv_text(table: pl.DataFrame) -> str:
    """CSV with a header; times as 2026-11-21T07:00:00Z, with a fraction where any has one; numbers in the fewest digits that keep them."""
    whole = table["timestamp"].dt.microsecond().eq(0).all()
    return table.write_csv(datetime_format="%Y-%m-%dT%H:%M:%SZ" if whole else "%Y-%m-%dT%H:%M:%S%.6fZ")


def _table(content: bytes, columns: Sequence[str]) -> pl.DataFrame:
    if content.startswith(b"\x1f\x8b"):
        return _table(gzip.decompress(content), columns)
    if content.startswith(b"\x28\xb5\x2f\xfd"):
        return _table(zstandard.ZstdDecompressor().stream_reader(io.BytesIO(content)).read(), columns)
    if content.startswith(b"PAR1"):
        return pl.read_parquet(io.BytesIO(content))
    if content.startswith(b"ARROW1"):
        return pl.read_ipc(io.BytesIO(content))
    if content.startswith(b"FEA1"):
        return _first_feather(content)
    return _csv(content, columns)


def _first_feather(content: bytes) -> pl.DataFrame:
    import pyarrow.feather

    table = pl.from_arrow(pyarrow.feather.read_table(io.BytesIO(content)))
    assert isinstance(table, pl.DataFrame)
    return table


def _csv(content: bytes, columns: Sequence[str]) -> pl.DataFrame:
    first = content.removeprefix(b"\xef\xbb\xbf").lstrip().split(b"\n", 1)[0].decode()
    separator = max(_SEPARATORS, key=first.count)
    fields = [field.strip().strip('"') for field in first.split(separator)]
    if columns and len(columns) != len(fields):
        raise CandleTableError(f"the rows have {len(fields)} columns, {len(columns)} names were received: {', '.join(columns)}")
    if not columns and all(_is_number(field) for field in fields):
        raise CandleTableError(f"the first row holds numbers ({', '.join(fields)}), expected names of columns, there or with --columns")
    return pl.read_csv(
        content,
        infer_schema=False,
        separator=separator,
        has_header=not columns,
        new_columns=list(columns) or None,
        truncate_ragged_lines=False,
    )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
