"""Materialising a range of hours here and now: one run, in this process.

Put here: the run and its summary. Keep out: what an hour needs (`assets`) and runs that Dagster's daemon launches (`orchestration.jobs`).
"""

import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Final

import dagster as dg

from assets.hours import partition_key
from assets.rules import rules_of
from lake.paths import HOUR_US, Hour
from lake.registry import DATASETS
from lake.settings import LakeSettings
from orchestration.definitions import build
from orchestration.errors import BackfillError
from orchestration.jobs import HOURS
from orchestration.settings import OrchestrationSettings

_QUIET: Final = {"loggers": {"console": {"config": {"log_level": "WARNING"}}}}
"""A range is thousands of events: they stand in the instance, the terminal hears of what went wrong."""

RANGE_START = "dagster/asset_partition_range_start"
RANGE_END = "dagster/asset_partition_range_end"


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """Something that did not hold: an hour that was not made, a check that failed, or a step that did."""

    asset: str
    what: str
    why: str

    @property
    def sentence(self) -> str:
        return f"{self.asset} {self.what}: {self.why}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """What one run did: `rows` by asset over all hours; `breaches` make it fail, `warnings` do not."""

    run_id: str
    assets: int
    hours: int
    rows: dict[str, int]
    checks: int
    breaches: tuple[Breach, ...]
    warnings: tuple[Breach, ...]
    seconds: float

    @property
    def success(self) -> bool:
        """Every asset of every hour was made, and every check that is more than a warning held."""
        return not self.breaches

    @property
    def sentence(self) -> str:
        """The summary in one line."""
        trouble = "; ".join(breach.sentence for breach in self.breaches[:5])
        more = f" and {len(self.breaches) - 5} more" if len(self.breaches) > 5 else ""
        warned = f", {len(self.warnings)} warnings" if self.warnings else ""
        counts = f"{self.hours} hours of {self.assets} assets in {self.seconds:.1f} s, {self.checks} checks{warned}"
        return f"{counts}; not whole: {trouble}{more}" if self.breaches else counts


def materialize_range(
    lake: LakeSettings,
    names: Sequence[str] | None,
    first: Hour,
    last: Hour,
    *,
    settings: OrchestrationSettings | None = None,
    instance: dg.DagsterInstance | None = None,
) -> RunSummary:
    """Materialise assets (None for all) over the hours `first` to `last`, both included, as one run in this process.

    Without an `instance` nothing is remembered but the files. An hour that fails is a breach and does not stop the others.

    Raises:
        BackfillError: an asset or an hour that does not exist, or a range that ends before it begins.

    """
    begun = time.monotonic()
    settings = settings or OrchestrationSettings()
    selected = _selected(names)
    _check_range(first, last, settings)
    job = build(settings, lake).resolve_job_def(HOURS)
    # An instance handed to us stays open: its owner closes it.
    with nullcontext(instance) if instance else dg.DagsterInstance.ephemeral() as used:
        result = job.execute_in_process(
            instance=used,
            asset_selection=[dg.AssetKey(name) for name in selected],
            run_config=_QUIET,
            tags={RANGE_START: partition_key(first), RANGE_END: partition_key(last)},
            raise_on_error=False,
        )
    return _summary(result, selected, hours=(last.start - first.start) // HOUR_US + 1, seconds=time.monotonic() - begun)


def _selected(names: Sequence[str] | None) -> list[str]:
    unknown = [name for name in names or () if name not in DATASETS]
    if unknown:
        raise BackfillError(f"asset {unknown[0]!r} is unknown, expected one of {', '.join(DATASETS)}")
    return list(DATASETS if names is None else names)


def _check_range(first: Hour, last: Hour, settings: OrchestrationSettings) -> None:
    start, running = Hour.at(settings.start_hour), Hour.of(time.time_ns() // 1000)
    if last < first:
        raise BackfillError(f"the range ends at {partition_key(last)}, expected an hour not before its first, {partition_key(first)}")
    for hour in (first, last):
        if not start <= hour <= running:
            raise BackfillError(
                f"hour {partition_key(hour)} is no partition, expected one from {partition_key(start)} (TICKHOUSE_START_HOUR) to now"
            )


def _summary(result: dg.ExecuteInProcessResult, selected: list[str], *, hours: int, seconds: float) -> RunSummary:
    rows = dict.fromkeys(selected, 0)
    breaches: list[Breach] = []
    warnings: list[Breach] = []
    for event in result.get_asset_materialization_events():
        made = event.step_materialization_data.materialization
        asset = made.asset_key.to_user_string()
        count, reason = made.metadata.get("rows"), made.metadata.get("failed")
        rows[asset] += (count.value or 0) if isinstance(count, dg.IntMetadataValue) else 0
        if reason is not None:
            breaches.append(Breach(asset=asset, what=f"at {made.partition}", why=str(reason.value)))
    evaluations = result.get_asset_check_evaluations()
    for evaluation in evaluations:
        if not evaluation.passed:
            asset = evaluation.asset_key.to_user_string()
            breach = Breach(asset=asset, what=evaluation.check_name, why=evaluation.description or "")
            warns = any(rule.warns for rule in rules_of(asset) if rule.name == evaluation.check_name)
            (warnings if warns else breaches).append(breach)
    breaches += [
        Breach(asset=event.step_key or "", what="failed", why=_reason(event))
        for event in result.filter_events(lambda event: event.is_step_failure)
    ]
    if not result.success and not breaches:
        breaches.append(Breach(asset="run", what=result.run_id, why="did not succeed"))
    return RunSummary(
        run_id=result.run_id,
        assets=len(selected),
        hours=hours,
        rows=rows,
        checks=len(evaluations),
        breaches=tuple(breaches),
        warnings=tuple(warnings),
        seconds=seconds,
    )


def _reason(event: dg.DagsterEvent) -> str:
    data = event.step_failure_data
    if data.user_failure_data and data.user_failure_data.description:
        return data.user_failure_data.description
    error = data.error.cause or data.error if data.error else None
    return error.message.strip() if error else "no reason given"
