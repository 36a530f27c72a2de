# ruff: noqa: S608 - every name put into these statements is our own
"""Continuous aggregates of the full edition: candles longer than an hour, over the hypertable of h1_data.

Put here: their statements, the policies that keep them, and refreshing the buckets a sync has touched. Keep out: the other editions.

2h to 1d are made of h1_data; 3d, 1w and 1M of the aggregate of 1d (a month is no whole number of weeks). All are real-time: what is not
materialised yet is computed on the fly. But an aggregate shows what lies before its newest materialised bucket only as it was materialised:
so a bucket is materialised once it is over, never while it runs, and again whenever a sync has written below it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from lake.timescale.relations import LONGER
from lake.timescale.server import Connection
from lake.transforms.timeframes import next_open, open_time

_WIDTHS: Final = {
    "h2_data": "2 hours",
    "h4_data": "4 hours",
    "h12_data": "12 hours",
    "d1_data": "1 day",
    "d3_data": "3 days",
    "w1_data": "1 week",
    "m1_data": "1 month",
}
_OF_DAYS: Final = ("d3_data", "w1_data", "m1_data")
"""Made of the aggregate of 1d, which holds history that h1_data may have let go."""

_LOOK_BACK_DAYS: Final = {"d3_data": 60, "w1_data": 60, "m1_data": 190}
"""How far back policies look for what was changed; unchanged buckets cost them nothing."""
_LOOK_BACK_HOURS_DAYS: Final = 45

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def aggregate_of(view: str) -> str:
    """Name of the aggregate behind a view: `h4_aggregate` of `h4_data`."""
    return f"{view.removesuffix('_data')}_aggregate"


def create(view: str) -> tuple[str, ...]:
    """The aggregate and the view over it. Grouped by place: the aggregate of days has a column `bucket` itself."""
    days = view in _OF_DAYS
    source, time = (aggregate_of("d1_data"), "bucket") if days else ("h1_data", '"timestamp"')
    aggregate = aggregate_of(view)
    return (
        f"CREATE MATERIALIZED VIEW {aggregate} WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS "
        f"SELECT asset, exchange, time_bucket(INTERVAL '{_WIDTHS[view]}', {time}) AS bucket, first(open, {time}) AS open, "
        f"max(high) AS high, min(low) AS low, last(close, {time}) AS close, sum(volume) AS volume "
        f"FROM {source} GROUP BY 1, 2, 3 WITH NO DATA",
        f"CREATE VIEW {view} AS SELECT tickhouse_last_id(exchange, asset, '{LONGER[view]}', bucket) AS last_id, asset, exchange, "
        f'bucket AS "timestamp", open, high, low, close, volume FROM {aggregate}',
    )


def policies(h1_retention_days: float | None) -> Iterator[str]:
    """Statements that give every aggregate its refresh policy anew.

    Those over h1_data never look behind its retention: refreshing there would take the missing candles for candles that never were.
    """
    for view in LONGER:
        look_back: float = _LOOK_BACK_DAYS.get(view, _LOOK_BACK_HOURS_DAYS)
        if view not in _OF_DAYS and h1_retention_days is not None:
            look_back = min(look_back, h1_retention_days - 1)
        aggregate = aggregate_of(view)
        yield f"SELECT remove_continuous_aggregate_policy('{aggregate}', if_exists => true)"
        yield (
            f"SELECT add_continuous_aggregate_policy('{aggregate}', start_offset => INTERVAL '{int(look_back * 24)} hours', "
            f"end_offset => INTERVAL '{_WIDTHS[view]}', schedule_interval => INTERVAL '1 hour', "
            "initial_start => now() + INTERVAL '10 minutes')"
        )


async def aggregated(connection: Connection) -> bool:
    """Whether the longer candles of this database are views over aggregates."""
    return bool(await connection.fetchval("SELECT relkind = 'v' FROM pg_class WHERE oid = to_regclass($1)", next(iter(LONGER))))


async def first_refresh(connection: Connection) -> None:
    """Materialise everything that is over, in aggregates that were just made: they have no history yet that this could delete."""
    now = int(datetime.now(UTC).timestamp() * 1_000_000)
    for view, timeframe in LONGER.items():
        await _materialise(connection, view, "NULL", _moment(open_time(now, timeframe)))


async def refresh(connection: Connection, start_us: int, end_us: int) -> None:
    """Materialise the buckets that [start, end) of h1_data, microseconds, touches, those that still run left out.

    Outside a transaction, in order: 1d before what is made of it.
    """
    now = int(datetime.now(UTC).timestamp() * 1_000_000)
    for view, timeframe in LONGER.items():
        first = open_time(start_us, timeframe)
        last = min(next_open(end_us - 1, timeframe), open_time(now, timeframe))
        if first < last:
            await _materialise(connection, view, _moment(first), _moment(last))


async def _materialise(connection: Connection, view: str, first: str, last: str) -> None:
    """Refresh from `first` to `last`, both SQL; by force where the server knows that (2.19 on).

    A refresh that was killed, or ran beside another, may have taken the note of what changed with it: one that trusts such notes would then
    find nothing to do: https://github.com/timescale/timescaledb/issues/8591 and 10219 there.
    """
    forced = await connection.fetchval(
        "SELECT EXISTS (SELECT FROM pg_proc WHERE proname = 'refresh_continuous_aggregate' AND 'force' = ANY (proargnames))"
    )
    await connection.execute(
        f"CALL refresh_continuous_aggregate('{aggregate_of(view)}', {first}, {last}{', force => true' if forced else ''})"
    )


def _moment(time_us: int) -> str:
    return f"'{(_EPOCH + timedelta(microseconds=time_us)).isoformat()}'::timestamptz"
