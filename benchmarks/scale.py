"""Five years of hours in Dagster: how long the queries of an asset's page and `tickhouse status` take.

    python benchmarks/scale.py [--hours 43800] [--home DIR]

Put here: fabricated materialisations, a real webserver, the queries its pages ask. Keep out: anything about the data itself.
"""

from __future__ import annotations

import argparse
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import dagster as dg
import httpx

from assets.hours import partition_key
from lake.layout import ensure
from lake.paths import HOUR_US, Hour
from lake.settings import LakeSettings
from orchestration.definitions import build
from orchestration.instance import environment, open_instance, workspace_file
from orchestration.processes import free_port
from orchestration.settings import OrchestrationSettings

ASSET: Final = "candles_1m"

QUERIES: Final = {
    "asset list": "{ assetNodes { assetKey { path } groupName kinds isPartitioned staleStatus } }",
    "definition": (
        "query($key: AssetKeyInput!) { assetNodeOrError(assetKey: $key) { ... on AssetNode { id description owners { __typename } "
        "dependencyKeys { path } dependedByKeys { path } metadataEntries { label } partitionDefinition { description } "
        "automationCondition { label } } } }"
    ),
    "partition health": (
        "query($key: AssetKeyInput!) { assetNodeOrError(assetKey: $key) { ... on AssetNode { id "
        "partitionKeysByDimension { name partitionKeys } "
        "assetPartitionStatuses { ... on TimePartitionStatuses { ranges { startKey endKey status } } } "
        "partitionStats { numMaterialized numPartitions numFailed numMaterializing } } } }"
    ),
    "latest events": (
        "query($key: AssetKeyInput!) { assetOrError(assetKey: $key) { ... on Asset { id assetMaterializations(limit: 50) "
        "{ timestamp partition runId metadataEntries { label } } } } }"
    ),
}


def fabricate(instance: dg.DagsterInstance, keys: Sequence[dg.AssetKey], partitions: Sequence[str]) -> float:
    """Make every partition of assets look made: the last through Dagster, the others as copies of its record; seconds it took."""
    begun = time.monotonic()
    last = partitions[-1]
    for key in keys:
        instance.report_runless_asset_event(dg.AssetMaterialization(key, partition=last, metadata={"rows": 1}))
    (database,) = Path(instance.storage_directory()).parent.rglob("index.db")
    with closing(sqlite3.connect(database, timeout=60)) as connection:
        names = [row[1] for row in connection.execute("pragma table_info(event_logs)") if row[1] != "id"]
        insert = f"insert into event_logs ({', '.join(names)}) values ({', '.join('?' * len(names))})"
        for key in keys:
            one = (last, key.to_string())
            template = connection.execute(
                f"select {', '.join(names)} from event_logs where partition = ? and asset_key = ?", one
            ).fetchone()
            connection.executemany(
                insert, ([value.replace(last, each) if isinstance(value, str) else value for value in template] for each in partitions[:-1])
            )
            connection.commit()
    return time.monotonic() - begun


def ask(url: str, text: str, **variables: Any) -> tuple[float, float]:
    """Seconds and megabytes of one GraphQL answer."""
    begun = time.monotonic()
    answer = httpx.post(f"{url}/graphql", json={"query": text, "variables": variables}, timeout=120)
    answer.raise_for_status()
    if "errors" in answer.json():
        raise SystemExit(f"the webserver refused a query: {answer.json()['errors'][0]['message']}")
    return time.monotonic() - begun, len(answer.content) / 1e6


def until_it_answers(url: str, *, seconds: float = 180.0) -> None:
    """Wait for the webserver."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        try:
            if httpx.get(f"{url}/server_info", timeout=2).is_success:
                return
        except httpx.TransportError:
            time.sleep(0.5)
    raise SystemExit(f"the webserver did not answer within {seconds:g} s")


def tick(instance: dg.DagsterInstance, definitions: dg.Definitions) -> list[float]:
    """Seconds of an evaluation of all automation conditions: the first, and one in which an hour has just landed."""
    taken, cursor = [], None
    for _ in range(2):
        begun = time.monotonic()
        result = dg.evaluate_automation_conditions(definitions, instance, asset_selection=dg.AssetSelection.all(), cursor=cursor)
        cursor = result.cursor
        taken.append(time.monotonic() - begun)
        instance.report_runless_asset_event(dg.AssetMaterialization(ASSET, partition=partition_key(Hour.of(time.time_ns() // 1000))))
    return taken


def main() -> None:
    """Print what each takes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=int, default=43_800)
    parser.add_argument("--home", type=Path)
    asked = parser.parse_args()
    home = asked.home or Path(tempfile.mkdtemp(prefix="tickhouse-scale-"))
    last = Hour.of(time.time_ns() // 1000)
    start = datetime.fromtimestamp(last.start / 1e6, UTC) - timedelta(hours=asked.hours - 1)
    os.environ["TICKHOUSE_START_HOUR"] = start.isoformat()
    lake, settings = LakeSettings(home=home), OrchestrationSettings()
    ensure(lake.house)
    with open_instance(lake, settings) as instance:
        hours = [Hour(last.start - number * HOUR_US) for number in range(asked.hours)][::-1]
        seconds = fabricate(instance, [dg.AssetKey(ASSET)], [partition_key(hour) for hour in hours])
        print(f"{asked.hours:,} materialisations of {ASSET} reported in {seconds:.1f} s", flush=True)
        first, second = tick(instance, build(settings, lake))
        print(f"automation, all conditions: first tick {first:.2f} s, tick with a new hour {second:.2f} s", flush=True)
    port = free_port("127.0.0.1", 0)
    command = [sys.executable, "-m", "dagster_webserver", "-w", str(workspace_file(lake)), "-p", str(port), "-h", "127.0.0.1"]
    server = subprocess.Popen(command, env=environment(lake), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        url = f"http://127.0.0.1:{port}"
        until_it_answers(url)
        for name, text in QUERIES.items():
            variables = {"key": {"path": [ASSET]}} if "$key" in text else {}
            seconds, megabytes = zip(*(ask(url, text, **variables) for _ in range(3)), strict=True)
            print(f"page, {name}: first {seconds[0]:.2f} s, then {min(seconds[1:]):.2f} s, {megabytes[0]:.2f} MB", flush=True)
    finally:
        server.terminate()
        server.wait(timeout=30)
    begun = time.monotonic()
    program = [sys.executable, "-c", "from orchestration.cli import main; main()"]
    subprocess.run([*program, "status", "--home", str(home)], check=True, stdout=subprocess.DEVNULL)
    print(f"tickhouse status: {time.monotonic() - begun:.2f} s", flush=True)


if __name__ == "__main__":
    main()
