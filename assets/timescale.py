"""The tables of TimescaleDB, one asset each: partitions of the lake made equal on the server, and the proof that they are.

Put here: window -> sync -> compare -> result. Keep out: syncing and comparing a partition (`lake.timescale`), when (`assets.automation`).

They exist only where a server is named, and run in runs of their own: a server that is down, slow or refuses fails these steps and nothing
else. A partition that could not be synced is tried again by the step, and after that every ten minutes.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeVar

import dagster as dg

from assets import progress
from assets.automation import SYNC
from assets.hours import Partition, hours_of, partition_key, periods_of
from assets.landed import OWNER
from assets.resources import LakeResource
from lake.errors import LakeError
from lake.files import now_us
from lake.registry import LANDED, candle_dataset
from lake.timescale.settings import TimescaleSettings
from lake.timescale.tables import Table, tables

if TYPE_CHECKING:
    from lake.timescale.compare import Compared
    from lake.timescale.sync import Synced

GROUP: Final = "timescale"
POOL: Final = "timescale"
EQUAL: Final = "equals_lake"

RETRIES: Final = dg.RetryPolicy(max_retries=2, delay=15, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS)
"""On top of the attempts of each sync: together they bear a restart of the server, and end before they hold up what is queued."""

_AT_ONCE: Final = 24
"""Partitions synced as one window: reading the view of candles costs the same for one as for many."""

_R = TypeVar("_R")


def timescale_key(name: str) -> dg.AssetKey:
    """Key of the asset that stands for a table."""
    return dg.AssetKey([GROUP, name])


def timescale_assets(
    made: Iterable[dg.AssetsDefinition | dg.AssetSpec], settings: TimescaleSettings, *, retries: dg.RetryPolicy = RETRIES
) -> list[dg.AssetsDefinition]:
    """An asset for each table, with the partitions of what it is made of (which is among `made`); none where no server is named."""
    if settings.dsn is None:
        return []
    partitions = {
        spec.key.to_user_string(): spec.partitions_def
        for each in made
        for spec in (each.specs if isinstance(each, dg.AssetsDefinition) else [each])
    }
    return [_asset(table, partitions[table.dataset], settings, retries) for table in tables()]


def _asset(
    table: Table, partitions: dg.PartitionsDefinition | None, settings: TimescaleSettings, retries: dg.RetryPolicy
) -> dg.AssetsDefinition:
    key = timescale_key(table.name)
    columns = [dg.TableColumn(name=name, type=type_) for name, type_ in table.relation.columns]

    @dg.asset(
        key=key,
        deps=[candle_dataset(each) for each in table.timeframes] if table.kind == "candles" else [table.dataset],
        partitions_def=partitions,
        description=f"Table {table.relation.name} of TimescaleDB, equal to {table.dataset} of the lake.",
        group_name=GROUP,
        owners=[OWNER],
        kinds={"postgres"},
        tags={"table": table.relation.name},
        pool=POOL,
        retry_policy=retries,
        code_version="1",
        backfill_policy=dg.BackfillPolicy.single_run(),
        automation_condition=SYNC,
        metadata={"dagster/column_schema": dg.TableSchema(columns=columns)},
        check_specs=[dg.AssetCheckSpec(EQUAL, asset=key, description="Row counts and the sum of every column equal the lake's.")],
    )
    def synced(context: dg.AssetExecutionContext, lake: LakeResource) -> dg.MaterializeResult:  # type: ignore[type-arg]  # Dagster knows it by the bare class
        wanted: list[Partition] = [*hours_of(context)] if table.span == "hour" else [*periods_of(context, table.span)]
        return _result(context, table, _Run(lake, table, settings).over(wanted))

    return synced


@dataclass(slots=True)
class _Done:
    """What a run did to its partitions."""

    synced: "list[Synced]" = field(default_factory=list)
    compared: "list[Compared]" = field(default_factory=list)
    differs: dict[Partition, str] = field(default_factory=dict)
    left_out: dict[Partition, str] = field(default_factory=dict)
    """Behind the server's retention: there is nothing to be done about them."""
    failed: dict[Partition, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Window:
    """Partitions in a row, as one stretch of time."""

    partitions: tuple[Partition, ...]

    @property
    def start(self) -> int:
        return self.partitions[0].start

    @property
    def end(self) -> int:
        return self.partitions[-1].end


@dataclass(frozen=True, slots=True)
class _Run:
    lake: LakeResource
    table: Table
    settings: TimescaleSettings

    def over(self, wanted: Sequence[Partition]) -> _Done:
        """Sync and compare; a window that fails is tried partition by partition, so that one of them fails alone."""
        done = _Done()
        most = 1 if self.table.dataset in LANDED else _AT_ONCE
        for window in _windows(wanted, most):
            try:
                self._equal(window, done)
            except LakeError as error:
                if len(window.partitions) == 1:
                    self._lost(window.partitions[0], error, done)
                else:
                    for each in window.partitions:
                        self._alone(each, done)
            for each in window.partitions:
                progress.done(timescale_key(self.table.name).to_user_string(), partition_key(each))
        return done

    def _alone(self, partition: Partition, done: _Done) -> None:
        try:
            self._equal(_Window((partition,)), done)
        except LakeError as error:
            self._lost(partition, error, done)

    def _equal(self, window: _Window, done: _Done) -> None:
        from lake.timescale.compare import compare
        from lake.timescale.sync import sync

        dsn, house = self.settings.required_dsn, self.lake.house
        synced = _for_all(lambda: sync(house, dsn, self.table.name, window, settings=self.settings), self.settings)
        compared = _for_all(lambda: compare(house, dsn, self.table.name, window, settings=self.settings), self.settings)
        if not compared.equal and window.end > now_us():
            # Rows land in a partition that is still running: the second look is at what the second sync saw, or nearly.
            synced = sync(house, dsn, self.table.name, window, settings=self.settings)
            compared = compare(house, dsn, self.table.name, window, settings=self.settings)
        done.synced.append(synced)
        done.compared.append(compared)
        if not compared.equal:
            done.differs[window.partitions[0]] = compared.sentence

    def _lost(self, partition: Partition, error: LakeError, done: _Done) -> None:
        """A partition that cannot be had alone; what concerns the server concerns all of them, and ends the step."""
        from lake.timescale.errors import BehindRetention, ServerUnavailable, TimescaleError

        if isinstance(error, BehindRetention):
            done.left_out[partition] = str(error)
        elif isinstance(error, TimescaleError):
            raise dg.Failure(description=str(error), allow_retries=isinstance(error, ServerUnavailable)) from error
        else:
            done.failed[partition] = str(error)


def _for_all(work: Callable[[], _R], settings: TimescaleSettings) -> _R:
    """`work`, after the schema was made where there is none yet, or an older one."""
    from lake.timescale.errors import SchemaTooOld
    from lake.timescale.migrate import migrate

    try:
        return work()
    except SchemaTooOld:
        migrate(settings.required_dsn, settings=settings)
        return work()


def _windows(wanted: Sequence[Partition], most: int) -> Iterator[_Window]:
    """Neighbours together, at most so many."""
    row: list[Partition] = []
    for each in wanted:
        if row and (row[-1].end != each.start or len(row) == most):
            yield _Window(tuple(row))
            row = []
        row.append(each)
    if row:
        yield _Window(tuple(row))


def _result(context: dg.AssetExecutionContext, table: Table, done: _Done) -> dg.MaterializeResult:  # type: ignore[type-arg]
    if done.failed and not done.synced:
        reason = next(iter(done.failed.values()))
        raise dg.Failure(description=f"no partition of {table.name} could be read: {reason}", allow_retries=False)
    for reasons, what in ((done.failed, "failed"), (done.left_out, "left_out")):
        for partition, reason in reasons.items():
            context.add_asset_metadata({what: reason}, partition_key=partition_key(partition))
    broken = {**done.failed, **done.differs}
    first = next(iter(broken.items()), None)
    says = (
        f"all of {len(done.compared)} stretches are equal"
        if first is None
        else f"{len(broken)} are not: {partition_key(first[0])}: {first[1]}"
    )
    rows = sum(each.rows_read for each in done.synced)
    return dg.MaterializeResult(
        metadata={
            "rows": rows,
            "dagster/partition_row_count": rows,
            "rows_written": sum(each.rows_written for each in done.synced),
            "rows_deleted": sum(each.rows_deleted for each in done.synced),
            "failed_partitions": len(done.failed),
        },
        check_results=[
            dg.AssetCheckResult(
                check_name=EQUAL,
                passed=not broken,
                severity=dg.AssetCheckSeverity.ERROR,
                description=says,
                metadata={partition_key(partition): reason for partition, reason in sorted(broken.items())},
            )
        ],
    )
