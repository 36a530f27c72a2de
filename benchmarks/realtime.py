"""The running minute in the view `candles` while the simulator runs: how soon it changes, and what that costs.

    python -m benchmarks.realtime [--seconds 75]

A simulated venue, a collector beside it, and readers: `tickhouse sql` started anew again and again (it reads the log too), what it runs
in this process (without the seconds a busy machine takes to start Python), and plain DuckDB on `lake.duckdb`. Then the collector stops,
the hour is materialised, and the last whole minute that was seen live is compared with the stored candle. From trade to printed row is
the age of the newest trade in the row when `tickhouse sql` has ended. Prints one JSON object with the load average; exit
code 1 where the minute stood still for longer than 2 s (65 s plain), or differs.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Final

import duckdb

from lake.catalog import publish
from lake.paths import Hour
from lake.query import run_sql
from lake.settings import LakeSettings
from orchestration.run import materialize_range
from orchestration.simulation import live_market, write_config

SYMBOL: Final = "BTC/USDT"
LATEST: Final = f"SELECT epoch_us(timestamp) AS opened, trade_count FROM {{}} WHERE symbol = '{SYMBOL}' ORDER BY timestamp DESC LIMIT 1"
NOW_SQL: Final = LATEST.format("candles_now('1m')")
PRINTED_SQL: Final = (
    f"SELECT *, (SELECT epoch_us(max(timestamp)) FROM trades WHERE symbol = '{SYMBOL}' AND date >= current_date - 1) AS traded "
    f"FROM ({NOW_SQL})"
)
"""The running minute, and when the newest trade in it happened."""
EXACT: Final = "open, high, low, close, trade_count"
SUMS: Final = "volume, quote_volume, buy_volume, sell_volume, vwap"


@dataclass(slots=True)
class Watched:
    """Answers of one reader, and the longest time between two that differ: from one change being answered to the next."""

    answers: int = 0
    last: object = None
    changed_at: float = 0.0
    longest: float = 0.0
    seconds: list[float] = field(default_factory=list)

    def look(self, ask: Callable[[], object]) -> None:
        """Ask once."""
        begun = time.monotonic()
        answer = ask()
        ended = time.monotonic()
        self.seconds.append(ended - begun)
        self.answers += 1
        if answer != self.last:
            if self.changed_at:
                self.longest = max(self.longest, ended - self.changed_at)
            self.last, self.changed_at = answer, ended

    @property
    def figures(self) -> dict[str, Any]:
        return {
            "answers": self.answers,
            "longest_without_change_s": round(self.longest, 2),
            "median_query_s": round(median(self.seconds), 3),
        }


def main() -> int:
    """Run it and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=75)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as root:
        found = watch(Path(root), options.seconds)
    print(json.dumps(found, indent=1))
    fresh = found["same_in_process"]["longest_without_change_s"] <= 2 and found["plain_duckdb"]["longest_without_change_s"] <= 65
    return 0 if fresh and found["live_minute_equals_stored"] else 1


def watch(root: Path, seconds: float) -> dict[str, Any]:
    """The live part, then the comparison."""
    settings = LakeSettings(home=root / "home")
    catalog = publish(settings.house)
    ours, command, plain = Watched(), Watched(), Watched()
    ages: list[float] = []
    load_before = os.getloadavg()[0]
    with live_market(arguments=["--exchanges", "binance", "--rate", "200"]) as market:
        config = root / "tickhouse.toml"
        write_config(config, market, {"binance": [SYMBOL]})
        arguments = ["--home", str(settings.home), "--config", str(config), "--collector", "live"]
        collector = subprocess.Popen([sys.executable, "-m", "collectors", *arguments], stderr=subprocess.DEVNULL)
        try:
            wait_for_trades(settings)
            ends = time.monotonic() + seconds
            while time.monotonic() < ends:
                ours.look(lambda: with_log(settings))
                plain.look(lambda: plain_duckdb(catalog))
            for _ in range(7):
                command.look(lambda: printed(settings, ages))
        finally:
            collector.send_signal(signal.SIGTERM)
            collector.wait(timeout=60)
    time.sleep(settings.visible_after_seconds + 1)
    minute = with_log(settings)[0]["opened"] - 60_000_000
    live = candle(catalog, "candles_now('1m')", minute)
    live_cost = cost(catalog, "candles_now('1m')"), cost(catalog, "candles")
    running = Hour.of(minute)
    summary = materialize_range(settings, ["trades", "candles_1m"], running, running)
    time.sleep(settings.visible_after_seconds + 1)
    stored = candle(catalog, "candles_1m", minute)
    return {
        "load_average": {"before": round(load_before, 2), "after": round(os.getloadavg()[0], 2), "cores": os.cpu_count()},
        "median_seconds_from_trade_to_printed_row": round(median(ages), 2),
        "tickhouse_sql": command.figures,
        "same_in_process": ours.figures,
        "plain_duckdb": plain.figures,
        "live_minute_equals_stored": summary.success and alike(live, stored),
        "seconds_of_the_latest_candle": {
            "candles_now, from trades": live_cost[0],
            "candles, from trades": live_cost[1],
            "candles_now, materialised": cost(catalog, "candles_now('1m')"),
            "candles, materialised": cost(catalog, "candles"),
            "candles_1m, materialised alone": cost(catalog, "candles_1m"),
        },
    }


def wait_for_trades(settings: LakeSettings) -> None:
    """Until the first candle is there."""
    ends = time.monotonic() + 60
    while not with_log(settings):
        if time.monotonic() > ends:
            message = "no trade came within a minute, expected the simulated market to trade"
            raise TimeoutError(message)
        time.sleep(0.2)


def with_log(settings: LakeSettings) -> list[dict[str, Any]]:
    """The answer of what `tickhouse sql` runs, in this process."""
    rows: list[dict[str, Any]] = run_sql(settings.house, NOW_SQL).table.to_pylist()
    return rows


def printed(settings: LakeSettings, ages: list[float]) -> tuple[object, object]:
    """The candle the command line prints; the age of its newest trade by then goes to `ages`."""
    row = json.loads(tickhouse_sql(settings))
    ages.append(time.time() - row["traded"] / 1_000_000)
    return row["opened"], row["trade_count"]


def tickhouse_sql(settings: LakeSettings) -> str:
    """The answer of the command line, in a process of its own."""
    program = "import sys; from orchestration.cli.app import main; sys.exit(main())"
    arguments = ["sql", PRINTED_SQL, "--home", str(settings.home), "--format", "json"]
    return subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True).stdout


def plain_duckdb(catalog: Path, sql: str = NOW_SQL) -> list[tuple[Any, ...]]:
    """The answer of DuckDB alone, opened anew."""
    with duckdb.connect(str(catalog), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def candle(catalog: Path, source: str, minute: int) -> tuple[Any, ...]:
    """One candle of the symbol: what must be equal, then the sums."""
    sql = f"SELECT {EXACT}, {SUMS} FROM {source} WHERE symbol = '{SYMBOL}' AND epoch_us(timestamp) = {minute}"
    return plain_duckdb(catalog, sql)[0]


def alike(live: tuple[Any, ...], stored: tuple[Any, ...]) -> bool:
    """Prices and counts equal, sums to 1e-12."""
    exact = len(EXACT.split(","))
    return live[:exact] == stored[:exact] and all(
        math.isclose(one, other, rel_tol=1e-12) for one, other in zip(live[exact:], stored[exact:], strict=True)
    )


def cost(catalog: Path, source: str) -> float:
    """Seconds of the latest candle, median of seven, on an open connection."""
    where = " WHERE timeframe = '1m'" if source == "candles" else ""
    sql = LATEST.format(f"(FROM {source}{where})")
    found = []
    with duckdb.connect(str(catalog), read_only=True) as connection:
        for _ in range(7):
            begun = time.perf_counter()
            connection.execute(sql).fetchall()
            found.append(time.perf_counter() - begun)
    return round(median(found), 4)


if __name__ == "__main__":
    sys.exit(main())
