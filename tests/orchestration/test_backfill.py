"""A range of hours as one run: the same bytes whenever it runs again, and an hour that is bad alone is bad alone."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import dagster as dg
import pytest

from assets.hours import partition_key
from lake.derived import read_hour
from lake.paths import Hour
from lake.registry import DATASETS, TRADE_TIMEFRAMES
from lake.settings import LakeSettings
from lake.verify import verify
from orchestration.definitions import build
from orchestration.errors import BackfillError
from orchestration.jobs import HOURS
from orchestration.plan import names_of
from orchestration.run import RANGE_END, RANGE_START, materialize_range
from orchestration.settings import OrchestrationSettings
from tests.assets.landed_rows import hours_ago, lake_settings, land, trades, wait_until_visible, whole_hour

pytestmark = pytest.mark.lengthy

ROOT = Path(__file__).resolve().parents[2]
FIRST, LAST = hours_ago(8), hours_ago(3)
LAKE = names_of(build(OrchestrationSettings(_env_file=None), LakeSettings(_env_file=None)).resolve_asset_graph(), None)
"""Every asset that is made of the lake."""
HOURLY = [name for name in LAKE if DATASETS[name].span == "hour"]
"""Of each kind of asset one, for what does not depend on their number."""


def sealed(lake):
    """Digest of every sealed file, by path."""
    return {
        path.relative_to(lake.house.root): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in lake.house.lake.rglob("hour-*.parquet")
        if "1970" not in str(path)
    }


def contents(lake):
    """Digest of the newest sealed file of each dataset and hour: what two lakes have in common whatever their instants."""
    return {path.parent.relative_to(lake.house.root): hashlib.sha256(path.read_bytes()).hexdigest() for path in newest(lake)}


def newest(lake):
    return [
        max(directory.glob("hour-*.parquet")) for directory in lake.house.lake.glob("*/date=2*/hour=*") if any(directory.glob("hour-*"))
    ]


@pytest.fixture(scope="module")
def day(tmp_path_factory):
    """A lake with six hours, of one of which nothing landed, materialised once as one run."""
    lake = lake_settings(tmp_path_factory.mktemp("day"))
    land(lake, *(whole_hour(hours_ago(number)) for number in range(3, 9) if number != 6))
    with dg.DagsterInstance.ephemeral() as instance:
        summary = materialize_range(lake, None, FIRST, LAST, instance=instance)
        wait_until_visible(lake)
        yield lake, instance, summary


def test_six_hours_are_one_run_in_which_everything_holds(day):
    lake, instance, summary = day

    assert summary.success, summary.sentence
    assert instance.get_runs_count() == len({DATASETS[name].span for name in summary.rows})
    assert (summary.hours, summary.assets, summary.warnings) == (6, len(LAKE), ())
    assert summary.rows["trades"] == 5 * 900
    assert len(newest(lake)) == 6 * len(HOURLY)


def test_every_hour_of_the_range_is_a_materialisation_with_its_own_figures(day):
    _, instance, _ = day

    for name in HOURLY:
        assert len(instance.get_materialized_partitions(dg.AssetKey(name))) == 6
    record = instance.fetch_materializations(
        dg.AssetRecordsFilter(asset_key=dg.AssetKey("trades"), asset_partitions=[partition_key(hours_ago(5))]), limit=1
    ).records[0]
    metadata = record.asset_materialization.metadata
    assert metadata["rows"].value == metadata["dagster/partition_row_count"].value == 900
    assert metadata["gaps"].value == 1
    assert metadata["bytes"].value > 0
    assert Hour.of(int(metadata["first_time"].value * 1e6)) == Hour.of(int(metadata["last_time"].value * 1e6)) == hours_ago(5)
    # Its columns the run says once, with its last partition.
    records = instance.fetch_materializations(dg.AssetRecordsFilter(asset_key=dg.AssetKey("trades")), limit=200).records
    said = [found for each in records if (found := each.asset_materialization.metadata.get("dagster/column_schema"))]
    assert [column.name for column in said[0].schema.columns] == DATASETS["trades"].schema.names


def test_an_hour_in_which_nothing_landed_is_there_and_empty(day):
    lake, instance, _ = day

    rows, watermark = read_hour(lake.house, "trades", hours_ago(6))

    assert (rows.num_rows, watermark) == (0, 0)
    assert partition_key(hours_ago(6)) in instance.get_materialized_partitions(dg.AssetKey("candles_1m"))
    coverage = read_hour(lake.house, "coverage", hours_ago(6))[0].to_pylist()
    assert {(row["symbol"], row["condition"]) for row in coverage if row["dataset"] == "trades"} == {
        ("BTC/USDT", "missing"), ("ETH/USDT", "missing"), ("BTC/USD", "missing")
    }  # fmt: skip


def test_the_same_range_again_gives_the_same_bytes_and_writes_nothing(day):
    lake, _, _ = day
    before = sealed(lake)

    again = materialize_range(lake, None, FIRST, LAST)

    assert again.success, again.sentence
    assert sealed(lake) == before


def test_hour_by_hour_in_another_order_gives_the_same_candles(day, tmp_path):
    lake, _, _ = day
    other = lake_settings(tmp_path)
    hours = [hours_ago(number) for number in (4, 5)]
    land(other, *(whole_hour(hour) for hour in sorted(hours)))

    for hour in hours:  # the later one first
        assert materialize_range(other, ["trades", "candles_1m", "candles_1h"], hour, hour).success

    theirs = contents(lake)
    ours = {path: digest for path, digest in contents(other).items() if path.parts[1].startswith("candles")}
    assert len(ours) == 4
    assert all(theirs[path] == digest for path, digest in ours.items())


def test_a_late_part_changes_its_hour_and_no_other(day):
    lake, _, _ = day
    before = contents(lake)

    land(lake, {"trades": trades(hours_ago(7), seed=1, per_market=5, first_id=10_000)})
    summary = materialize_range(lake, None, hours_ago(7), hours_ago(7))
    wait_until_visible(lake)

    assert summary.success, summary.sentence
    changed = {path for path, digest in contents(lake).items() if before[path] != digest}
    assert {"trades", "coverage", *(f"candles_{timeframe}" for timeframe in TRADE_TIMEFRAMES)} <= {path.parts[1] for path in changed}
    assert not {path.parts[1] for path in changed} & {"book_deltas", "book_snapshots", "ledger", "gaps"}
    # Indicators go on from the hour before: theirs change in later hours too.
    of_the_hour = {path for path in changed if not path.parts[1].startswith("indicator")}
    assert {path.parts[2:] for path in of_the_hour} == {tuple(hours_ago(7).directory.split("/"))}


def test_the_lake_verifies_after_all_of_it(day):
    lake, _, _ = day

    report = verify(lake.house)

    assert [problem.sentence for problem in report.problems] == []


def test_a_part_that_cannot_be_read_spoils_its_hour_alone(tmp_path):
    lake = lake_settings(tmp_path)
    land(lake, {"trades": trades(hours_ago(3))}, {"trades": trades(hours_ago(2))})
    (part,) = (lake.house.lake / "trades" / hours_ago(3).directory).glob("part-*")
    part.write_bytes(b"PAR1 and then nothing")

    summary = materialize_range(lake, ["trades", "candles_1m"], hours_ago(3), hours_ago(2))

    assert not summary.success
    assert summary.rows["trades"] == 900
    assert any(breach.asset == "trades" and breach.what == "hours" and part.name in breach.why for breach in summary.breaches)
    wait_until_visible(lake)
    assert read_hour(lake.house, "candles_1m", hours_ago(2))[0].num_rows > 0


def test_bad_prices_of_one_exchange_leave_that_exchange_out_and_keep_the_others(tmp_path):
    lake = lake_settings(tmp_path)
    rows = trades(hours_ago(2))
    bad = trades(hours_ago(2), per_market=1, first_id=9_000, price=-1.0).filter(
        [exchange == "kraken" for exchange in ["binance", "binance", "kraken"]]
    )
    land(lake, {"trades": rows}, {"trades": bad})

    summary = materialize_range(lake, ["trades", "candles_1h"], hours_ago(2), hours_ago(2))
    wait_until_visible(lake)

    assert set(read_hour(lake.house, "candles_1h", hours_ago(2))[0]["exchange"].to_pylist()) == {"binance"}
    assert {(breach.asset, breach.what) for breach in summary.breaches} == {("trades", "prices"), ("candles_1h", "hours")}


def test_the_running_hour_can_be_made_at_any_time(tmp_path):
    lake = lake_settings(tmp_path)
    running = hours_ago(0)
    land(lake, {"trades": trades(running)})

    assert materialize_range(lake, None, running, running).rows["trades"] == 900


def test_a_range_launched_as_a_job_is_one_run_too(tmp_path):
    lake = lake_settings(tmp_path)
    land(lake, *(whole_hour(hours_ago(number)) for number in (2, 3)))
    job = build(OrchestrationSettings(_env_file=None), lake).resolve_job_def(HOURS)

    result = job.execute_in_process(tags={RANGE_START: partition_key(hours_ago(3)), RANGE_END: partition_key(hours_ago(2))})

    assert result.success
    assert {event.partition for event in result.get_asset_materialization_events()} == {
        partition_key(hours_ago(number)) for number in (2, 3)
    }
    assert len(result.get_asset_materialization_events()) == 2 * len(HOURLY)


@pytest.mark.parametrize(
    ("names", "first", "last", "says"),
    [
        (["candels"], FIRST, LAST, "asset 'candels' is unknown, expected one of .*trades"),
        (None, LAST, FIRST, "expected an hour not before its first"),
        (None, Hour(0), LAST, "hour 1970-01-01-00:00 is no partition"),
        (None, FIRST, hours_ago(-2), "is no partition"),
    ],
)
def test_a_range_that_cannot_be_is_refused_with_a_sentence(tmp_path, names, first, last, says):
    with pytest.raises(BackfillError, match=says):
        materialize_range(lake_settings(tmp_path), names, first, last)


CANDLES = ["trades", "candles_1m", "candles_1h", "candles_1d"]


def made_partitions(instance, name):
    return instance.get_materialized_partitions(dg.AssetKey(name))


def test_what_stands_is_left_as_it_stands_unless_forced(tmp_path):
    lake = lake_settings(tmp_path)
    land(lake, *({"trades": trades(hours_ago(number))} for number in (2, 3)))
    first = materialize_range(lake, CANDLES, hours_ago(3), hours_ago(2), force=False)
    wait_until_visible(lake)

    again = materialize_range(lake, CANDLES, hours_ago(3), hours_ago(2), force=False)
    forced = materialize_range(lake, CANDLES, hours_ago(3), hours_ago(2))

    assert first.partitions == forced.partitions > again.partitions == 0
    assert again.run_ids == ()
    assert again.success
    assert again.standing == first.partitions


def test_a_back_fill_that_was_killed_goes_on_where_it_was(tmp_path):
    lake = lake_settings(tmp_path)
    land(lake, *({"trades": trades(hours_ago(number))} for number in range(2, 8)))
    materialize_range(lake, ["trades"], hours_ago(7), hours_ago(2))
    materialize_range(lake, ["candles_1m"], hours_ago(7), hours_ago(5))  # and here it was killed
    heard = []

    with dg.DagsterInstance.ephemeral() as instance:
        listener = lambda total: lambda asset, key: heard.append((total, asset, key))  # noqa: E731
        names = ["trades", "candles_1m"]
        done = materialize_range(lake, names, hours_ago(7), hours_ago(2), force=False, instance=instance, listener=listener)

        assert done.success, done.sentence
        assert heard == [(3, "candles_1m", partition_key(hours_ago(number))) for number in (4, 3, 2)]
        assert made_partitions(instance, "trades") == made_partitions(instance, "candles_1m")
        assert len(made_partitions(instance, "trades")) == 6


def test_a_back_fill_killed_in_the_middle_does_the_rest_when_it_is_called_again_to_the_same_bytes(tmp_path):
    killed, whole = lake_settings(tmp_path / "killed"), lake_settings(tmp_path / "whole")
    land(killed, *(whole_hour(hours_ago(number)) for number in (2, 3)))
    shutil.copytree(killed.house.root, whole.house.root, dirs_exist_ok=True)
    command = [sys.executable, "-c", "from orchestration.cli import main; main()", "backfill", "all", "--home", str(killed.house.root)]
    command += ["--from", hours_ago(3).moment.isoformat(), "--to", hours_ago(1).moment.isoformat(), "--json"]
    environ = {**os.environ, "TICKHOUSE_VISIBLE_AFTER_SECONDS": str(killed.visible_after_seconds)}

    with subprocess.Popen(command, cwd=ROOT, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        ends = time.monotonic() + 180
        while not any((killed.house.lake / "candles_1m").glob("date=2*/hour=*/hour-*.parquet")):
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < ends, "nothing was made within 180 s"
            time.sleep(0.01)
        process.kill()
    before = sealed(killed)
    again = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=240, check=False)
    uninterrupted = materialize_range(whole, None, hours_ago(3), hours_ago(2))

    assert process.returncode == -signal.SIGKILL
    assert again.returncode == 0, again.stderr
    said = json.loads(again.stdout)
    assert said["standing"] > 0
    assert said["partitions"] > 0
    assert said["standing"] + said["partitions"] == uninterrupted.partitions
    assert before.items() <= sealed(killed).items()
    assert contents(killed) == contents(whole)
    assert len(contents(whole)) == 2 * len(HOURLY)


def test_what_is_older_than_what_it_is_made_from_is_made_again_with_its_day(tmp_path):
    lake = lake_settings(tmp_path)
    land(lake, *({"trades": trades(hours_ago(number))} for number in (2, 3)))
    materialize_range(lake, CANDLES, hours_ago(3), hours_ago(2))
    land(lake, {"trades": trades(hours_ago(3), seed=1, per_market=5, first_id=10_000)})
    days = len({hour.date for hour in (hours_ago(2), hours_ago(3))})

    done = materialize_range(lake, CANDLES, hours_ago(3), hours_ago(2), force=False)

    assert done.success, done.sentence
    assert done.rows["trades"] == 915
    assert (done.partitions, done.standing) == (4, 3 + days - 1)


def test_a_day_and_a_month_that_touch_the_range_are_made_whole(tmp_path):
    lake = lake_settings(tmp_path)
    land(lake, {"trades": trades(hours_ago(2))})

    done = materialize_range(lake, ["candles_1d", "candles_1month"], hours_ago(2), hours_ago(2))

    assert done.success, done.sentence
    assert (done.partitions, len(done.run_ids)) == (2, 2)
    assert done.rows == {"candles_1d": 3, "candles_1month": 3}
