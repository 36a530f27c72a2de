"""What an hour's coverage says, case by case."""

from __future__ import annotations

import polars as pl
import pytest

from lake.registry import COVERAGE
from lake.transforms.coverage import COVERAGE_SCHEMA, STATS_SCHEMA, coverage_of_hour

HOUR = 1_795_219_200_000_000
MINUTE = 60_000_000
SECOND = 1_000_000
TIME = pl.Datetime("us", "UTC")
KEY = ("binance", "BTC/USDT", "trades")


def stats(*rows: dict) -> pl.DataFrame:
    plain = {
        "exchange": "binance",
        "dataset": "trades",
        "symbol": "BTC/USDT",
        "rows": 10,
        "duplicates": 2,
        "first_time": None,
        "last_time": None,
    }
    return pl.DataFrame([{**plain, **row} for row in rows], schema=STATS_SCHEMA)


def gaps(*rows: dict) -> pl.DataFrame:
    plain = {"exchange": "binance", "symbol": "BTC/USDT", "channel": "trades", "kind": "sequence", "from_time": HOUR, "to_time": None}
    schema = {"exchange": pl.String, "symbol": pl.String, "channel": pl.String, "kind": pl.String, "from_time": TIME, "to_time": TIME}
    return pl.DataFrame([{**plain, **row} for row in rows], schema=schema)


def ledger(minutes=range(60), *, exchange: str = "binance", frames: int = 5) -> pl.DataFrame:
    rows = [{"exchange": exchange, "timestamp": HOUR + minute * MINUTE, "frames": frames} for minute in minutes]
    return pl.DataFrame(rows, schema={"exchange": pl.String, "timestamp": TIME, "frames": pl.Int64})


def one(now_us=None, *, stats=stats({}), gaps=gaps(), ledger=ledger(), expected=()) -> dict:  # noqa: B008 - frames never change
    (row,) = coverage_of_hour(HOUR, now_us, stats=stats, gaps=gaps, ledger=ledger, expected=expected).to_dicts()
    return row


def test_the_columns_are_those_of_the_registry():
    assert list(COVERAGE_SCHEMA) == [column.name for column in COVERAGE.columns]
    made = coverage_of_hour(HOUR, None, stats=stats({}), gaps=gaps(), ledger=ledger())
    assert made.schema == COVERAGE_SCHEMA
    assert made.to_arrow().cast(COVERAGE.schema).num_rows == 1


def test_connected_throughout_without_a_gap_is_available():
    row = one()

    assert (row["rows"], row["duplicates"], row["condition"]) == (10, 2, "available")
    assert (row["gaps"], row["gap_seconds"], row["connected_seconds"]) == (0, 0.0, 3600.0)


def test_until_the_hour_is_over_it_is_pending():
    assert one(HOUR + 10 * MINUTE)["condition"] == "pending"
    assert one(HOUR + 60 * MINUTE)["condition"] == "available"


def test_a_minute_without_frames_degrades():
    row = one(ledger=ledger([minute for minute in range(60) if minute != 7]))

    assert (row["connected_seconds"], row["condition"]) == (3540.0, "degraded")
    assert one(ledger=pl.concat([ledger(range(59)), ledger([59], frames=0)]))["condition"] == "degraded"


def test_connected_by_another_exchange_does_not_count():
    assert one(ledger=ledger(exchange="kraken"))["connected_seconds"] == 0.0


def test_expected_but_not_connected_is_missing_and_rows_without_connection_are_degraded():
    assert one(stats=stats(), ledger=ledger([]), expected=[KEY])["condition"] == "missing"
    assert one(ledger=ledger([]))["condition"] == "degraded"


def test_expected_and_connected_without_a_row_is_available():
    row = one(stats=stats(), expected=[KEY])

    assert (row["rows"], row["first_time"], row["condition"]) == (0, None, "available")


def test_overlapping_gaps_are_measured_once_and_clipped_to_the_hour():
    row = one(
        gaps=gaps(
            {"from_time": HOUR - MINUTE, "to_time": HOUR + 10 * SECOND},
            {"from_time": HOUR + 5 * SECOND, "to_time": HOUR + 20 * SECOND},
            {"from_time": HOUR + 3590 * SECOND, "to_time": HOUR + 4000 * SECOND},
            {"from_time": HOUR - 10 * SECOND, "to_time": HOUR},
        )
    )

    assert (row["gaps"], row["gap_seconds"], row["connected_seconds"], row["condition"]) == (3, 30.0, 3600.0, "degraded")


def test_a_disconnect_takes_from_the_connected_time():
    row = one(
        gaps=gaps(
            {"kind": "disconnect", "symbol": "", "from_time": HOUR + 60 * SECOND, "to_time": HOUR + 90 * SECOND},
            {"kind": "disconnect", "from_time": HOUR + 80 * SECOND, "to_time": HOUR + 100 * SECOND},
        ),
        ledger=ledger(range(59)),
    )

    assert (row["gap_seconds"], row["connected_seconds"]) == (40.0, 3500.0)


@pytest.mark.parametrize("now_us", [None, HOUR + 30 * MINUTE])
def test_an_open_gap_lasts_until_now(now_us):
    row = one(now_us, gaps=gaps({"from_time": HOUR + 20 * MINUTE}))

    assert row["gap_seconds"] == (2400.0 if now_us is None else 600.0)


def test_a_gap_of_no_length_counts():
    row = one(gaps=gaps({"from_time": HOUR + SECOND, "to_time": HOUR + SECOND}))

    assert (row["gaps"], row["gap_seconds"], row["condition"]) == (1, 0.0, "degraded")


def test_a_gap_concerns_its_channel_its_symbol_and_what_is_made_from_it():
    several = stats({}, {"dataset": "book_deltas"}, {"dataset": "book_snapshots"}, {"dataset": "book_deltas", "symbol": "ETH/USDT"})
    found = coverage_of_hour(
        HOUR,
        None,
        stats=several,
        gaps=gaps({"channel": "book_deltas", "to_time": HOUR + SECOND}),
        ledger=ledger(),
    )

    degraded = {(row["symbol"], row["dataset"]) for row in found.to_dicts() if row["condition"] == "degraded"}
    assert degraded == {("BTC/USDT", "book_deltas"), ("BTC/USDT", "book_snapshots")}


def test_the_order_of_the_inputs_does_not_matter():
    several = stats({}, {"symbol": "ETH/USDT"}, {"exchange": "kraken"})
    some = gaps({"to_time": HOUR + SECOND}, {"symbol": "", "from_time": HOUR + SECOND, "to_time": HOUR + 3 * SECOND})
    made = coverage_of_hour(HOUR, None, stats=several, gaps=some, ledger=ledger(), expected=[KEY])

    again = coverage_of_hour(HOUR, None, stats=several.reverse(), gaps=some.reverse(), ledger=ledger().reverse(), expected=[KEY, KEY])

    assert made.equals(again)
    assert made.equals(made.sort("exchange", "symbol", "timestamp", "dataset"))
