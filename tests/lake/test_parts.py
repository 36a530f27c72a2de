from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lake import files, layout
from lake.compact import compact_hour
from lake.errors import SchemaMismatch
from lake.parquet import GROUP_ROWS, OWN_GROUP_ROWS, LakeWriter, Metadata, read_metadata, write_parquet
from lake.parts import seal_segment
from lake.paths import Home, Hour, parse_name
from lake.registry import LANDED, TIMESTAMP, dataset
from lake.visible import visible_files, wal_rows
from lake.wal import Segment, WalWriter
from tests.lake.making import HOUR, START, Clock, level, rows, trade


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path)
    layout.ensure(home)
    return home


@pytest.fixture
def clock() -> Clock:
    return Clock()


def logged(home: Home, name: str, *given: dict, collector: str = "one") -> Segment:
    """A closed segment with these rows."""
    writer = WalWriter(home, collector)
    for row in given:
        writer.append(name, rows(name, row))
    (segment,) = writer.roll()
    writer.close()
    return segment


@pytest.mark.parametrize("name", LANDED)
def test_parts_hold_the_rows_of_the_segment_in_registry_schema(home: Home, clock: Clock, name: str) -> None:
    segment = logged(home, name, {"timestamp": START + 9}, {"timestamp": START})
    (path,) = seal_segment(home, segment, visible_after=3, clock=clock)
    table = pq.read_table(path, partitioning=None)
    assert table.schema.equals(dataset(name).schema)
    assert table.num_rows == (
        1 if dataset(name).merge == "first" and name in {"trades", "liquidations", "alerts", "liquidation_alerts"} else 2
    )
    assert path.parent == home.hour_dir(name, Hour(START))


def test_rows_go_to_the_hour_of_their_time_column_with_one_instant(home: Home, clock: Clock) -> None:
    segment = logged(home, "trades", trade(1), trade(2, at=START + HOUR), trade(3, at=START + 30 * HOUR))
    paths = seal_segment(home, segment, visible_after=3, clock=clock)
    assert [path.parent for path in paths] == [home.hour_dir("trades", Hour(START + n * HOUR)) for n in (0, 1, 30)]
    assert {parse_name(path.name).visible_from for path in paths} == {clock.us + 3_000_000}
    assert segment.sealed_at() == clock.us + 3_000_000


def test_the_same_segment_always_gives_the_same_bytes(home: Home, clock: Clock) -> None:
    segment = logged(home, "book_deltas", level(2), level(1), level(3, symbol="ETH/USDT"))
    (path,) = seal_segment(home, segment, visible_after=3, clock=clock)
    before = path.read_bytes()
    path.unlink()
    segment.marker.unlink()
    clock.advance(100)
    (again,) = seal_segment(home, segment, visible_after=3, clock=clock)
    assert again.read_bytes() == before
    assert again.name != path.name


def test_repeats_of_a_trade_within_a_segment_become_the_first_from_the_stream(home: Home, clock: Clock) -> None:
    segment = logged(
        home,
        "trades",
        trade(7, local_timestamp=START + 10, source="rest", price=1.0),
        trade(7, local_timestamp=START + 30, price=3.0),
        trade(7, local_timestamp=START + 20, price=2.0),
        trade(8),
    )
    (path,) = seal_segment(home, segment, visible_after=3, clock=clock)
    table = pq.read_table(path, partitioning=None)
    assert sorted(zip(table["trade_id"].to_pylist(), table["price"].to_pylist(), strict=True)) == [("7", 2.0), ("8", 101.0)]
    assert read_metadata(path).duplicates == {("binance", "BTC/USDT"): 2}


def test_sealing_twice_writes_nothing_new(home: Home, clock: Clock) -> None:
    segment = logged(home, "trades", trade(1))
    assert len(seal_segment(home, segment, visible_after=3, clock=clock)) == 1
    assert seal_segment(home, segment, visible_after=3, clock=clock) == []


def test_a_seal_that_died_between_two_hours_is_completed(home: Home, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    segment = logged(home, "trades", trade(1), trade(2, at=START + HOUR))
    real, calls = os.rename, []

    def second_dies(source: Path, target: Path) -> None:
        calls.append(target)
        if len(calls) == 2:
            raise KeyboardInterrupt
        real(source, target)

    monkeypatch.setattr(os, "rename", second_dies)
    with pytest.raises(KeyboardInterrupt):
        seal_segment(home, segment, visible_after=3, clock=clock)
    monkeypatch.setattr(os, "rename", real)
    assert not segment.marker.exists()
    (path,) = seal_segment(home, segment, visible_after=3, clock=clock)
    assert path.parent == home.hour_dir("trades", Hour(START + HOUR))
    clock.advance(3)
    assert len(visible_files(home, "trades", at_us=clock.us)) == 2
    assert wal_rows(home, "trades", at_us=clock.us).num_rows == 0


def test_an_hour_whose_sealed_file_holds_the_segment_is_passed_over(home: Home, clock: Clock) -> None:
    segment = logged(home, "trades", trade(1))
    (path,) = seal_segment(home, segment, visible_after=3, clock=clock)
    clock.advance(3)
    compact_hour(home, "trades", Hour(START), visible_after=3, clock=clock)
    path.unlink()
    segment.marker.unlink()
    assert seal_segment(home, segment, visible_after=3, clock=clock) == []
    assert segment.marker.exists()


def test_a_writer_that_stalls_past_its_instant_moves_its_file_forward(home: Home, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    segment = logged(home, "trades", trade(1))
    real, stalls = os.rename, iter([3.5])

    def slow(source: Path, target: Path) -> None:
        clock.advance(next(stalls, 0.0))
        real(source, target)

    monkeypatch.setattr(os, "rename", slow)
    (path,) = seal_segment(home, segment, visible_after=3, clock=clock)
    assert parse_name(path.name).visible_from == clock.us + 3_000_000
    assert [other.name for other in path.parent.iterdir()] == [path.name]


def test_a_stall_before_the_rename_chooses_a_new_instant(home: Home, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    staged = files.stage(home.root / "x", lambda instant: f"{instant}", lambda path: path.write_bytes(b"x") and None)
    ticks = iter([0.0, 2.5])
    real = clock.__call__

    def later() -> float:
        clock.advance(next(ticks, 0.0))
        return real()

    instant, (path,) = files.appear([staged], visible_after=3, clock=later)
    assert instant == clock.us + 3_000_000
    assert path.name == str(instant)


def test_a_part_behind_a_watermark_is_moved_forward_when_its_seal_is_repeated(home: Home, clock: Clock) -> None:
    stalled = logged(home, "trades", trade(1))
    (path,) = seal_segment(home, stalled, visible_after=3, clock=clock)
    hidden = path.rename(path.with_name(".tmp-stalled"))
    stalled.marker.unlink()
    seal_segment(home, logged(home, "trades", trade(2), collector="two"), visible_after=3.5, clock=clock)
    clock.advance(4)
    compact_hour(home, "trades", Hour(START), visible_after=3, clock=clock)
    hidden.rename(path)
    clock.advance(4)
    assert wal_rows(home, "trades", at_us=clock.us)["trade_id"].to_pylist() == ["1"]
    (moved,) = seal_segment(home, stalled, visible_after=3, clock=clock)
    assert not path.exists()
    clock.advance(4)
    assert moved in [file.path for file in visible_files(home, "trades", at_us=clock.us)]
    assert wal_rows(home, "trades", at_us=clock.us).num_rows == 0


def test_an_empty_segment_leaves_only_its_marker(home: Home, clock: Clock) -> None:
    segment = logged(home, "trades", trade(1))
    segment.path.write_bytes(segment.path.read_bytes()[:50])
    assert seal_segment(home, segment, visible_after=3, clock=clock) == []
    assert segment.marker.exists()


def symbols_table(counts: dict[str, int]) -> pa.Table:
    """Sorted book levels: so many rows a symbol."""
    spec = dataset("book_deltas")
    total = sum(counts.values())
    names = [name for name, number in sorted(counts.items()) for _ in range(number)]
    columns = {
        "exchange": ["kraken"] * total,
        "symbol": names,
        "local_timestamp": pa.array(range(START, START + total), pa.int64()).cast(TIMESTAMP),
        "ordinal": range(total),
        "side": ["bid"] * total,
        "price": [1.5] * total,
        "amount": [0.25] * total,
        "is_snapshot": [False] * total,
    }
    arrays = [pa.array(columns[f.name], f.type) if f.name in columns else pa.nulls(total, f.type) for f in spec.schema]
    return pa.table(arrays, schema=spec.schema)


def groups_of(path: Path) -> list[tuple[str, str, int]]:
    """(first symbol, last symbol, rows) of each row group, as a reader's filter sees them."""
    footer = pq.read_metadata(path)
    found = []
    for number in range(footer.num_row_groups):
        statistics = footer.row_group(number).column(1).statistics
        found.append((statistics.min, statistics.max, footer.row_group(number).num_rows))
    return found


def test_a_symbol_of_many_rows_shares_no_row_group(tmp_path: Path) -> None:
    table = symbols_table({"A": 10, "B": 20, "M": OWN_GROUP_ROWS, "N": 5, "X": GROUP_ROWS + 7, "Y": 1})
    write_parquet(dataset("book_deltas"), table, tmp_path / "x.parquet", Metadata(dataset="book_deltas"))
    assert groups_of(tmp_path / "x.parquet") == [
        ("A", "B", 30),
        ("M", "M", OWN_GROUP_ROWS),
        ("N", "N", 5),
        ("X", "X", GROUP_ROWS),
        ("X", "X", 7),
        ("Y", "Y", 1),
    ]


def test_the_bytes_do_not_tell_in_which_pieces_the_rows_came(tmp_path: Path) -> None:
    spec = dataset("book_deltas")
    table = symbols_table({"A": 100, "B": OWN_GROUP_ROWS + 50, "C": GROUP_ROWS + 9, "D": 3})
    write_parquet(spec, table, tmp_path / "whole.parquet", Metadata(dataset=spec.name))
    with LakeWriter(spec, tmp_path / "pieces.parquet") as writer:
        for start in range(0, table.num_rows, 7_001):
            writer.write(table.slice(start, 7_001))
        writer.finish(Metadata(dataset=spec.name))
    assert (tmp_path / "pieces.parquet").read_bytes() == (tmp_path / "whole.parquet").read_bytes()


def test_encodings_are_delta_for_ids_and_times_and_dictionary_for_prices(tmp_path: Path) -> None:
    spec = dataset("trades")
    write_parquet(spec, pa.Table.from_batches([rows("trades", trade(1))]), tmp_path / "x.parquet", Metadata(dataset="trades"))
    group = pq.read_metadata(tmp_path / "x.parquet").row_group(0)
    encodings = {group.column(n).path_in_schema: group.column(n).encodings for n in range(group.num_columns)}
    assert "DELTA_BINARY_PACKED" in encodings["timestamp"]
    assert "DELTA_BYTE_ARRAY" in encodings["trade_id"]
    assert "RLE_DICTIONARY" in encodings["price"]
    assert group.column(0).compression == "ZSTD"


def test_rows_of_another_schema_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    table = pa.Table.from_batches([rows("trades", trade(1))])
    with pytest.raises(SchemaMismatch, match="'book_deltas' have columns"):
        write_parquet(dataset("book_deltas"), table, tmp_path / "x.parquet", Metadata(dataset="book_deltas"))


def test_a_file_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    def fails(path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        files.stage(tmp_path, str, fails)
    assert list(tmp_path.iterdir()) == []
