"""The view `candles` shows one source a key: ours where coverage of the trades is available, else the exchange's own candle."""

from __future__ import annotations

import duckdb
import pyarrow as pa

from lake.derived import write_hour, write_period
from lake.paths import Hour
from lake.periods import Period
from lake.registry import dataset
from tests.lake.laying import LaidLake
from tests.lake.making import HOUR, MINUTE, START, rows, trade

DAY_US = 24 * HOUR


def cover(laid: LaidLake, conditions: dict[int, str], *, symbol: str = "BTC/USDT") -> None:
    """Coverage of the trades of hours, by number of hours after START."""
    for number, condition in conditions.items():
        at = START + number * HOUR
        row = {"timestamp": at, "dataset": "trades", "condition": condition, "symbol": symbol}
        table = pa.Table.from_batches([rows("coverage", row)])
        write_hour(laid.home, "coverage", Hour(at), table, watermark=laid.clock.us, visible_after=0.5, clock=laid.clock)
    laid.clock.advance(1)


def theirs(laid: LaidLake, *candles: tuple[str, int, float], volume: float = 2.0) -> None:
    """Candles of the exchange: (timeframe, open time, close)."""
    given = [
        {"timeframe": timeframe, "timestamp": at, "close": close, "volume": volume, "source": "exchange", "trade_count": None}
        for timeframe, at, close in candles
    ]
    table = pa.Table.from_batches([rows("exchange_candles", *given)])
    month = Period.of(START, "month")
    write_period(laid.home, "exchange_candles", month, table, watermark=laid.clock.us, visible_after=0.5, clock=laid.clock)
    laid.clock.advance(1)


def shown(laid: LaidLake, timeframe: str, *, where: str = "true") -> list[tuple]:
    with duckdb.connect(str(laid.home.catalog), read_only=True) as connection:
        sql = f"SELECT (epoch_us(timestamp) - {START}) // 60000000, close, source FROM {{}} WHERE {where} ORDER BY 1, 3"
        found = connection.execute(sql.format(f"(FROM candles WHERE timeframe = '{timeframe}')")).fetchall()
        assert connection.execute(sql.format(f"candles_now('{timeframe}')")).fetchall() == found
    return found


def test_of_a_covered_hour_ours_is_shown_and_theirs_is_not_even_where_we_have_none(laid):
    laid.land("trades", trade(1, at=START, price=10.0))
    cover(laid, {0: "available"})
    theirs(laid, ("1m", START, 11.0), ("1m", START + MINUTE, 12.0))

    assert shown(laid, "1m") == [(0, 10.0, "trades")]


def test_of_an_hour_that_is_not_whole_theirs_is_shown_and_ours_where_they_have_none(laid):
    laid.land("trades", *(trade(minute, at=START + minute * MINUTE, price=10.0 + minute) for minute in range(3)))
    cover(laid, {0: "degraded"})
    theirs(laid, ("1m", START + MINUTE, 21.0), ("1m", START + 5 * MINUTE, 25.0))

    assert shown(laid, "1m") == [(0, 10.0, "trades"), (1, 21.0, "exchange"), (2, 12.0, "trades"), (5, 25.0, "exchange")]
    assert shown(laid, "1m", where="symbol = 'BTC/USDT' AND date = '2026-11-21' AND hour = 0") == shown(laid, "1m")
    assert shown(laid, "1m", where="source = 'exchange'") == [(1, 21.0, "exchange"), (5, 25.0, "exchange")]


def test_an_hour_that_still_runs_is_ours_and_one_we_never_saw_is_theirs(laid):
    laid.land("trades", trade(1, at=START + HOUR, price=10.0))
    cover(laid, {1: "pending"})
    theirs(laid, ("1h", START, 20.0), ("1h", START + HOUR, 21.0))

    assert shown(laid, "1h") == [(0, 20.0, "exchange"), (60, 10.0, "trades")]


def test_a_longer_candle_is_ours_only_if_all_its_hours_are_covered(laid):
    laid.land("trades", *(trade(hour, at=START + hour * HOUR, price=10.0 + hour) for hour in range(12)))
    cover(laid, {hour: "missing" if hour == 5 else "available" for hour in range(12)})
    theirs(laid, *(("4h", START + hour * HOUR, 50.0 + hour) for hour in (0, 4, 8)), ("1d", START, 99.0))

    assert shown(laid, "4h") == [(0, 13.0, "trades"), (240, 54.0, "exchange"), (480, 21.0, "trades")]
    assert shown(laid, "1d") == [(0, 99.0, "exchange")]
    assert shown(laid, "6h") == [(0, 15.0, "trades"), (360, 21.0, "trades")]


def test_a_candle_in_which_nothing_was_traded_is_no_row_whoever_says_so(laid):
    theirs(laid, ("1m", START, 11.0), volume=0.0)

    assert shown(laid, "1m") == []


def test_coverage_of_another_symbol_says_nothing(laid):
    laid.land("trades", trade(1, at=START, price=10.0))
    cover(laid, {0: "available"}, symbol="ETH/USDT")
    theirs(laid, ("1m", START, 11.0))

    assert shown(laid, "1m") == [(0, 11.0, "exchange")]
    assert dataset("exchange_candles").span == "month"
