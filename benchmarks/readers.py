"""Readers in processes of their own, while parts roll and hours compact: never a duplicate, a drop or an error.

    python -m benchmarks.readers --rolls 50 --compactions 20

Three readers loop over `select count(*), count(distinct trade_id) from trades`: one is nothing but DuckDB and opens `lake.duckdb` anew
for each query, one is nothing but DuckDB and keeps it open until it is replaced, one asks through `lake.query` and so sees the log
too. Every answer is held against what had to be visible when it was asked and what could be when it was given. Prints one JSON
object; exit code 1 if anything was wrong.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from lake.catalog import condemn, publish
from lake.cleanup import remove_superseded
from lake.compact import compact_day, compact_hour
from lake.landing import Landing
from lake.paths import Home, Hour, PartName, parse_name
from lake.registry import dataset
from lake.settings import LakeSettings

ROOT = Path(__file__).resolve().parent.parent
START = 1_795_219_200_000_000
HOUR = 3_600_000_000
BATCH = 40

BARE = """
import json, sys, time, duckdb
catalog, progress, stop, rest, held = sys.argv[1], sys.argv[2], sys.argv[3], float(sys.argv[4]), sys.argv[5] == 'held'
from pathlib import Path
connection, opened = None, 0
while True:
    last = Path(stop).exists()
    if held and opened != (now := Path(catalog).stat().st_ino):
        if connection:
            connection.close()  # while it is open, the process would get the same database again
        connection, opened = duckdb.connect(catalog, read_only=True), now
    state = json.loads(Path(progress).read_text())
    asked = time.time_ns() // 1000
    reader = connection or duckdb.connect(catalog, read_only=True)
    count, unique = reader.execute('select count(*), count(distinct trade_id) from trades').fetchone()
    given = time.time_ns() // 1000
    if not held:
        reader.close()
    floor = max((rows for instant, rows in state['visible'] if instant <= asked), default=0)
    ceiling = json.loads(Path(progress).read_text())['acknowledged']
    print(json.dumps([floor, count, unique, ceiling, given - asked]), flush=True)
    if last:
        break
    time.sleep(rest)
"""

WITH_LOG = """
import json, sys, time
from pathlib import Path
from lake.paths import Home
from lake.query import run_sql
home, progress, stop, rest = Home(Path(sys.argv[1]).parent), sys.argv[2], sys.argv[3], float(sys.argv[4])
while True:
    last = Path(stop).exists()
    floor = json.loads(Path(progress).read_text())['acknowledged']
    asked = time.time_ns() // 1000
    answer = run_sql(home, 'select count(*) n, count(distinct trade_id) d from trades').table.to_pylist()[0]
    given = time.time_ns() // 1000
    ceiling = json.loads(Path(progress).read_text())['appending']
    print(json.dumps([floor, answer['n'], answer['d'], ceiling, given - asked]), flush=True)
    if last:
        break
    time.sleep(rest)
"""


@dataclass
class Progress:
    """What readers may rely on, in a file that is replaced whole."""

    path: Path
    appending: int = 0
    acknowledged: int = 0
    visible: list[tuple[int, int]] = field(default_factory=list)

    def tell(self) -> None:
        temporary = self.path.with_suffix(".new")
        temporary.write_text(json.dumps({"appending": self.appending, "acknowledged": self.acknowledged, "visible": self.visible}))
        temporary.replace(self.path)


def trades(first: int, count: int, *, hours: int) -> pa.RecordBatch:
    """Trades with consecutive ids, spread over `hours` hours; late ones among them."""
    numbers = range(first, first + count)
    times = [START + (number // 997 + number) % hours * HOUR + number for number in numbers]
    columns: dict[str, Any] = {
        "exchange": ["binance"] * count,
        "symbol": ["BTC/USDT" if number % 3 else "ETH/USDT" for number in numbers],
        "timestamp": times,
        "local_timestamp": times,
        "ordinal": list(numbers),
        "trade_id": [str(number) for number in numbers],
        "side": ["buy"] * count,
        "price": [100.0 + number % 50 for number in numbers],
        "amount": [1.0] * count,
        "fill_count": [1] * count,
        "source": ["stream"] * count,
        "clock_suspect": [False] * count,
    }
    return pa.RecordBatch.from_pydict(columns, schema=dataset("trades").schema)


def newest_instant(home: Home) -> int:
    """The latest instant of any part."""
    names = [parse_name(path.name) for path in (home.lake / "trades").glob("*/*/part-*")]
    return max((name.visible_from for name in names if isinstance(name, PartName)), default=0)


def write(home: Home, progress: Progress, options: argparse.Namespace) -> dict[str, Any]:
    """Append, roll, compact, republish and clean up until enough of each has happened."""
    settings = LakeSettings(home=home.root, visible_after_seconds=options.visible_after)
    landing = Landing(settings, "writer")
    compactor = ThreadPoolExecutor(max_workers=1)
    pending: list[Future[bool]] = []
    rolls = written = removed = 0

    def compact(number: int) -> bool:
        if number % 7 == 6:
            return compact_day(home, "trades", Hour(START + number % 2 * 24 * HOUR).date, visible_after=options.visible_after).written
        hour = Hour(START + number % options.hours * HOUR)
        return compact_hour(home, "trades", hour, visible_after=options.visible_after).written

    try:
        while rolls < options.rolls or written < options.compactions:
            for _ in range(5):
                batch = trades(progress.acknowledged, BATCH, hours=options.hours)
                progress.appending = progress.acknowledged + BATCH
                progress.tell()
                landing.append({"trades": batch})
                progress.acknowledged = progress.appending
                progress.tell()
            landing.roll()
            landing.wait_sealed()
            rolls += 1
            progress.visible.append((newest_instant(home), progress.acknowledged))
            progress.tell()
            if rolls % 2 == 0 or rolls >= options.rolls:
                pending.append(compactor.submit(compact, len(pending)))
            if rolls % 10 == 0:
                publish(home)
                removed += clean(home, options)
            written = sum(each.result() for each in pending if each.done())
            time.sleep(options.pause)
        written = sum(each.result() for each in pending)
    finally:
        compactor.shutdown()
        landing.drain_and_close()
    return {"rolls": rolls, "compactions": written, "rows": progress.acknowledged, "files_removed": removed}


def clean(home: Home, options: argparse.Namespace) -> int:
    """Remove superseded files as the catalog wants it: leave them out first, remove them when earlier queries have ended."""
    if not options.grace:
        return 0
    gone = condemn(home, remove_superseded(home, grace=options.grace, dry_run=True).files)
    time.sleep(options.linger if gone else 0)
    for path in gone:
        path.unlink()
    return len(gone)


def collect(process: subprocess.Popen[str], answers: list[list[int]]) -> threading.Thread:
    """Read the answers of a reader as they come, so that its pipe never fills."""

    def follow() -> None:
        assert process.stdout is not None
        answers.extend(json.loads(line) for line in process.stdout)

    thread = threading.Thread(target=follow)
    thread.start()
    return thread


def judge(answers: list[list[int]]) -> list[str]:
    """A sentence for each answer that cannot be right."""
    wrong = []
    former = 0
    for number, (floor, count, unique, ceiling, _) in enumerate(answers):
        if count != unique:
            wrong.append(f"answer {number} counts {count} rows but {unique} ids: duplicates")
        if count < floor:
            wrong.append(f"answer {number} counts {count} rows, {floor} were visible before it was asked")
        if count < former:
            wrong.append(f"answer {number} counts {count} rows, the one before {former}")
        if count > ceiling:
            wrong.append(f"answer {number} counts {count} rows, only {ceiling} were ever appended")
        former = count
    return wrong


def run(options: argparse.Namespace, root: Path) -> dict[str, Any]:
    """The whole run under a fresh home; the report."""
    home = Home(root / "home")
    publish(home)
    progress = Progress(root / "progress.json")
    progress.tell()
    stop = root / "stop"
    arguments = [str(home.catalog), str(progress.path), str(stop), str(options.rest)]
    programs = {
        "fresh connection": [BARE, *arguments, "fresh"],
        "held connection": [BARE, *arguments, "held"],
        "with log": [WITH_LOG, *arguments],
    }
    readers = {
        name: subprocess.Popen([sys.executable, "-c", *program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)
        for name, program in programs.items()
    }
    answers: dict[str, list[list[int]]] = {name: [] for name in readers}
    threads = [collect(process, answers[name]) for name, process in readers.items()]
    try:
        report = write(home, progress, options)
        while time.time_ns() // 1000 <= newest_instant(home):
            time.sleep(0.05)
    finally:
        stop.touch()
        for thread in threads:
            thread.join()
    report["readers"] = {}
    report["problems"] = []
    for name, process in readers.items():
        assert process.stderr is not None
        failure = process.stderr.read().strip()
        if process.wait() != 0 or failure:
            report["problems"].append(f"{name}: {failure.splitlines()[-1] if failure else process.returncode}")
        report["problems"] += [f"{name}: {sentence}" for sentence in judge(answers[name])]
        took = sorted(answer[4] / 1000 for answer in answers[name]) or [0.0]
        final = answers[name][-1][1] if answers[name] else 0
        if final != progress.acknowledged:
            report["problems"].append(f"{name}: the last answer counts {final} rows, {progress.acknowledged} were landed")
        report["readers"][name] = {
            "queries": len(answers[name]),
            "last_count": final,
            "median_ms": round(took[len(took) // 2], 1),
            "max_ms": round(took[-1], 1),
        }
    return report


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rolls", type=int, default=50)
    parser.add_argument("--compactions", type=int, default=20, help="compactions that wrote a file")
    parser.add_argument("--hours", type=int, default=4, help="hours the rows are spread over")
    parser.add_argument("--visible-after", type=float, default=0.4, help="seconds a file appears ahead of its instant")
    parser.add_argument("--grace", type=float, default=10.0, help="seconds until superseded files are removed; 0 keeps them")
    parser.add_argument("--linger", type=float, default=1.5, help="seconds in which earlier queries end")
    parser.add_argument("--pause", type=float, default=0.05, help="seconds between rolls")
    parser.add_argument("--rest", type=float, default=0.0, help="seconds between the queries of a reader")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="readers-") as root:
        report = run(options, Path(root))
    print(json.dumps(report, indent=2))
    return 1 if report["problems"] else 0


if __name__ == "__main__":
    sys.exit(main())
