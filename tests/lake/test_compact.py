from __future__ import annotations

import random
import threading
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lake import layout
from lake.compact import CompactionResult, compact_hour, hour_lock
from lake.derived import read_hour
from lake.errors import CompactionError, UnknownDataset
from lake.gather import Gathering
from lake.merge import is_sorted, merge_rows, sort_rows
from lake.parquet import Metadata, read_metadata, write_parquet
from lake.parts import seal_segment
from lake.paths import Home, Hour
from lake.registry import LANDED, dataset
from lake.visible import visible_files
from lake.wal import WalWriter
from tests.lake.making import HOUR, MINUTE, START, Clock, level, rows, trade

FIRST = Hour(START)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path)
    layout.ensure(home)
    return home


@pytest.fixture
def clock() -> Clock:
    return Clock()


def part(home: Home, clock: Clock, name: str, *given: dict[str, Any], collector: str = "one") -> Path:
    """A part with these rows that counts now."""
    writer = WalWriter(home, collector)
    writer.append(name, rows(name, *given))
    (segment,) = writer.roll()
    writer.close()
    (path,) = seal_segment(home, segment, visible_after=3, clock=clock)
    clock.advance(3)
    return path


def compacted(home: Home, clock: Clock, name: str, hour: Hour = FIRST) -> CompactionResult:
    """The result of compacting an hour, whose file counts now."""
    result = compact_hour(home, name, hour, visible_after=3, clock=clock, wait=clock.advance)
    clock.advance(3)
    return result


def table_of(result: CompactionResult) -> pa.Table:
    return pq.read_table(result.path, partitioning=None)


def test_all_parts_become_one_sorted_file_with_all_that_is_known_of_it(home: Home, clock: Clock) -> None:
    part(home, clock, "trades", trade(3, at=START + 30), trade(1, at=START + 10, symbol="ETH/USDT"))
    part(home, clock, "trades", trade(2, at=START + 20), exchange_trade("kraken", 9), collector="two")
    result = compacted(home, clock, "trades")
    table = table_of(result)
    assert table.schema.equals(dataset("trades").schema)
    assert list(zip(*(table[c].to_pylist() for c in ("exchange", "symbol", "trade_id")), strict=True)) == [
        ("binance", "BTC/USDT", "2"),
        ("binance", "BTC/USDT", "3"),
        ("binance", "ETH/USDT", "1"),
        ("kraken", "BTC/USDT", "9"),
    ]
    assert (result.written, result.rows, result.inputs) == (True, 4, ("one-00000001", "two-00000001"))
    assert result.bytes == result.path.stat().st_size
    assert [int(t.timestamp() * 1e6) - START for t in (result.first_time, result.last_time) if t] == [0, 30]
    assert [file.path for file in visible_files(home, "trades", at_us=clock.us)] == [result.path]


def exchange_trade(exchange: str, number: int) -> dict[str, Any]:
    return trade(number, exchange=exchange)


@pytest.mark.parametrize("name", LANDED)
def test_every_dataset_can_be_compacted(home: Home, clock: Clock, name: str) -> None:
    part(home, clock, name, {"timestamp": START + 2, "ordinal": 5}, {"timestamp": START + 1, "ordinal": 4})
    part(home, clock, name, {"timestamp": START + 2, "ordinal": 7})
    result = compacted(home, clock, name)
    assert is_sorted(dataset(name), table_of(result))
    assert result.rows + sum(result.duplicates.values()) == (3 if dataset(name).merge != "sum" else 2)


def test_nothing_new_writes_nothing(home: Home, clock: Clock) -> None:
    part(home, clock, "trades", trade(1))
    first = compacted(home, clock, "trades")
    again = compacted(home, clock, "trades")
    assert (again.written, again.path, again.rows, again.watermark) == (False, first.path, 1, first.watermark)


def test_late_rows_reopen_the_hour(home: Home, clock: Clock) -> None:
    part(home, clock, "trades", trade(1), trade(2))
    first = compacted(home, clock, "trades")
    late = part(home, clock, "trades", trade(2), trade(3))
    second = compacted(home, clock, "trades")
    assert second.written
    assert table_of(second)["trade_id"].to_pylist() == ["1", "2", "3"]
    assert second.duplicates == {("binance", "BTC/USDT"): 1}
    assert second.watermark > first.watermark
    assert first.path.exists()
    assert late.exists()
    assert [file.path for file in visible_files(home, "trades", at_us=clock.us)] == [second.path]


def test_a_part_that_does_not_count_yet_is_left_for_the_next_time(home: Home, clock: Clock) -> None:
    part(home, clock, "trades", trade(1))
    clock.advance(-0.001)
    assert compact_hour(home, "trades", FIRST, visible_after=3, clock=clock).rows == 0
    clock.advance(4)
    assert compacted(home, clock, "trades").rows == 1


def test_an_hour_without_parts_becomes_an_empty_file_of_watermark_zero(home: Home, clock: Clock) -> None:
    result = compacted(home, clock, "book_deltas")
    assert (result.written, result.rows, result.watermark, result.first_time, result.duplicates) == (True, 0, 0, None, {})
    assert not compacted(home, clock, "book_deltas").written
    part(home, clock, "book_deltas", level(1))
    assert compacted(home, clock, "book_deltas").rows == 1


def test_the_stream_row_is_kept_over_rest_and_the_earliest_of_several(home: Home, clock: Clock) -> None:
    part(home, clock, "trades", trade(1, source="rest", local_timestamp=START, price=1.0))
    part(home, clock, "trades", trade(1, local_timestamp=START + 9, price=9.0))
    part(home, clock, "trades", trade(1, local_timestamp=START + 5, price=5.0), collector="two")
    result = compacted(home, clock, "trades")
    assert table_of(result)["price"].to_pylist() == [5.0]
    assert result.duplicates == {("binance", "BTC/USDT"): 2}


def test_a_healed_gap_completes_the_open_one_in_whatever_order_they_come(home: Home, clock: Clock) -> None:
    opened = {"local_timestamp": START + 1, "ordinal": 1, "from_time": START, "from_sequence": 4}
    healed = {**opened, "to_time": START + 9, "healed_at": START + 9, "healed_by": "snapshot", "from_sequence": None}
    part(home, clock, "gaps", healed)
    part(home, clock, "gaps", opened, collector="two")
    (row,) = table_of(compacted(home, clock, "gaps")).to_pylist()
    assert (row["healed_by"], row["from_sequence"]) == ("snapshot", 4)


def test_messages_of_one_instant_complete_each_other(home: Home, clock: Clock) -> None:
    key = {"timestamp": START, "local_timestamp": START}
    part(home, clock, "derivatives", {**key, "ordinal": 1, "funding_rate": 0.1, "mark_price": 1.0})
    part(home, clock, "derivatives", {**key, "ordinal": 2, "open_interest": 7.0, "mark_price": 2.0})
    (row,) = table_of(compacted(home, clock, "derivatives")).to_pylist()
    assert (row["funding_rate"], row["open_interest"], row["mark_price"]) == (0.1, 7.0, 2.0)


def test_minutes_of_the_ledger_add_up(home: Home, clock: Clock) -> None:
    for frames in (3, 4, 5):
        part(home, clock, "ledger", {"timestamp": START, "frames": frames, "discard_reason": ""})
        result = compacted(home, clock, "ledger")
    (row,) = table_of(result).to_pylist()
    assert (row["frames"], row["control"]) == (12, 3)
    assert result.duplicates == {}


def test_an_unreadable_part_fails_only_itself_and_is_tried_again(home: Home, clock: Clock) -> None:
    part(home, clock, "trades", trade(1))
    broken = part(home, clock, "trades", trade(2), collector="two")
    whole = broken.read_bytes()
    broken.write_bytes(whole[:100] + b"\0" * 50 + whole[150:])
    part(home, clock, "trades", trade(3))
    result = compacted(home, clock, "trades")
    assert table_of(result)["trade_id"].to_pylist() == ["1", "3"]
    assert result.inputs == ("one-00000001", "one-00000002") or len(result.inputs) == 2
    assert "two-00000001" not in result.inputs
    assert len(result.problems) == 1
    assert str(broken) in result.problems[0]
    again = compacted(home, clock, "trades")
    assert (again.written, len(again.problems)) == (False, 1)
    broken.write_bytes(whole)
    healed = compacted(home, clock, "trades")
    assert (healed.problems, table_of(healed)["trade_id"].to_pylist()) == ((), ["1", "2", "3"])


def test_a_part_that_is_no_parquet_file_fails_only_itself(home: Home, clock: Clock) -> None:
    part(home, clock, "trades", trade(1)).write_bytes(b"nothing")
    part(home, clock, "trades", trade(2))
    result = compacted(home, clock, "trades")
    assert (result.rows, len(result.problems)) == (1, 1)


def test_an_unreadable_hour_file_is_an_error_that_names_it(home: Home, clock: Clock) -> None:
    part(home, clock, "trades", trade(1))
    first = compacted(home, clock, "trades")
    first.path.write_bytes(b"nothing")
    read_metadata.cache_clear()
    part(home, clock, "trades", trade(2))
    with pytest.raises(CompactionError, match=first.path.name):
        compacted(home, clock, "trades")
    assert not list(first.path.parent.glob(".tmp-*"))


def test_an_unknown_dataset_is_refused_with_the_known_ones(home: Home) -> None:
    with pytest.raises(UnknownDataset, match="trades, book_deltas"):
        compact_hour(home, "trade", FIRST, visible_after=3)


def test_compactions_of_one_hour_wait_for_each_other(home: Home, clock: Clock) -> None:
    part(home, clock, "trades", trade(1))
    results: list[CompactionResult] = []

    def work() -> None:
        results.append(compact_hour(home, "trades", FIRST, visible_after=3, clock=clock))

    threads = [threading.Thread(target=work) for _ in range(4)]
    with hour_lock(home, "trades", FIRST):
        for thread in threads:
            thread.start()
        assert not list(home.hour_dir("trades", FIRST).glob("hour-*"))
    for thread in threads:
        thread.join()
    assert sorted(result.written for result in results) == [False, False, False, True]
    assert len(list(home.hour_dir("trades", FIRST).glob("hour-*"))) == 1


@pytest.mark.parametrize("name", ["trades", "book_deltas"])
@pytest.mark.parametrize("stretch", [1, 10, 1_000_000])
def test_gathering_in_stretches_gives_all_rows_in_order(tmp_path: Path, name: str, stretch: int) -> None:
    spec, make, chance = dataset(name), trade if name == "trades" else level, random.Random(3)
    every, paths = [], []
    for number in range(5):
        given = [
            make(
                number * 100 + n,
                at=START + chance.randrange(2 * HOUR),
                symbol=f"S{chance.choice([0, 0, 0, 1, 2])}",
                exchange=chance.choice("ab"),
            )
            for n in range(15)
        ]
        table = sort_rows(spec, pa.Table.from_batches([rows(name, *given)]))
        every.append(table)
        paths.append(tmp_path / f"{number}.parquet")
        write_parquet(spec, table, paths[-1], Metadata(dataset=name))
    gathering = Gathering(spec, paths, stretch_rows=stretch)
    gathered = pa.concat_tables([sort_rows(spec, pa.concat_tables(tables).combine_chunks()) for _, tables in gathering.tables() if tables])
    assert gathering.rows == 75
    assert gathered.combine_chunks().equals(sort_rows(spec, pa.concat_tables(every).combine_chunks()))


def test_a_large_hour_is_compacted_slice_by_slice_into_the_same_file(
    home: Home, clock: Clock, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for number in range(6):
        part(home, clock, "book_deltas", *(level(number * 50 + n, at=START + number * MINUTE + n) for n in range(50)))
    monkeypatch.setattr(Gathering.__init__, "__kwdefaults__", {"stretch_rows": 70})
    sliced = compacted(home, clock, "book_deltas")
    assert len(Gathering(dataset("book_deltas"), [sliced.path]).stretches()) > 2
    monkeypatch.undo()
    sliced_bytes = sliced.path.read_bytes()
    sliced.path.unlink()
    whole = compacted(home, clock, "book_deltas")
    assert whole.path.read_bytes() == sliced_bytes


@pytest.mark.parametrize("name", ["trades", "derivatives", "ledger", "gaps", "book_snapshots", "liquidations"])
def test_merging_gives_the_same_rows_in_whatever_order_and_grouping_they_come(name: str) -> None:
    spec, chance = dataset(name), random.Random(11)
    for _ in range(20):
        given = [
            {
                "timestamp": START + chance.randrange(2),
                "local_timestamp": START + chance.randrange(3),
                "from_time": START,
                "ordinal": number,
                "trade_id": str(chance.randrange(3)),
                "liquidation_id": str(chance.randrange(3)),
                "source": chance.choice(["stream", "rest"]),
                "frames": chance.randrange(9),
            }
            for number in range(12)
        ]
        whole, duplicates = merge_rows(spec, pa.Table.from_batches([rows(name, *given)]))
        chance.shuffle(given)
        left, some = merge_rows(spec, pa.Table.from_batches([rows(name, *given[:5])]))
        right, more = merge_rows(spec, pa.Table.from_batches([rows(name, *given[5:])]))
        both, rest = merge_rows(spec, pa.concat_tables([right, left]).combine_chunks())
        assert both.equals(whole)
        assert sum(sum(each.values()) for each in (some, more, rest)) == sum(duplicates.values())


def test_reading_an_hour_is_the_same_before_and_after_compaction(home: Home, clock: Clock) -> None:
    part(home, clock, "trades", trade(2), trade(1))
    part(home, clock, "trades", trade(1), trade(3))
    before, mark = read_hour(home, "trades", FIRST, at_us=clock.us)
    compacted(home, clock, "trades")
    after, same = read_hour(home, "trades", FIRST, at_us=clock.us)
    assert after.equals(before)
    assert same == mark
