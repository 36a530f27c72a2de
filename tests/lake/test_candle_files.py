from __future__ import annotations

import gzip
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
import zstandard

from lake.candle_files import csv_text, read_table, write_table
from lake.errors import CandleTableError

TABLE = pl.DataFrame(
    {
        "timestamp": [datetime(2026, 11, 21, 7, tzinfo=UTC), datetime(2026, 11, 21, 8, tzinfo=UTC)],
        "open": [0.1, 1e-9],
        "volume": [None, 3.0],
    },
    schema_overrides={"timestamp": pl.Datetime("us", "UTC")},
)
TEXT = "timestamp,open,volume\n2026-11-21T07:00:00Z,0.1,\n2026-11-21T08:00:00Z,1e-9,3.0\n"


def as_text(table: pl.DataFrame) -> list[tuple[str | None, ...]]:
    return table.cast(pl.String).rows()


def test_csv_has_whole_seconds_and_shortest_numbers():
    assert csv_text(TABLE) == TEXT
    assert "07:00:00.250000Z" in csv_text(TABLE.with_columns(pl.col("timestamp") + pl.duration(milliseconds=250)))


@pytest.mark.parametrize(("name", "as_format"), [("a.parquet", "parquet"), ("a.csv", "csv"), ("a.csv.gz", "csv")])
def test_what_was_written_is_read(tmp_path: Path, name: str, as_format: str):
    write_table(TABLE, tmp_path / name, as_format=as_format)

    read = read_table(tmp_path / name)

    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert read.equals(TABLE) if as_format == "parquet" else csv_text(TABLE) == TEXT
    assert read["open"].cast(pl.Float64).to_list() == [0.1, 1e-9]


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_separators_and_a_byte_order_mark_are_understood(tmp_path: Path, separator: str):
    path = tmp_path / "a.txt"
    path.write_bytes(b"\xef\xbb\xbf" + TEXT.replace(",", separator).encode())

    assert read_table(path).columns == ["timestamp", "open", "volume"]
    assert as_text(read_table(path))[1] == ("2026-11-21T08:00:00Z", "1e-9", "3.0")


def test_files_are_told_by_their_content_not_their_name(tmp_path: Path):
    path = tmp_path / "a.dat"
    for content in (gzip.compress(TEXT.encode()), zstandard.compress(TEXT.encode())):
        path.write_bytes(content)
        assert read_table(path).height == 2
    TABLE.write_ipc(path)
    assert read_table(path).equals(TABLE)


def test_a_file_without_a_header_needs_names(tmp_path: Path):
    path = tmp_path / "a.csv"
    path.write_text("1546300800,23741.6,3701.23\n1546387200,35156.4,3796.45\n")

    assert read_table(path, columns=["timestamp", "volume", "open"]).height == 2
    with pytest.raises(CandleTableError, match="the first row holds numbers"):
        read_table(path)
    with pytest.raises(CandleTableError, match="the rows have 3 columns, 1 names were received: open"):
        read_table(path, columns=["open"])


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "cannot be read as CSV"),
        (b"PAR1 torn", "cannot be read as CSV"),
        (b"\x1f\x8b torn", "cannot be read as CSV"),
        (b"\xff\xfe\n", "cannot"),
    ],
)
def test_a_torn_file_is_refused_in_one_sentence(tmp_path: Path, content: bytes, sentence: str):
    path = tmp_path / "a.csv"
    path.write_bytes(content)

    with pytest.raises(CandleTableError, match=sentence):
        read_table(path)


def test_a_file_that_is_absent_is_refused(tmp_path: Path):
    with pytest.raises(CandleTableError, match="No such file"):
        read_table(tmp_path / "absent.csv")
