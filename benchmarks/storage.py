"""Bytes and rows a second of recorded trades and book levels in each tier of the lake, beside a csv.gz of the very same rows.

    python benchmarks/storage.py [--recording FILE ...] [--busy-hour ROWS]

The rows of Binance USD-M recordings go the way live rows go: log, parts of 45 s, hour, day. `--busy-hour` also compacts an hour of that
many book levels (recorded ones, repeated over the hour, in the parts of 80 rolls) in a process of its own and prints its peak memory.
Recordings are looked for in TICKHOUSE_RECORDINGS, by default ../shared/recordings.
"""

from __future__ import annotations

import argparse
import gzip
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from collectors.decode import decode
from lake import layout
from lake.compact import compact_day, compact_hour
from lake.parts import seal_segment
from lake.paths import Home, Hour
from lake.registry import TIMESTAMP, dataset
from lake.visible import hour_numbers
from lake.wal import WalWriter

RECORDINGS = (
    "binance/usdm_btcusdt_depth_trade_bookticker_20240808.jsonl.gz",
    "binance/usdm_btcusdt_depth_trade_bookticker_20240718.jsonl.gz",
    "binance/usdm_btcusdt_depth_trade_markprice_20230404.jsonl.gz",
)
AIMS = {"trades": 5.7, "book_deltas": 4.3}
ROLL_US = 45_000_000
FLUSH_ROWS = 2_000


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    began = time.perf_counter()
    return work(), time.perf_counter() - began


def land(home: Home, name: str, table: pa.Table) -> tuple[int, float, float]:
    """Append and seal as a collector would; bytes of the log, seconds in the log, seconds in sealing."""
    spec = dataset(name)
    rolls = np.asarray(table["local_timestamp"].cast(pa.int64())) // ROLL_US
    writer = WalWriter(home, "bench")
    logged = sealing = 0.0
    size = 0
    for roll in np.unique(rolls):
        batches = table.filter(pa.array(rolls == roll)).combine_chunks().to_batches(max_chunksize=FLUSH_ROWS)
        began = time.perf_counter()
        for batch in batches:
            writer.append(name, pa.RecordBatch.from_arrays(batch.columns, schema=spec.schema))
        logged += time.perf_counter() - began
        for segment in writer.roll():
            size += segment.path.stat().st_size
            _, seconds = timed(lambda segment=segment: seal_segment(home, segment, visible_after=0.2))
            sealing += seconds
    writer.close()
    return size, logged, sealing


def gzip_csv(table: pa.Table, path: Path) -> None:
    with gzip.open(path, "wb", compresslevel=6) as file:
        pyarrow.csv.write_csv(table, file)


def measure(name: str, table: pa.Table, root: Path) -> None:
    """Print one line a tier: bytes a row, rows a second."""
    home = Home(root / name)
    layout.ensure(home)
    spec = dataset(name)
    rows = table.num_rows

    def line(tier: str, size: float, seconds: float, note: str = "") -> None:
        print(f"  {name:12} {tier:16} {size / rows:7.2f} bytes/row {rows / seconds / 1e6:7.2f} M rows/s  {note}")

    logged, appending, sealing = land(home, name, table)
    hours = [Hour(int(number) * 3_600_000_000) for number in np.unique(hour_numbers(table, spec.time_column))]
    parts = [path for hour in hours for path in home.hour_dir(name, hour).glob("part-*")]
    line("log", logged, appending)
    line(f"parts ({len(parts)})", sum(path.stat().st_size for path in parts), sealing, "sorted, zstd 1")
    time.sleep(0.25)
    compacted, seconds = timed(lambda: [compact_hour(home, name, hour, visible_after=0.2) for hour in hours])
    held = sum(result.rows for result in compacted) + sum(sum(result.duplicates.values()) for result in compacted)
    assert held == rows, f"{held} rows in the hours, expected {rows}"
    aim = AIMS[name]
    line("hours", sum(result.bytes for result in compacted), seconds, f"aim at most {aim}")
    day, seconds = timed(lambda: compact_day(home, name, hours[-1].date, visible_after=0.2))
    print(f"  {name:12} {'day':16} {day.bytes / day.rows:7.2f} bytes/row {day.rows / seconds / 1e6:7.2f} M rows/s  aim at most {aim}")
    _, seconds = timed(lambda: gzip_csv(table, root / "peer.csv.gz"))
    line("csv.gz", (root / "peer.csv.gz").stat().st_size, seconds, "the peer, gzip 6")
    _, seconds = timed(lambda: pq.write_table(table, root / "peer.parquet", compression="zstd"))
    line("plain Parquet", (root / "peer.parquet").stat().st_size, seconds, "pyarrow's defaults, zstd")


def peak_megabytes() -> float:
    """Peak resident memory of this process since it began its program."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return float(status.split("VmHWM:")[1].split()[0]) / 1024


def busy_hour(source: Path, root: Path, rows: int) -> None:
    """Compact an hour of `rows` book levels of one symbol and print seconds and peak memory; runs in a process of its own."""
    before = peak_megabytes()
    home = Home(root)
    result, seconds = timed(lambda: compact_hour(home, "book_deltas", Hour.of(1_795_219_200_000_000), visible_after=0.2))
    peak = peak_megabytes()
    assert result.rows == rows, f"{result.rows} rows in the hour, expected {rows}"
    print(
        f"  an hour of {result.rows:,} book levels of one symbol: {seconds:.1f} s, {result.rows / seconds / 1e6:.2f} M rows/s, "
        f"{result.bytes / result.rows:.2f} bytes/row, peak memory {peak:,.0f} MB ({before:,.0f} MB before)"
    )


def lay_busy_hour(source: Path, root: Path, rows: int) -> None:
    """80 parts of one hour, each of recorded levels moved into its 45 s."""
    home = Home(root)
    layout.ensure(home)
    spec = dataset("book_deltas")
    table = pq.read_table(source).cast(spec.schema).combine_chunks()
    writer = WalWriter(home, "bench")
    for roll in range(80):
        count = rows * (roll + 1) // 80 - rows * roll // 80
        taken = table.take(pa.array(np.arange(count) % table.num_rows))
        times = 1_795_219_200_000_000 + roll * ROLL_US + np.arange(count) * (ROLL_US - 1) // max(count, 1)
        ordinals = np.arange(count) + rows * roll // 80
        for name, values in (("local_timestamp", pa.array(times).cast(TIMESTAMP)), ("ordinal", pa.array(ordinals))):
            taken = taken.set_column(spec.schema.names.index(name), spec.schema.field(name), values)
        for batch in taken.combine_chunks().to_batches(max_chunksize=50_000):
            writer.append("book_deltas", pa.RecordBatch.from_arrays(batch.columns, schema=spec.schema))
        for segment in writer.roll():
            seal_segment(home, segment, visible_after=0.2)
            segment.path.unlink()
    writer.close()
    time.sleep(0.25)


def apart(work: Callable[..., None], *arguments: object) -> None:
    """Run in a fresh process, so that its peak memory is its own."""
    process = multiprocessing.get_context("spawn").Process(target=work, args=arguments)
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit(process.exitcode)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0] if __doc__ else None)
    parser.add_argument("--recording", type=Path, action="append", help="a Binance recording; may be given several times")
    parser.add_argument("--busy-hour", type=int, default=0, metavar="ROWS", help="also compact an hour of so many book levels")
    options = parser.parse_args()
    named = os.environ.get("TICKHOUSE_RECORDINGS")
    root = Path(named) if named else Path(__file__).resolve().parents[2] / "shared" / "recordings"
    with tempfile.TemporaryDirectory() as scratch:
        decoded = Path(scratch)
        for number, recording in enumerate(options.recording or [root / name for name in RECORDINGS]):
            place = decoded / str(number)
            decode("binance", [recording], out=place)
            print(recording.name)
            for name in AIMS:
                measure(name, pq.read_table(place / f"{name}.parquet").cast(dataset(name).schema), place)
        if options.busy_hour:
            print("busy hour")
            source = decoded / "0" / "book_deltas.parquet"
            apart(lay_busy_hour, source, decoded / "busy", options.busy_hour)
            apart(busy_hour, source, decoded / "busy", options.busy_hour)


if __name__ == "__main__":
    main()
