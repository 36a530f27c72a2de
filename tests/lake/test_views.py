"""What the views count: each event once at every instant, one row a key, and no file opened in vain."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lake.catalog import define, publish
from lake.paths import Home, Hour
from lake.registry import DATASETS, LANDED
from lake.views import dataset_select, listing, views
from lake.visible import visible_files
from tests.lake.laying import LaidLake
from tests.lake.making import HOUR, MINUTE, START, trade

DAY = date(2026, 11, 21)


def ask(home: Home, sql: str) -> list[tuple]:
    if not home.catalog.exists():
        publish(home)
    with duckdb.connect(str(home.catalog), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def ids(home: Home, at_us: int) -> list[int]:
    select = dataset_select(home, "trades", at=f"'{at_us:016d}'")
    return sorted(int(row[0]) for row in duckdb.sql(f"SELECT trade_id FROM ({select})").fetchall())


def test_every_view_answers_over_an_empty_lake_with_the_columns_of_the_registry(tmp_path):
    home = Home(tmp_path)
    publish(home)

    with duckdb.connect(str(home.catalog), read_only=True) as connection:
        for name in views(home):
            assert connection.execute(f"SELECT count(*) FROM {name}").fetchone() == (0,)
        for name, spec in DATASETS.items():
            described = {row[0]: row[1] for row in connection.execute(f"DESCRIBE {name}").fetchall()}
            assert list(described) == [*(column.name for column in spec.columns), "date", "hour"]
            assert described[spec.time_column] == "TIMESTAMP WITH TIME ZONE"
            assert (described["date"], described["hour"]) == ("DATE", "INTEGER")


def test_parts_hours_and_days_show_the_same_rows_under_the_same_partition(laid):
    times = [START + 5 * MINUTE, START + HOUR + MINUTE, START + 23 * HOUR]
    sql = "SELECT trade_id, date, hour FROM trades ORDER BY trade_id::INT"
    laid.land("trades", *(trade(number, at=at) for number, at in enumerate(times)))
    expected = [("0", DAY, 0), ("1", DAY, 1), ("2", DAY, 23)]

    assert ask(laid.home, sql) == expected
    laid.compact("trades", times[1])
    assert ask(laid.home, sql) == expected
    laid.compact_day("trades", DAY)
    assert ask(laid.home, sql) == expected
    laid.land("trades", trade(3, at=times[0]))
    assert ask(laid.home, sql) == [*expected, ("3", DAY, 0)]
    laid.compact_day("trades", DAY)
    assert ask(laid.home, sql) == [*expected, ("3", DAY, 0)]


def test_the_session_time_zone_never_moves_a_row_to_another_partition(laid):
    laid.land("trades", trade(1, at=START + 23 * HOUR + 59 * MINUTE))
    laid.compact_day("trades", DAY)

    with duckdb.connect() as connection:
        define(connection, laid.home)
        connection.execute("SET TimeZone = 'Pacific/Auckland'")
        assert connection.execute("SELECT date, hour FROM trades").fetchall() == [(DAY, 23)]


steps = st.lists(
    st.one_of(
        st.tuples(st.just("land"), st.sampled_from([0, 1, 25])),
        st.tuples(st.just("compact"), st.sampled_from([0, 1, 25])),
        st.tuples(st.just("day"), st.sampled_from([0, 24])),
    ),
    min_size=1,
    max_size=9,
)


@settings(max_examples=12, deadline=None)
@given(story=steps)
def test_at_every_instant_each_event_is_seen_once(tmp_path_factory, story):
    laid = LaidLake(tmp_path_factory.mktemp("story") / "home")
    landed: list[int] = []
    history: list[tuple[int, list[int]]] = []
    for what, hour in story:
        if what == "land":
            number = len(landed)
            laid.land("trades", trade(2 * number, at=START + hour * HOUR), trade(2 * number + 1, at=START + hour * HOUR + MINUTE))
            landed.append(number)
        elif what == "compact":
            laid.compact("trades", START + hour * HOUR)
        else:
            laid.compact_day("trades", Hour.of(START + hour * HOUR).date)
        history.append((laid.clock.us, [*range(2 * len(landed))]))
    laid.close()

    for at_us, expected in history:
        # Also between the appearance of the last file and its instant: half a second before the step ended.
        assert ids(laid.home, at_us) == expected
        former = [seen for moment, seen in history if moment < at_us]
        assert ids(laid.home, at_us - 900_000) == (former[-1] if former else [])
        assert seen_files(laid.home, at_us) == {file.path for file in visible_files(laid.home, "trades", at_us=at_us)}


def seen_files(home: Home, at_us: int) -> set[Path]:
    """The files with rows that the listing inside the view calls live."""
    ctes = ", ".join(listing(home, DATASETS["trades"], at=f"'{at_us:016d}'"))
    found = duckdb.sql(
        f"WITH {ctes} SELECT file FROM trades_live_parts UNION ALL SELECT file FROM trades_live_hours UNION ALL SELECT file FROM trades_live_days"
    ).fetchall()
    return {Path(row[0]) for row in found if "1970-01-01" not in row[0]}


def test_superseded_parts_are_not_opened(laid):
    for number in range(12):
        laid.land("trades", trade(number, at=START))
    laid.compact("trades", START)
    laid.land("trades", trade(90, at=START + HOUR))

    with duckdb.connect(str(laid.home.catalog), read_only=True) as connection:
        (plan,) = connection.execute("EXPLAIN (ANALYZE, FORMAT JSON) SELECT sum(price) FROM trades").fetchall()
    opened = sum(scans(json.loads(plan[1])["operator"]))

    # One part and one hour file with rows, and the sentinels of hours and days, which are listed three times.
    assert opened <= 8


def test_a_timeframe_asked_for_lists_no_files_of_others(tmp_path):
    home = Home(tmp_path)
    publish(home)

    with duckdb.connect(str(home.catalog), read_only=True) as connection:
        (plan,) = connection.execute("EXPLAIN (ANALYZE, FORMAT JSON) SELECT * FROM candles WHERE timeframe = '1m'").fetchall()

    # Three tiers of trades, two of coverage and of candles of 1m, and one of the exchanges' candles.
    assert plan[1].count('"GLOB"') == 8


def scans(nodes: list[dict]) -> list[int]:
    found = []
    for node in nodes:
        if files := node.get("extra_info", {}).get("Total Files Read"):
            found.append(int(files))
        found += scans(node.get("children", []))
    return found


def test_an_hour_asked_for_by_date_and_hour_reads_the_files_of_that_hour_alone(laid):
    for hour in range(6):
        laid.land("trades", trade(hour, at=START + hour * HOUR))
        laid.compact("trades", START + hour * HOUR)
    laid.land("trades", trade(6, at=START + 6 * HOUR))

    with duckdb.connect(str(laid.home.catalog), read_only=True) as connection:
        sql = "SELECT sum(price) FROM trades WHERE date = '2026-11-21' AND hour = 3"
        (plan,) = connection.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}").fetchall()

    assert sum(scans(json.loads(plan[1])["operator"])) == 1


@pytest.mark.parametrize("name", ["plain", "brackets [a-b]*", "it's", "späße {x}"])
def test_a_home_may_have_any_name(tmp_path, name):
    laid = LaidLake(tmp_path / name)
    laid.land("trades", trade(1))
    laid.close()

    assert ask(laid.home, "SELECT count(*) FROM trades") == [(1,)]


def test_foreign_and_hidden_files_are_not_read(laid):
    laid.land("trades", trade(1))
    directory = laid.home.hour_dir("trades", Hour(START))
    (directory / ".tmp-1-abc").write_bytes(b"half a file")
    (directory / "notes.txt").write_text("mine")

    assert ask(laid.home, "SELECT count(*) FROM trades") == [(1,)]


def test_a_gap_and_its_healing_are_one_row_whatever_file_they_lie_in(laid):
    gap = {"symbol": "BTC/USDT", "channel": "trades", "kind": "disconnect", "from_time": START, "local_timestamp": START + 50 * MINUTE}
    healed = {"to_time": START + MINUTE, "healed_at": START + HOUR + 3, "healed_by": "rest"}
    sql = "SELECT kind, epoch_us(to_time), healed_by, hour FROM gaps"
    laid.land("gaps", {**gap, "ordinal": 1})
    assert ask(laid.home, sql) == [("disconnect", None, None, 0)]

    laid.land("gaps", {**gap, **healed, "ordinal": 2})
    assert ask(laid.home, sql) == [("disconnect", START + MINUTE, "rest", 0)]
    laid.compact("gaps", gap["local_timestamp"])
    assert ask(laid.home, sql) == [("disconnect", START + MINUTE, "rest", 0)]


def test_a_gap_healed_in_a_later_hour_is_one_row_too(laid):
    gap = {"symbol": "", "channel": "book_deltas", "kind": "sequence", "from_time": START}
    laid.land("gaps", {**gap, "local_timestamp": START + 1})
    laid.land("gaps", {**gap, "local_timestamp": START + HOUR, "to_time": START + HOUR, "healed_by": "snapshot"})

    assert ask(laid.home, "SELECT healed_by, hour FROM gaps") == [("snapshot", 1)]


def test_ledger_counts_of_one_minute_add_up(laid):
    minute = {"timestamp": START, "connection": "a", "dataset": ""}
    for frames in (3, 4, 5):
        laid.land("ledger", {**minute, "frames": frames})
        if frames == 4:
            laid.compact("ledger", START)
    laid.land("ledger", {**minute, "connection": "b", "frames": 9})

    assert ask(laid.home, "SELECT connection, frames FROM ledger WHERE hour = 0 ORDER BY 1") == [("a", 12), ("b", 9)]


def test_derivatives_of_one_time_complete_each_other(laid):
    laid.land("derivatives", {"timestamp": START, "local_timestamp": START + 1, "funding_rate": 0.1, "mark_price": 5.0})
    laid.land("derivatives", {"timestamp": START, "local_timestamp": START + 2, "open_interest": 7.0, "mark_price": 6.0})
    sql = "SELECT funding_rate, open_interest, mark_price, epoch_us(local_timestamp) FROM derivatives"
    expected = [(0.1, 7.0, 6.0, START + 2)]

    assert ask(laid.home, sql) == expected
    laid.compact("derivatives", START)
    assert ask(laid.home, sql) == expected


def test_book_spreads_speak_of_the_best_levels(laid):
    book = {"local_timestamp": START, "bid_prices": [99.0, 98.0], "bid_amounts": [1.0, 2.0], "ask_prices": [101.0], "ask_amounts": [3.0]}
    laid.land("book_snapshots", {**book, "ordinal": 1}, {**book, "ordinal": 2, "ask_prices": [], "ask_amounts": []})

    found = ask(laid.home, "SELECT best_bid, best_bid_amount, best_ask, best_ask_amount, mid, spread, spread_bps FROM book_spreads")

    assert found == [(99.0, 1.0, 101.0, 3.0, 100.0, 2.0, 200.0)]


@pytest.mark.parametrize("name", LANDED)
def test_rows_of_every_landed_dataset_come_back_as_they_went_in(laid, name):
    laid.land(name, {"timestamp": START, "local_timestamp": START + 7} if name != "dead_letters" else {"local_timestamp": START})
    before = ask(laid.home, f"SELECT * FROM {name}")
    laid.compact(name, START)
    hour = ask(laid.home, f"SELECT * FROM {name}")
    laid.compact_day(name, DAY)

    assert len(before) == 1
    assert before == hour == ask(laid.home, f"SELECT * FROM {name}")
