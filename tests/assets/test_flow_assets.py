"""Trade flow, books and liquidation windows as assets: real hours landed, materialised, read back through DuckDB."""

import hashlib
import warnings

import dagster as dg
import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from assets.books import book_assets
from assets.flow import trade_flow_asset
from assets.hours import partition_key
from assets.liquidation_windows import PUBLISH_NONE, liquidation_windows_asset
from assets.resources import FlowResource, LakeResource
from collectors.registry import VENUES
from lake.catalog import publish
from lake.compact import compact_hour
from lake.derived import read_hour
from lake.flow_datasets import FLOW
from lake.paths import Hour
from orchestration.partitions import hourly_partitions
from orchestration.settings import OrchestrationSettings
from tests.assets.landed_rows import MINUTE_US, VISIBLE_AFTER, batch, gap, hours_ago, lake_settings, land, trades, wait_until_visible

HOUR = hours_ago(5)
NAMES = [data.name for data in FLOW]


def assets():
    partitions = hourly_partitions(OrchestrationSettings(_env_file=None))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)
        return [trade_flow_asset(partitions), book_assets(partitions), liquidation_windows_asset(partitions)]


def materialise(lake, hour=HOUR, *, only=NAMES, **flow):
    """Materialise the hour; the failed checks as (asset, check, sentence)."""
    resources = {
        "lake": LakeResource(home=str(lake.house.root), visible_after_seconds=VISIBLE_AFTER),
        "flow": FlowResource(config=str(lake.house.root / "tickhouse.toml"), **flow),
    }
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(
            assets(),
            selection=[dg.AssetKey(name) for name in only],
            partition_key=partition_key(hour),
            resources=resources,
            instance=instance,
            raise_on_error=False,
        )
    assert {event.asset_key.to_user_string() for event in result.get_asset_materialization_events()} == set(only), result.all_events[-1]
    wait_until_visible(lake)
    return [
        (one.asset_key.to_user_string(), one.check_name, one.description) for one in result.get_asset_check_evaluations() if not one.passed
    ]


def rows(lake, name, hour=HOUR):
    return read_hour(lake.house, name, hour)[0].to_pylist()


def changes(hour, exchange, levels, *, symbol="BTC/USDT", seed=0, updates=2_000, shift=0.0):
    """A book of `levels` a side around 50,000 and changes of it over the hour; every minute has some."""
    random = np.random.default_rng(seed)
    distance = 0.1 * np.arange(1, levels + 1)
    first = np.concatenate([50_000 + shift - distance, 50_000 + shift + distance])
    sides = np.where(np.arange(2 * levels) < levels, "bid", "ask")
    moved = random.integers(0, 2 * levels, updates)
    amounts = np.where(random.random(updates) < 0.2, 0.0, np.round(random.random(updates) + 0.01, 3))
    times = hour.start + 1 + np.arange(updates) * ((hour.end - hour.start - 2) // updates)
    columns = {
        "exchange": exchange,
        "symbol": symbol,
        "local_timestamp": np.concatenate([np.full(2 * levels, hour.start), times]),
        "ordinal": np.arange(2 * levels + updates),
        "side": list(np.concatenate([sides, sides[moved]])),
        "price": np.round(np.concatenate([first, first[moved]]), 1),
        "amount": np.concatenate([np.ones(2 * levels), amounts]),
        "is_snapshot": list(np.arange(2 * levels + updates) < 2 * levels),
    }
    return {"book_deltas": batch("book_deltas", columns, 2 * levels + updates)}


def liquidations(hour, minutes, *, exchange="okx", **more):
    columns = {
        "exchange": exchange,
        "symbol": "BTC/USDT:USDT",
        "timestamp": [hour.start + int(minute * MINUTE_US) for minute in minutes],
        "local_timestamp": hour.start,
        "ordinal": list(range(len(minutes))),
        "side": "sell",
        "price": [50_000.0 - number for number in range(len(minutes))],
        "amount": 1.0,
        "value_usd": [50_000.0 - number for number in range(len(minutes))],
        "liquidation_id": [str(number) for number in range(len(minutes))],
    }
    return {"liquidations": batch("liquidations", {**columns, **more}, len(minutes))}


@pytest.fixture
def lake(tmp_path):
    return lake_settings(tmp_path)


def test_an_hour_is_made_whole_and_again_gives_the_same_bytes(lake):
    land(
        lake,
        {"trades": trades(HOUR)},
        changes(HOUR, "binance", 200),
        changes(HOUR, "kraken", 100, seed=1, shift=2.0),
        liquidations(HOUR, [3, 9]),
    )

    assert materialise(lake) == []
    digests = {path: hashlib.sha256(path.read_bytes()).digest() for name in NAMES for path in sealed(lake, name)}
    assert len(digests) == len(NAMES)
    for name in ("trades", "book_deltas", "liquidations"):
        compact_hour(lake.house, name, HOUR, visible_after=VISIBLE_AFTER)
    wait_until_visible(lake)

    assert materialise(lake) == []
    assert {path: hashlib.sha256(path.read_bytes()).digest() for name in NAMES for path in sealed(lake, name)} == digests


def sealed(lake, name):
    return (lake.house.lake / name / HOUR.directory).glob("hour-*")


def test_the_views_of_the_catalog_show_what_was_made(lake):
    land(
        lake,
        {"trades": trades(HOUR)},
        changes(HOUR, "binance", 200),
        changes(HOUR, "kraken", 100, seed=1, shift=2.0),
        liquidations(HOUR, [3]),
    )
    materialise(lake)

    with duckdb.connect(str(publish(lake.house)), read_only=True) as connection:
        counts = {name: connection.execute(f"select count(*) from {name}").fetchone()[0] for name in NAMES}
        spread = connection.execute("select count(*) from consolidated_book where spread < 0 and best_bid_exchange = 'kraken'").fetchone()[
            0
        ]
        both = connection.execute("select min(exchange_count), max(exchange_count) from heatmap").fetchone()

    assert (counts["book_metrics"], counts["consolidated_book"], counts["liquidation_windows"]) == (120, 60, 5)
    assert min(counts.values()) > 0
    assert spread > 50
    assert both == (1, 2)


def test_the_books_of_every_minute_equal_a_second_replay_in_sql(lake):
    land(lake, changes(HOUR, "binance", 50))
    materialise(lake, only=["book_metrics"])

    table = read_hour(lake.house, "book_deltas", HOUR)[0]
    with duckdb.connect() as connection:
        connection.register("deltas", table)
        found = connection.execute(
            """
            with minutes as (select unnest(range(60)) as minute),
            last as (
                select minute, side, price, arg_max(amount, row(local_timestamp, ordinal)) as amount
                from deltas, minutes where epoch_us(local_timestamp) < $start + (minute + 1) * 60000000 group by all
            )
            select minute, max(price) filter (side = 'bid' and amount > 0), min(price) filter (side = 'ask' and amount > 0),
                count(*) filter (side = 'bid' and amount > 0), count(*) filter (side = 'ask' and amount > 0)
            from last group by minute order by minute
            """,
            {"start": HOUR.start},
        ).fetchall()

    made = [
        (row["timestamp"].minute, row["best_bid"], row["best_ask"], row["bid_levels"], row["ask_levels"])
        for row in rows(lake, "book_metrics")
    ]
    assert made == found


def test_one_unsound_exchange_leaves_the_others(lake):
    bad = changes(HOUR, "kraken", 20, seed=1)["book_deltas"]
    bad = bad.set_column(bad.schema.get_field_index("price"), bad.schema.field("price"), pa.array([-1.0, *bad["price"].to_pylist()[1:]]))
    land(lake, changes(HOUR, "binance", 20), {"book_deltas": bad})

    failed = materialise(lake, only=["book_metrics", "heatmap", "consolidated_book"])

    assert sorted((name, check) for name, check, _ in failed) == [
        (name, "hours") for name in ("book_metrics", "consolidated_book", "heatmap")
    ]
    assert all("kraken was left out: 1 book changes" in sentence for _, _, sentence in failed)
    assert {row["exchange"] for row in rows(lake, "book_metrics")} == {"binance"}
    assert {tuple(row["exchanges"]) for row in rows(lake, "consolidated_book")} == {("binance",)}


def test_a_crossed_book_warns_and_is_merged_with_no_other(lake):
    crossed = {
        "exchange": "okx",
        "symbol": "BTC/USDT",
        "local_timestamp": HOUR.start,
        "ordinal": [0, 1],
        "side": ["bid", "ask"],
        "price": [50_010.0, 50_000.0],
        "amount": 1.0,
        "is_snapshot": True,
    }
    land(lake, changes(HOUR, "binance", 20), {"book_deltas": batch("book_deltas", crossed, 2)})

    failed = materialise(lake, only=["book_metrics", "consolidated_book"])

    assert [(name, check) for name, check, _ in failed] == [("book_metrics", "not_crossed")]
    assert {tuple(row["exchanges"]) for row in rows(lake, "consolidated_book")} == {("binance",)}


def test_a_book_within_a_gap_has_no_row(lake):
    hole = gap(HOUR, healed=True)  # binance BTC/USDT, the first minute
    names = hole.schema.names
    hole = pa.RecordBatch.from_arrays(
        [pa.array(["book_deltas"]) if name == "channel" else hole[name] for name in names], schema=hole.schema
    )
    shifted = pl.DataFrame(hole).with_columns(pl.col("from_time", "to_time").dt.offset_by("10m"))
    land(lake, changes(HOUR, "binance", 20), {"gaps": shifted.to_arrow().cast(hole.schema).to_batches()[0]})

    materialise(lake, only=["book_metrics"])

    assert [row["timestamp"].minute for row in rows(lake, "book_metrics")] == [minute for minute in range(60) if minute != 10]


def test_an_hour_without_anything_is_made_and_empty(lake):
    assert materialise(lake) == []
    assert [len(rows(lake, name)) for name in NAMES] == [0] * len(NAMES)


def test_windows_look_back_into_the_former_hour(lake):
    former = Hour(HOUR.start - 3_600_000_000)
    land(lake, liquidations(former, [50, 58]), liquidations(HOUR, [1.5], liquidation_id=["late"]))

    materialise(lake, only=["liquidation_windows"], window_seconds=300)

    found = {row["timestamp"].minute: row["event_count"] for row in rows(lake, "liquidation_windows")}
    assert found == {0: 1, 1: 2, 2: 2, 3: 1, 4: 1, 5: 1}


def test_large_trades_of_venues_that_publish_no_liquidations_stand_in_and_are_kept_apart(lake):
    dear = trades(HOUR, per_market=50, exchange="coinbase", amount=3.0, symbol="BTC/USD", trade_id=[str(number) for number in range(50)])
    unlike = pl.DataFrame(dear).with_columns(trade_id=pl.int_range(pl.len()).cast(pl.String), price=pl.lit(50_000.0))
    land(
        lake,
        {"trades": unlike.to_arrow().cast(dear.schema).combine_chunks().to_batches()[0]},
        liquidations(HOUR, [30]),
        {"trades": trades(HOUR)},
    )

    materialise(lake, only=["liquidation_windows"], large_trade_usd=100_000.0)

    found = {(row["exchange"], row["source"]) for row in rows(lake, "liquidation_windows")}
    assert found == {("okx", "exchange"), ("coinbase", "proxy")}
    (one,) = [row for row in rows(lake, "liquidation_windows") if row["exchange"] == "okx" and row["timestamp"].minute == 30]
    assert (one["severity"], one["total_volume_usd"], one["window_seconds"]) == ("LOW", 50_000.0, 300)


def test_bucket_sizes_are_read_from_the_configuration_when_an_hour_is_made(lake):
    land(lake, changes(HOUR, "binance", 20))
    (lake.house.root / "tickhouse.toml").write_text('[heatmap.buckets]\n"BTC/USDT" = 2.5\n')

    materialise(lake, only=["heatmap"])

    assert {row["bucket_size"] for row in rows(lake, "heatmap")} == {2.5}


def test_the_venues_with_proxies_are_those_that_publish_no_liquidations():
    assert sorted(PUBLISH_NONE) == sorted(name for name, venue in VENUES.items() if "liquidations" not in venue.channels)
