"""The dashboards: put together so that Grafana can show them, and every SQL statement gives rows on a real server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from lake.timescale.migrate import migrate
from tests.deploy.watched import BOARDS, DEPLOY, ROOT, as_grafana_sends, board, panels, read, statements
from tests.lake.timescale_lake import settings
from tests.timescale_server import edition, run

SOURCES = {each["uid"]: each for each in read(DEPLOY / "grafana" / "provisioning" / "datasources" / "tickhouse.yml")["datasources"]}
MARKET = next(path for path in BOARDS if path.stem == "market")
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
EXCHANGE, SYMBOL = "o'hare", "BTC/USDT"
"""An exchange of a name that a statement has to quote."""


def test_there_is_one_of_markets_and_one_of_feeds() -> None:
    assert {path.stem: board(path)["uid"] for path in BOARDS} == {"market": "tickhouse-market", "feed-health": "tickhouse-feeds"}


@pytest.mark.parametrize("path", BOARDS, ids=lambda path: path.stem)
def test_panels_ask_sources_that_are_provisioned_and_say_what_they_show(path: Path) -> None:
    for panel in panels(path):
        title = panel["title"]
        assert panel["description"].endswith("."), title
        asked = [panel["datasource"], *(target["datasource"] for target in panel["targets"])]
        assert {(each["uid"], each["type"]) for each in asked} <= {(uid, source["type"]) for uid, source in SOURCES.items()}, title
        references = [target["refId"] for target in panel["targets"]]
        assert len(references) == len(set(references)) >= 1, title
    for variable in board(path)["templating"]["list"]:
        assert variable["type"] == "custom" or variable["datasource"]["uid"] in SOURCES


@pytest.mark.parametrize("path", BOARDS, ids=lambda path: path.stem)
def test_panels_stand_beside_each_other_and_not_on_each_other(path: Path) -> None:
    every = board(path)["panels"]

    assert len({panel["id"] for panel in every}) == len(every)
    places = [panel["gridPos"] for panel in every]
    assert all(place["x"] + place["w"] <= 24 for place in places)
    for one, other in combinations(places, 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        below = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or below


def test_links_lead_to_dashboards_that_are_there() -> None:
    there = {board(path)["uid"] for path in BOARDS}

    assert {link["url"].removeprefix("/d/") for path in BOARDS for link in board(path)["links"]} <= there


def test_grafana_finds_dashboards_and_variables_where_the_compose_file_puts_them() -> None:
    service = read(ROOT / "docker-compose.yml")["services"]["grafana"]
    mounted = {inside: outside for outside, inside, *_ in (volume.split(":") for volume in service["volumes"])}
    provider = read(DEPLOY / "grafana" / "provisioning" / "dashboards" / "tickhouse.yml")["providers"][0]

    assert mounted[provider["options"]["path"]] == "./deploy/grafana/dashboards"
    assert mounted["/etc/grafana/provisioning"] == "./deploy/grafana/provisioning"
    home = Path(service["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    assert (ROOT / mounted[str(home.parent)] / home.name) in BOARDS
    wanted = {"TICKHOUSE_DB_HOST", "TICKHOUSE_DB_PORT", "TICKHOUSE_DB_NAME", "TICKHOUSE_DB_SSLMODE", "TICKHOUSE_PROMETHEUS_URL"}
    text = (DEPLOY / "grafana" / "provisioning" / "datasources" / "tickhouse.yml").read_text()
    assert {name for name in wanted if f"${{{name}}}" in text} == wanted <= set(service["environment"])


def rows() -> dict[str, list[dict[str, Any]]]:
    """A little of each table that a panel reads."""
    minute, market = timedelta(minutes=1), {"exchange": EXCHANGE, "symbol": SYMBOL}
    asset = {"exchange": EXCHANGE, "asset": SYMBOL, "last_id": 1}
    ohlc = {"open": 100, "high": 110, "low": 90, "close": 105, "volume": 3}
    prices = {f"{name}_price": value for name, value in ohlc.items() if name != "volume"}
    averages = dict.fromkeys(
        ["ema10", "ema36", "ema200", "sma50", "bbu202", "bbl202", "st73", "rsi14", "macd", "macd_signal", "macd_hist"], 42
    )
    book = {"bids": "[[99, 1]]", "asks": "[[101, 1]]", "mid_price": 100, "spread": 2, "bid_volume": 3, "ask_volume": 1, "ordinal": 1}
    flow = {"total_count_buy": 1, "total_count_sell": 2, "total_base_buy": 3, "total_base_sell": 4}
    bucket = {"bucket_size": 10, "volume": 5, "side": "bid", "exchange_count": 1, "intensity": 0.5}
    alert = {
        "total_volume_usd": 1e6,
        "vwap": 100,
        "price_change_pct": -1,
        "largest_trade_usd": 9,
        "alert_severity": "HIGH",
        "rule": "forced",
        "window_seconds": 300,
        "event_count": 2,
        "alert_id": "a",
    }
    coin = {"id": "bitcoin", "symbol": "btc", "name": "Bitcoin", "close": 1, "market_cap": 2, "market_cap_rank": 1, "days_since_ath": 3}
    times = [NOW - 3 * minute, NOW - 2 * minute]
    return {
        "h1_data": [{**asset, **ohlc, "timestamp": datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=2)}],
        "ohlcv_data": [
            {
                **market,
                **prices,
                "timestamp": at,
                "timeframe": "15m",
                "volume": 3,
                "quote_volume": 300,
                "trade_count": 7,
                "source": "trades",
            }
            for at in (NOW - timedelta(minutes=30), NOW - timedelta(minutes=15))
        ],
        "indicators": [{**asset, **averages, "timeframe": "15m", "timestamp": NOW - timedelta(minutes=15)}],
        "trade_flow": [{**market, **flow, "time": at} for at in times],
        "order_book_snapshots": [{**market, **book, "timestamp": at, "local_timestamp": at} for at in times],
        "heatmap_data": [{**market, **bucket, "timestamp": at, "price_bucket": price} for at in times for price in (90, 100)],
        "trade_events": [{**market, "timestamp": at, "price": 1, "size": 2, "side": "buy", "trade_id": "t"} for at in times],
        "liquidation_alerts": [{**market, **alert, "timestamp": at, "local_timestamp": at} for at in times],
        "cg_data": [{**coin, "timestamp": NOW, "sys_timestamp": NOW}],
        "synced_partitions": [
            {"table_name": "h1_data", "partition_start": NOW, "row_count": 1, "last_time": NOW, "synced_at": NOW, "refreshed": True}
        ],
    }


async def fill(connection: Any) -> None:
    for table, given in rows().items():
        for row in given:
            named = ", ".join(f'"{name}"' for name in row)
            await connection.execute(
                f"INSERT INTO {table} ({named}) VALUES ({', '.join(f'${n}' for n in range(1, len(row) + 1))})", *row.values()
            )


def test_every_statement_of_the_market_dashboard_gives_what_its_panel_draws(timescale_dsn: str) -> None:
    migrate(timescale_dsn, settings=settings())
    timescale = edition(timescale_dsn) != "plain"
    variables = {"exchange": EXCHANGE, "symbol": SYMBOL, "timeframe": "15m"}
    asked = [
        (where, form, as_grafana_sends(text, NOW - timedelta(hours=1), NOW, seconds=60, timescale=timescale, **variables))
        for where, form, text in statements(MARKET)
    ]

    async def ask(connection: Any) -> dict[str, list[Any]]:
        await fill(connection)
        return {where: await connection.fetch(text) for where, _, text in asked}

    answers = run(timescale_dsn, ask)

    assert len(asked) == len(answers) > 15
    for where, form, text in asked:
        assert "$" not in text, where
        assert answers[where], where
        first = dict(answers[where][0])
        if form == "variable":
            assert list(first.values()) in ([EXCHANGE], [SYMBOL]), where
        elif form == "time_series":
            assert list(first)[:2] == ["time", "metric"], where
            assert isinstance(first["metric"], str), where
            assert isinstance(list(first.values())[2], float), where
        if "time" in first and timescale:
            assert isinstance(first["time"], datetime), where
    overview = answers["Markets A"][0]
    assert (overview["exchange"], overview["price"], overview["change"], overview["trades"]) == (EXCHANGE, 105.0, pytest.approx(0.05), 14)
    assert [row["spread"] for row in answers["Spread A"]] == [200.0, 200.0]
    assert [row["balance"] for row in answers["Balance of the book A"]] == [0.5, 0.5]
    assert [(row["metric"], row["volume"]) for row in answers["Liquidity A"]] == [("90", 5.0), ("100", 5.0)] * 2
    assert [(row["bought"], row["sold"]) for row in answers["Bought and sold A"]] == [(3.0, -4.0)] * 2
