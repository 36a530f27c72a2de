"""Each rule over real Parquet files: silent where it holds, one sentence where it does not."""

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from assets.rules import SealedHour, connected, rules_of, unsound_exchanges
from lake.merge import sort_rows
from lake.paths import Home, Hour, SealedName
from lake.registry import DATASETS, dataset
from tests.assets.landed_rows import MINUTE_US, batch, book, gap, hours_ago, ledger, trades

HOUR = hours_ago(5)


@pytest.fixture
def ask(tmp_path):
    """Write rows as the sealed hour of a dataset and ask one of its rules."""

    def asked(name, rule, rows, *, kind="hour", sort=True, schema=None):
        table = pa.Table.from_batches([rows]) if isinstance(rows, pa.RecordBatch) else rows
        table = sort_rows(dataset(name), table) if sort else table
        path = tmp_path / str(SealedName(kind, 1, 0))
        pq.write_table(table if schema is None else table.cast(schema), path, row_group_size=100)
        (chosen,) = [one for one in rules_of(name) if one.name == rule]
        with connected() as connection:
            return chosen.ask(connection, SealedHour(Home(tmp_path), dataset(name), HOUR, path))

    return asked


def broken(column, value, *, row=0):
    """The trades of an hour with one value changed."""
    table = pa.Table.from_batches([trades(HOUR)])
    values = table[column].to_pylist()
    values[row] = value
    field = table.schema.field(column)
    return table.set_column(table.schema.get_field_index(column), field, pa.array(values, field.type))


@pytest.mark.parametrize("name", sorted(DATASETS))
def test_every_rule_holds_for_an_hour_without_rows(ask, name):
    empty = dataset(name).schema.empty_table()

    assert {rule.name: ask(name, rule.name, empty) for rule in rules_of(name) if ask(name, rule.name, empty)} == {}


@pytest.mark.parametrize(
    ("name", "rows"),
    [("trades", trades(HOUR)), ("ledger", ledger(HOUR)), ("gaps", gap(HOUR, healed=True)), *sorted(book(HOUR).items())],
)
def test_every_rule_holds_for_sound_rows(ask, name, rows):
    assert [answer for rule in rules_of(name) if (answer := ask(name, rule.name, rows))] == []


def test_a_column_of_another_type_is_named(ask):
    schema = dataset("trades").schema
    narrow = schema.set(schema.get_field_index("price"), pa.field("price", pa.float32()))

    assert "price as float, expected price as double" in ask("trades", "schema", trades(HOUR), schema=narrow)


def test_rows_out_of_order_are_found_also_where_batches_meet(ask, monkeypatch):
    monkeypatch.setattr("assets.rules._BATCH_ROWS", 100)
    rows = sort_rows(dataset("trades"), pa.Table.from_batches([trades(HOUR)]))
    order = np.arange(rows.num_rows)
    order[[199, 200]] = order[[200, 199]]

    assert ask("trades", "sorted", rows) is None
    assert "row 200 comes before the row it follows" in ask("trades", "sorted", rows.take(pa.array(order)), sort=False)


def test_a_key_that_occurs_twice_is_named(ask):
    assert "1 keys occur more than once, e.g. (binance, BTC/USDT, 1)" in ask("trades", "unique_key", broken("trade_id", "1"))


def test_a_row_of_another_hour_is_counted_but_belongs_in_a_day_file(ask):
    other = HOUR.next() if HOUR.next().date == HOUR.date else Hour(HOUR.start - 60 * MINUTE_US)
    rows = broken("timestamp", other.start)

    assert "1 rows have a timestamp outside the hour" in ask("trades", "time_in_hour", rows)
    assert ask("trades", "time_in_hour", rows, kind="day") is None


@pytest.mark.parametrize(
    ("column", "value"), [("price", 0.0), ("price", -1.0), ("price", float("nan")), ("amount", float("inf")), ("amount", 0.0)]
)
def test_trades_without_a_positive_price_and_amount_are_found(ask, column, value):
    assert "1 trades have a price or an amount that is not positive (first of binance)" in ask("trades", "prices", broken(column, value))


def test_a_crossed_book_is_found(ask):
    assert "60 snapshots are crossed" in ask("book_snapshots", "not_crossed", book(HOUR, crossed=True)["book_snapshots"])


def test_an_open_gap_is_named_and_only_warns(ask):
    (rule,) = [one for one in rules_of("gaps") if one.name == "explained"]

    assert rule.warns
    assert "1 gaps are still open" in ask("gaps", "explained", gap(HOUR, healed=False))


def test_a_dead_letter_only_warns(ask):
    letter = {"exchange": "binance", "local_timestamp": HOUR.start, "ordinal": 0, "connection": "c", "reason": "r", "raw": b"?"}

    assert "1 frames could not be decoded" in ask("dead_letters", "none", batch("dead_letters", letter, 1))


def test_a_frame_that_became_nothing_breaks_the_first_law(ask):
    assert "the ledger of binance binance-spot-0 does not add up" in ask("ledger", "frames_conserved", ledger(HOUR, lost_frames=1))
    assert ask("ledger", "rows_conserved", ledger(HOUR, lost_frames=1)) is None


def test_a_row_that_became_nothing_breaks_the_second_law(ask):
    assert "binance-spot-0 trades does not add up" in ask("ledger", "rows_conserved", ledger(HOUR, lost_rows=1))
    assert ask("ledger", "frames_conserved", ledger(HOUR, lost_rows=1)) is None


def test_exchanges_with_an_impossible_trade_are_told_from_the_others():
    rows = pl.DataFrame(
        {"exchange": ["binance", "kraken", "okx", "okx"], "price": [1.0, -1.0, 2.0, 2.0], "amount": [1.0, 1.0, 1.0, float("nan")]}
    )

    assert list(unsound_exchanges(rows)) == ["kraken", "okx"]


def test_connections_share_an_engine_of_one_thread_but_not_what_is_given_to_them():
    with connected() as one, connected() as other:
        one.register("rows", pa.table({"value": [1]}))

        assert one.execute("select value from rows").fetchall() == [(1,)]
        with pytest.raises(duckdb.CatalogException):
            other.execute("select value from rows")
        assert other.execute("select current_setting('threads'), current_setting('autoload_known_extensions')").fetchone() == (1, False)
