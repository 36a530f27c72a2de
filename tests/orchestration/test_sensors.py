"""The sensor `landed_hours` on a clock of our own, over parts that a collector's log and seal have written."""

import json
import time

import dagster as dg
import pytest

from assets.automation import CHAIN_TAG
from assets.hours import hour_of, partition_key
from assets.landed import LANDED_TAG, landed_key
from lake.registry import LANDED
from orchestration.arrivals import OVERLOOKED_US, Cursor, uncompacted
from orchestration.definitions import build
from orchestration.jobs import HOURS
from orchestration.run import materialize_range
from orchestration.sensors import hour_grace, landed_hours_sensor, requested_hours
from orchestration.settings import OrchestrationSettings
from tests.assets.landed_rows import VISIBLE_AFTER, hours_ago, lake_settings, land, ledger, trades, wait_until_visible, whole_hour

pytestmark = pytest.mark.lengthy

GRACE = 60


def at(number):
    """The hour that began `number` hours before the one that runs by the clock of these tests, which stands days in the past."""
    return hours_ago(100 + number)


class Watch:
    """The sensor, its stored cursor, and the time it believes it is."""

    def __init__(self, root, **more):
        self.lake = lake_settings(root)
        self.settings = OrchestrationSettings(hour_grace_seconds=GRACE, _env_file=None, **more)
        self.now = at(0).start + 1800 * 1_000_000
        self.sensor = landed_hours_sensor(self.settings, self.lake, now=lambda: self.now)
        self.cursor = None
        self.requests = []

    def land(self, *landed):
        """Land rows at the time of the watch, and let the second pass in which their parts begin to count."""
        land(self.lake, *landed, clock=lambda: self.now / 1_000_000)
        self.now += 1_000_000

    def tick(self):
        """Evaluate once; what was reported, now or by the run that is asked for, as (dataset, hour, late, parts)."""
        with dg.DagsterInstance.ephemeral() as instance, dg.build_sensor_context(instance, cursor=self.cursor) as context:
            result = self.sensor(context)
        self.cursor = result.cursor
        self.requests = result.run_requests
        by_runs = [
            (name, hour_of(request.partition_key), figures["late"], figures["parts"])
            for request in self.requests
            for name, figures in json.loads(request.tags[LANDED_TAG]).items()
        ]
        return by_runs + [
            (event.asset_key.path[1], hour_of(event.partition), event.metadata["late"].value, event.metadata["parts"].value)
            for event in result.asset_events
        ]


@pytest.fixture
def watch(tmp_path):
    return Watch(tmp_path)


def by_hour(reports):
    return {hour: {name for name, other, _, _ in reports if other == hour} for _, hour, _, _ in reports}


def test_an_empty_lake_reports_nothing(watch):
    assert watch.tick() == []


def test_hours_that_are_over_are_reported_whole_and_once(watch):
    watch.land(whole_hour(at(2)), whole_hour(at(1)))

    assert by_hour(watch.tick()) == {at(2): set(LANDED), at(1): set(LANDED)}
    assert watch.tick() == []


def test_the_running_hour_is_reported_when_it_is_over_and_its_grace_has_passed(watch):
    watch.land(whole_hour(at(0)))
    end = at(0).end

    reports = [by_hour(watch.tick())]
    for now in (end + 1_000_000, end + GRACE * 1_000_000):
        watch.now = now
        reports.append(by_hour(watch.tick()))

    assert reports == [{}, {}, {at(0): set(LANDED)}]


def test_the_hour_that_has_just_closed_is_requested_whole_at_once_and_reported_by_its_run(watch):
    watch.land(whole_hour(at(1)), whole_hour(at(0)))
    watch.now = at(0).start + GRACE * 1_000_000
    watch.tick()
    watch.now = at(0).end + GRACE * 1_000_000
    watch.tick()

    (request,) = watch.requests
    assert (request.job_name, request.partition_key) == (HOURS, partition_key(at(0)))
    with dg.DagsterInstance.ephemeral() as instance:
        job = build(watch.settings, watch.lake).resolve_job_def(HOURS)
        result = job.execute_in_process(instance=instance, partition_key=request.partition_key, tags=request.tags)

        assert result.success
        for name in LANDED:
            (record,) = instance.fetch_materializations(landed_key(name), limit=5).records
            assert (record.partition_key, record.asset_materialization.metadata["late"].value) == (partition_key(at(0)), False)
            assert record.asset_materialization.metadata["empty"].value == (name not in whole_hour(at(0)))
        assert instance.get_materialized_partitions(dg.AssetKey("indicators_hour")) == {partition_key(at(0))}


def test_several_hours_at_once_and_late_parts_are_left_to_automation(watch):
    watch.land(whole_hour(at(2)), whole_hour(at(1)))
    watch.tick()
    several = watch.requests
    watch.land({"trades": trades(at(2), seed=1)})
    watch.tick()

    assert several == watch.requests == []


def test_an_hour_that_closes_while_a_late_part_arrives_is_requested_and_the_part_reported(watch):
    watch.land(whole_hour(at(2)), whole_hour(at(1)))
    watch.tick()
    watch.now = at(0).end + GRACE * 1_000_000
    watch.land({"trades": trades(at(2), seed=1)})

    reports = watch.tick()

    assert [request.partition_key for request in watch.requests] == [partition_key(at(0))]
    assert ("trades", at(2), True, 2) in reports
    assert all(late == (hour != at(0)) for _, hour, late, _ in reports)


def test_an_hour_whose_run_has_not_ended_is_known(watch):
    key = partition_key(at(0))
    with dg.DagsterInstance.ephemeral() as instance:
        tags = {**CHAIN_TAG, LANDED_TAG: "{}", "dagster/partition": key}
        run = instance.create_run_for_job(build(watch.settings, watch.lake).resolve_job_def(HOURS), tags=tags)
        before = requested_hours(instance)
        instance.report_run_canceled(run)

        assert before == {key}
        assert requested_hours(instance) == set()


def test_an_hour_without_a_part_is_reported_as_empty(watch):
    watch.land(whole_hour(at(3)), whole_hour(at(1)))

    reports = watch.tick()

    assert {(name, parts) for name, hour, _, parts in reports if hour == at(2)} == {(name, 0) for name in LANDED}


def test_a_late_part_reopens_its_dataset_and_hour_only(watch):
    watch.land(whole_hour(at(3)), whole_hour(at(1)))
    watch.tick()

    watch.land({"trades": trades(at(3), seed=1)})

    assert watch.tick() == [("trades", at(3), True, 2)]
    assert watch.tick() == []


def test_a_part_that_does_not_count_yet_is_reported_when_it_does(watch):
    watch.land(whole_hour(at(1)))
    watch.tick()
    landed = watch.now
    watch.land({"trades": trades(at(1), seed=1)})
    counts_from = landed + int(VISIBLE_AFTER * 1_000_000)

    reports = []
    for now in (counts_from - 1, counts_from):
        watch.now = now
        reports.append(watch.tick())

    assert reports == [[], [("trades", at(1), True, 2)]]


def test_history_from_before_the_first_hour_is_reported_with_the_hours_between(watch):
    watch.land(whole_hour(at(1)))
    watch.tick()

    watch.land(whole_hour(at(5)))

    assert by_hour(watch.tick()) == {at(number): set(LANDED) for number in (5, 4, 3, 2)}
    assert watch.tick() == []


def test_an_old_trade_sent_on_subscribing_opens_its_own_hour_and_none_between(watch):
    watch.land({"ledger": ledger(at(1)), "trades": trades(at(30), per_market=1)})

    assert by_hour(watch.tick()) == {at(30): set(LANDED), at(1): set(LANDED)}


def test_hours_before_the_start_hour_are_left_alone(tmp_path):
    watch = Watch(tmp_path, start_hour=at(2).moment)
    watch.land(whole_hour(at(4)), whole_hour(at(2)))

    assert set(by_hour(watch.tick())) == {at(2), at(1)}


def test_many_hours_are_reported_in_portions(tmp_path):
    watch = Watch(tmp_path, hours_per_tick=4)
    watch.land({"ledger": ledger(at(10))})

    portions = [sorted(by_hour(watch.tick())) for _ in range(4)]

    assert [len(portion) for portion in portions] == [4, 4, 2, 0]
    assert [hour for portion in portions for hour in portion] == [at(number) for number in range(10, 0, -1)]


def test_a_tick_that_fails_keeps_the_cursor_so_that_nothing_is_skipped(watch):
    watch.land(whole_hour(at(1)))
    watch.cursor = "no cursor"

    with pytest.raises(json.JSONDecodeError):
        watch.tick()
    watch.cursor = None

    assert set(by_hour(watch.tick())) == {at(1)}


def test_an_hour_whose_report_came_to_nothing_is_reported_once_more(watch):
    watch.now = at(0).start
    watch.land(whole_hour(at(1)))
    watch.now = due = at(0).start + GRACE * 1_000_000
    watch.tick()

    reports = []
    for elapsed in (OVERLOOKED_US - 1, OVERLOOKED_US, 2 * OVERLOOKED_US):
        watch.now = due + elapsed
        reports.append(by_hour(watch.tick()))

    assert reports == [{}, {at(1): {"trades", "book_deltas", "book_snapshots", "ledger", "gaps"}}, {}]


def test_an_hour_that_was_compacted_is_not_reported_once_more(watch):
    watch.now = at(0).start
    watch.land(whole_hour(at(2)), whole_hour(at(1)))
    watch.now = at(0).start + GRACE * 1_000_000
    watch.tick()
    materialize_range(watch.lake, None, at(2), at(2))
    wait_until_visible(watch.lake)

    watch.now = time.time_ns() // 1000

    again = by_hour(watch.tick())
    assert at(2) not in again
    assert again[at(1)] == {"trades", "book_deltas", "book_snapshots", "ledger", "gaps"}


def test_what_is_not_compacted_is_known_by_name(watch):
    watch.land(whole_hour(at(2)), whole_hour(at(1)))
    span = {"start": at(5), "until": at(0)}
    assert {hour for _, hour in uncompacted(watch.lake.house, now=watch.now, **span)} == {at(2), at(1)}

    materialize_range(watch.lake, ["trades"], at(2), at(2))

    left = uncompacted(watch.lake.house, now=2**60, **span)
    assert ("trades", at(2)) not in left
    assert ("trades", at(1)) in left


def test_the_grace_is_a_roll_and_the_time_until_parts_count_unless_it_is_set(watch):
    assert hour_grace(OrchestrationSettings(_env_file=None), watch.lake) == 1_200_000
    assert hour_grace(watch.settings, watch.lake) == GRACE * 1_000_000


def test_the_cursor_survives_being_stored():
    cursor = Cursor(seen=3, first=1, until=2, swept=1)

    assert Cursor.parse(str(cursor)) == cursor
