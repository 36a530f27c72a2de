"""The addresses that read the lake, over a real socket."""

from __future__ import annotations

import io
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

import polars as pl
import pyarrow as pa
import pytest

from lake import query
from lake.paths import Home
from serving.tables import TABLES
from tests.lake.making import HOUR, MINUTE, START
from tests.serving.world import END, EXCHANGES, Served, lay, serving, trades

RANGE = {"start": START, "end": END}


def sql(home: Home, statement: str) -> pl.DataFrame:
    return pl.DataFrame(query.run_sql(home, statement).table)


@pytest.mark.parametrize("name", [*TABLES, "candles", "indicators", "listings"])
def test_every_table_answers_with_its_columns(served: Served, name: str) -> None:
    answer = served.get(f"/v1/{name}", **({} if name == "listings" else RANGE))

    assert answer.status_code == 200, answer.text
    if name in TABLES and answer.json()["rows"]:
        assert tuple(answer.json()["rows"][0]) == TABLES[name].columns


def test_rows_of_all_tiers_are_there_once_the_log_included(served: Served) -> None:
    rows = served.rows("/v1/trades", **RANGE, limit=100_000)

    keys = [(row["exchange"], row["trade_id"]) for row in rows]
    assert len(keys) == len(set(keys)) == 3 * (900 + 300 + 60)
    assert [row["timestamp"] for row in rows] == sorted(row["timestamp"] for row in rows)


@pytest.mark.parametrize("symbol", ["BTC/USDT", "BTC-USDT", "btc-usdt"])
@pytest.mark.parametrize("exchange", EXCHANGES)
def test_a_symbol_may_be_unified_or_dashed(served: Served, exchange: str, symbol: str) -> None:
    assert len(served.rows("/v1/trades", **RANGE, exchange=exchange, symbol=symbol, limit=5000)) == 1260


def test_a_symbol_may_be_the_exchanges_own_name_and_stand_in_the_path(served: Served) -> None:
    native = served.rows("/v1/trades", **RANGE, exchange="binance", symbol="BTCUSDT", limit=10)
    path = served.rows(f"/v1/trades/binance/{quote('BTC/USDT', safe='')}", **RANGE, limit=10)

    assert native == path == served.rows("/v1/trades", **RANGE, exchange="binance", symbol="BTC/USDT", limit=10)


def test_a_name_that_is_listed_nowhere_is_refused_with_a_sentence(served: Served) -> None:
    answer = served.get("/v1/trades", symbol="NOSUCH")

    assert answer.status_code == 400
    assert answer.json() == {
        "error": {
            "code": "bad_request",
            "message": "symbol 'NOSUCH' is not listed anywhere, expected one as BTC/USDT, BTC-USDT or the exchange's own name",
        }
    }


def pages(served: Served, path: str, **asked: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while True:
        answer = served.get(path, **asked).json()
        found += answer["rows"]
        if answer["next"] is None:
            return found
        asked["cursor"] = answer["next"]


@pytest.mark.parametrize(
    ("path", "more"),
    [
        ("/v1/trades", {"limit": 377}),
        ("/v1/trades", {"limit": 501, "order": "desc", "by": "receive"}),
        ("/v1/book-deltas", {"limit": 97}),
        ("/v1/book-deltas", {"limit": 150, "by": "exchange"}),
        ("/v1/candles", {"limit": 61, "columns": "close,exchange"}),
        ("/v1/gaps", {"limit": 1}),
    ],
)
def test_pages_together_are_the_whole(served: Served, path: str, more: dict[str, Any]) -> None:
    whole = served.rows(path, **RANGE, **{**more, "limit": 100_000})

    assert pages(served, path, **RANGE, **more) == whole
    assert len(whole) > more["limit"]


def test_pages_neither_repeat_nor_lose_rows_while_others_land(tmp_path: Path) -> None:
    lake = lay(tmp_path)
    with serving(lake.home, api_picture_seconds=0.0) as served:
        before = served.rows("/v1/trades", **RANGE, limit=100_000)
        answer = served.get("/v1/trades", start=START, limit=500).json()
        seen = answer["rows"]
        lake.log("trades", *trades("binance", start=START + 30 * MINUTE + 1, count=40, step=60_000_000, first=70_000))
        while answer["next"]:
            answer = served.get("/v1/trades", start=START, limit=500, cursor=answer["next"]).json()
            seen += answer["rows"]
    lake.close()

    keys = [(row["exchange"], row["trade_id"]) for row in seen]
    assert len(keys) == len(set(keys))
    assert {(row["exchange"], row["trade_id"]) for row in before} <= set(keys)


def test_formats_hold_the_same_rows(served: Served) -> None:
    asked = {**RANGE, "exchange": "kraken", "limit": 200}
    rows = served.rows("/v1/trades", **asked)
    arrow = served.http.get("/v1/trades", params=asked, headers={"Accept": "application/vnd.apache.arrow.stream"})
    csv = served.http.get("/v1/trades", params=asked, headers={"Accept": "text/csv;q=0.9, text/html"})

    table = pl.DataFrame(pa.ipc.open_stream(arrow.content).read_all())
    assert arrow.headers["Tickhouse-Next"]
    assert table["trade_id"].to_list() == [row["trade_id"] for row in rows]
    assert table["timestamp"].dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_list() == [row["timestamp"] for row in rows]
    assert pl.read_csv(io.BytesIO(csv.content))["price"].to_list() == [row["price"] for row in rows]


def test_a_format_that_is_none_is_refused(served: Served) -> None:
    answer = served.http.get("/v1/trades", headers={"Accept": "image/png"})

    assert (answer.status_code, answer.json()["error"]["code"]) == (406, "not_acceptable")


@pytest.mark.parametrize("timeframe", ["1m", "15m", "1h", "1d"])
def test_candles_equal_those_of_the_lake(served: Served, timeframe: str) -> None:
    rows = served.rows("/v1/candles", start=START - 24 * HOUR, end=END, timeframe=timeframe, limit=100_000)
    mine = sql(
        served.home, f"SELECT exchange, open, high, low, close, trade_count FROM candles_now('{timeframe}') ORDER BY timestamp, exchange"
    )

    assert [tuple(row[name] for name in mine.columns) for row in rows] == mine.rows()


def test_filled_candles_have_no_holes(served: Served) -> None:
    rows = served.rows("/v1/candles", start=START + HOUR, end=END, timeframe="1m", symbol="BTC/USDT", exchange="okx", fill="yes")

    assert len(rows) == 60
    assert {row["is_filled"] for row in rows} == {True, False}


def test_a_book_at_an_instant_is_that_of_the_macro(served: Served) -> None:
    at = START + 33 * MINUTE
    rows = served.rows("/v1/book", exchange="kraken", symbol="BTC-USDT", at=at, levels=5)
    with closing(query.connect(served.home)) as connection:
        mine = connection.execute(
            "SELECT side, level, price, amount FROM book_at('kraken', 'BTC/USDT', make_timestamptz(?)) WHERE level <= 5 ORDER BY side DESC, level",
            [at],
        ).fetchall()

    assert [(row["side"], row["level"], row["price"], row["amount"]) for row in rows] == mine
    assert len(rows) == 10


def test_the_newest_of_several_tables_comes_in_one_answer(served: Served) -> None:
    answer = served.get("/v1/latest", of="trades,candles", symbol="BTC/USDT", within="2026-11-20", timeframe="1h")

    found = answer.json()
    newest = sql(served.home, "SELECT max(timestamp) AS at FROM trades")["at"][0]
    assert {row["exchange"] for row in found["trades"]} == set(EXCHANGES)
    assert max(row["timestamp"] for row in found["trades"]) == newest.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    assert {row["exchange"] for row in found["candles"]} == set(EXCHANGES)


def test_a_cursor_of_another_request_is_refused(served: Served) -> None:
    cursor = served.get("/v1/trades", **RANGE, limit=1).json()["next"]

    answer = served.get("/v1/trades", exchange="kraken", cursor=cursor)

    assert answer.status_code == 400
    assert "cursor" in answer.json()["error"]["message"]


def test_a_statement_that_takes_too_long_is_interrupted(past: Home) -> None:
    with serving(past, api_timeout_seconds=0.001) as impatient:
        answer = impatient.get("/v1/candles", **RANGE)

    assert answer.status_code == 422
    assert "longer than 0.001 seconds" in answer.json()["error"]["message"]


def test_health_tells_of_the_feed_and_metrics_of_answers(served: Served) -> None:
    served.rows("/v1/trades", limit=1)

    assert served.get("/health/live").json() == {"status": "live"}
    assert served.get("/health/ready").json()["status"] == "ready"
    assert 'tickhouse_api_seconds_count{route="/v1/trades",status="200"}' in served.get("/metrics").text
