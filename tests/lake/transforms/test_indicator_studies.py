from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from lake.errors import IndicatorError
from lake.transforms.indicators.studies import parse_studies, study_columns
from tests.lake.transforms.indicator_candles import close_to, made, numbers, recorded


def test_studies_equal_recorded_values_of_talib(recordings: Path):
    path = recordings / "indicators" / "expected_eth_btc_5m_talib_pandasta.csv.gz"
    expected = pl.read_csv(path, infer_schema_length=None)
    studies = parse_studies(["ema_20", "atr_14", "willr_14", {"name": "cci", "length": 20}])

    rows = study_columns(recorded(path), studies)

    for ours, theirs in (("ta_ema_20", "talib_ema_20"), ("ta_atrr_14", "talib_atr_14"), ("ta_willr_14", "talib_willr_14")):
        close_to(numbers(rows, ours), numbers(expected, theirs), scale=1.0)
    assert "ta_cci_20_0_015" in rows.columns


def test_numbers_in_a_name_are_parameters_in_their_order():
    names = [study.columns for study in parse_studies(["macd_5_35_5", "supertrend_10_2.5", "t3_8", {"name": "vortex", "length": 21}])]

    assert names == [
        ("ta_macd_5_35_5", "ta_macdh_5_35_5", "ta_macds_5_35_5"),
        ("ta_supert_10_2_5", "ta_supertd_10_2_5", "ta_supertl_10_2_5", "ta_superts_10_2_5"),
        ("ta_t3_8_0_7",),
        ("ta_vtxp_21", "ta_vtxm_21"),
    ]


def test_each_history_is_computed_by_itself():
    parts = [made(120, seed=1), made(90, seed=2, symbol="ETH/USDT"), made(3, seed=3, symbol="XRP/USDT")]
    studies = parse_studies(["adx", "obv"])

    together = study_columns(pl.concat(parts).sort("timestamp"), studies)

    alone = pl.concat(study_columns(part, studies) for part in parts)
    assert together.equals(alone)
    assert together.filter(pl.col("symbol") == "XRP/USDT")["ta_adx_14"].null_count() == 3
    assert not np.isnan(together.filter(pl.col("symbol") == "ETH/USDT")["ta_adx_14"][-1])


def test_no_candles_have_the_columns_of_studies_too():
    studies = parse_studies(["adx"])

    assert study_columns(made(1).clear(), studies).schema == study_columns(made(40), studies).schema


def test_columns_that_look_ahead_are_left_out():
    (ichimoku,) = parse_studies(["ichimoku"])

    assert "ta_its_9" in ichimoku.columns
    assert not [name for name in ichimoku.columns if name.startswith("ta_ics")]


@pytest.mark.parametrize(
    ("study", "sentence"),
    [
        ("adxx", "study 'adxx' is unknown; did you mean adx"),
        ("zzzzz", "expected one of the 1.. of pandas-ta-classic"),
        ("adx_1_2_3_4_5", "has 5 numbers, expected at most 3: length, lensig, scalar"),
        ({"name": "adx", "lenght": 3}, "study adx has no parameter 'lenght', allowed are length"),
        ({"name": "atr", "length": [1]}, r"parameter length of study atr is \[1\], expected a number"),
        ({"name": "adx", "length": "x"}, "study adx with {'length': 'x'} cannot be computed"),
        ({"length": 3}, "expected a text"),
        ("dpo", "study dpo looks ahead"),
        ("vp", "gives no value for each candle"),
        ("mavp", "study 'mavp' is unknown"),
    ],
)
def test_what_cannot_be_computed_is_refused_in_one_sentence(study: object, sentence: str):
    with pytest.raises(IndicatorError, match=sentence):
        parse_studies([study])


def test_two_studies_of_the_same_columns_are_refused():
    with pytest.raises(IndicatorError, match="column ta_adx_14 would come from two studies"):
        parse_studies(["adx", "adx_14"])


def test_the_suite_does_not_load_pandas():
    code = "import sys, lake.transforms.indicators.table, lake.registry; assert 'pandas' not in sys.modules"

    subprocess.run([sys.executable, "-c", code], check=True)
