"""The automation condition on a fixed clock: what has landed decides what is requested, whenever it landed."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache

import dagster as dg
import pytest

from assets.automation import CHAIN_TAG
from assets.hours import partition_key
from assets.landed import LANDED_TAG, landed_key, landed_tag
from lake.paths import Hour
from lake.registry import DATASETS, LANDED
from lake.settings import LakeSettings
from orchestration.definitions import build
from orchestration.jobs import HOURS
from orchestration.plan import names_of
from orchestration.run import RANGE_END, RANGE_START
from orchestration.settings import OrchestrationSettings

pytestmark = pytest.mark.lengthy

QUIET = {"loggers": {"console": {"config": {"log_level": "WARNING"}}}}
"""Thousands of events stand in the instance; to print them as well takes long."""
NOON = datetime(2026, 3, 5, 12, tzinfo=UTC)
LAKE = names_of(build(OrchestrationSettings(_env_file=None), LakeSettings(_env_file=None)).resolve_asset_graph(), None)
CHAIN = {name for name in LAKE if DATASETS[name].span == "hour"}
"""Everything that is made of an hour."""


@cache
def after(*names: str) -> set[str]:
    """Assets of the hour that are made of these, these among them."""
    graph = build(OrchestrationSettings(_env_file=None), LakeSettings(_env_file=None)).resolve_asset_graph()
    found = set(names)
    for name in (key.to_user_string() for key in graph.toposorted_asset_keys):
        if name in CHAIN and any(parent.to_user_string() in found for parent in graph.get(dg.AssetKey(name)).parent_keys):
            found.add(name)
    return found


class Clockwork:
    """The definitions on an instance in memory, evaluated tick by tick at times of our own."""

    def __init__(self, defs: dg.Definitions, instance: dg.DagsterInstance) -> None:
        self.defs = defs
        self.job = self.defs.resolve_job_def(HOURS)
        self.instance = instance
        self.cursor = None
        self.longer: dict[str, set[str]] = {}
        """Assets of days and months that the last tick requested, by partition key."""

    def land(self, hour: datetime, names: Iterable[str] = LANDED) -> None:
        for name in names:
            self._report(landed_key(name), hour)

    def made(
        self, hour: datetime, names: Iterable[str] = tuple(CHAIN), *, last: datetime | None = None, tags: Mapping[str, str] = CHAIN_TAG
    ) -> None:
        """Run the assets for an hour of this empty lake (or until the hour `last`), as the daemon would: all in one run."""
        result = self.job.execute_in_process(
            instance=self.instance,
            asset_selection=[dg.AssetKey(name) for name in names],
            run_config=QUIET,
            tags={**tags, RANGE_START: key(hour), RANGE_END: key(last or hour)},
        )
        assert result.success

    def tick(self, at: datetime) -> dict[str, set[str]]:
        """Evaluate once; the assets of the hour that are requested, by partition key."""
        self.longer = {}
        result = dg.evaluate_automation_conditions(
            self.defs, self.instance, asset_selection=dg.AssetSelection.all(), cursor=self.cursor, evaluation_time=at
        )
        self.cursor = result.cursor
        requested: dict[str, set[str]] = {}
        for name in LAKE:
            found = requested if name in CHAIN else self.longer
            for key in result.get_requested_partitions(dg.AssetKey(name)):
                found.setdefault(str(key), set()).add(name)
        return requested

    def longer_made(self, name: str, partition: str) -> None:
        self.instance.report_runless_asset_event(dg.AssetMaterialization(name, partition=partition))

    def _report(self, key: dg.AssetKey, hour: datetime) -> None:
        self.instance.report_runless_asset_event(dg.AssetMaterialization(key, partition=partition_key(Hour.at(hour))))


@pytest.fixture(scope="module")
def defs(tmp_path_factory):
    """The definitions on a lake in which nothing ever lands: what a test makes there is empty, so the next finds nothing of it."""
    settings = OrchestrationSettings(start_hour=NOON - timedelta(days=10), _env_file=None)
    return build(settings, LakeSettings(home=tmp_path_factory.mktemp("empty"), visible_after_seconds=0.2, _env_file=None))


@pytest.fixture
def clockwork(defs):
    with dg.DagsterInstance.ephemeral() as instance:
        yield Clockwork(defs, instance)


def key(hour: datetime) -> str:
    return partition_key(Hour.at(hour))


def test_an_hour_on_time_is_requested_whole_in_one_tick_and_once(clockwork):
    clockwork.tick(NOON)

    clockwork.land(NOON - timedelta(hours=1))
    first = clockwork.tick(NOON + timedelta(minutes=1))
    second = clockwork.tick(NOON + timedelta(minutes=2))

    assert first == {key(NOON - timedelta(hours=1)): CHAIN}
    assert second == {}


def test_an_hour_whose_chain_the_sensor_requested_is_followed_by_nothing_of_the_hour_and_by_its_day(clockwork):
    hour = NOON - timedelta(hours=1)
    clockwork.tick(NOON)

    clockwork.made(hour, tags={**CHAIN_TAG, LANDED_TAG: landed_tag({name: {"parts": 0} for name in LANDED})})
    requests = [clockwork.tick(NOON + timedelta(minutes=minute)) for minute in (1, 2)]

    assert requests == [{}, {}]
    assert clockwork.longer == {"2026-03-05": DAY}
    clockwork.land(hour, ["book_deltas"])  # a part that came after
    assert clockwork.tick(NOON + timedelta(minutes=3)) == {key(hour): after("book_deltas")}


def test_whatever_follows_hours_is_in_the_run_that_the_sensor_requests():
    graph = build(OrchestrationSettings(_env_file=None), LakeSettings(_env_file=None)).resolve_asset_graph()
    hours = graph.get(dg.AssetKey("trades")).partitions_def
    nodes = [graph.get(asset) for asset in graph.get_all_asset_keys()]

    follow = {
        node.key
        for node in nodes
        if node.partitions_def == hours and node.automation_condition and node.automation_condition.get_label() == "follow"
    }

    job = build(OrchestrationSettings(_env_file=None), LakeSettings(_env_file=None)).resolve_job_def(HOURS)
    assert job.asset_layer.selected_asset_keys == follow


def test_an_hour_that_lands_late_is_requested_whole(clockwork):
    late = NOON - timedelta(days=3)
    clockwork.tick(NOON)
    clockwork.land(NOON - timedelta(hours=1))
    clockwork.tick(NOON + timedelta(minutes=1))

    clockwork.land(late)

    assert clockwork.tick(NOON + timedelta(minutes=2)) == {key(late): CHAIN}


def test_a_repaired_dataset_is_made_again_with_what_follows_from_it_only(clockwork):
    hour = NOON - timedelta(hours=5)
    clockwork.tick(NOON)
    clockwork.land(hour)
    clockwork.tick(NOON + timedelta(minutes=1))
    clockwork.made(hour)
    assert clockwork.tick(NOON + timedelta(minutes=2)) == {}

    clockwork.land(hour, ["trades"])

    follows = after("trades")
    assert {"coverage", "candles_1m", "candles_1h"} <= follows < CHAIN
    assert clockwork.tick(NOON + timedelta(minutes=3)) == {key(hour): follows}
    clockwork.made(hour, follows)
    assert clockwork.tick(NOON + timedelta(minutes=4)) == {}


def test_an_hour_repaired_twice_is_made_twice(clockwork):
    hour = NOON - timedelta(hours=5)
    clockwork.tick(NOON)
    clockwork.land(hour)
    clockwork.tick(NOON + timedelta(minutes=1))
    clockwork.made(hour)

    requests = []
    for minute in (2, 4):
        clockwork.land(hour, ["book_deltas"])
        requests.append(clockwork.tick(NOON + timedelta(minutes=minute)))
        clockwork.made(hour, after("book_deltas"))
        assert clockwork.tick(NOON + timedelta(minutes=minute + 1)) == {}

    assert requests == [{key(hour): after("book_deltas")}] * 2


def test_a_part_reported_between_the_request_and_the_next_tick_is_not_forgotten(clockwork):
    hour = NOON - timedelta(hours=1)
    clockwork.tick(NOON)
    clockwork.land(hour)
    clockwork.tick(NOON + timedelta(minutes=1))

    clockwork.land(hour, ["book_deltas"])
    clockwork.made(hour)

    assert clockwork.tick(NOON + timedelta(minutes=2)) == {key(hour): after("book_deltas")}
    assert clockwork.tick(NOON + timedelta(minutes=3)) == {}


def test_an_hour_of_which_a_dataset_is_not_reported_waits_for_it_where_all_are_needed(clockwork):
    hour = NOON - timedelta(hours=1)
    clockwork.tick(NOON)

    clockwork.land(hour, ["trades"])
    without = clockwork.tick(NOON + timedelta(minutes=1))
    clockwork.made(hour, without[key(hour)])
    clockwork.land(hour, [name for name in LANDED if name != "trades"])
    complete = clockwork.tick(NOON + timedelta(minutes=2))

    assert "coverage" not in without[key(hour)]
    assert "coverage" in complete[key(hour)]


def test_an_hour_landed_before_the_first_tick_is_requested_once_it_is_reported_again(clockwork):
    hour = NOON - timedelta(hours=2)
    clockwork.land(hour)

    before = clockwork.tick(NOON)
    clockwork.land(hour)
    after = clockwork.tick(NOON + timedelta(minutes=1))

    assert before == {}
    assert after == {key(hour): CHAIN}


def test_several_hours_at_once_are_all_requested(clockwork):
    hours = [NOON - timedelta(hours=number) for number in range(1, 25)]
    clockwork.tick(NOON)
    for hour in hours:
        clockwork.land(hour)

    assert clockwork.tick(NOON + timedelta(minutes=1)) == {key(hour): CHAIN for hour in hours}


def test_a_range_that_automation_made_is_followed_by_nothing(clockwork):
    first, last = NOON - timedelta(hours=4), NOON - timedelta(hours=2)
    clockwork.tick(NOON)
    for number in (4, 3, 2):
        clockwork.land(NOON - timedelta(hours=number))
    clockwork.tick(NOON + timedelta(minutes=1))

    clockwork.made(first, last=last)

    assert clockwork.tick(NOON + timedelta(minutes=2)) == {}
    assert clockwork.tick(NOON + timedelta(minutes=3)) == {}


def test_a_range_of_trades_made_by_hand_is_followed_by_its_candles(clockwork):
    clockwork.tick(NOON)

    clockwork.made(NOON - timedelta(hours=3), ["trades"], last=NOON - timedelta(hours=2), tags={})

    requested = clockwork.tick(NOON + timedelta(minutes=1))
    assert set(requested) == {key(NOON - timedelta(hours=3)), key(NOON - timedelta(hours=2))}
    assert all({"candles_1m", "candles_1h"} <= names for names in requested.values())


def test_making_the_trades_of_the_running_hour_by_hand_makes_its_candles_follow(clockwork):
    clockwork.tick(NOON + timedelta(minutes=30))

    clockwork.made(NOON, ["trades"], tags={})

    requested = clockwork.tick(NOON + timedelta(minutes=32))[key(NOON)]
    assert {"candles_1m", "candles_1h"} <= requested


DAY, MONTH = ({name for name in LAKE if DATASETS[name].span == span} for span in ("day", "month"))


def test_a_day_is_made_again_when_an_hour_of_it_was_made_and_its_month_after_it(clockwork):
    hour = NOON - timedelta(hours=2)
    clockwork.tick(NOON)
    clockwork.made(hour, ["candles_1h"])

    clockwork.tick(NOON + timedelta(minutes=1))
    at_once = clockwork.longer
    clockwork.tick(NOON + timedelta(minutes=2))
    days = clockwork.longer
    clockwork.longer_made("candles_1d", "2026-03-05")
    clockwork.tick(NOON + timedelta(minutes=3))
    clockwork.tick(NOON + timedelta(minutes=4))
    months = clockwork.longer

    assert at_once == {}
    assert days == {"2026-03-05": DAY}
    assert months == {"2026-03-01": MONTH}
    clockwork.tick(NOON + timedelta(minutes=5))
    assert clockwork.longer == {}


def test_hours_that_keep_coming_refresh_their_day_once_when_they_have_come(clockwork):
    clockwork.tick(NOON)
    for number in (4, 3, 2):
        clockwork.made(NOON - timedelta(hours=number), ["candles_1h"])
        clockwork.tick(NOON + timedelta(minutes=10 - number))
        assert clockwork.longer == {}

    clockwork.tick(NOON + timedelta(minutes=9))

    assert clockwork.longer == {"2026-03-05": DAY}


def test_a_missing_hour_holds_neither_its_day_nor_the_month_up(clockwork):
    clockwork.tick(NOON)

    clockwork.made(NOON - timedelta(days=2, hours=3), ["candles_1h"])  # of 24 hours this one alone was ever made
    clockwork.tick(NOON + timedelta(minutes=1))
    clockwork.tick(NOON + timedelta(minutes=2))

    assert clockwork.longer == {"2026-03-03": DAY}


def test_an_hour_of_last_week_that_is_repaired_refreshes_the_day_it_lies_in(clockwork):
    clockwork.made(NOON - timedelta(days=6), ["candles_1h"])
    clockwork.tick(NOON)

    clockwork.made(NOON - timedelta(days=6), ["candles_1h"])
    clockwork.tick(NOON + timedelta(minutes=1))
    clockwork.tick(NOON + timedelta(minutes=2))

    assert clockwork.longer == {"2026-02-27": DAY}
