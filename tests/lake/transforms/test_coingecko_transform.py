"""How far a coin is from its all-time high: the flags at their edges, days, and what is unknown."""

from __future__ import annotations

from datetime import UTC, datetime

import polars as pl
import pytest

from lake.context_datasets import ATH_DISTANCES, COINGECKO
from lake.transforms.coingecko import RAW_SCHEMA, days_since_ath, near_ath, snapshot

NOON = int(datetime(2026, 11, 21, 12, tzinfo=UTC).timestamp()) * 1_000_000


def flag(close: float | None, ath: float | None, percent: int) -> bool | None:
    rows = pl.DataFrame({"close": [close], "ath": [ath]}, schema={"close": pl.Float64, "ath": pl.Float64})
    return rows.select(near_ath(percent)).item()


@pytest.mark.parametrize("percent", ATH_DISTANCES)
def test_a_price_exactly_n_per_cent_below_the_high_is_near_it_and_one_below_that_is_not(percent):
    assert flag(100.0 - percent, 100.0, percent) is True
    assert flag(100.0 - percent - 0.001, 100.0, percent) is False


@pytest.mark.parametrize("percent", ATH_DISTANCES)
def test_the_high_itself_and_a_price_above_it_are_near(percent):
    assert flag(100.0, 100.0, percent) is True
    assert flag(100.5, 100.0, percent) is True


@pytest.mark.parametrize(("close", "ath"), [(None, 100.0), (100.0, None), (None, None), (1.0, 0.0)])
def test_an_unknown_price_or_a_high_of_nothing_gives_no_flag(close, ath):
    assert [flag(close, ath, percent) for percent in ATH_DISTANCES] == [None] * len(ATH_DISTANCES)


def test_tiny_prices_keep_the_edge():
    assert flag(0.95e-9, 1e-9, 5) is True
    assert flag(0.9499e-9, 1e-9, 5) is False


@pytest.mark.parametrize(
    ("high", "days"),
    [
        (datetime(2026, 11, 20, 12, tzinfo=UTC), 1),
        (datetime(2026, 11, 20, 12, 0, 1, tzinfo=UTC), 0),
        (datetime(2026, 11, 21, 12, 0, 5, tzinfo=UTC), 0),
        (datetime(2021, 11, 21, 12, tzinfo=UTC), 1826),
        (None, None),
    ],
)
def test_days_since_the_high_are_whole_ones_and_never_negative(high, days):
    rows = pl.DataFrame({"ath_date": [high]}, schema={"ath_date": pl.Datetime("us", "UTC")})

    assert rows.select(days_since_ath(NOON)).item() == days


def test_a_snapshot_has_the_columns_of_the_dataset_and_one_instant():
    raw = pl.DataFrame([("bitcoin", "btc", "Bitcoin", None, 95.0, None, 1, None, None, 100.0, None, 1.0)], schema=RAW_SCHEMA, orient="row")

    made = snapshot(raw, at_us=NOON)

    assert made.to_arrow().cast(COINGECKO.schema).num_rows == 1
    row = made.row(0, named=True)
    assert (row["symbol"], row["ath5"], row["ath10"], row["days_since_ath"]) == ("BTC", True, True, None)
    assert row["local_timestamp"] == datetime(2026, 11, 21, 12, tzinfo=UTC)
