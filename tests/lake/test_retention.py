"""Retention: what is older than its setting goes, after views have left it out; nothing else ever does."""

import pytest

from lake.compact import compact_hour
from lake.errors import RetentionError
from lake.paths import DAY_US
from lake.query import run_sql
from lake.retention import expire, expired, retention_days
from tests.assets.landed_rows import hours_ago, lake_settings, land, trades, wait_until_visible

OLD, NEW = hours_ago(24 * 40), hours_ago(24 * 20)


@pytest.fixture
def lake(bare):
    lake = lake_settings(bare.root)
    land(lake, {"trades": trades(OLD)}, {"trades": trades(NEW)})
    compact_hour(lake.house, "trades", OLD, visible_after=0.2)
    wait_until_visible(lake)
    return lake


def rows(lake):
    return run_sql(lake.house, "select count(*) as n from trades").table["n"][0].as_py()


def names(lake):
    return sorted(
        path.name.split("-")[0] for path in lake.house.lake.rglob("*.parquet") if "1970" not in str(path) and "trades" in str(path)
    )


def test_a_dry_run_names_what_is_older_and_removes_nothing(lake):
    found = expired(lake.house, {"trades": 30})

    assert {path.parent for path in found.files["trades"]} == {lake.house.hour_dir("trades", OLD)}
    assert len(found.files["trades"]) == 2
    assert names(lake) == ["hour", "part", "part"]


def test_what_is_older_leaves_the_views_first_and_the_disk_later(lake):
    expire(lake.house, {"trades": 30})
    between = rows(lake), names(lake)
    for _ in range(2):
        last = expire(lake.house, {"trades": 30}, linger=0.0)

    assert between == (900, ["hour", "part", "part"])
    assert names(lake) == ["part"]
    assert rows(lake) == 900
    assert last.removed == [] or not expired(lake.house, {"trades": 30}).files


def test_nothing_goes_that_is_not_older_than_its_setting(lake):
    for days in (41, 400):
        assert expired(lake.house, {"trades": days}).files == {}
    assert expired(lake.house, {"book_deltas": 1}).files == {}
    edge = OLD.end + 30 * DAY_US
    assert expired(lake.house, {"trades": 30}, clock=lambda: (edge - 1) / 1e6).files == {}
    assert len(expired(lake.house, {"trades": 30}, clock=lambda: (edge + 1) / 1e6).files["trades"]) == 2


def test_without_a_setting_nothing_has_a_retention(tmp_path):
    (tmp_path / "tickhouse.toml").write_text("[exchanges.binance]\n")

    assert retention_days(tmp_path / "tickhouse.toml") == retention_days(tmp_path / "absent.toml") == {}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[retention]\ntrade = "9d"', "dataset 'trade' in retention of .* is unknown"),
        ('[retention]\ntrades = "9"', "retention.trades in .* is '9', allowed is a number of days"),
        ("[retention]\ntrades = 0", "allowed is a number of days"),
        ("retention = 3", "expected a table"),
        ("[", "cannot be read"),
    ],
)
def test_a_wrong_setting_is_refused_with_a_sentence(tmp_path, text, says):
    (tmp_path / "tickhouse.toml").write_text(text)

    with pytest.raises(RetentionError, match=says):
        retention_days(tmp_path / "tickhouse.toml")
