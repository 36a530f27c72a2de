"""The schema: made once however many start at once, refused where it is another's, laid out as the edition of the server has it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import duckdb
import pytest
from hypothesis import Phase, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from lake.timescale import aggregates
from lake.timescale.editions import Edition, edition
from lake.timescale.errors import SchemaMismatched, SchemaTooNew, SchemaTooOld
from lake.timescale.last_id import MINUTES, OFFSETS, last_id, last_id_duckdb
from lake.timescale.migrate import check_schema, migrate, migrations
from lake.timescale.relations import LONGER, RELATIONS
from lake.timescale.server import Server, run
from lake.timescale.status import status
from lake.transforms.timeframes import TIMEFRAMES, next_open, open_time
from tests.lake.timescale_lake import execute, fetch, settings
from tests.timescale_server import run as on

COLUMNS = "SELECT table_name, column_name, data_type FROM information_schema.columns WHERE table_schema = 'public' ORDER BY table_name, ordinal_position"
TYPES = {"timestamptz": "timestamp with time zone"}


def columns_of(dsn: str) -> dict[str, list[tuple[str, str]]]:
    found: dict[str, list[tuple[str, str]]] = {}
    for name, column, type_ in fetch(dsn, COLUMNS):
        found.setdefault(name, []).append((column, type_))
    return found


def test_every_table_has_the_columns_it_is_synced_with_in_their_order(timescale_dsn: str) -> None:
    migrate(timescale_dsn, settings=settings())

    found = columns_of(timescale_dsn)

    for name, relation in RELATIONS.items():
        assert found[name] == [(column, TYPES.get(type_, type_)) for column, type_ in relation.columns]


NAMES = {
    "h1_data": "last_id asset exchange timestamp open high low close volume",
    "indicators": "last_id timeframe ema200 diff_ema200_pct sma200 ema36 ema10 ehma180 rsi14 bbm202 bbl202 bbu202 bbw202 td_seq_up td_seq_down "
    "st73 range_pct high_low_range_pct volume_usd",
    "cg_data": "id symbol name close market_cap market_cap_rank fdv ath atl days_since_ath ath5 ath10 ath15 ath90 timestamp sys_timestamp",
    "order_book_snapshots": "symbol exchange timestamp bids asks sequence_id mid_price spread bid_volume ask_volume",
    "trade_events": "symbol exchange timestamp price size side trade_id",
    "heatmap_data": "symbol exchange timestamp bucket_size price_bucket volume side exchange_count",
    "ohlcv_data": "symbol exchange timestamp timeframe open_price high_price low_price close_price volume trade_count",
    "liquidation_alerts": "timestamp total_volume_usd vwap price_change_pct alert_severity largest_trade_usd",
    "trade_flow": "time total_count_buy total_count_sell total_base_buy total_base_sell total_usd_buy total_usd_sell",
    "asset_listing": "exchange symbol",
    "asset_declaration": "exchange symbol",
    "flags": "base flag value",
    "logs": "process run_id",
    "h4_oi": "symbol timeframe timestamp open high low close",
    "h4_oi_weight": "symbol timeframe timestamp open high low close",
}


def test_names_people_arrive_with_begin_with_the_columns_they_expect(timescale_dsn: str) -> None:
    migrate(timescale_dsn, settings=settings())

    found = {name: [column for column, _ in columns] for name, columns in columns_of(timescale_dsn).items()}

    for name, columns in NAMES.items():
        assert found[name][: len(columns.split())] == columns.split()
    assert all(found[name] == NAMES["h1_data"].split() for name in ("h1_data", *LONGER))


def test_migrating_again_changes_nothing_and_several_at_once_agree(timescale_dsn: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda _: migrate(timescale_dsn, settings=settings()), range(4)))

    again = migrate(timescale_dsn, settings=settings())

    assert sorted(len(each.applied) for each in done) == [0, 0, 0, len(migrations())]
    assert (again.applied, again.arranged) == ((), False)


def test_a_newer_schema_is_refused(timescale_dsn: str) -> None:
    migrate(timescale_dsn, settings=settings())
    execute(timescale_dsn, "INSERT INTO schema_migrations (version, name, checksum) VALUES (9999, 'later', '')")
    server = Server(timescale_dsn, settings())

    async def check() -> None:
        async with server.connection() as connection:
            await check_schema(connection, server)

    with pytest.raises(SchemaTooNew, match=r"has version 9999, this version of Tickhouse knows up to \d+: use the newer one"):
        migrate(timescale_dsn, settings=settings())
    with pytest.raises(SchemaTooNew):
        run(check())
    execute(timescale_dsn, "DELETE FROM schema_migrations")
    with pytest.raises(SchemaTooOld):
        run(check())


def test_a_migration_that_was_changed_is_refused(timescale_dsn: str) -> None:
    migrate(timescale_dsn, settings=settings())
    execute(timescale_dsn, "UPDATE schema_migrations SET checksum = 'another' WHERE version = 1")

    with pytest.raises(SchemaMismatched, match="was applied with the checksum another, expected"):
        migrate(timescale_dsn, settings=settings())


def test_plain_postgresql_gets_tables_and_they_become_hypertables_once_it_is_timescaledb(timescale_dsn: str) -> None:
    name = timescale_dsn.rsplit("/", 1)[1]
    execute(timescale_dsn, f"ALTER DATABASE {name} SET timescaledb.disable_load = on")
    plain = migrate(timescale_dsn, settings=settings())
    execute(timescale_dsn, "INSERT INTO h1_data VALUES (1, 'BTC/USDT', 'binance', '2026-11-20', 1, 1, 1, 1, 1)")
    before = {each.layout for each in status(timescale_dsn, settings=settings()).tables}
    execute(timescale_dsn, f"ALTER DATABASE {name} RESET timescaledb.disable_load")

    with_extension = migrate(timescale_dsn, settings=settings())

    layouts = {each.table: each.layout for each in status(timescale_dsn, settings=settings()).tables}
    assert (plain.edition, before) == (Edition.PLAIN, {"table"})
    assert with_extension.edition in {Edition.APACHE, Edition.FULL}
    assert with_extension.arranged
    assert layouts["h1_data"] == "hypertable"
    assert layouts["d1_data"] == ("aggregate" if with_extension.edition is Edition.FULL else "hypertable")
    assert fetch(timescale_dsn, "SELECT last_id, volume FROM h1_data") == [(1, 1)]


def test_changed_settings_are_laid_out_anew(timescale_dsn: str) -> None:
    migrate(timescale_dsn, settings=settings())

    kept = settings(timescale_retention_days="trade_events=30, h1_data=400", timescale_compression_after_days=7)
    changed, again = migrate(timescale_dsn, settings=kept), migrate(timescale_dsn, settings=kept)

    assert (changed.arranged, again.arranged) == (True, False)
    if changed.edition is Edition.FULL:
        jobs = fetch(timescale_dsn, "SELECT proc_name FROM timescaledb_information.jobs WHERE hypertable_name = 'trade_events'")
        assert len(jobs) == 2
        assert ("policy_retention",) in jobs


def test_a_server_that_no_longer_keeps_its_aggregates_is_refused(timescale_dsn: str) -> None:
    migrate(timescale_dsn, settings=settings())
    if on(timescale_dsn, edition) is Edition.FULL:
        pytest.skip("this server keeps them")
    execute(timescale_dsn, "DROP TABLE h2_data; CREATE VIEW h2_data AS SELECT 1; DELETE FROM schema_arrangement")

    with pytest.raises(
        SchemaMismatched, match="holds continuous aggregates and its server now runs the apache edition, expected the full one"
    ):
        migrate(timescale_dsn, settings=settings())


TIMES = st.integers(1_230_768_000_000_000, 4_000_000_000_000_000)
"""From 2009, before which nothing lands, to 2096."""
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=12)
CANDLES = st.tuples(TEXT, TEXT, st.sampled_from(TIMEFRAMES), TIMES)


def test_last_id_is_the_same_in_python_duckdb_and_on_the_server(timescale_dsn: str) -> None:
    migrate(timescale_dsn, settings=settings())

    @hypothesis_settings(max_examples=12, deadline=None, phases=[Phase.explicit, Phase.generate])
    @given(st.lists(CANDLES, min_size=20, max_size=60))
    def agree(given_candles: list[tuple[str, str, str, int]]) -> None:
        candles = [(exchange, symbol, each, open_time(at, each)) for exchange, symbol, each, at in given_candles]
        expected = [last_id(*candle) for candle in candles]
        columns = [list(column) for column in zip(*candles, strict=True)]
        unnested = "unnest($1::text[], $2::text[], $3::text[], $4::bigint[]) WITH ORDINALITY AS c (exchange, symbol, timeframe, at, place)"
        opened = "timestamptz '1970-01-01 00:00+00' + at * interval '1 microsecond'"

        served = fetch(
            timescale_dsn, f"SELECT tickhouse_last_id(exchange, symbol, timeframe, {opened}) FROM {unnested} ORDER BY place", *columns
        )
        local = duckdb.execute(
            f"SELECT {last_id_duckdb()} FROM (SELECT unnest($1) AS exchange, unnest($2) AS symbol, unnest($3) AS timeframe, "
            "make_timestamptz(unnest($4)) AS timestamp)",
            columns,
        ).fetchall()

        assert [each for (each,) in served] == expected
        assert [each for (each,) in local] == expected

    agree()


@given(st.sampled_from(TIMEFRAMES), TIMES)
def test_neighbouring_candles_of_a_market_have_growing_numbers_of_their_timeframe_alone(timeframe: str, at: int) -> None:
    first = last_id("binance", "BTC/USDT", timeframe, open_time(at, timeframe))
    second = last_id("binance", "BTC/USDT", timeframe, next_open(at, timeframe))
    slot = first & ((1 << 27) - 1)

    assert 0 <= first < second < 1 << 63
    assert OFFSETS[timeframe] <= slot < OFFSETS[timeframe] + (1 << 26) // MINUTES[timeframe] + 1


def test_policies_span_two_buckets_and_never_look_behind_the_retention() -> None:
    hours = {"h2_data": 2, "h4_data": 4, "h12_data": 12, "d1_data": 24, "d3_data": 72, "w1_data": 168, "m1_data": 744}

    policies = [each for each in aggregates.policies(10) if "start_offset" in each]

    for name, policy in zip(LONGER, policies, strict=True):
        look_back = int(policy.partition("start_offset => INTERVAL '")[2].split()[0])
        assert look_back - hours[name] >= 2 * hours[name]
        assert name in {"d3_data", "w1_data", "m1_data"} or look_back <= 9 * 24
