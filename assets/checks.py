"""Rules as Dagster checks, run inside the asset's own step over every hour of the run.

Put here: check specs, and results from rules. Keep out: what the rules are (`assets.rules`).

Why inside the step: in Dagster 1.13 a check with partitions is a preview feature and is evaluated for one partition only, so a
range in one run could not be checked. Checks here are unpartitioned; a result speaks for all hours of its run, names the bad ones
in its metadata, and costs no step of its own.

Severity: a rule that stops (`blocking`) fails with ERROR, so that nothing downstream is made of the hour. Where a range of hours
runs as one and only some are bad, that would stop the good ones too; then the result is a failed WARN that names the bad hours.
"""

from collections.abc import Iterator, Mapping

import dagster as dg

from assets.hours import Partition, partition_key
from assets.outcome import Outcome
from assets.rules import Rule, SealedHour, connected, rules_of
from lake.paths import Home
from lake.registry import Dataset

HOURS_CHECK = "hours"
"""Name of the check that fails when an hour of the run could not be made, or left an exchange out."""


def check_specs(dataset: Dataset, *extra: dg.AssetCheckSpec) -> list[dg.AssetCheckSpec]:
    """The checks of a dataset's asset: its rules, whether every hour was made, and `extra`."""
    specs = [
        dg.AssetCheckSpec(rule.name, asset=dataset.name, description=rule.description, blocking=rule.stops)
        for rule in rules_of(dataset.name)
    ]
    made = dg.AssetCheckSpec(
        HOURS_CHECK, asset=dataset.name, description="Every hour of the run was made, of all its parts and exchanges.", blocking=False
    )
    return [*specs, made, *extra]


def judge(home: Home, dataset: Dataset, outcome: Outcome) -> Iterator[dg.AssetCheckResult]:
    """Ask every rule of every hour the run made."""
    sealed = [SealedHour(home, dataset, done.hour, done.path) for done in outcome.done]
    with connected() as connection:
        for rule in rules_of(dataset.name):
            yield judged(rule, {one.hour: answer for one in sealed if (answer := rule.ask(connection, one))}, hours=outcome.hours)
    yield _all_made(outcome)


def judged(rule: Rule, broken: Mapping[Partition, str], *, hours: int) -> dg.AssetCheckResult:
    """The result of one rule over the `hours` of a run, `broken` holding the bad ones with a sentence each."""
    spares_others = rule.stops and len(broken) < hours
    severity = dg.AssetCheckSeverity.WARN if rule.warns or spares_others else dg.AssetCheckSeverity.ERROR
    return _result(rule.name, broken, hours=hours, severity=severity)


def _all_made(outcome: Outcome) -> dg.AssetCheckResult:
    broken = {**outcome.failed, **{done.hour: "; ".join(done.problems) for done in outcome.done if done.problems}}
    return _result(HOURS_CHECK, broken, hours=outcome.hours, severity=dg.AssetCheckSeverity.ERROR)


def _result(name: str, broken: Mapping[Partition, str], *, hours: int, severity: dg.AssetCheckSeverity) -> dg.AssetCheckResult:
    first = next(iter(broken.items()), None)
    says = f"all of {hours} hours hold" if first is None else f"{len(broken)} of {hours} hours: {partition_key(first[0])}: {first[1]}"
    return dg.AssetCheckResult(
        check_name=name,
        passed=not broken,
        severity=severity,
        description=says,
        metadata={"hours": hours, **{partition_key(hour): reason for hour, reason in sorted(broken.items())}},
    )
