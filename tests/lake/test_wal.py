from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from lake.errors import SchemaMismatch, WalError, WalLocked
from lake.paths import Home
from lake.registry import LANDED, dataset
from lake.wal import WalWriter, list_segments, open_segments, read_segment
from tests.lake.making import START, level, rows, trade


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def ids(table: pa.Table) -> list[str]:
    return table["trade_id"].to_pylist()


@pytest.mark.parametrize("name", LANDED)
def test_rows_of_every_dataset_come_back_as_they_went_in(home: Home, name: str) -> None:
    writer = WalWriter(home, "one")
    first = rows(name, {"timestamp": START}, {"timestamp": START + 1})
    second = rows(name, {"timestamp": START + 2})
    writer.append(name, first)
    writer.append(name, second)
    segment = writer.roll()[0]
    assert read_segment(segment.path).equals(pa.Table.from_batches([first, second]))
    assert segment.dataset == name


def test_a_segment_can_be_read_while_it_is_written(home: Home) -> None:
    writer = WalWriter(home, "one")
    writer.append("trades", rows("trades", trade(1)))
    path = list_segments(home)[0].path
    assert ids(read_segment(path)) == ["1"]
    writer.append("trades", rows("trades", trade(2), trade(3)))
    assert ids(read_segment(path)) == ["1", "2", "3"]


def test_truncation_at_every_byte_leaves_the_whole_batches_before_it(home: Home) -> None:
    writer = WalWriter(home, "one")
    ends = []
    for number in range(3):
        writer.append("trades", rows("trades", trade(number)))
        ends.append(writer.bytes)
    path = writer.roll()[0].path
    whole = path.read_bytes()
    assert len(whole) == ends[-1]
    for length in range(len(whole) + 1):
        path.write_bytes(whole[:length])
        complete = sum(end <= length for end in ends)
        assert ids(read_segment(path)) == [str(number) for number in range(complete)], f"cut at {length}"


@pytest.mark.parametrize("garbage", [b"\0" * 64, b"\xff" * 64, b"\xff\xff\xff\xff\x10\0\0\0" + b"x" * 40, os.urandom(512)])
def test_garbage_after_the_last_batch_is_cut(home: Home, garbage: bytes) -> None:
    writer = WalWriter(home, "one")
    writer.append("trades", rows("trades", trade(1), trade(2)))
    path = writer.roll()[0].path
    with path.open("ab") as file:
        file.write(garbage)
    assert ids(read_segment(path)) == ["1", "2"]


def test_a_write_that_fails_half_way_hides_no_later_batch(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = WalWriter(home, "one")
    writer.append("trades", rows("trades", trade(1)))
    real = os.write

    def full(descriptor: int, data: bytes) -> int:
        if len(data) < 100:
            raise OSError(28, "No space left on device")
        return real(descriptor, data[:100] if len(data) > 100 else data)

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(WalError, match="No space left"):
        writer.append("trades", rows("trades", trade(2)))
    monkeypatch.setattr(os, "write", real)
    writer.append("trades", rows("trades", trade(3)))
    assert ids(read_segment(writer.roll()[0].path)) == ["1", "3"]


def test_every_acknowledged_row_survives_kill_nine(home: Home) -> None:
    code = f"""
from pathlib import Path
from lake.paths import Home
from lake.wal import WalWriter
from tests.lake.making import rows, trade
writer = WalWriter(Home(Path({str(home.root)!r})), "one")
number = 0
while True:
    writer.append("trades", rows("trades", trade(number)))
    print(number, flush=True)
    number += 1
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])
    assert process.stdout is not None
    seen = [int(process.stdout.readline()) for _ in range(50)]
    process.send_signal(signal.SIGKILL)
    acknowledged = len(seen) + len(process.stdout.read().splitlines())
    process.stdout.close()
    process.wait()
    survived = ids(read_segment(list_segments(home)[0].path))
    assert len(survived) >= acknowledged
    assert survived == [str(number) for number in range(len(survived))]
    WalWriter(home, "one").close()


def test_a_second_writer_of_the_same_name_is_refused(home: Home) -> None:
    first = WalWriter(home, "one")
    with pytest.raises(WalLocked, match="already running"):
        WalWriter(home, "one")
    WalWriter(home, "two").close()
    first.close()
    WalWriter(home, "one").close()


def test_segment_numbers_only_grow(home: Home) -> None:
    numbers = []
    for _ in range(3):
        writer = WalWriter(home, "one")
        writer.append("trades", rows("trades", trade(1)))
        writer.append("book_deltas", rows("book_deltas", level(1)))
        numbers += [segment.number for segment in writer.roll()]
        writer.append("trades", rows("trades", trade(1)))
        numbers += [segment.number for segment in writer.roll()]
        writer.close()
        for segment in list_segments(home):
            segment.path.unlink()
    assert numbers == sorted(set(numbers))


def test_segment_numbers_grow_past_the_lake_when_counter_and_log_are_lost(home: Home) -> None:
    from lake.parts import seal_segment

    writer = WalWriter(home, "one")
    for _ in range(3):
        writer.append("trades", rows("trades", trade(1)))
        last = writer.roll()[0]
    seal_segment(home, last, visible_after=1)
    writer.close()
    (home.counters / "one").unlink()
    for segment in list_segments(home):
        segment.path.unlink()
    again = WalWriter(home, "one")
    again.append("trades", rows("trades", trade(1)))
    assert again.roll()[0].number > last.number


def test_rows_that_do_not_fit_are_refused_and_leave_nothing(home: Home) -> None:
    writer = WalWriter(home, "one")
    batch = rows("trades", trade(1))
    with pytest.raises(SchemaMismatch, match="columns"):
        writer.append("book_deltas", batch)
    with pytest.raises(SchemaMismatch, match="price as int64"):
        writer.append("trades", batch.set_column(7, "price", pa.array([1], pa.int64())))
    with pytest.raises(SchemaMismatch, match="1 nulls in price"):
        writer.append("trades", batch.set_column(7, "price", pa.array([None], pa.float64())))
    assert list_segments(home) == []


def test_a_segment_of_foreign_columns_is_an_error_not_an_empty_one(home: Home) -> None:
    writer = WalWriter(home, "one")
    writer.append("trades", rows("trades", trade(1)))
    path = writer.roll()[0].path
    foreign = path.parent.parent / "book_deltas" / path.name
    foreign.parent.mkdir()
    path.rename(foreign)
    with pytest.raises(WalError, match="has columns"):
        read_segment(foreign)


def test_only_segments_without_marker_are_open(home: Home) -> None:
    writer = WalWriter(home, "one")
    writer.append("trades", rows("trades", trade(1)))
    writer.append("book_deltas", rows("book_deltas", level(1)))
    first, second = writer.roll()
    first.marker.touch()
    assert open_segments(home, "one") == [second]
    assert list_segments(home) == [first, second]
    assert list_segments(home, dataset("trades").name) == [first]


def test_sync_reaches_the_medium_on_each_append(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    WalWriter(home, "one").append("trades", rows("trades", trade(1)))
    assert synced == []
    WalWriter(home, "two", sync=True).append("trades", rows("trades", trade(1)))
    assert len(synced) == 1


def test_a_name_that_cannot_be_a_file_name_is_refused(home: Home) -> None:
    with pytest.raises(WalError, match="allowed are"):
        WalWriter(home, "../other")
