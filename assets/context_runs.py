"""What the assets of market context share: the days or months of a run, their results and their checks.

Put here: loops, metadata and check results over periods. Keep out: what is fetched (`sources`) and how a rule asks (`assets.rules`).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import dagster as dg

from assets.checks import judged
from assets.hours import partition_key
from assets.outcome import column_schema
from assets.rules import SealedHour, connected, rules_of
from lake.derived import WriteResult
from lake.paths import Home
from lake.periods import Period
from lake.registry import Dataset

GROUP: Final = "context"
POOL: Final = "context"
"""Runs of outside sources: bounded by themselves, so that a slow source never keeps the hours from being made."""
COMPLETE: Final = "complete"
"""Name of the check that fails when something asked for did not come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodDone:
    """One day or month after its work; `result` is None where it holds nothing."""

    period: Period
    result: WriteResult | None
    added: int = 0
    notes: dict[str, Any] = field(default_factory=dict)


def check_specs(data: Dataset, *extra: dg.AssetCheckSpec) -> list[dg.AssetCheckSpec]:
    """The rules of a dataset, and `extra`."""
    rules = [
        dg.AssetCheckSpec(rule.name, asset=data.name, description=rule.description, blocking=rule.stops) for rule in rules_of(data.name)
    ]
    return [*rules, *extra]


def judge(home: Home, data: Dataset, done: Iterable[PeriodDone]) -> Iterator[dg.AssetCheckResult]:
    """Ask every rule of every partition that holds something."""
    sealed = [SealedHour(home, data, each.period, each.result.path) for each in done if each.result is not None]
    with connected() as connection:
        for rule in rules_of(data.name):
            broken = {one.hour: answer for one in sealed if (answer := rule.ask(connection, one))}
            yield judged(rule, broken, hours=len(sealed))


def warned(name: str, problems: Iterable[str], *, holds: str, metadata: dict[str, Any] | None = None) -> dg.AssetCheckResult:
    """The result of a check that warns: passed where there is no problem."""
    found = list(problems)
    says = holds if not found else f"{len(found)}: {found[0]}"
    return dg.AssetCheckResult(
        check_name=name,
        passed=not found,
        severity=dg.AssetCheckSeverity.WARN,
        description=says,
        metadata={"problems": found[:50], **(metadata or {})},
    )


def materialized(
    context: dg.AssetExecutionContext, data: Dataset, done: Iterable[PeriodDone], *, checks: Iterable[dg.AssetCheckResult] = ()
) -> dg.MaterializeResult[None]:
    """The result of a run, each partition's own figures on its partition."""
    rows = 0
    for each in done:
        rows += each.added
        found: dict[str, Any] = {"added": each.added, **each.notes}
        if each.result is not None:
            found |= {
                "dagster/partition_row_count": each.result.rows,
                "rows": each.result.rows,
                "bytes": each.result.bytes,
                "rewritten": each.result.written,
                "path": dg.MetadataValue.path(str(each.result.path)),
            }
        context.add_asset_metadata(found, asset_key=data.name, partition_key=partition_key(each.period))
    return dg.MaterializeResult(
        asset_key=data.name,
        metadata={"dagster/column_schema": column_schema(data), "added": rows},
        check_results=list(checks),
    )
