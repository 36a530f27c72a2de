"""Coverage: what each hour holds and what it misses, from the hour's landed datasets.

Put here: read what coverage needs -> transform -> write. Keep out: what counts as available (`lake.transforms.coverage`).
"""

import dagster as dg

from assets.automation import FOLLOW
from assets.checks import check_specs, judge
from assets.contents import Contents
from assets.landed import OWNER, POOL
from assets.outcome import HourDone, each_hour, materialized
from assets.resources import LakeResource
from assets.rules import connected
from lake.alert_datasets import ALERTING
from lake.derived import write_hour
from lake.files import now_us
from lake.paths import Hour
from lake.registry import COVERAGE, LANDED
from lake.transforms.coverage import coverage_of_hour


def coverage_asset(partitions: dg.HourlyPartitionsDefinition) -> dg.AssetsDefinition:
    """The asset `coverage`: one row an hour, exchange, landed dataset and symbol."""

    @dg.asset(
        name=COVERAGE.name,
        deps=[name for name in LANDED if name not in {each.name for each in ALERTING}],
        partitions_def=partitions,
        description=COVERAGE.description,
        group_name="coverage",
        owners=[OWNER],
        kinds={"parquet", "polars"},
        tags={"tier": "hours"},
        pool=POOL,
        code_version="1",
        backfill_policy=dg.BackfillPolicy.single_run(),
        automation_condition=FOLLOW,
        check_specs=check_specs(COVERAGE),
    )
    def coverage(context: dg.AssetExecutionContext, lake: LakeResource) -> dg.MaterializeResult:  # type: ignore[type-arg]  # Dagster knows it by the bare class
        with connected() as connection:
            contents = Contents(lake.house, connection)
            outcome = each_hour(context, lambda hour: _cover(lake, contents, hour))
        return materialized(context, COVERAGE, outcome, checks=judge(lake.house, COVERAGE, outcome))

    return coverage


def _cover(lake: LakeResource, contents: Contents, hour: Hour) -> HourDone:
    now = now_us()
    rows = coverage_of_hour(
        hour.start,
        now if now < hour.end else None,
        stats=contents.stats(hour),
        gaps=contents.gaps(hour),
        ledger=contents.ledger(hour),
        expected=contents.expected(hour),
    )
    table = rows.to_arrow().cast(COVERAGE.schema)
    watermark = contents.watermark(hour)
    result = write_hour(lake.house, COVERAGE.name, hour, table, watermark=watermark, visible_after=lake.visible_after_seconds)
    first, last = (hour.moment, hour.moment) if rows.height else (None, None)
    return HourDone(
        hour=hour,
        path=result.path,
        rows=rows.height,
        bytes=result.bytes,
        written=result.written,
        first_time=first,
        last_time=last,
        duplicates=int(rows["duplicates"].sum()),
        gaps=int(rows["gaps"].sum()),
    )
