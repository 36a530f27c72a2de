"""One symbol-day of 1m candles from the lake, and what that costs as history grows from a month to three years of hours.

    python -m benchmarks.query [--days 30 365 1095] [--rounds 7] [--unsettled 2]

For each length a lake is laid out whose files are as many and called as they would be: trades, coverage and every stored timeframe, days
settled into one file each but for the last `--unsettled`, which lie in hours (`--unsettled 30 --days 30` shows hours alone). The first
day of `candles_1m` holds real candles of 500 markets; all other files are links to one without rows, so that the figures are the cost of
finding the rows. Milliseconds, the median of the rounds, each on a connection opened anew. Exit code 1 where a symbol-day of
`candles_1m` or through `ohlcv` takes 100 ms or more after any of these histories.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any, Final

import duckdb
import polars as pl

from benchmarks.candles import START, trades_of
from lake import layout
from lake.catalog import publish
from lake.parquet import Metadata, write_parquet
from lake.paths import DAY_US, HOUR_US, Home, Hour, SealedName
from lake.periods import Period
from lake.registry import DATASETS, Dataset, dataset
from lake.transforms.candles import candles_from_trades

WANTED_MS: Final = 100.0
SYMBOL: Final = "S007/USDT"
MARKETS: Final = tuple(("binance", f"S{number:03d}/USDT") for number in range(500))
NAMES: Final = tuple(name for name in DATASETS if name in {"trades", "coverage", "exchange_candles"} or name.startswith("candles_"))


def main() -> int:
    """Lay out, ask, print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=int, nargs="+", default=[30, 365, 1095])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--unsettled", type=int, default=2)
    options = parser.parse_args()
    found: dict[str, dict[str, Any]] = {}
    for days in options.days:
        with tempfile.TemporaryDirectory() as root:
            home = Home(Path(root))
            files = lay(home, days, unsettled=options.unsettled)
            found[f"{days} days"] = {"files": files, **ask(publish(home), rounds=options.rounds)}
    print(json.dumps({"load_average": round(os.getloadavg()[0], 2), **found}, indent=1))
    within = (found[f"{days} days"][way] < WANTED_MS for days in options.days for way in ("candles_1m, stored alone", "ohlcv, real-time"))
    return 0 if all(within) else 1


def lay(home: Home, days: int, *, unsettled: int) -> int:
    """The files of `days` of history that end with the day of `START`; how many there are."""
    layout.ensure(home)
    first = START - (days - 1) * DAY_US
    for name in NAMES:
        spec = dataset(name)
        empty = home.root / f"{name}.parquet"
        write_parquet(spec, spec.schema.empty_table(), empty, Metadata(dataset=name))
        for number in range(days):
            day = Period.of(first + number * DAY_US, "day")
            if spec.span == "month":
                _link(empty, home.day_dir(name, day.first.replace(day=1)), "day", first)
            elif spec.span == "day" or number < days - unsettled:
                _link(empty, home.day_dir(name, day.first), "day", day.end)
            else:
                for hour in day.hours():
                    _link(empty, home.hour_dir(name, hour), "hour", hour.end)
    if unsettled < days:
        _real_day(home, dataset("candles_1m"), first)
    else:
        _real_hours(home, dataset("candles_1m"), first)
    return sum(len(names) for _, _, names in os.walk(home.root))


def _link(source: Path, directory: Path, kind: str, instant: int) -> None:
    path = directory / str(SealedName(kind, instant, 5))
    if not path.exists():
        directory.mkdir(parents=True, exist_ok=True)
        path.hardlink_to(source)


def _candles(start: int) -> pl.DataFrame:
    """Minutes of an hour, of every market."""
    return candles_from_trades(pl.DataFrame(trades_of(Hour(start), 60_000, MARKETS)), "1m")


def _real_day(home: Home, spec: Dataset, start: int) -> None:
    hours = pl.concat(_candles(start + hour * HOUR_US) for hour in range(24)).sort("exchange", "symbol", "timestamp")
    path = home.day_dir(spec.name, Hour(start).date) / str(SealedName("day", start + 2 * DAY_US, 5))
    write_parquet(spec, hours.to_arrow().cast(spec.schema), path, Metadata(dataset=spec.name), level=9)


def _real_hours(home: Home, spec: Dataset, start: int) -> None:
    for number in range(24):
        hour = Hour(start + number * HOUR_US)
        path = home.hour_dir(spec.name, hour) / str(SealedName("hour", start + 2 * DAY_US, 5))
        write_parquet(spec, _candles(hour.start).to_arrow().cast(spec.schema), path, Metadata(dataset=spec.name), level=9)


def ask(catalog: Path, *, rounds: int) -> dict[str, Any]:
    """Milliseconds of each way to the symbol-day of the first day that has rows, and to the whole view."""
    with duckdb.connect(str(catalog), read_only=True) as connection:
        found = connection.execute("SELECT min(date)::VARCHAR FROM candles_1m").fetchone()
    day = found[0] if found else ""
    where = f"symbol = '{SYMBOL}' AND date = '{day}'"
    within = f"'{day} 00:00Z' AND '{day} 23:59Z'"
    ways = {
        "candles_1m, stored alone": f"SELECT * FROM candles_1m WHERE {where}",
        "candles_now('1m'), real-time": f"SELECT * FROM candles_now('1m') WHERE {where}",
        "ohlcv, real-time": f"FROM ohlcv('{SYMBOL}', '1m', since := '{day} 00:00Z', until := '{day} 23:59Z')",
        "candles_1m, by timestamp alone": f"SELECT * FROM candles_1m WHERE symbol = '{SYMBOL}' AND timestamp BETWEEN {within}",
        "candles, real-time": f"SELECT * FROM candles WHERE timeframe = '1m' AND {where}",
        "candles, 1d of a symbol": f"SELECT * FROM candles WHERE timeframe = '1d' AND symbol = '{SYMBOL}'",
    }
    return {name: _milliseconds(catalog, sql, rounds=rounds, empty=name.endswith("of a symbol")) for name, sql in ways.items()}


def _milliseconds(catalog: Path, sql: str, *, rounds: int, empty: bool) -> float:
    taken = []
    for _ in range(rounds):
        with duckdb.connect(str(catalog), read_only=True) as connection:
            begun = time.perf_counter()
            rows = connection.execute(sql).fetchall()
            taken.append(time.perf_counter() - begun)
        assert empty or len(rows) > 1_000, f"{len(rows)} rows, expected the minutes of a day"
    return round(median(taken) * 1000, 1)


if __name__ == "__main__":
    sys.exit(main())
