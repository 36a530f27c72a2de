from __future__ import annotations

import polars as pl
import pytest

from lake.transforms.indicators.dollars import RATE_SCHEMA, usdt_rates
from lake.transforms.indicators.suite import compute
from tests.lake.transforms.indicator_candles import made


def worth(candles: pl.DataFrame, symbol: str, rates: pl.DataFrame | None) -> list[float | None]:
    """volume_usd of a symbol, in volume x close."""
    rows, _ = compute(candles.filter(pl.col("symbol") == symbol), rates=rates)
    joined = rows.join(candles, on=["exchange", "symbol", "timeframe", "timestamp", "source"])
    return (joined["volume_usd"] / (joined["volume"] * joined["close"])).to_list()


def test_volume_goes_through_the_quotes_own_market():
    bitcoin, ether = made(3, seed=1), made(3, seed=2, symbol="ETH/BTC")
    candles = pl.concat([bitcoin, ether])

    assert worth(candles, "ETH/BTC", usdt_rates(candles)) == pytest.approx(bitcoin["close"].to_list(), rel=1e-12)
    assert worth(candles, "BTC/USDT", usdt_rates(candles)) == pytest.approx([1.0] * 3)
    assert worth(candles, "ETH/BTC", None) == [None] * 3


def test_a_market_of_tether_is_turned_round():
    euro, bitcoin = made(3, seed=1, symbol="USDT/EUR"), made(3, seed=2, symbol="BTC/EUR")
    candles = pl.concat([euro, bitcoin])

    assert worth(candles, "BTC/EUR", usdt_rates(candles)) == pytest.approx([1 / close for close in euro["close"]], rel=1e-12)


@pytest.mark.parametrize(
    ("symbol", "expected"),
    [("BTC/USD", 1.0), ("BTC/USDC", 1.0), ("BTC/USDT:USDT", 1.0), ("BTC/USD:BTC", 1.0), ("BTC/EUR", None), ("BTC", None)],
)
def test_dollar_like_quotes_without_a_market_count_as_one(symbol: str, expected: float | None):
    candles = made(2, symbol=symbol)

    found = worth(candles, symbol, usdt_rates(candles))

    assert found == ([None] * 2 if expected is None else pytest.approx([expected] * 2))


def test_a_market_of_the_quote_counts_more_than_its_likeness_to_a_dollar():
    coin, bitcoin = made(2, seed=1, symbol="USDC/USDT"), made(2, seed=2, symbol="BTC/USDC")

    assert worth(pl.concat([coin, bitcoin]), "BTC/USDC", usdt_rates(coin)) == pytest.approx(coin["close"].to_list(), rel=1e-12)


def test_a_candle_without_a_rate_takes_that_of_the_candle_before_across_partitions():
    ether = made(6, seed=2, symbol="ETH/BTC")
    rates = usdt_rates(made(6, seed=1))
    known = rates.filter(pl.col("timestamp").is_in(ether["timestamp"][1:3].to_list()))

    whole, _ = compute(ether, rates=known)
    first, state = compute(ether[:4], rates=known)
    second, _ = compute(ether[4:], state, rates=known)

    one, two = known["rate"].to_list()
    expected = [None, one, two, two, two, two]
    assert worth(ether, "ETH/BTC", known) == [None, *(pytest.approx(rate, rel=1e-12) for rate in expected[1:])]
    assert pl.concat([first, second]).equals(whole)


def test_rates_are_those_of_the_same_exchange_and_timeframe():
    foreign = pl.concat([made(2, exchange="kraken"), made(2, timeframe="5m"), made(2, symbol="BTC/USDT:USDT")])

    assert worth(made(2, symbol="ETH/BTC"), "ETH/BTC", usdt_rates(foreign)) == [None] * 2
    assert usdt_rates(foreign).schema == RATE_SCHEMA


def test_rates_prefer_candles_from_trades_and_the_direct_market():
    ours, theirs = made(2, seed=1, symbol="EUR/USDT"), made(2, seed=2, symbol="EUR/USDT", source="exchange")
    inverse = made(3, seed=3, symbol="USDT/EUR")

    rates = usdt_rates(pl.concat([theirs, inverse, ours]))

    assert rates["quote"].to_list() == ["EUR"] * 3
    assert rates["rate"].to_list() == [*ours["close"].to_list(), 1 / inverse["close"][2]]
