"""Tables on a real server, held against the lake they are synced from."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from urllib.parse import urlsplit

import polars as pl
import pyarrow as pa
import pytest

from lake.derived import read_hour
from lake.errors import PeriodError
from lake.paths import HOUR_US, Home, Hour
from lake.periods import Period
from lake.query import run_sql
from lake.registry import dataset
from lake.timescale import aggregates
from lake.timescale.compare import compare
from lake.timescale.editions import Edition, edition
from lake.timescale.errors import BehindRetention, SchemaTooOld, ServerRefused, ServerUnavailable, UnknownTable
from lake.timescale.last_id import last_id
from lake.timescale.migrate import migrate
from lake.timescale.reading import Window, moment, read, shown_candles
from lake.timescale.relations import LONGER
from lake.timescale.status import status
from lake.timescale.sync import sync
from lake.timescale.tables import table, tables
from tests.lake.laying import LaidLake
from tests.lake.making import MINUTE, trade
from tests.lake.timescale_lake import DAY, HOURS, MARKETS, execute, fetch, lay, periods, put_hour, settings
from tests.timescale_server import Engine, database, run, with_database

pytestmark = pytest.mark.lengthy

ROOT = Path(__file__).resolve().parents[2]
FIRST = Hour(DAY)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return lay(tmp_path_factory.mktemp("lake") / "home")


@pytest.fixture(scope="module")
def dsn(timescale_server: str, home: Home) -> Iterator[str]:
    """A database into which the whole lake was synced once."""
    with database(timescale_server) as made:
        migrate(made, settings=settings())
        for each in tables():
            for period in periods(home, each):
                assert sync(home, made, each.name, period, settings=settings()).equal
        yield made


@pytest.fixture
def empty(timescale_dsn: str) -> str:
    """A database with the schema alone."""
    migrate(timescale_dsn, settings=settings())
    return timescale_dsn


@pytest.mark.parametrize("name", [each.name for each in tables()])
def test_every_table_equals_the_lake(home: Home, dsn: str, name: str) -> None:
    found = [compare(home, dsn, name, period, settings=settings()) for period in periods(home, table(name))]

    assert sum(each.rows_lake for each in found) > 0
    assert [each.sentence for each in found if not each.equal] == []


@pytest.mark.parametrize("name", [each.name for each in tables()])
def test_syncing_again_writes_nothing(home: Home, dsn: str, name: str) -> None:
    again = [sync(home, dsn, name, period, settings=settings()) for period in periods(home, table(name))]

    assert [(each.rows_written, each.rows_deleted, each.equal) for each in again] == [(0, 0, True)] * len(again)


def test_prices_have_the_digits_of_their_repr(home: Home, dsn: str) -> None:
    trades, _ = read_hour(home, "trades", FIRST)
    stored = dict(fetch(dsn, "SELECT exchange || symbol || trade_id, price FROM trade_events"))

    for row in trades.to_pylist():
        assert stored[row["exchange"] + row["symbol"] + row["trade_id"]] == Decimal(repr(row["price"]))


def test_books_are_json_of_their_numbers_and_count_by_receipt_where_the_venue_sends_no_time(home: Home, dsn: str) -> None:
    found = fetch(
        dsn,
        'SELECT bids ->> 0, asks, mid_price, bid_volume, ask_volume, "timestamp" = local_timestamp FROM order_book_snapshots '
        "WHERE ordinal IN (1, 4) ORDER BY ordinal",
    )

    assert found[0] == ("[99.95714285714286, 0.0000001]", "[[100.3, 3.0], [101.12345678901235, 0.3333333333333333]]", *found[0][2:5], True)
    assert found[1][1:] == ("[]", None, Decimal("2.5000001"), Decimal(0), False)


def test_last_id_is_the_same_wherever_a_candle_stands(home: Home, dsn: str) -> None:
    moments = [(exchange, symbol, "1h", DAY + number * HOUR_US) for exchange, symbol in MARKETS for number in range(HOURS)]

    joined = fetch(dsn, "SELECT h.last_id FROM h1_data h JOIN indicators i ON i.last_id = h.last_id AND i.timeframe = '1h' ORDER BY 1")

    assert [each for (each,) in joined] == sorted(last_id(*moment) for moment in moments)


@pytest.mark.parametrize(("name", "timeframe"), LONGER.items())
def test_longer_candles_carry_their_last_id(dsn: str, name: str, timeframe: str) -> None:
    found = fetch(dsn, f'SELECT last_id, exchange, asset, (extract(epoch FROM "timestamp") * 1000000)::bigint FROM {name}')

    assert len(found) >= len(MARKETS)
    assert [each for each, *_ in found] == [last_id(exchange, asset, timeframe, at) for _, exchange, asset, at in found]


LAST_HOUR = "SELECT * FROM h1_data WHERE asset = 'BTC/USDT' AND exchange = 'binance' ORDER BY timestamp DESC LIMIT 1;"
LAST_INDICATORS = (
    "SELECT i.* FROM h1_data h JOIN indicators i ON i.last_id = h.last_id AND i.timeframe = '1h' "
    "WHERE h.asset = 'BTC/USDT' AND h.exchange = 'binance' ORDER BY h.timestamp DESC LIMIT 1;"
)
COINS = (
    "SELECT symbol, name, close, market_cap_rank, ath5, days_since_ath FROM cg_data "
    "WHERE sys_timestamp = (SELECT MAX(sys_timestamp) FROM cg_data) ORDER BY market_cap_rank ASC LIMIT 100;"
)
FOUR_HOURS = "SELECT * FROM h4_data WHERE asset = 'ETH/USDT' AND exchange = 'bybit' ORDER BY timestamp DESC LIMIT 48;"


def test_the_questions_people_ask_are_answered(home: Home, dsn: str) -> None:
    last = moment(DAY + (HOURS - 1) * HOUR_US)
    columns = (
        "open, high, low, close, volume FROM candles WHERE exchange = '{}' AND symbol = '{}' AND timeframe = '{}' ORDER BY timestamp DESC"
    )
    hours = run_sql(home, f"SELECT {columns.format('binance', 'BTC/USDT', '1h')}").table.to_pylist()
    longer = run_sql(home, f"SELECT timestamp, {columns.format('bybit', 'ETH/USDT', '4h')}").table.to_pylist()

    ((number, *candle),) = fetch(dsn, LAST_HOUR)
    (indicators,) = fetch(dsn, LAST_INDICATORS)
    coins = fetch(dsn, COINS)
    four_hours = fetch(dsn, FOUR_HOURS)

    assert number == last_id("binance", "BTC/USDT", "1h", DAY + (HOURS - 1) * HOUR_US)
    assert candle == ["BTC/USDT", "binance", last, *(Decimal(repr(each)) for each in hours[0].values())]
    assert indicators[:2] == (number, "1h")
    assert coins == [(f"C{rank}", f'Coin {rank}, "{rank}"', Decimal(repr(rank / 3)), rank, False, 4) for rank in (1, 2, 3)]
    assert [row[3] for row in four_hours] == [each["timestamp"] for each in longer]
    assert [float(row[7]) for row in four_hours] == [each["close"] for each in longer]


def test_what_is_listed_declared_and_flagged_is_shown_as_it_is_now(dsn: str) -> None:
    listed = fetch(dsn, "SELECT exchange, symbol, active FROM asset_listing ORDER BY 1, 2")

    assert listed == [("binance", "BTC/USDT", False), *(("coingecko", f"C{rank}/USD", True) for rank in (1, 2, 3))]
    assert fetch(dsn, "SELECT exchange, symbol, reason FROM asset_declaration") == [("binance", "BTC/USDT", "")]
    assert fetch(dsn, "SELECT base, flag, value FROM flags") == [("USDT", "stablecoin", "true")]


def test_dollars_of_a_flow_are_told_for_quotes_in_dollars_alone(dsn: str) -> None:
    found = fetch(dsn, "SELECT DISTINCT symbol, total_usd_buy, total_usd_sell FROM trade_flow ORDER BY symbol")

    assert found == [("BTC/EUR", None, None), ("BTC/USDT", Decimal("1.5"), Decimal("1.5"))]


def test_aggregates_say_what_the_lake_makes_of_its_hours(home: Home, empty: str) -> None:
    """The statements of the full edition, their results looked at through plain views where the server has no aggregates."""
    if run(empty, edition) is Edition.FULL:
        pytest.skip("this server has the aggregates themselves: every table is compared with the lake above")
    sync(home, empty, "h1_data", Window(DAY, DAY + HOURS * HOUR_US), settings=settings())
    for each in LONGER:
        execute(empty, f"DROP TABLE {each}")
        for statement in aggregates.create(each):
            execute(empty, re.sub(r"MATERIALIZED VIEW (\w+) WITH \([^)]*\)", r"VIEW \1", statement).removesuffix("WITH NO DATA"))

    found = [compare(home, empty, name, period, settings=settings()) for name in LONGER for period in periods(home, table(name))]

    assert {each.table for each in found if each.rows_lake} == set(LONGER)
    assert [each.sentence for each in found if not each.equal] == []
    with pytest.raises(ServerRefused, match="no longer runs the full edition"):
        sync(home, empty, "h1_data", FIRST, settings=settings())


def test_a_partition_that_lost_and_changed_rows_becomes_equal(tmp_path: Path, empty: str) -> None:
    laid = LaidLake(tmp_path / "home")
    put_hour(laid, "trade_flow", FIRST, flows(60))
    sync(laid.home, empty, "trade_flow", FIRST, settings=settings())
    put_hour(laid, "trade_flow", FIRST, flows(40, more=0.1), watermark=2)

    done = sync(laid.home, empty, "trade_flow", FIRST, settings=settings())

    assert (done.rows_read, done.rows_written, done.rows_deleted) == (40, 40, 60)
    assert compare(laid.home, empty, "trade_flow", FIRST, settings=settings()).equal


def flows(minutes: int, *, more: float = 0.0) -> pa.Table:
    """Trade flow of the first `minutes` of an hour."""
    schema = dataset("trade_flow").schema
    made = pl.DataFrame({"timestamp": [DAY + number * 60_000_000 for number in range(minutes)]}).with_columns(
        pl.col("timestamp").cast(pl.Datetime("us", "UTC")), exchange=pl.lit("okx"), symbol=pl.lit("BTC/USDT")
    )
    numbers = [
        pl.lit(1.5 + more if pa.types.is_float64(field.type) else 1).alias(field.name) for field in schema if field.name not in made.columns
    ]
    return made.with_columns(numbers).select(schema.names).to_arrow().cast(schema)


@pytest.fixture(scope="module")
def moved_on(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A lake in which a trade landed after the candles of its hour and day were stored."""
    laid = LaidLake(tmp_path_factory.mktemp("moved") / "home")
    laid.land("trades", *(trade(number, at=DAY + number * 20 * MINUTE) for number in range(6)))
    laid.materialise(DAY)
    laid.materialise_longer(DAY, ("2h", "4h", "1d"))
    laid.land("trades", trade(77, at=DAY + 30 * MINUTE, price=1.0))
    laid.close()
    return laid.home


@pytest.mark.parametrize("name", ["h1_data", "ohlcv_data_hour", "h4_data", "ohlcv_data_day"])
def test_candles_are_those_of_the_view_also_where_trades_have_moved_on(moved_on: Home, name: str) -> None:
    period = Hour(DAY) if table(name).span == "hour" else Period.of(DAY, "day")

    rows, shown = read(moved_on, table(name), period), shown_candles(moved_on, table(name), period)

    assert rows.num_rows > 0
    assert sorted(map(repr, rows.to_pylist())) == sorted(map(repr, shown.to_pylist()))


def test_several_partitions_go_as_one(home: Home, empty: str) -> None:
    window = Window(DAY, DAY + HOURS * HOUR_US)

    done = sync(home, empty, "trade_events", window, settings=settings())

    assert done.equal
    assert compare(home, empty, "trade_events", window, settings=settings()).equal
    assert fetch(empty, "SELECT count(*), sum(row_count) FROM synced_partitions") == [(HOURS, done.rows_read)]


def test_parallel_syncs_of_one_partition_agree(home: Home, empty: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda _: sync(home, empty, "trade_events", FIRST, settings=settings()), range(4)))

    assert all(each.equal for each in done)
    assert sum(each.rows_written for each in done) == done[0].rows_read
    assert compare(home, empty, "trade_events", FIRST, settings=settings()).equal


SYNCING = """
import sys
from pathlib import Path
from lake.paths import Home, Hour
from lake.timescale.sync import sync
while True:
    for start in map(int, sys.argv[3:]):
        sync(Home(Path(sys.argv[1])), sys.argv[2], "order_book_snapshots", Hour(start))
        print("synced", flush=True)
"""


def test_killed_and_restarted_the_next_sync_makes_it_whole(home: Home, own_timescale: Engine) -> None:
    address = own_timescale.dsn
    migrate(address, settings=settings())
    starts = [str(DAY + number * HOUR_US) for number in range(HOURS)]
    for _ in range(2):
        process = subprocess.Popen([sys.executable, "-c", SYNCING, str(home.root), address, *starts], cwd=ROOT, stdout=subprocess.PIPE)
        assert process.stdout is not None
        assert process.stdout.readline() == b"synced\n"
        os.kill(process.pid, signal.SIGKILL)
        process.communicate(timeout=60)
        execute(address, "DELETE FROM order_book_snapshots WHERE ordinal % 2 = 0")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.map(lambda start: sync(home, address, "order_book_snapshots", Hour(int(start)), settings=settings()), starts)
        own_timescale.kill()
        own_timescale.start()
        done = list(waiting)

    assert all(each.equal for each in done)
    assert all(compare(home, address, "order_book_snapshots", Hour(int(start)), settings=settings()).equal for start in starts)


def test_a_server_that_is_away_fails_that_sync_in_one_sentence(home: Home) -> None:
    away = "postgresql://someone:hunter2@127.0.0.1:1/nothing"

    with pytest.raises(ServerUnavailable, match=r"^syncing h1_data .* on 127\.0\.0\.1:1/nothing was tried 2 times and failed: ") as raised:
        sync(home, away, "h1_data", FIRST, settings=settings(timescale_attempts=2))

    assert "hunter2" not in str(raised.value)


def test_a_database_that_is_none_is_refused_at_once(home: Home, timescale_dsn: str) -> None:
    with pytest.raises(ServerRefused, match=r"syncing h1_data .* was refused: .*does not exist"):
        sync(home, with_database(timescale_dsn, "nowhere"), "h1_data", FIRST, settings=settings())


def test_a_server_out_of_connections_is_asked_again(home: Home, empty: str) -> None:
    name = empty.rsplit("/", 1)[1]
    execute(empty, f"CREATE ROLE {name} LOGIN PASSWORD 'narrow' CONNECTION LIMIT 0")
    narrow = urlsplit(empty)._replace(netloc=f"{name}:narrow@{empty.rpartition('@')[2].partition('/')[0]}").geturl()
    try:
        with pytest.raises(ServerUnavailable, match="was tried 3 times and failed: too many connections"):
            sync(home, narrow, "h1_data", FIRST, settings=settings(timescale_attempts=3))
    finally:
        execute(empty, f"DROP ROLE {name}")


def test_a_database_without_the_schema_says_what_to_run(home: Home, timescale_dsn: str) -> None:
    with pytest.raises(SchemaTooOld, match="no schema of Tickhouse yet: run `tickhouse timescale migrate`"):
        sync(home, timescale_dsn, "h1_data", FIRST, settings=settings())


def test_a_partition_behind_the_retention_is_refused(home: Home, empty: str) -> None:
    kept = settings(timescale_retention_days="h1_data=10")

    with pytest.raises(BehindRetention, match="behind the retention of 10 days"):
        sync(home, empty, "h1_data", Hour(DAY - 400 * 24 * HOUR_US), settings=kept)


def test_other_than_whole_partitions_are_refused(home: Home, empty: str) -> None:
    with pytest.raises(PeriodError, match="expected whole hours"):
        sync(home, empty, "h1_data", Window(DAY, DAY + 5), settings=settings())
    with pytest.raises(PeriodError, match="expected whole months"):
        sync(home, empty, "m1_data", Period.of(DAY, "day"), settings=settings())
    with pytest.raises(UnknownTable, match="'h3_data' is unknown"):
        sync(home, empty, "h3_data", FIRST, settings=settings())


def test_only_the_latest_indicators_are_kept_where_that_is_set(home: Home, empty: str) -> None:
    latest = settings(timescale_latest_indicators_only=True)
    hours = [Hour(DAY + number * HOUR_US) for number in range(HOURS)]

    for hour in reversed(hours):
        sync(home, empty, "indicators_hour", hour, settings=latest)

    newest = fetch(
        empty, 'SELECT timeframe, count(*), count(DISTINCT (exchange, asset)), min("timestamp") FROM indicators GROUP BY 1 ORDER BY 1'
    )
    assert [row[:3] for row in newest] == [("1h", 4, 4), ("1m", 4, 4)]
    assert all(compare(home, empty, "indicators_hour", hour, settings=latest).equal for hour in hours)


def test_a_comparison_finds_what_is_other_on_the_server(home: Home, empty: str) -> None:
    sync(home, empty, "trade_events", FIRST, settings=settings())
    execute(empty, "UPDATE trade_events SET price = price * 1.000001 WHERE trade_id = '0' AND exchange = 'binance' AND symbol = 'BTC/USDT'")

    changed = compare(home, empty, "trade_events", FIRST, settings=settings())
    execute(empty, "DELETE FROM trade_events WHERE trade_id = '1'")
    fewer = compare(home, empty, "trade_events", FIRST, settings=settings())

    assert not changed.equal
    assert not fewer.equal
    assert "expected" in fewer.sentence


def test_status_says_the_edition_and_what_was_never_synced(home: Home, dsn: str) -> None:
    execute(dsn, "DELETE FROM synced_partitions WHERE table_name = 'flags'")

    state = status(dsn, home, settings=settings())

    found = {each.table: each for each in state.tables}
    assert (found["flags"].missing, found["trade_events"].missing, found["trade_events"].partitions) == (1, 0, HOURS)
    assert state.schema == state.known
    assert f"({state.edition} edition)" in state.sentence or state.timescaledb is None
