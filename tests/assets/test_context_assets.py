"""Market context as Dagster makes it, from the simulator over HTTP to the views: snapshots, holes, what is skipped, what fails."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from lake.derived import write_hour
from lake.edited import edit_period, newest_rows, with_rows
from lake.files import now_us
from lake.paths import HOUR_US, Home, Hour
from lake.periods import Period
from lake.query import run_sql
from lake.registry import dataset
from lake.settings import LakeSettings
from orchestration.context import context_assets, context_jobs, month_range
from orchestration.resources import lake_resource
from orchestration.settings import OrchestrationSettings
from sources.settings import ContextSettings
from tests.sources.outside import KEY, Outside

AHEAD = 0.25


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outside]:
    world = Outside(tmp_path_factory.mktemp("outside"))
    try:
        yield world
    finally:
        world.stop()


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


class House:
    """A home, and jobs run on it with settings of the simulator."""

    def __init__(self, root: Path, outside: Outside, instance: dg.DagsterInstance) -> None:
        self.lake = LakeSettings(home=root / "home", visible_after_seconds=AHEAD, _env_file=None)
        self.home: Home = self.lake.house
        self.outside = outside
        self.instance = instance

    def run(self, name: str, *, settings: ContextSettings, days: int = 1) -> dg.ExecuteInProcessResult:
        job = self.job(name, settings)
        now = datetime.now(UTC)
        if name in {"exchange_candles", "coinglass"}:
            return job.execute_in_process(instance=self.instance, tags=month_range(now, days=days), raise_on_error=False)
        return job.execute_in_process(instance=self.instance, partition_key=f"{now:%Y-%m-%d}", raise_on_error=False)

    def job(self, name: str, settings: ContextSettings) -> dg.JobDefinition:
        definitions = dg.Definitions(
            assets=context_assets(OrchestrationSettings(_env_file=None), settings),
            jobs=context_jobs(),
            resources={"lake": lake_resource(self.lake), "sources": settings},
        )
        return definitions.resolve_job_def(f"fetch_{name}")

    def sql(self, statement: str) -> list[dict[str, Any]]:
        """Rows, once everything written has come to count."""
        settled = now_us() + int(2 * AHEAD * 1_000_000)
        while now_us() < settled:
            time.sleep(0.01)
        return run_sql(self.home, statement, with_wal=False).table.to_pylist()

    def log(self) -> list[tuple[str, str]]:
        return [(row["process"], row["status"]) for row in self.sql("SELECT process, status FROM execution_log ORDER BY started")]


@pytest.fixture
def house(tmp_path, outside, instance) -> Iterator[House]:
    yield House(tmp_path, outside, instance)
    outside.simulator.control("calm")


def checks(result: dg.ExecuteInProcessResult) -> dict[str, dg.AssetCheckEvaluation]:
    return {each.check_name: each for each in result.get_asset_check_evaluations()}


def test_each_run_adds_a_whole_snapshot_of_coins_with_one_instant(house, outside):
    settings = outside.settings(coingecko_coins=250)

    assert house.run("coins", settings=settings).success
    assert house.run("coins", settings=settings).success

    rows = house.sql("SELECT local_timestamp, count(*) AS n, count(DISTINCT cg_id) AS ids FROM coingecko GROUP BY 1 ORDER BY 1")
    assert [(row["n"], row["ids"]) for row in rows] == [(250, 250)] * 2
    assert rows[0]["local_timestamp"] < rows[1]["local_timestamp"]
    assert house.log() == [("coingecko", "success")] * 2


def test_a_snapshot_that_fails_half_way_leaves_the_former_and_fails_without_the_key(house, outside):
    settings = outside.settings(coingecko_coins=1000, source_retry_seconds=0.001)
    assert house.run("coins", settings=outside.settings(coingecko_coins=250)).success
    outside.simulator.fault("refuse", exchange="coingecko", symbol="4", duration=60)

    failed = house.run("coins", settings=settings)

    assert not failed.success
    assert house.sql("SELECT count(*) AS n FROM coingecko") == [{"n": 250}]
    assert house.log() == [("coingecko", "success"), ("coingecko", "failure")]
    (row,) = house.sql("SELECT error FROM execution_log WHERE status = 'failure'")
    assert "failed 6 times" in row["error"]
    assert all(KEY not in str(event) for event in failed.all_events)


def test_a_snapshot_ahead_of_the_months_pace_is_skipped_with_a_reason(house, outside):
    result = house.run("coins", settings=outside.settings(coingecko_monthly_calls=1))

    assert result.success
    assert result.get_asset_materialization_events() == []
    (row,) = house.sql("SELECT status, error FROM execution_log")
    assert row["status"] == "skipped"
    assert "CoinGecko" in row["error"]


def test_too_few_coins_are_told_and_written(house, outside):
    result = house.run("coins", settings=outside.settings(coingecko_coins=3000))

    complete = checks(result)["complete"]
    assert (complete.passed, complete.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert "holds 2300 coins, expected 3000" in (complete.description or "")
    assert house.sql("SELECT count(*) AS n FROM coingecko") == [{"n": 2300}]


def test_coinglass_without_a_key_is_skipped_and_no_error(house, outside):
    result = house.run("coinglass", settings=outside.settings(coinglass_api_key=None))

    assert result.success
    assert result.get_asset_materialization_events() == []
    rows = house.sql("SELECT DISTINCT status, error FROM execution_log")
    assert [(row["status"], "COINGLASS_API_KEY" in row["error"]) for row in rows] == [("skipped", True)]


def test_coinglass_fills_what_is_missing_and_a_coin_that_fails_leaves_the_others(house, outside):
    settings = outside.settings(coinglass_symbols="NOSUCH,BTC")

    first = house.run("coinglass", settings=settings, days=40)
    again = house.run("coinglass", settings=settings, days=40)

    assert first.success
    assert again.success
    assert not checks(first)["complete"].passed
    rows = house.sql(
        "SELECT symbol, count(*) AS n, count(DISTINCT timestamp) AS times, max(close) AS most FROM coinglass_weighted_funding GROUP BY 1"
    )
    (row,) = rows
    assert row["symbol"] == "BTC"
    assert 40 * 6 <= row["n"] == row["times"] <= 41 * 6
    assert 0 < row["most"] < 0.001


def test_candles_come_for_every_exchange_and_a_second_run_fetches_only_what_is_missing(house, outside):
    settings = outside.settings(candle_timeframes="1h", candle_symbols="BTC/USDT")
    assert house.run("exchange_candles", settings=settings).success
    # Half a day ago: a month that has just begun holds nothing yet.
    period = Period.of(now_us() - 12 * HOUR_US, "month")
    before = newest_rows(house.home, "exchange_candles", period)
    kept = [number for number in range(before.num_rows) if number not in {3, 4, 40}]
    edit_period(house.home, "exchange_candles", period, lambda rows: rows.take(kept), visible_after=AHEAD)

    result = house.run("exchange_candles", settings=settings)

    assert result.success
    after = newest_rows(house.home, "exchange_candles", period)
    keys = [{(row["exchange"], row["timestamp"]) for row in table.to_pylist()} for table in (before, after)]
    assert keys[0] <= keys[1]
    months = [event.step_materialization_data.materialization for event in result.get_asset_materialization_events()]
    assert 3 <= sum(month.metadata["added"].value for month in months) <= 3 + 5
    assert {row["exchange"] for row in house.sql("SELECT DISTINCT exchange FROM exchange_candles")} == set(
        settings.candle_exchanges.split(",")
    )
    assert house.sql("SELECT count(*) AS n FROM exchange_candles WHERE source <> 'exchange' OR trade_count IS NOT NULL") == [{"n": 0}]


def test_an_exchange_that_is_down_leaves_the_others_and_is_told(house, outside):
    outside.simulator.fault("refuse", exchange="okx", duration=60)
    settings = outside.settings(candle_timeframes="1d", candle_symbols="BTC/USDT", source_retry_seconds=0.001)

    result = house.run("exchange_candles", settings=settings)

    assert result.success
    complete = checks(result)["complete"]
    assert (complete.passed, complete.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert "okx" in (complete.description or "")
    assert "okx" not in {row["exchange"] for row in house.sql("SELECT DISTINCT exchange FROM exchange_candles")}
    assert house.log() == [("exchange_candles", "failure")]


def test_a_hole_of_the_exchange_that_is_a_day_old_is_asked_for_once(house, outside):
    settings = outside.settings(candle_exchanges="bybit", candle_timeframes="1h", candle_symbols="ETH/USDT", candle_history_days=3)
    hole = (now_us() // 1_000_000 // 86_400 - 2) * 86_400 + 3 * 3600
    outside.simulator.control("hole", exchange="bybit", symbol="ETH/USDT", start=hole, seconds=7200)

    first = house.run("exchange_candles", settings=settings, days=3)
    second = house.run("exchange_candles", settings=settings, days=3)

    assert first.success
    (made,) = second.get_asset_materialization_events()[-1:]
    assert made.step_materialization_data.materialization.metadata["requests"].value == 0
    rows = house.sql(f"SELECT count(*) AS n FROM exchange_candles WHERE epoch(timestamp) >= {hole} AND epoch(timestamp) < {hole + 7200}")
    assert rows == [{"n": 0}]


def test_declared_symbols_are_fetched_and_one_that_is_not_listed_is_told(house, outside, tmp_path):
    path = tmp_path / "declarations.toml"
    path.write_text('[[track]]\nexchange = "binance"\nsymbol = "ETH/USDT"\n[[track]]\nexchange = "bybit"\nsymbol = "NO/SUCH"\n')
    settings = outside.settings(candle_exchanges="binance", candle_symbols="BTC/USDT", candle_timeframes="1d", declarations=path)

    result = house.run("exchange_candles", settings=settings)

    assert "bybit NO/SUCH 1d is declared, but bybit has no such candles" in (checks(result)["complete"].description or "")
    assert {row["symbol"] for row in house.sql("SELECT DISTINCT symbol FROM exchange_candles")} == {"BTC/USDT", "ETH/USDT"}


def test_declarations_and_flags_are_the_files_as_they_stand_now(house, outside, tmp_path):
    declared, flagged = tmp_path / "declarations.toml", tmp_path / "flags.toml"
    settings = outside.settings(declarations=declared, flags=flagged)
    declared.write_text('[[track]]\nexchange = "okx"\nsymbol = "TON/USDT"\n')
    flagged.write_text("[USDT]\nstablecoin = true\n[BTC]\nmajor = true\n")
    assert house.run("declared", settings=settings).success
    flagged.write_text("[USDT]\nstablecoin = false\n")
    assert house.run("declared", settings=settings).success

    assert [row["symbol"] for row in house.sql("SELECT symbol FROM declarations")] == ["TON/USDT"]
    assert [(row["base"], row["value"]) for row in house.sql("SELECT base, value FROM flags")] == [("USDT", "false")]


def test_a_wrong_file_fails_with_its_sentence_and_keeps_the_former_state(house, outside, tmp_path):
    flagged = tmp_path / "flags.toml"
    settings = outside.settings(flags=flagged, declarations=tmp_path / "absent.toml")
    flagged.write_text("[BTC]\nmajor = true\n")
    assert house.run("declared", settings=settings).success
    flagged.write_text("[BTC]\nMajor = true\n")

    result = house.run("declared", settings=settings)

    assert not result.success
    assert [row["base"] for row in house.sql("SELECT base FROM flags")] == ["BTC"]
    (row,) = house.sql("SELECT error FROM execution_log WHERE process = 'flags' AND status = 'failure'")
    assert "has a flag 'Major' under [BTC]" in row["error"]


def coverage_of(start: int) -> Any:
    spec = dataset("coverage")
    row = ["binance", "BTC/USDT", start, "trades", 10, 0, 0, 0.0, 3600.0, start, start, "available"]
    return pa.Table.from_arrays([pa.array([value], field.type) for value, field in zip(row, spec.schema, strict=True)], schema=spec.schema)


def test_candles_of_the_exchange_are_compared_with_ours_where_trades_are_covered(house, outside):
    settings = outside.settings(candle_exchanges="binance", candle_symbols="BTC/USDT", candle_timeframes="1m")
    assert house.run("exchange_candles", settings=settings).success
    hour = Hour.of(now_us() - 2 * HOUR_US)
    period = Period.of(hour.start, "month")
    theirs = newest_rows(house.home, "exchange_candles", period)
    times = pc.cast(theirs["timestamp"], pa.int64())
    own = theirs.filter(pc.and_(pc.greater_equal(times, hour.start), pc.less(times, hour.end)))
    spec = dataset("candles_1m")
    filled = {"quote_volume": 1.0, "trade_count": 1, "buy_volume": 1.0, "sell_volume": 1.0, "vwap": 1.0, "source": "trades"}
    columns = [pa.array([filled[f.name]] * own.num_rows, f.type) if f.name in filled else own[f.name] for f in spec.schema]
    ours = pa.Table.from_arrays(columns, schema=spec.schema)
    high = pc.multiply(ours["high"], pa.array([1.002] + [1.0] * (own.num_rows - 1)))
    ours = ours.set_column(ours.schema.get_field_index("high"), spec.schema.field("high"), high)
    write_hour(house.home, "candles_1m", hour, ours, watermark=1, visible_after=AHEAD)
    write_hour(house.home, "coverage", hour, coverage_of(hour.start), watermark=1, visible_after=AHEAD)
    assert house.sql("SELECT count(*) AS n FROM candles_1m") == [{"n": 60}]

    agrees = checks(house.run("exchange_candles", settings=settings))["agrees_with_trades"]

    assert (agrees.passed, agrees.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert "60 compared, 59 with equal prices, at most 20.00 bps apart" in str(agrees.metadata["binance BTC/USDT 1m"].value)


def test_a_run_over_an_earlier_day_leaves_it_as_it_stands(house, outside):
    spec = dataset("flags")
    day = Period.of(now_us() - 3 * 86_400_000_000, "day")
    row = pa.Table.from_arrays(
        [pa.array([v], f.type) for v, f in zip(["BTC", day.start, "old", "true"], spec.schema, strict=True)], schema=spec.schema
    )
    edit_period(house.home, "flags", day, lambda rows: with_rows("flags", rows, row), visible_after=AHEAD)

    job = house.job("declared", outside.settings())
    result = job.execute_in_process(instance=house.instance, partition_key=f"{day.first:%Y-%m-%d}")

    assert result.success
    assert [each["flag"] for each in house.sql("SELECT flag FROM flags")] == ["old"]
