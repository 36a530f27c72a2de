from __future__ import annotations

import polars as pl
import pytest

from lake.registry import dataset
from lake.transforms.indicators.studies import parse_studies, study_columns
from lake.transforms.indicators.study_rows import study_look_back, study_rows
from tests.lake.transforms.indicator_candles import close_to, made, numbers


@pytest.mark.parametrize(("study", "expected"), [("bbands_20_2", 250), ("rsi_14", 500), ("ema_200", 2000), ("vwap", 2000), ("obv", None)])
def test_the_look_back_of_a_study_is_found_by_trying(study: str, expected: int | None):
    assert study_look_back(parse_studies([study])[0]) == expected


def test_values_after_a_look_back_equal_those_of_the_whole_history():
    candles = made(3000, seed=4)
    studies = parse_studies(["adx", "macd_5_35_5", "supertrend_10_3"])
    look_back = max(study_look_back(study) or 0 for study in studies)

    whole = study_columns(candles, studies)[-60:]
    part = study_columns(candles[-60 - look_back :], studies)[-60:]

    for study in studies:
        for column in study.columns:
            close_to(numbers(part, column), numbers(whole, column))


def test_rows_are_those_of_the_dataset():
    candles = pl.concat([made(40), made(30, symbol="ETH/USDT")])

    rows = study_rows(candles, parse_studies(["adx", "ema_5"]))

    schema = dataset("indicator_studies_hour").schema
    assert rows.columns == schema.names
    rows.to_arrow().cast(schema)
    ema = rows.filter((pl.col("study") == "ta_ema_5") & (pl.col("symbol") == "ETH/USDT"))
    assert ema.height == 26
    assert rows.select("exchange", "symbol", "timeframe", "timestamp", "source", "study").is_unique().all()
    assert study_rows(candles.clear(), parse_studies(["adx"])).schema == rows.schema
