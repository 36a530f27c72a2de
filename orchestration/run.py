"""Materialising a range here and now, in this process: one run for all assets with the same partitions.

Put here: the runs and their summary. Keep out: which partitions (`orchestration.plan`), what one needs (`assets`), and runs that Dagster's
daemon launches (`orchestration.jobs`).
"""

import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Final

import dagster as dg

from assets import progress
from assets.hours import partition_key
from assets.rules import rules_of
from lake.paths import HOUR_US, Hour
from lake.settings import LakeSettings
from orchestration.definitions import build
from orchestration.errors import BackfillError
from orchestration.plan import names_of, plan
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
    """What a back-fill did: `rows` by asset over all partitions; `breaches` make it fail, `warnings` do not.

    `partitions` were made; `standing` were left as they stood.
    """

    run_ids: tuple[str, ...]
    assets: int
    hours: int
    partitions: int
    standing: int
    rows: dict[str, int]
    checks: int
    breaches: tuple[Breach, ...]
    warnings: tuple[Breach, ...]
    seconds: float

    @property
    def success(self) -> bool:
        """Every partition of every asset was made, and every check that is more than a warning held."""
        return not self.breaches

    @property
    def sentence(self) -> str:
        """The summary in one line."""
        trouble = "; ".join(breach.sentence for breach in self.breaches[:5])
        more = f" and {len(self.breaches) - 5} more" if len(self.breaches) > 5 else ""
        warned = f", {len(self.warnings)} warnings" if self.warnings else ""
        stood = f", {self.standing:,} stood already" if self.standing else ""
        counts = (
            f"{self.hours} hours of {self.assets} assets in {self.seconds:.1f} s: {self.partitions:,} partitions made"
            f"{stood}, {self.checks} checks{warned}"
        )
        return f"{counts}; not whole: {trouble}{more}" if self.breaches else counts


@dataclass(slots=True)
class _Tally:
    """What the runs of one back-fill have said so far."""

    rows: dict[str, int]
    run_ids: list[str] = field(default_factory=list)
    checks: int = 0
    breaches: list[Breach] = field(default_factory=list)
    warnings: list[Breach] = field(default_factory=list)


def materialize_range(
    lake: LakeSettings,
    names: Sequence[str] | None,
    first: Hour,
    last: Hour,
    *,
    settings: OrchestrationSettings | None = None,
    instance: dg.DagsterInstance | None = None,
    force: bool = True,
    listener: Callable[[int], progress.Listener] | None = None,
) -> RunSummary:
    """Materialise assets (None: all made of the lake) over the hours `first` to `last`, both included, in this process.

    Every partition (hour, day or month) that touches the range is made, as one run for all assets with the same partitions. Without
    `force` only those that are missing or older than what they are made from. Without an `instance` nothing is remembered but
    the files. `listener` is called with the number of partitions to be made, and what it returns with each that is done. A partition
    that fails is a breach and does not stop the others.

    Raises:
        BackfillError: an asset or an hour that does not exist, or a range that ends before it begins.

    """
    begun = time.monotonic()
    settings = settings or OrchestrationSettings()
    definitions = build(settings, lake)
    graph = definitions.resolve_asset_graph()
    selected = names_of(graph, names)
    _check_range(first, last, settings)
    stretches, standing = plan(graph, lake.house, selected, first.start, last.end, force=force)
    job = definitions.resolve_implicit_global_asset_job_def()
    tally = _Tally(dict.fromkeys(selected, 0))
    hear = listener(sum(len(stretch.assets) * stretch.partitions for stretch in stretches)) if listener else None
    # An instance handed to us stays open: its owner closes it.
    with nullcontext(instance) if instance else dg.DagsterInstance.ephemeral() as used, progress.listening(hear):
        for name, keys in standing.items():
            _remember(used, name, keys)
        for stretch in stretches:
            result = job.execute_in_process(
                instance=used,
                asset_selection=[dg.AssetKey(name) for name in stretch.assets],
                run_config=_QUIET,
                tags={RANGE_START: stretch.first, RANGE_END: stretch.last},
                raise_on_error=False,
            )
            _count(result, tally)
    return RunSummary(
        run_ids=tuple(tally.run_ids),
        assets=len(selected),
        hours=(last.start - first.start) // HOUR_US + 1,
        partitions=sum(len(stretch.assets) * stretch.partitions for stretch in stretches),
        standing=sum(len(keys) for keys in standing.values()),
        rows=tally.rows,
        checks=tally.checks,
        breaches=tuple(tally.breaches),
        warnings=tuple(tally.warnings),
        seconds=time.monotonic() - begun,
    )


def _remember(instance: dg.DagsterInstance, name: str, keys: list[str]) -> None:
    """Report what stands in the lake and not in Dagster: a run that was killed reports none of the asset it was at."""
    if not keys:
        return
    known = instance.get_materialized_partitions(dg.AssetKey(name))
    for key in keys:
        if key not in known:
            found = dg.AssetMaterialization(name, partition=key, metadata={"found_in_the_lake": True})
            instance.report_runless_asset_event(found)


def _check_range(first: Hour, last: Hour, settings: OrchestrationSettings) -> None:
    start, running = Hour.at(settings.start_hour), Hour.of(time.time_ns() // 1000)
    if last < first:
        raise BackfillError(f"the range ends at {partition_key(last)}, expected an hour not before its first, {partition_key(first)}")
    for hour in (first, last):
        if not start <= hour <= running:
            raise BackfillError(
                f"hour {partition_key(hour)} is no partition, expected one from {partition_key(start)} (TICKHOUSE_START_HOUR) to now"
            )


def _count(result: dg.ExecuteInProcessResult, tally: _Tally) -> None:
    """Add what one run did."""
    tally.run_ids.append(result.run_id)
    before = len(tally.breaches)
    for event in result.get_asset_materialization_events():
        made = event.step_materialization_data.materialization
        asset = made.asset_key.to_user_string()
        count, reason = made.metadata.get("rows"), made.metadata.get("failed")
        tally.rows[asset] += (count.value or 0) if isinstance(count, dg.IntMetadataValue) else 0
        if reason is not None:
            tally.breaches.append(Breach(asset=asset, what=f"at {made.partition}", why=str(reason.value)))
    for evaluation in result.get_asset_check_evaluations():
        tally.checks += 1
        if not evaluation.passed:
            asset = evaluation.asset_key.to_user_string()
            breach = Breach(asset=asset, what=evaluation.check_name, why=evaluation.description or "")
            warns = any(rule.warns for rule in rules_of(asset) if rule.name == evaluation.check_name)
            (tally.warnings if warns else tally.breaches).append(breach)
    for event in result.filter_events(lambda event: event.is_step_failure):
        tally.breaches.append(Breach(asset=event.step_key or "", what="failed", why=_reason(event)))
    if not result.success and len(tally.breaches) == before:
        tally.breaches.append(Breach(asset="run", what=result.run_id, why="did not succeed"))


def _reason(event: dg.DagsterEvent) -> str:
    data = event.step_failure_data
    if data.user_failure_data and data.user_failure_data.description:
        return data.user_failure_data.description
    error = data.error.cause or data.error if data.error else None
    return error.message.strip() if error else "no reason given"
