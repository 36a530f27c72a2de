"""Anyone's candle table as ours: columns found by name, times of every spelling, one clear sentence where it cannot be understood.

Put here: names, times and checks of foreign candles. Keep out: reading files, and what is computed from candles.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import polars as pl

from lake.errors import CandleTableError

NAMES: Final[dict[str, tuple[str, ...]]] = {
    "timestamp": ("timestamp", "open_time", "opentime", "datetime", "date", "time", "ts", "__index_level_0__"),
    "open": ("open",),
    "high": ("high",),
    "low": ("low",),
    "close": ("close",),
    "volume": ("volume", "vol"),
    "exchange": ("exchange",),
    "symbol": ("symbol", "pair"),
    "timeframe": ("timeframe", "interval"),
    "source": ("source",),
}
"""Column names understood, in any case, spaces and hyphens as underscores; of several the first."""

LABELS: Final = ("exchange", "symbol", "timeframe", "source")
"""Columns that a table may have or not; empty texts stand in for those it has not."""

NUMBERS: Final = ("open", "high", "low", "close", "volume")

_TIMESTAMP: Final = pl.Datetime("us", "UTC")
_EARLIEST: Final = 100_000_000
"""Numbers below this are no times: it is March 1973 in seconds."""


@dataclass(frozen=True, slots=True)
class CandleTable:
    """Candles (labels, timestamp, prices, volume) sorted by labels and time; the labels the table had itself; remarks for people."""

    candles: pl.DataFrame
    labels: tuple[str, ...]
    remarks: tuple[str, ...]


def candle_table(table: pl.DataFrame, *, symbol: str | None = None) -> CandleTable:
    """The candles of `table`; `symbol` names the market where no column does.

    Times are text (ISO 8601), dates, timestamps of any unit with or without a zone (without: UTC), or numbers since 1970 in seconds to
    nanoseconds, told by their size. Rows may stand in any order; rows that say the same twice count once, rows without any price are no
    candles. Raises `CandleTableError` for a missing column, a time or number that is none, and two different candles of one time.
    """
    found = _columns(table.columns)
    named = {name: table[found[name]].cast(pl.String).fill_null("") for name in LABELS if name in found}
    if "symbol" not in named and symbol is not None:
        named["symbol"] = pl.Series([symbol]).new_from_index(0, table.height)
    labels = [named.get(name, pl.repeat("", table.height, eager=True)).alias(name) for name in LABELS]
    numbers = [_numbers(table[found[name]], name) for name in NUMBERS]
    rows = pl.DataFrame([*labels, _times(table[found["timestamp"]]), *numbers]).with_row_index("row", offset=1)
    candles = rows.filter(~pl.all_horizontal(pl.col(NUMBERS[:4]).is_null()))
    if candles.is_empty():
        raise CandleTableError(f"the table has {table.height} rows and no candle in them, expected at least one")
    _whole(candles)
    ordered = candles.sort(*_KEY, maintain_order=True)
    single = ordered.unique([*_KEY, *NUMBERS], keep="first", maintain_order=True)
    _one_a_time(single)
    remarks = {
        "rows without any price were left out": rows.height - candles.height,
        "rows that repeat another were left out": ordered.height - single.height,
    }
    body = pl.max_horizontal("open", "close") > pl.col("high"), pl.min_horizontal("open", "close") < pl.col("low")
    remarks["candles open or close outside their high and low: are the columns right?"] = single.filter(body[0] | body[1]).height
    told = tuple(f"{count:,} {remark}" for remark, count in remarks.items() if count)
    told += ("the rows stood out of order of time and were sorted",) if _jumbled(candles) else ()
    return CandleTable(single.select(*LABELS[:3], "timestamp", "source", *NUMBERS), tuple(name for name in LABELS if name in found), told)


_KEY: Final = (*LABELS, "timestamp")


def _columns(names: list[str]) -> dict[str, str]:
    """Our name of each column that is there, and the table's own."""
    own: dict[str, str] = {}
    for name in names:
        plain = name.strip().strip("\ufeff").lower().replace(" ", "_").replace("-", "_")
        if plain in own and any(plain in accepted for accepted in NAMES.values()):
            raise CandleTableError(f"columns {own[plain]!r} and {name!r} mean the same, expected one of them")
        own.setdefault(plain, name)
    found = {wanted: own[name] for wanted, accepted in NAMES.items() for name in reversed(accepted) if name in own}
    missing = [name for name in ("timestamp", *NUMBERS) if name not in found]
    if missing:
        shown = ", ".join(repr(name) for name in names[:12]) + (", ..." if len(names) > 12 else "")
        wanted = ", ".join(("timestamp (or open_time, datetime, date, time)", *NUMBERS))
        raise CandleTableError(f"the table has no column {' or '.join(missing)}: it has {shown}, expected {wanted}")
    return found


def _numbers(values: pl.Series, name: str) -> pl.Series:
    """The column as float64; a NaN is no value."""
    if not (values.dtype.is_numeric() or values.dtype in (pl.String, pl.Null)):
        raise CandleTableError(f"column {name} holds values of type {values.dtype}, expected numbers")
    if values.dtype == pl.String:
        values = values.str.strip_chars()
        values = values.set(values == "", None)
    cast = values.cast(pl.Float64, strict=False)
    wrong = (cast.is_null() & values.is_not_null()) | cast.is_infinite().fill_null(value=False)
    if wrong.any():
        row = wrong.arg_true()[0]
        raise CandleTableError(f"{name} is {values[row]!r} in row {row + 1}, expected a number")
    return cast.fill_nan(None).alias(name)


def _times(values: pl.Series) -> pl.Series:
    """The column as microseconds UTC."""
    if values.dtype.is_numeric():
        return _since_1970(values)
    if values.dtype == pl.String:
        return _written(values)
    if values.dtype == pl.Date:
        return values.cast(pl.Datetime("us")).dt.replace_time_zone("UTC").alias("timestamp")
    if isinstance(values.dtype, pl.Datetime):
        zoned = values.dt.replace_time_zone("UTC") if values.dtype.time_zone is None else values.dt.convert_time_zone("UTC")
        return zoned.cast(_TIMESTAMP).alias("timestamp")
    raise CandleTableError(f"timestamp holds values of type {values.dtype}, expected times, text or numbers")


def _since_1970(values: pl.Series) -> pl.Series:
    """Times from numbers; the largest decides on the unit: each limit holds for every time between 1973 and the year 5000."""
    if values.dtype.is_float():
        values = values.fill_nan(None)
    wrong = (values < _EARLIEST).fill_null(value=False)
    if wrong.any():
        row = wrong.arg_true()[0]
        raise CandleTableError(
            f"timestamp is {values[row]!r} in row {row + 1}, expected a time: ISO 8601, or seconds to nanoseconds since 1970"
        )
    largest = float(values.cast(pl.Float64).max() or 0)  # type: ignore[arg-type]  # a number, as the column is numeric
    if largest < 1e11:
        ticks = (values * 1_000_000).round() if values.dtype.is_float() else values.cast(pl.Int64) * 1_000_000
    elif largest < 1e14:
        ticks = (values * 1_000).round() if values.dtype.is_float() else values.cast(pl.Int64) * 1_000
    else:
        ticks = values.cast(pl.Int64) // (1 if largest < 1e17 else 1_000)
    return ticks.cast(pl.Int64).cast(_TIMESTAMP).alias("timestamp")


def _written(values: pl.Series) -> pl.Series:
    """Times from text: ISO 8601, a day as 20171104, or numbers written out."""
    texts = values.str.strip_chars()
    if texts.str.contains(r"^\d{8}$").all():
        return _moments(texts)
    for kind in (pl.Int64, pl.Float64):
        numbers = texts.cast(kind, strict=False)
        if numbers.null_count() == texts.null_count():
            return _since_1970(numbers)
    return _moments(texts)


def _moments(texts: pl.Series) -> pl.Series:
    moments = []
    for row, text in enumerate(texts.to_list()):
        try:
            moment = None if text is None else datetime.fromisoformat(text.removesuffix(" UTC").replace("/", "-"))
        except ValueError:
            raise CandleTableError(
                f"timestamp is {text!r} in row {row + 1}, expected a time: ISO 8601, or seconds to nanoseconds since 1970"
            ) from None
        moments.append(moment if moment is None or moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None))
    return pl.Series("timestamp", moments, dtype=pl.Datetime("us")).dt.replace_time_zone("UTC")


def _whole(candles: pl.DataFrame) -> None:
    for name in ("timestamp", *NUMBERS):
        empty = candles[name].is_null()
        if empty.any():
            raise CandleTableError(f"{name} is empty in row {candles['row'].filter(empty)[0]}, expected a value in every candle")


def _one_a_time(candles: pl.DataFrame) -> None:
    """Refuse different candles of one time; the rows are sorted by key."""
    doubled = candles.filter(candles.select(_KEY).is_duplicated())
    if doubled.height:
        one, two = doubled["row"][0], doubled["row"][1]
        of = " ".join(str(doubled[name][0]) for name in LABELS if doubled[name][0])
        raise CandleTableError(
            f"rows {one} and {two} are different candles of {of or 'one symbol'} at {doubled['timestamp'][0]:%Y-%m-%d %H:%M:%S}, "
            "expected one candle a time"
        )


def _jumbled(candles: pl.DataFrame) -> bool:
    """Whether the candles of a symbol stood out of order of time."""
    return bool(candles.select((pl.col("timestamp").diff() < pl.duration()).over(LABELS).any()).item())
