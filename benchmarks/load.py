"""Every simulated exchange at once for minutes: what is lost, what the collector weighs, and what share of a core it takes.

    python -m benchmarks.load [--minutes 10] [--rate 5000] [--symbols 20] [--exchanges binance,okx]

Simulator and collector are processes of their own, the simulator pinned to nothing: on two cores they share the machine with
whoever else is there. Prints a line each half minute and one JSON object at the end; exit code 1 if a trade is missing or doubled,
a frame unaccounted for, or a gap was opened.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import psutil

from collectors import status
from lake.paths import Home
from lake.query import run_sql
from simulator.venues import VENUES

ROOT = Path(__file__).resolve().parent.parent
SAMPLE_SECONDS = 5.0
WARM_SECONDS = 60.0
"""Buffers, books and caches fill for a minute; memory is called flat from then on."""


def chosen(exchange: str, count: int) -> list[str]:
    """`count` symbols of an exchange, its markets in turn."""
    markets: dict[str, list[str]] = {}
    for item in VENUES[exchange].catalogue:
        markets.setdefault(item.market, []).append(item.symbol)
    turns = [symbol for row in zip(*markets.values(), strict=False) for symbol in row]
    rest = [symbol for symbols in markets.values() for symbol in symbols if symbol not in turns]
    return [*turns, *rest][:count]


class Processes:
    """The simulator and the collector."""

    def __init__(self, root: Path, symbols: Mapping[str, Sequence[str]], *, rate: float) -> None:
        self.home = Home(root / "home")
        self.ledger = root / "ledger"
        named = sorted({symbol for each in symbols.values() for symbol in each})
        command = [sys.executable, "-m", "simulator", "serve", "--rate", str(rate), "--ledger", str(self.ledger)]
        command += ["--exchanges", ",".join(symbols), "--symbols", ",".join(named)]
        self.simulator = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        assert self.simulator.stdout is not None
        ready = json.loads(self.simulator.stdout.readline())
        self.port = ready["port"]
        config = root / "tickhouse.toml"
        lines: list[str] = []
        for exchange, endpoints in ready["endpoints"].items():
            lines += [f"[exchanges.{exchange}]", f"symbols = {json.dumps(list(symbols[exchange]))}", f"[exchanges.{exchange}.endpoints]"]
            lines += [f"{key} = {json.dumps(url)}" for key, url in endpoints.items()]
        config.write_text("\n".join(lines) + "\n")
        self.log = root / "collector.log"
        with self.log.open("w") as log:
            collect = [sys.executable, "-m", "collectors", "--home", str(self.home.root), "--config", str(config)]
            environment = {**os.environ, "TICKHOUSE_LOG_FORMAT": "json"}
            self.collector = subprocess.Popen(collect, stderr=log, cwd=ROOT, env=environment)
        self.weighed = psutil.Process(self.collector.pid)
        self.pretending = psutil.Process(self.simulator.pid)

    def stats(self) -> Any:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/control/stats", timeout=30) as answer:
            return json.loads(answer.read())

    def end(self) -> tuple[int, int]:
        """Stop the simulator, then the collector; their exit codes."""
        self.simulator.send_signal(signal.SIGTERM)
        pretended = self.simulator.wait(60)
        time.sleep(1.0)
        self.collector.send_signal(signal.SIGTERM)
        return pretended, self.collector.wait(120)

    def kill(self) -> None:
        for process in (self.simulator, self.collector):
            if process.poll() is None:
                process.kill()
                process.wait()


def seconds_of(process: psutil.Process) -> float:
    """Processor seconds so far."""
    times = process.cpu_times()
    return float(times.user + times.system)


def watch(processes: Processes, minutes: float) -> dict[str, Any]:
    """Sample memory, processor time and message counts until the time is over."""
    began = time.monotonic()
    samples: list[tuple[float, float, float, int, float]] = []
    told = began
    while True:
        time.sleep(SAMPLE_SECONDS)
        state = status.read(processes.home, "main")
        frames = sum(each.frames for each in state.connections) if state else 0
        waited = state.wal.append_wait_seconds if state else 0.0
        now = time.monotonic() - began
        samples.append((now, processes.weighed.memory_info().rss / 2**20, seconds_of(processes.weighed), frames, waited))
        if time.monotonic() - told >= 30 and len(samples) > 6:
            told = time.monotonic()
            before = samples[-7]
            span = now - before[0]
            rate, share = (frames - before[3]) / span, (samples[-1][2] - before[2]) / span
            print(f"{now:5.0f} s: {rate:6,.0f} frames/s, {share:6.1%} of a core, {samples[-1][1]:4.0f} MiB", file=sys.stderr, flush=True)
        if now >= minutes * 60:
            break
    warm = [sample for sample in samples if sample[0] >= min(WARM_SECONDS, minutes * 30)]
    span = warm[-1][0] - warm[0][0]
    third = max(1, len(warm) // 3)
    return {
        "minutes": round(now / 60, 2),
        "frames_per_second": round((warm[-1][3] - warm[0][3]) / span),
        "core_share": round((warm[-1][2] - warm[0][2]) / span, 3),
        "simulator_core_share": round(seconds_of(processes.pretending) / now, 3),
        "rss_mib": {
            "first_third": round(statistics.median(sample[1] for sample in warm[:third])),
            "last_third": round(statistics.median(sample[1] for sample in warm[-third:])),
            "peak": round(max(sample[1] for sample in samples)),
        },
        "append_wait_seconds": {
            "median": round(statistics.median(sample[4] for sample in warm), 3),
            "worst": max(sample[4] for sample in warm),
        },
    }


def compare(processes: Processes) -> dict[str, Any]:
    """The simulator's ledger against what landed: trades by published id, from the first of each symbol that landed on."""
    landed = run_sql(processes.home, "select exchange, symbol, trade_id, amount, timestamp from trades").table
    database = duckdb.connect()
    database.register("landed", landed)
    database.execute(
        """
        create view published as
        select exchange, symbol, wire_id, sum(amount) as amount, min(time_us) as time_us, bool_or(delivered) as delivered,
               any_value(side) as side, any_value(price) as price
        from read_json(?, format = 'newline_delimited', columns = {exchange: 'varchar', symbol: 'varchar', wire_id: 'varchar',
             amount: 'double', time_us: 'bigint', delivered: 'boolean', side: 'varchar', price: 'double'})
        where wire_id <> '' group by exchange, symbol, wire_id
        """.replace("?", f"'{processes.ledger / 'trades.jsonl'}'")
    )
    missing = database.execute(
        """
        with since as (select exchange, symbol, min(epoch_us(timestamp)) as first from landed group by all)
        select p.exchange, count(*) from published p join since using (exchange, symbol)
        where p.delivered and p.time_us >= since.first
          and not exists (select 1 from landed l where l.exchange = p.exchange and l.symbol = p.symbol and l.trade_id = p.wire_id)
        group by p.exchange
        """
    ).fetchall()
    doubled = database.execute("select count(*) - count(distinct (exchange, symbol, trade_id)) from landed").fetchone()
    different = database.execute(
        """
        select count(*) from landed l join published p on (l.exchange, l.symbol, l.trade_id) = (p.exchange, p.symbol, p.wire_id)
        where abs(l.amount - p.amount) > 1e-9 * greatest(1.0, p.amount)
        """
    ).fetchone()
    counted = run_sql(
        processes.home,
        """
        select sum(frames)::bigint as frames, sum(dead_letters)::bigint as dead_letters,
               count(*) filter (frames <> control + ignored + decoded + dead_letters) as unbalanced from ledger where dataset = ''
        """,
    ).table.to_pylist()[0]
    gaps = run_sql(
        processes.home,
        "select exchange, channel, kind, count(distinct (symbol, from_time)) as n from gaps where healed_at is not null group by all",
    ).table.to_pylist()
    rows = {
        name: run_sql(processes.home, f"select count(*) as n from {name}").table.to_pylist()[0]["n"]
        for name in ("trades", "book_deltas", "book_snapshots", "liquidations", "derivatives")
    }
    assert doubled is not None
    assert different is not None
    return {
        "rows": rows,
        "missing": dict(missing),
        "doubled": doubled[0],
        "different": different[0],
        "gaps": gaps,
        **counted,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--rate", type=float, default=5000.0)
    parser.add_argument("--symbols", type=int, default=20)
    parser.add_argument("--exchanges", default=",".join(VENUES))
    options = parser.parse_args()
    symbols = {name: chosen(name, options.symbols) for name in options.exchanges.split(",")}
    with tempfile.TemporaryDirectory(prefix="tickhouse-load-") as root:
        processes = Processes(Path(root), symbols, rate=options.rate)
        try:
            measured = watch(processes, options.minutes)
            codes = processes.end()
            found = compare(processes)
        finally:
            processes.kill()
    result = {
        "exchanges": len(symbols),
        "symbols": {name: len(each) for name, each in symbols.items()},
        "cores": os.cpu_count(),
        **measured,
        **found,
        "exit_codes": codes,
    }
    print(json.dumps(result, indent=2))
    bad = found["missing"] or found["doubled"] or found["different"] or found["gaps"] or found["unbalanced"] or codes != (0, 0)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
