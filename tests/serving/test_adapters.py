"""What is handed to other programs is what they read."""

from __future__ import annotations

import importlib
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lake.paths import Home
from serving.adapters import hftbacktest
from serving.adapters.backtrader import feed
from serving.client import load
from serving.events import Book, BookDelta, Trade
from tests.lake.making import HOUR, START

RANGE = {"start": str(START), "end": str(START + HOUR)}


def test_backtrader_trades_on_our_candles(past: Home) -> None:
    candles = load("candles", home=past.root, exchange="kraken", symbol="BTC/USDT", timeframe="1m", to="pandas", **RANGE)
    data = feed(candles)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=SyntaxWarning)
        bt = importlib.import_module("backtrader")
    closes: list[float] = []

    class Average(bt.Strategy):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            self.average = bt.indicators.SimpleMovingAverage(self.data.close, period=5)

        def next(self) -> None:
            closes.append(self.data.close[0])
            if not self.position and self.data.close[0] > self.average[0]:
                self.buy(size=1)
            elif self.position and self.data.close[0] < self.average[0]:
                self.close()

    cerebro: Any = bt.Cerebro()
    cerebro.adddata(data)
    cerebro.addstrategy(Average)
    cerebro.broker.setcash(10_000.0)
    cerebro.addanalyzer(bt.analyzers.TradeAnalyzer, _name="trades")
    ran = cerebro.run()[0]

    assert closes == candles["close"].tolist()[4:]
    assert ran.analyzers.trades.get_analysis().total.total > 5
    assert ran.data.datetime.datetime(0) == candles["timestamp"].iloc[-1].tz_localize(None).to_pydatetime()


def test_candles_of_several_markets_are_refused(past: Home) -> None:
    candles = load("candles", home=past.root, timeframe="1h", to="pandas", **RANGE)

    with pytest.raises(ValueError, match="candles are of 3 values of exchange, expected one"):
        feed(candles)


def test_hftbacktest_reads_the_book_and_the_trades(past: Home, tmp_path: Path) -> None:
    path = tmp_path / "events.npz"

    count = hftbacktest.write(path, home=past.root, exchange="okx", symbol="BTC/USDT", **RANGE)

    data = np.load(path)["data"]
    assert data.dtype == hftbacktest.DTYPE
    assert len(data) == count
    for flag, time in ((hftbacktest.EXCHANGE, "exch_ts"), (hftbacktest.LOCAL, "local_ts")):
        own = data[(data["ev"] & np.uint64(flag)) != 0]
        assert np.all(np.diff(own[time]) >= 0)
        kinds = own["ev"] & np.uint64(0xFF)
        assert (kinds == hftbacktest.TRADE).sum() == 900
        assert (kinds == hftbacktest.SNAPSHOT).sum() == 20
        assert (kinds == hftbacktest.DEPTH).sum() == 119 * 2
        assert (kinds == hftbacktest.CLEAR).sum() == 2
    assert (data["local_ts"] >= data["exch_ts"]).all()
    bought = data[((data["ev"] & np.uint64(hftbacktest.BUY)) != 0) & ((data["ev"] & np.uint64(0xFF)) == hftbacktest.TRADE)]
    assert bought["qty"].sum() == pytest.approx(sum(0.25 + number % 5 for number in range(900) if number % 3) * 1.0)
    assert data["exch_ts"].min() >= (START - 10) * 1000


def event(kind: type[Any], there: int, here: int, **more: Any) -> Any:
    common = {"exchange": "x", "symbol": "A/B", "timestamp": there, "local_timestamp": here, "ordinal": 0}
    if kind is Trade:
        return Trade(**common, trade_id="1", side="buy", price=1.0, amount=1.0, fill_count=1, source="stream", clock_suspect=False)
    return kind(**common, sequence=None, bids=[(1.0, 2.0)], asks=[], **more)


def test_events_that_overtook_each_other_are_split_so_that_each_side_sees_its_own_order() -> None:
    data = hftbacktest.array([event(Trade, 100, 300), event(BookDelta, 200, 250)])

    both = hftbacktest.EXCHANGE | hftbacktest.LOCAL
    assert [int(flags) & both for flags in data["ev"]] == [hftbacktest.EXCHANGE, both, hftbacktest.LOCAL]
    assert data["exch_ts"].tolist() == [100_000, 200_000, 100_000]


def test_a_clock_that_was_behind_is_put_forward() -> None:
    data = hftbacktest.array([event(Book, 100, 90), event(Trade, 200, 260)], base_latency_us=5)

    assert (data["local_ts"] - data["exch_ts"]).min() == 5000
