# ruff: noqa: S608 - every name put into these statements comes from the registry; what a user gives is a bound parameter
"""What can be asked over a range of time, and the one statement such a question becomes.

Put here: the tables of the API, their keys of paging, SQL with bound parameters. Keep out: HTTP (`serving.rest`), running
(`serving.reader`).

The replay reads through the same statements, so that it gives the rows a range query gives.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Final, Literal

import pyarrow as pa

from lake.carried import TIMEFRAMES_OF
from lake.indicator_datasets import indicator_dataset
from lake.listing import identifier
from lake.registry import CANDLE_COLUMNS, TIMESTAMP, Dataset, dataset
from lake.transforms.timeframes import TIMEFRAMES, WIDTH_US
from serving.cursor import Cursor, Value, decode, fingerprint
from serving.errors import BadRequest
from serving.times import DAY_US, day_of, moment_of

By = Literal["exchange", "receive"]
"""Which time a range speaks of: the exchange's, or that of our receiving."""

EVENT_TIME: Final = "event_time"
"""The exchange's time of a book's row, or ours where the venue sends none."""

LATE_DAYS: Final = 2
"""By the time a row is not filed under, rows are looked for so many days around: what was healed later than that is not found."""

_HOUR_US: Final = 3_600_000_000
_MONTH: Final = 31


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One table of the API. `span_us` is the range where none is asked for; `filters` are columns that may be asked for by value."""

    name: str
    spec: Dataset
    source: str
    span_us: int
    says: str
    timeframe: str | None = None
    filters: tuple[str, ...] = ()
    month: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.spec.columns)

    @property
    def has_market(self) -> bool:
        """Whether rows are of an exchange."""
        return "exchange" in self.columns

    @property
    def default_by(self) -> By:
        """The time a range speaks of where nothing is said: that of the exchange, but for books, whose order is that of their arrival."""
        return "receive" if self.spec.time_column == "local_timestamp" and self.name != "gaps" else "exchange"

    def time(self, by: By = "exchange") -> str:
        """The column a range speaks of. Books have the exchange's time where it is sent, else ours: `EVENT_TIME`, which is no column."""
        if "local_timestamp" not in self.columns:
            return self.spec.time_column
        if by == "receive":
            return "local_timestamp"
        if self.name == "gaps":
            return "from_time"
        return EVENT_TIME if self.spec.column("timestamp").nullable else "timestamp"

    def key(self, by: By) -> tuple[str, ...]:
        """Columns that order the rows: the time first; never null."""
        first = self.time(by)
        rest = (name for name in self.spec.sort_key if name != first and not self.spec.column(name).nullable)
        return (first, *rest)


def _of(name: str, dataset_name: str, *, span_us: int, filters: tuple[str, ...] = ()) -> Table:
    spec = dataset(dataset_name)
    return Table(
        name=name, spec=spec, source=dataset_name, span_us=span_us, says=spec.description, filters=filters, month=spec.span == "month"
    )


TABLES: Final[dict[str, Table]] = {
    table.name: table
    for table in (
        _of("trades", "trades", span_us=_HOUR_US // 4),
        _of("books", "book_snapshots", span_us=_HOUR_US // 4),
        _of("book-deltas", "book_deltas", span_us=_HOUR_US // 60),
        _of("liquidations", "liquidations", span_us=24 * _HOUR_US),
        _of("derivatives", "derivatives", span_us=_HOUR_US),
        _of("metrics", "book_metrics", span_us=24 * _HOUR_US),
        _of("heatmap", "heatmap", span_us=_HOUR_US, filters=("side",)),
        _of("consolidated", "consolidated_book", span_us=_HOUR_US),
        _of("flow", "trade_flow", span_us=24 * _HOUR_US),
        _of("liquidation-windows", "liquidation_windows", span_us=24 * _HOUR_US, filters=("source", "severity")),
        _of("coverage", "coverage", span_us=7 * 24 * _HOUR_US, filters=("dataset", "condition")),
        _of("gaps", "gaps", span_us=7 * 24 * _HOUR_US, filters=("channel", "kind")),
        _of("alerts", "alerts", span_us=7 * 24 * _HOUR_US, filters=("rule", "kind", "severity")),
    )
}
"""Every table over a range, but candles and indicators, which have a timeframe."""

_CANDLES: Final = Dataset(
    name="candles",
    description="Candles of any of the fifteen timeframes, up to the last trade: stored ones, else computed on the fly.",
    columns=CANDLE_COLUMNS,
    sort_key=("timestamp", "exchange", "symbol", "source"),
    unique_key=("timestamp", "exchange", "symbol", "source"),
    time_column="timestamp",
    merge="last",
    landed=False,
)
_BARS: Final = 500


def span_of(timeframe: str) -> int:
    """About how long a bucket of a timeframe is, microseconds."""
    return WIDTH_US.get(timeframe, _MONTH * DAY_US)


def _checked(timeframe: str) -> str:
    if timeframe not in TIMEFRAMES:
        raise BadRequest(f"timeframe is {timeframe[:20]!r}, expected one of {' '.join(TIMEFRAMES)}")
    return timeframe


def candles(timeframe: str) -> Table:
    """Candles of one timeframe."""
    span = _BARS * span_of(_checked(timeframe))
    return Table(name="candles", spec=_CANDLES, source="candles_now", span_us=span, says=_CANDLES.description, timeframe=timeframe)


def indicators(timeframe: str) -> Table:
    """Indicators of one timeframe."""
    _checked(timeframe)
    span = next(span for span, held in TIMEFRAMES_OF.items() if timeframe in held)
    spec = dataset(indicator_dataset(span))
    reach = _BARS * span_of(timeframe)
    return Table(
        name="indicators", spec=spec, source=spec.name, span_us=reach, says=spec.description, timeframe=timeframe, month=span == "month"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One question: rows of `table` from `start` up to before `end` (microseconds), of a market where named."""

    table: Table
    start: int
    end: int
    exchanges: tuple[str, ...] = ()
    symbols: tuple[str, ...] = ()
    where: tuple[tuple[str, str], ...] = ()
    by: By = "exchange"
    newest_first: bool = False
    after: Cursor | None = None
    columns: tuple[str, ...] = field(default=())

    @property
    def key(self) -> tuple[str, ...]:
        return self.table.key(self.by)

    @property
    def fingerprint(self) -> str:
        """Differs where another cursor is needed."""
        table = self.table
        return fingerprint(table.name, table.timeframe, self.exchanges, self.symbols, self.where, self.by, self.newest_first)

    @property
    def views(self) -> str:
        """Text that names the views the statement needs."""
        return self.table.source

    def statement(self, limit: int | None = None) -> tuple[str, list[Any]]:
        """The SQL and its parameters: rows in order of the key, from where the cursor stands."""
        table, time = self.table, self.table.time(self.by)
        values: list[Any] = []
        source = table.source
        if source == "candles_now":
            source = "candles_now(?)"
            values.append(table.timeframe)
        conditions = [f"{identifier(time)} >= ?", f"{identifier(time)} < ?", '"date" >= ?', '"date" <= ?']
        values += [moment_of(self.start), moment_of(self.end), *self._days(time)]
        if table.timeframe and table.source != "candles_now":
            conditions.append("timeframe = ?")
            values.append(table.timeframe)
        for name, wanted in (("exchange", self.exchanges), ("symbol", self.symbols)):
            if wanted:
                conditions.append(f"{name} IN ({', '.join('?' * len(wanted))})")
                values += wanted
        for name, value in self.where:
            conditions.append(f"{identifier(name)} = ?")
            values.append(value)
        order, offset = self._order(), ""
        repeated = _once(table.spec)
        if self.after is not None:
            compare = "<=" if self.newest_first else ">="
            places = ", ".join(map(identifier, self.key))
            after = f"row({places}) {compare} row({', '.join('?' * len(self.key))})"
            keys = _bound(table.spec, self.key, self.after.key)
            offset = " OFFSET ?"
        columns = f'{", ".join(map(identifier, table.columns))}, "date", "hour"'
        if time == EVENT_TIME:
            columns += f', coalesce("timestamp", local_timestamp) AS {EVENT_TIME}'
        inner = f"SELECT {columns} FROM {source} WHERE {' AND '.join(conditions)}{repeated}"
        outer = f"SELECT {', '.join(map(identifier, self._selected()))} FROM ({inner})"
        if self.after is not None:
            outer += f" WHERE {after}"
            values += keys
        outer += f" ORDER BY {order}"
        if limit is not None:
            outer += " LIMIT ?"
            values.append(limit)
        if self.after is not None:
            outer += offset
            values.append(self.after.repeated)
        return outer, values

    def cursor(self, page: pa.Table) -> Cursor:
        """Where the next page begins, after the last row of `page` (which has the key's columns and a row)."""
        keys = [
            tuple(_plain(value) for value in row.values()) for row in page.select(self.key).slice(max(0, page.num_rows - 1000)).to_pylist()
        ]
        last = keys[-1]
        repeated = next((number for number, key in enumerate(reversed(keys)) if key != last), len(keys))
        if self.after is not None and repeated == page.num_rows and tuple(self.after.key) == last:
            repeated += self.after.repeated
        return Cursor(self.fingerprint, self.start, self.end, list(last), repeated)

    def cursor_of(self, text: str) -> Cursor:
        """The cursor in a request, which must be one of this question. Raises `BadRequest`."""
        found = decode(text, request=self.fingerprint)
        _bound(self.table.spec, self.key, found.key)
        return found

    def _selected(self) -> Sequence[str]:
        shown = self.columns or self.table.columns
        return [*shown, *(name for name in self.key if name not in shown)]

    def _order(self) -> str:
        down = " DESC" if self.newest_first else ""
        more = () if self.table.spec.unique_key else tuple(name for name in self.table.columns if name not in self.key)
        return ", ".join(f"{identifier(name)}{down}" for name in (*self.key, *more))

    def _days(self, time: str) -> tuple[date, date]:
        """First and last day under which such rows are filed."""
        first, last = day_of(self.start), day_of(max(self.start, self.end - 1))
        if self.table.month:
            return first.replace(day=1), last
        if time != self.table.spec.time_column:
            return _days_before(first, LATE_DAYS), last + timedelta(days=LATE_DAYS)
        return first, last


def _days_before(day: date, days: int) -> date:
    return max(date(1970, 1, 1), day - timedelta(days=days))


def _once(spec: Dataset) -> str:
    """Leaves one row a key: a part may repeat a row of another part until their hour is compacted."""
    if not spec.landed or spec.merge != "first" or not spec.unique_key:
        return ""
    names = {column.name for column in spec.columns}
    first = "source = 'rest', " if "source" in names else ""
    last = ", ordinal" if "ordinal" in names else ""
    keys = ", ".join(map(identifier, (*spec.unique_key, "date", "hour")))
    return f' QUALIFY row_number() OVER (PARTITION BY {keys} ORDER BY {first}local_timestamp, "timestamp"{last}) = 1'


def _plain(value: Any) -> Value:
    if isinstance(value, datetime):
        return (value - moment_of(0)) // timedelta(microseconds=1)
    assert value is None or isinstance(value, str | int | float | bool)
    return value


def _bound(spec: Dataset, names: Sequence[str], values: Sequence[Value]) -> list[Any]:
    """Values of a cursor as parameters of their columns' types; `BadRequest` where they do not fit."""
    wrong = BadRequest("cursor is not one that this request has given, expected the `next` of its last page, unchanged")
    if len(names) != len(values):
        raise wrong
    bound: list[Any] = []
    for name, value in zip(names, values, strict=True):
        type_ = TIMESTAMP if name == EVENT_TIME else spec.column(name).type
        if pa.types.is_timestamp(type_):
            if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 1 << 52:
                raise wrong
            bound.append(moment_of(value))
        elif pa.types.is_string(type_):
            if not isinstance(value, str):
                raise wrong
            bound.append(value)
        elif isinstance(value, bool) or not isinstance(value, int | float) or abs(value) >= 1 << 63:
            raise wrong
        else:
            bound.append(value)
    return bound
