"""Configured studies as an asset: one row a value, and nothing where none is configured."""

import polars as pl

from lake.derived import read_hour
from lake.indicator_datasets import indicator_study_dataset
from lake.registry import DATASETS, TRADE_TIMEFRAMES, candle_dataset
from lake.transforms.indicators.studies import parse_studies, study_columns
from orchestration.run import materialize_range
from orchestration.settings import OrchestrationSettings
from tests.assets.landed_rows import hours_ago, lake_settings, land, trades, wait_until_visible

ROWS = indicator_study_dataset("hour")


def made(lake):
    names = ["trades", *(candle_dataset(timeframe) for timeframe in TRADE_TIMEFRAMES), ROWS]
    summary = materialize_range(lake, names, hours_ago(2), hours_ago(1), settings=OrchestrationSettings(_env_file=None))
    wait_until_visible(lake)
    assert summary.success, summary.sentence
    return pl.DataFrame(read_hour(lake.house, ROWS, hours_ago(1))[0])


def test_values_equal_the_studies_over_all_candles(tmp_path, monkeypatch):
    config = tmp_path / "tickhouse.toml"
    config.write_text('[indicators]\nstudies = ["adx_14"]\n')
    monkeypatch.setenv("TICKHOUSE_CONFIG", str(config))
    lake = lake_settings(tmp_path / "home")
    land(lake, *({"trades": trades(hours_ago(number))} for number in (2, 1)))

    rows = made(lake).filter((pl.col("timeframe") == "1m") & (pl.col("symbol") == "BTC/USD"))

    candles = [pl.DataFrame(read_hour(lake.house, "candles_1m", hours_ago(number))[0]) for number in (2, 1)]
    studies = parse_studies(["adx_14"])
    expected = study_columns(pl.concat(candles).filter(pl.col("symbol") == "BTC/USD"), studies)
    assert set(rows["study"].unique()) == set(studies[0].columns)
    joined = rows.join(expected, on=["timestamp"]).filter(pl.col("study") == studies[0].columns[0])
    assert joined.height > 50
    assert joined["value"].to_list() == joined[studies[0].columns[0]].to_list()


def test_without_configured_studies_the_hour_is_there_and_empty(tmp_path, monkeypatch):
    monkeypatch.setenv("TICKHOUSE_CONFIG", str(tmp_path / "absent.toml"))
    lake = lake_settings(tmp_path / "home")
    land(lake, {"trades": trades(hours_ago(1))})

    assert made(lake).height == 0
    assert DATASETS[ROWS].span == "hour"
