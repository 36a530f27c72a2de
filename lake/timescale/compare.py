# ruff: noqa: S608 - every name put into these statements comes from the list of tables
"""Whether a partition on the server is what the lake holds: row counts, and the sum of every column, on both sides.

Put here: the comparison. Keep out: making them equal (`lake.timescale.sync`).

Sums are exact on both sides: a double of the lake counts as the decimal number its digits say, which is what was sent. Where the lake
computes candles as it is asked, sums of floats agree to 1e-12 of the sum of their absolute values: it may add up in another order.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, localcontext
from typing import Final

import polars as pl
import pyarrow as pa

from lake.paths import Home
from lake.timescale.aggregates import aggregated
from lake.timescale.migrate import check_schema
from lake.timescale.reading import Stretch, moment, partition_starts, read, read_rolled
from lake.timescale.relations import LONGER
from lake.timescale.server import Connection, Server, run
from lake.timescale.settings import TimescaleSettings, timescale_settings
from lake.timescale.sync import latest_rows, window_condition
from lake.timescale.tables import Table, table

TOLERANCE: Final = Decimal("1e-12")
_DIGITS: Final = 700
"""More than any sum of doubles has."""
_SERIES: Final = ("exchange", "asset", "timeframe")

_SUMS: Final = {
    "numeric": 'sum("{0}")',
    "bigint": 'sum("{0}")',
    "integer": 'sum("{0}")',
    "boolean": 'count(*) FILTER (WHERE "{0}")',
    "timestamptz": 'sum((extract(epoch FROM "{0}") * 1000000)::bigint)',
    "text": 'sum(length("{0}"))',
    "jsonb": 'count("{0}")',
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnSum:
    """The sum of one column on both sides: of text its length, of times their microseconds, of truths and JSON how many."""

    name: str
    lake: Decimal
    server: Decimal
    tolerance: Decimal = Decimal(0)

    @property
    def equal(self) -> bool:
        if self.lake.is_nan() or self.server.is_nan():
            return self.lake.is_nan() and self.server.is_nan()
        with localcontext(prec=_DIGITS):
            return abs(self.lake - self.server) <= self.tolerance


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """Both sides of one partition."""

    table: str
    start: datetime
    end: datetime
    rows_lake: int
    rows_server: int
    columns: tuple[ColumnSum, ...]

    @property
    def different(self) -> tuple[ColumnSum, ...]:
        """Columns whose sums differ."""
        return tuple(column for column in self.columns if not column.equal)

    @property
    def equal(self) -> bool:
        return self.rows_lake == self.rows_server and not self.different

    @property
    def sentence(self) -> str:
        """The outcome, in one sentence."""
        where = f"{self.table} of {self.start:%Y-%m-%d %H:%M}"
        if self.equal:
            return f"{where} is equal to the lake: {self.rows_lake:,} rows"
        if self.rows_lake != self.rows_server:
            return f"{where} has {self.rows_server:,} rows on the server, expected {self.rows_lake:,} as in the lake"
        named = ", ".join(f"{each.name} (sum {each.server}, expected {each.lake})" for each in self.different)
        return f"{where} differs from the lake in {named}"


def compare(home: Home, dsn: str, table_name: str, period: Stretch, *, settings: TimescaleSettings | None = None) -> Compared:
    """Row counts and column sums of a partition, or of a `Window` of several, in the lake and on the server.

    On the full edition longer candles are compared with what the lake's closed candles of 1h give, for that is what they are made of.
    Raises what `sync` raises, but for `BehindRetention`.
    """
    spec, server = table(table_name), Server(dsn, settings or timescale_settings())
    partition_starts(spec.span, period)
    doing = f"comparing {table_name} of {moment(period.start):%Y-%m-%d %H:%M}"
    return run(server.attempt(doing, lambda: _compare(server, home, spec, period)))


async def _compare(server: Server, home: Home, spec: Table, period: Stretch) -> Compared:
    async with server.connection() as connection:
        await check_schema(connection, server)
        relation = spec.relation
        rolled = relation.name in LONGER and await aggregated(connection)
        rows = (read_rolled if rolled else read)(home, spec, period)
        if relation.name == "indicators" and server.settings.timescale_latest_indicators_only:
            rows = await _expected(connection, latest_rows(rows), spec, period)
        window = await window_condition(connection, spec, period, rows)
        sums = ", ".join(f"{_SUMS[type_].format(name)}::numeric" for name, type_ in relation.columns)
        found = await connection.fetchrow(f"SELECT count(*), {sums} FROM {relation.name} WHERE {window}")
        assert found is not None
        return Compared(
            table=spec.name,
            start=moment(period.start),
            end=moment(period.end),
            rows_lake=rows.num_rows,
            rows_server=found[0],
            columns=_columns(spec, rows, [Decimal(each or 0) for each in list(found.values())[1:]]),
        )


async def _expected(connection: Connection, latest: pa.Table, spec: Table, period: Stretch) -> pa.Table:
    """Of the latest rows of each series in a partition those that a later partition has not taken the place of."""
    listed = ", ".join(f"'{each}'" for each in spec.timeframes)
    newer = await connection.fetch(
        f'SELECT DISTINCT exchange, asset, timeframe FROM indicators WHERE "timestamp" >= $1 AND timeframe IN ({listed})',
        moment(period.end),
    )
    later = pl.DataFrame([tuple(row) for row in newer], schema=dict.fromkeys(_SERIES, pl.String), orient="row")
    frame = pl.from_arrow(latest)
    assert isinstance(frame, pl.DataFrame)
    return frame.join(later, on=_SERIES, how="anti").to_arrow().cast(latest.schema)


def _columns(spec: Table, rows: pa.Table, server: list[Decimal]) -> tuple[ColumnSum, ...]:
    found = []
    for (name, type_), theirs in zip(spec.relation.columns, server, strict=True):
        series = pl.Series(rows[name])
        if type_ == "numeric":
            values = [Decimal(repr(value)) for value in series.drop_nulls().cast(pl.Float64).to_list()]
            tolerance = TOLERANCE * _total(map(abs, values)) if spec.kind == "candles" else Decimal(0)
            found.append(ColumnSum(name=name, lake=_total(values), server=theirs, tolerance=tolerance))
        else:
            found.append(ColumnSum(name=name, lake=Decimal(_count(series, type_)), server=theirs))
    return tuple(found)


def _total(values: Iterable[Decimal]) -> Decimal:
    """Their sum, to the last digit."""
    with localcontext(prec=_DIGITS):
        return sum(values, Decimal(0))


def _count(series: pl.Series, type_: str) -> int:
    """The same as the server's expression in `_SUMS`, exactly."""
    if type_ == "text":
        return int(series.str.len_chars().sum())
    if type_ == "jsonb":
        return series.len() - series.null_count()
    if type_ == "timestamptz":
        return sum(series.dt.epoch("us").drop_nulls().to_list())
    return sum(series.drop_nulls().to_list())
