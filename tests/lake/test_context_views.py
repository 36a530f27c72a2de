"""Views of market context over a lake with listings, coins, declarations and flags."""

from __future__ import annotations

import time
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from lake.catalog import publish
from lake.context_datasets import COINGECKO
from lake.edited import edit_period, with_rows
from lake.executions import logged
from lake.files import now_us
from lake.paths import DAY_US, Home
from lake.periods import Period
from lake.query import run_sql
from lake.registry import dataset
from tests.lake.laying import LaidLake

AHEAD = 0.05
SECOND = 1_000_000


def put(home: Home, name: str, *rows: dict[str, Any], at: int) -> None:
    """Rows into the day partition `at` lies in; columns not given are null."""
    spec = dataset(name)
    table = pa.Table.from_arrays([pa.array([row.get(field.name) for row in rows], field.type) for field in spec.schema], schema=spec.schema)
    edit_period(home, name, Period.of(at, "day"), lambda former: with_rows(name, former, table), visible_after=AHEAD)


def coin(cg_id: str, symbol: str, rank: int | None, at: int, **more: Any) -> dict[str, Any]:
    return {"cg_id": cg_id, "symbol": symbol, "name": cg_id.title(), "rank": rank, "local_timestamp": at, "close": 1.0, **more}


@pytest.fixture
def home(tmp_path) -> Home:
    made = Home(tmp_path / "home")
    now = now_us()
    earlier = now - 3600 * SECOND
    put(made, COINGECKO.name, coin("gone", "OLD", 1, earlier), at=earlier)
    newest = [
        coin("bitcoin", "BTC", 1, now, ath5=True),
        coin("bitcoin-namesake", "BTC", 900, now),
        coin("frozen", "FRZ", None, now, close=None),
    ]
    put(made, COINGECKO.name, *newest, at=now)
    return made


def listed(home: Home, *symbols: tuple[str, str, str, str]) -> None:
    """Listings as (exchange, symbol, base, status), in the log."""
    laid = LaidLake(home.root)
    for number, (exchange, symbol, base, status) in enumerate(symbols):
        contract = ":" in symbol
        row = {
            "exchange": exchange,
            "symbol": symbol,
            "local_timestamp": int(laid.clock() * SECOND),
            "ordinal": number,
            "native": symbol.replace("/", ""),
            "market": "usdm" if contract else "spot",
            "base": base,
            "quote": "USDT",
            "contract": contract,
            "is_spot": not contract,
            "inverse": False,
            "contract_size": 1.0,
            "status": status,
            "active": status == "trading",
        }
        laid.log("listings", row)
    laid.close()


def rows(home: Home, statement: str) -> list[dict[str, Any]]:
    until = now_us() + int(3 * AHEAD * SECOND)
    while now_us() < until:
        time.sleep(0.01)
    return run_sql(home, statement).table.to_pylist()


def test_the_newest_snapshot_alone_is_now(home):
    assert {row["cg_id"] for row in rows(home, "SELECT cg_id FROM coingecko_now")} == {"bitcoin", "bitcoin-namesake", "frozen"}


def test_listings_of_exchanges_and_coins_stand_in_one_view(home):
    listed(home, ("okx", "BTC/USDT", "BTC", "trading"), ("okx", "BTC/USDT:USDT", "BTC", "trading"), ("okx", "LUNA/USDT", "LUNA", "gone"))

    found = rows(home, "SELECT exchange, symbol, base, is_spot, contract, active FROM listings_all ORDER BY exchange, symbol, native")

    assert [tuple(row.values()) for row in found] == [
        ("coingecko", "BTC/USD", "BTC", True, False, True),
        ("coingecko", "BTC/USD", "BTC", True, False, True),
        ("coingecko", "FRZ/USD", "FRZ", True, False, False),
        ("okx", "BTC/USDT", "BTC", True, False, True),
        ("okx", "BTC/USDT:USDT", "BTC", False, True, True),
    ]


def test_a_market_has_the_best_ranked_coin_of_its_base_and_what_is_declared_and_flagged(home):
    listed(home, ("okx", "BTC/USDT", "BTC", "trading"), ("okx", "XYZ/USDT", "XYZ", "trading"))
    today = now_us() // DAY_US * DAY_US
    put(home, "declarations", {"exchange": "okx", "symbol": "BTC/USDT", "timestamp": today, "reason": ""}, at=today)
    put(home, "flags", {"base": "BTC", "timestamp": today, "flag": "major", "value": "true"}, at=today)
    for process in ("declarations", "flags"):
        with logged(home, process, run_id="r", visible_after=AHEAD):
            pass

    found = rows(home, "SELECT symbol, cg_id, rank, ath5, declared, flags['major'] AS major FROM markets ORDER BY symbol")

    assert [tuple(row.values()) for row in found] == [
        ("BTC/USDT", "bitcoin", 1, True, True, "true"),
        ("XYZ/USDT", None, None, None, False, None),
    ]


def test_a_file_that_was_emptied_declares_nothing_any_more(home):
    yesterday = now_us() // DAY_US * DAY_US - DAY_US
    put(home, "flags", {"base": "BTC", "timestamp": yesterday, "flag": "major", "value": "true"}, at=yesterday)
    with logged(home, "flags", run_id="r", visible_after=AHEAD):
        pass

    assert rows(home, "SELECT * FROM flags_now") == []
    assert len(rows(home, "SELECT * FROM flags")) == 1


def test_every_column_of_the_views_is_described(tmp_path):
    home = Home(tmp_path / "home")
    with duckdb.connect(str(publish(home)), read_only=True) as connection:
        for view in ("coingecko_now", "declarations_now", "flags_now", "listings_all", "markets"):
            bare = connection.execute(
                "SELECT column_name FROM duckdb_columns() WHERE table_name = ? AND comment IS NULL", [view]
            ).fetchall()
            assert bare == [], view
