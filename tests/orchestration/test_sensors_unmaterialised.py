"""What `up` reports after its first tick: hours that landed but of which something was never made."""

import shutil
import time
from contextlib import ExitStack
from functools import cache, partial

import dagster as dg
import pytest

from assets.hours import partition_key
from assets.landed import landed_key
from lake.paths import Hour
from lake.registry import LANDED
from orchestration.instance import open_instance
from orchestration.run import materialize_range
from orchestration.settings import OrchestrationSettings
from orchestration.unmaterialised import report_unmaterialised, wait_for_first_tick
from tests.assets.landed_rows import hours_ago, lake_settings, land, trades, wait_until_visible, whole_hour

pytestmark = pytest.mark.lengthy


LONGEST_SECONDS = 60
"""What a test here takes at most."""


@pytest.fixture
def ago():
    """Hours before the one that runs now, and will until the test is over: an hour that ended meanwhile would rightly be reported."""
    now = time.time_ns() // 1000
    left = (Hour.of(now).end - now) / 1_000_000
    if left < LONGEST_SECONDS:
        time.sleep(left)
    return partial(hours_ago, running=Hour.of(time.time_ns() // 1000))


@pytest.fixture
def lake(tmp_path, ago):
    lake = lake_settings(tmp_path)
    land(lake, *(whole_hour(ago(number)) for number in (3, 4)))
    return lake


@pytest.fixture
def instance():
    with dg.DagsterInstance.ephemeral() as made:
        yield made


@pytest.fixture(scope="module")
def chained(tmp_path_factory):
    """A lake and an instance in which all of hours 4 to 1 was made, by the running hour: once, unless an hour ends meanwhile. Tests leave the lake as it is."""
    with ExitStack() as stack:

        @cache
        def made(running):
            ago = partial(hours_ago, running=running)
            lake = lake_settings(tmp_path_factory.mktemp("chained"))
            instance = stack.enter_context(dg.DagsterInstance.ephemeral())
            land(lake, *(whole_hour(ago(number)) for number in (3, 4)))
            materialize_range(lake, None, ago(4), ago(1), instance=instance)
            wait_until_visible(lake)
            return lake, instance

        yield made


def settings():
    return OrchestrationSettings(hour_grace_seconds=0, _env_file=None)


def by_hour(reports):
    return {hour: {name for name, other in reports if other == hour} for _, hour in reports}


def test_hours_that_were_never_made_are_reported_whole(lake, instance, ago):
    reports = report_unmaterialised(instance, lake, settings())

    assert by_hour(reports) == {ago(number): set(LANDED) for number in (1, 2, 3, 4)}
    assert instance.get_materialized_partitions(landed_key("trades")) == {partition_key(ago(number)) for number in (1, 2, 3, 4)}


def test_hours_that_were_made_are_left_alone(chained, ago):
    lake, instance = chained(ago(0))

    assert report_unmaterialised(instance, lake, settings()) == []


def test_an_hour_of_which_one_asset_is_missing_is_reported(lake, instance, ago):
    materialize_range(lake, None, ago(4), ago(2), instance=instance)
    materialize_range(lake, ["trades", "candles_1m"], ago(1), ago(1), instance=instance)
    wait_until_visible(lake)

    assert set(by_hour(report_unmaterialised(instance, lake, settings()))) == {ago(1)}


def test_a_part_that_came_while_nothing_ran_is_reported_for_its_dataset(chained, ago, tmp_path):
    made, instance = chained(ago(0))
    shutil.copytree(made.house.root, tmp_path, dirs_exist_ok=True)
    lake = lake_settings(tmp_path)
    land(lake, {"trades": trades(ago(3), seed=1, first_id=1_000)})

    assert report_unmaterialised(instance, lake, settings()) == [("trades", ago(3))]


def test_what_was_reported_since_the_tick_is_not_reported_twice(lake, instance, ago):
    ticked = time.time()
    report_unmaterialised(instance, lake, settings())

    assert report_unmaterialised(instance, lake, settings(), ticked=ticked) == []
    assert len(report_unmaterialised(instance, lake, settings(), ticked=time.time())) == 4 * len(LANDED)


def test_the_running_hour_is_not_reported(tmp_path, instance, ago):
    lake = lake_settings(tmp_path / "other")
    land(lake, {"trades": trades(ago(0))})

    assert ago(0) not in by_hour(report_unmaterialised(instance, lake, settings()))


def test_without_a_daemon_the_wait_for_its_tick_ends(lake):
    with open_instance(lake, settings()) as instance:
        assert wait_for_first_tick(instance, since=time.time(), timeout=0.01) is None
