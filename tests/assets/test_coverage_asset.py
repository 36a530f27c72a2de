"""What coverage counts: sealed hours, parts where there is no sealed file yet, what is expected, and gaps noticed late."""

import pytest

from assets.contents import LOOK_BACK_HOURS, Contents
from assets.errors import OutsidePartitions
from assets.hours import hour_of, partition_key
from assets.rules import connected
from lake.compact import compact_day, compact_hour
from tests.assets.landed_rows import MARKETS, VISIBLE_AFTER, gap, hours_ago, lake_settings, land, trades, wait_until_visible, whole_hour

ALL = {(exchange, symbol, "trades") for exchange, symbol, _ in MARKETS}


@pytest.fixture
def lake(tmp_path):
    return lake_settings(tmp_path)


@pytest.fixture
def contents(lake):
    with connected() as connection:
        yield Contents(lake.house, connection)


def counts(contents, hour):
    return {row["symbol"]: (row["rows"], row["duplicates"]) for row in contents.stats(hour).to_dicts() if row["dataset"] == "trades"}


def test_a_compacted_hour_is_counted_at_once_with_its_duplicates(lake, contents):
    rows = trades(hours_ago(3))
    land(lake, {"trades": rows}, {"trades": rows.slice(0, 10)})
    compact_hour(lake.house, "trades", hours_ago(3), visible_after=VISIBLE_AFTER)

    assert counts(contents, hours_ago(3)) == {"BTC/USDT": (300, 10), "ETH/USDT": (300, 0), "BTC/USD": (300, 0)}


def test_an_hour_that_was_never_compacted_is_counted_by_its_parts(lake, contents):
    land(lake, {"trades": trades(hours_ago(3))})

    assert counts(contents, hours_ago(3)) == dict.fromkeys(("BTC/USDT", "ETH/USDT", "BTC/USD"), (300, 0))


def test_an_hour_within_a_settled_day_is_counted_by_itself(lake, contents):
    hours = [hour for hour in (hours_ago(number) for number in range(25, 75)) if hour.moment.hour in {3, 4}][:2]
    assert hours[0].date == hours[1].date
    rows = trades(hours[0])
    land(lake, {"trades": rows}, {"trades": rows.slice(0, 7)}, {"trades": trades(hours[1], per_market=20)})
    watermark = contents.watermark(hours[0])
    compact_day(lake.house, "trades", hours[0].date, visible_after=VISIBLE_AFTER)
    wait_until_visible(lake)

    assert counts(contents, hours[0])["BTC/USDT"] == (300, 7)
    assert counts(contents, hours[1])["BTC/USDT"] == (20, 0)
    assert contents.watermark(hours[0]) == watermark


def test_what_came_within_the_look_back_is_expected(lake, contents):
    land(lake, {"trades": trades(hours_ago(30))})

    assert contents.expected(hours_ago(30 - LOOK_BACK_HOURS)) == ALL
    assert contents.expected(hours_ago(30 - LOOK_BACK_HOURS - 1)) == set()
    assert contents.expected(hours_ago(30)) == set()


def test_gaps_noticed_in_the_next_hour_are_looked_at(lake, contents):
    land(lake, {"gaps": gap(hours_ago(3), healed=False)})

    assert contents.gaps(hours_ago(4)).height == contents.gaps(hours_ago(3)).height == contents.gaps(hours_ago(2)).height == 1
    assert contents.gaps(hours_ago(5)).height == 0


def test_the_watermark_is_the_same_before_and_after_compaction(lake, contents):
    land(lake, whole_hour(hours_ago(3)))
    before = contents.watermark(hours_ago(3))
    for name in ("trades", "book_deltas", "book_snapshots"):
        compact_hour(lake.house, name, hours_ago(3), visible_after=VISIBLE_AFTER)

    assert contents.watermark(hours_ago(3)) == before > 0


def test_partition_keys_name_hours_both_ways():
    assert partition_key(hour_of("2026-11-21-07:00")) == "2026-11-21-07:00"
    with pytest.raises(OutsidePartitions, match="'2026-11-21' was received, expected an hour such as"):
        hour_of("2026-11-21")
