"""Rules as checks: what fails with ERROR, what warns, and what a range of hours does with a bad one."""

import dagster as dg
import pytest

from assets.checks import HOURS_CHECK, check_specs, judge, judged
from assets.outcome import HourDone, Outcome
from assets.rules import rules_of
from lake.compact import compact_hour
from lake.registry import DATASETS, dataset
from tests.assets.landed_rows import VISIBLE_AFTER, hours_ago, lake_settings, land, trades

SCHEMA, *_ = rules_of("trades")
(PRICES,) = [rule for rule in rules_of("trades") if rule.name == "prices"]
(EXPLAINED,) = [rule for rule in rules_of("gaps") if rule.name == "explained"]


@pytest.mark.parametrize(
    ("rule", "bad", "severity"),
    [
        (SCHEMA, 1, dg.AssetCheckSeverity.WARN),
        (SCHEMA, 2, dg.AssetCheckSeverity.ERROR),
        (PRICES, 1, dg.AssetCheckSeverity.ERROR),
        (EXPLAINED, 2, dg.AssetCheckSeverity.WARN),
    ],
)
def test_a_rule_that_stops_spares_the_good_hours_of_a_range(rule, bad, severity):
    result = judged(rule, {hours_ago(number): "it is wrong" for number in range(1, bad + 1)}, hours=2)

    assert (result.passed, result.severity) == (False, severity)
    assert f"{bad} of 2 hours" in result.description


def test_a_bad_hour_of_a_run_by_itself_stops_what_follows():
    assert judged(SCHEMA, {hours_ago(1): "it is wrong"}, hours=1).severity is dg.AssetCheckSeverity.ERROR


def test_every_asset_has_the_shared_checks_and_those_that_stop_are_blocking():
    for name in DATASETS:
        specs = {spec.name: spec for spec in check_specs(dataset(name))}

        assert {"schema", "sorted", "time_in_hour", HOURS_CHECK} <= set(specs)
        assert all(specs[rule.name].blocking is rule.stops for rule in rules_of(name))
        assert all(spec.description for spec in specs.values())


def test_every_rule_is_asked_once_and_the_problems_of_hours_are_told(tmp_path):
    lake = lake_settings(tmp_path)
    land(lake, {"trades": trades(hours_ago(2))})
    made = compact_hour(lake.house, "trades", hours_ago(2), visible_after=VISIBLE_AFTER)
    done = HourDone(hour=hours_ago(2), path=made.path, rows=900, bytes=made.bytes, written=True, problems=("a part is broken",))

    results = {one.check_name: one for one in judge(lake.house, dataset("trades"), Outcome((done,), {hours_ago(3): "no hour"}))}

    assert set(results) == {spec.name for spec in check_specs(dataset("trades"))}
    assert [name for name, result in results.items() if not result.passed] == [HOURS_CHECK]
    assert {str(one.value) for one in results[HOURS_CHECK].metadata.values()} == {"2", "a part is broken", "no hour"}
