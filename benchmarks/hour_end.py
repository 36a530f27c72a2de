"""From the end of an hour, and its grace, to its indicators in DuckDB: through `tickhouse up`, its daemon and its sensors.

    python -m benchmarks.hour_end [--days 30] [--home DIR]

The hour is real market of the simulator, landed through the collectors' own path, and `TICKHOUSE_HOUR_GRACE_SECONDS` is set so that it
closes when the house has been up for a while. `--days` of hours before it look made in Dagster's records (1825 are five years).
"""

from __future__ import annotations

import argparse
import math
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import dagster as dg
import duckdb

from assets.hours import DAY_FORMAT, partition_key
from benchmarks.scale import fabricate
from lake.catalog import publish
from lake.layout import ensure
from lake.paths import HOUR_US, Hour
from lake.settings import LakeSettings
from orchestration.arrivals import Cursor
from orchestration.definitions import build
from orchestration.demo import SYMBOLS
from orchestration.instance import open_instance
from orchestration.remembered import remember
from orchestration.run import materialize_range
from orchestration.sensors import LANDED_HOURS
from orchestration.settings import OrchestrationSettings
from orchestration.simulation import land_history, live_market, outside_environment, write_config

PROGRAM: Final = "from orchestration.cli import main; main()"
HISTORY_HOURS: Final = 4
MOST_SECONDS: Final = 900.0

ROWS: Final = 'select count(*) from indicators_hour where "timestamp" >= make_timestamptz(?) and "timestamp" < make_timestamptz(?)'


def look_made(instance: dg.DagsterInstance, settings: OrchestrationSettings, lake: LakeSettings, last: Hour) -> None:
    """Give every asset of hours, days and months a record of each partition before `last`, without a file behind it."""
    graph = build(settings, lake).resolve_asset_graph()
    by_partitions: dict[dg.TimeWindowPartitionsDefinition, list[dg.AssetKey]] = {}
    for key in graph.get_all_asset_keys():
        partitions = graph.get(key).partitions_def
        if isinstance(partitions, dg.TimeWindowPartitionsDefinition):
            by_partitions.setdefault(partitions, []).append(key)
    for partitions, keys in by_partitions.items():
        before = [
            key for key in partitions.get_partition_keys() if datetime.strptime(key, partitions.fmt).replace(tzinfo=UTC) < last.moment
        ]
        seconds = fabricate(instance, keys, before)
        print(f"{len(keys)} assets look made in {len(before):,} {partitions.fmt!r} partitions: {seconds:.0f} s", flush=True)


@contextmanager
def house(lake: LakeSettings, config: Path) -> Iterator[Path]:
    """`tickhouse up` for as long as the block lasts; what it says goes to the file that is given."""
    said = lake.house.root / "up.log"
    command = [sys.executable, "-c", PROGRAM, "up", "--home", str(lake.house.root), "--config", str(config), "--port", "0"]
    with said.open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        try:
            yield said
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=120)


def visible(lake: LakeSettings, hour: Hour) -> int:
    """Rows of the indicators whose candle opened in the hour, as plain DuckDB sees them now."""
    with duckdb.connect(str(lake.house.catalog), read_only=True) as connection:
        return int(connection.execute(ROWS, [hour.start, hour.end]).fetchall()[0][0])


def reported_until(instance: dg.DagsterInstance) -> int:
    """Up to which hour the sensor has reported, microseconds; 0 before its first tick."""
    states = [state for state in instance.all_instigator_state() if state.instigator_name == LANDED_HOURS]
    text = getattr(states[0].instigator_data, "cursor", None) if states else None
    return Cursor.parse(text).until


def timeline(instance: dg.DagsterInstance, hour: Hour, due: float) -> None:
    """Print when each step of the way was done, in seconds after the hour was over."""
    key = partition_key(hour)
    for name in (
        "landed/trades",
        "trades",
        "candles_1m",
        "indicators_hour",
        "candles_1d",
        "indicators_day",
        "candles_1month",
        "indicators_month",
    ):
        of = datetime.fromtimestamp(hour.start / 1e6, UTC)
        wanted = key if name not in {"candles_1d", "indicators_day"} else f"{of:{DAY_FORMAT}}"
        wanted = f"{of:%Y-%m}-01" if name in {"candles_1month", "indicators_month"} else wanted
        records = dg.AssetRecordsFilter(asset_key=dg.AssetKey(name.split("/")), asset_partitions=[wanted], after_timestamp=due - 5)
        found = [record.timestamp - due for record in instance.fetch_materializations(records, limit=10).records]
        print(f"  {name} recorded after {', '.join(f'{each:.1f} s' for each in sorted(found)) or 'never'}", flush=True)
    for record in sorted(instance.get_run_records(limit=20), key=lambda one: one.create_timestamp):
        begun, ended = record.start_time or math.nan, record.end_time or math.nan
        if record.create_timestamp.timestamp() >= due - 5:
            tags = record.dagster_run.tags
            made = tags.get("dagster/partition") or tags.get("dagster/asset_partition_range_start")
            print(
                f"  run of {len(record.dagster_run.asset_selection or ()):3} assets at {made}: asked after "
                f"{record.create_timestamp.timestamp() - due:.1f} s, begun {begun - due:.1f} s, ended {ended - due:.1f} s",
                flush=True,
            )


def main() -> None:
    """Print the seconds, and what they were spent on."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=int, default=30, help="of hours that look made before")
    parser.add_argument("--settle", type=float, default=90.0, help="seconds after the start of the house until the hour closes")
    parser.add_argument("--after", type=float, default=0.0, help="seconds to go on afterwards, for days and months to follow")
    parser.add_argument("--home", type=Path)
    asked = parser.parse_args()
    home = asked.home or Path(tempfile.mkdtemp(prefix="tickhouse-hour-end-"))
    begun = time.time()
    hour = Hour.of(int(begun * 1e6) - HOUR_US)
    if asked.settle + (120 + asked.days / 10) + begun - hour.end / 1e6 > 3600:
        raise SystemExit("the last hour ended too long ago to be closed by a grace of an hour at most: try again after the full hour")
    os.environ["TICKHOUSE_START_HOUR"] = (hour.moment - timedelta(days=asked.days)).isoformat()
    lake, settings = LakeSettings(home=home), OrchestrationSettings()
    ensure(lake.house)
    publish(lake.house)
    pace = ["--seed", "1", "--trades-per-minute", "60", "--book-updates-per-minute", "12"]
    end = datetime.fromtimestamp(hour.end / 1e6, UTC)
    print(land_history(lake, hours=HISTORY_HOURS, end=end, arguments=pace).sentence, flush=True)
    first = Hour(hour.start - (HISTORY_HOURS - 1) * HOUR_US)
    with open_instance(lake, settings) as instance:
        look_made(instance, settings, lake, first)
        time.sleep(lake.visible_after_seconds)
        began = time.monotonic()
        print(f"Dagster's summaries of {len(remember(instance, settings))} assets made in {time.monotonic() - began:.0f} s", flush=True)
        print(materialize_range(lake, None, first, Hour(hour.start - HOUR_US), settings=settings, instance=instance).sentence, flush=True)
        with live_market(arguments=["--seed", "1"]) as market:
            config = home / "tickhouse.toml"
            write_config(config, market, SYMBOLS)
            os.environ.update(outside_environment(market))
            due = float(math.ceil(time.time() + asked.settle))
            os.environ["TICKHOUSE_HOUR_GRACE_SECONDS"] = str(due - hour.end / 1e6)
            with house(lake, config) as said:
                measure(instance, lake, hour, due, said=said)
                time.sleep(asked.after)
                timeline(instance, hour, due)


def measure(instance: dg.DagsterInstance, lake: LakeSettings, hour: Hour, due: float, *, said: Path) -> None:
    """Wait until the hour is over and then until its indicators are there; print how long that took."""
    while reported_until(instance) != hour.start:
        if time.time() > due:
            raise SystemExit(f"the house was not up when the hour closed, expected so: give more --settle; {said.read_text()}")
        time.sleep(0.2)
    print(f"the house is up {due - time.time():.0f} s before the hour closes", flush=True)
    while time.time() < due:
        time.sleep(0.05)
    assert visible(lake, hour) == 0, "expected no indicator before the hour closed"
    while (rows := visible(lake, hour)) == 0:
        if time.time() > due + MOST_SECONDS:
            raise SystemExit(f"no indicators within {MOST_SECONDS:g} s of the hour's end and grace")
        time.sleep(0.2)
    print(f"indicators of the hour visible {time.time() - due:.1f} s after its end and grace ({rows:,} rows)", flush=True)


if __name__ == "__main__":
    main()
