"""Timeframes: when the bucket of a time opens, and when the next one does.

Put here: everything that knows how long a timeframe is and how it is aligned. Keep out: what is aggregated over it.

Times are microseconds since 1970, UTC. Weeks start on Monday; 3d counts in threes from 2000-01-03, which is also a whole number of
threes from 1970-01-01; a month is the calendar's. TimescaleDB's and DuckDB's `time_bucket` agree with all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from lake.errors import UnknownTimeframe

if TYPE_CHECKING:
    import polars as pl

TIMEFRAMES: Final = ("1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "3d", "1w", "1M")
"""Every timeframe, shortest first."""

_MINUTE: Final = 60_000_000
_DAY: Final = 1440 * _MINUTE
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

WIDTH_US: Final[Mapping[str, int]] = MappingProxyType(
    {
        **{f"{n}m": n * _MINUTE for n in (1, 3, 5, 15, 30)},
        **{f"{n}h": n * 60 * _MINUTE for n in (1, 2, 4, 6, 8, 12)},
        "1d": _DAY,
        "3d": 3 * _DAY,
        "1w": 7 * _DAY,
    }
)
"""Width of each timeframe in microseconds; the month is missing, for it has none."""

_ORIGIN_US: Final[Mapping[str, int]] = MappingProxyType({"1w": 4 * _DAY})
"""A time at which a bucket opens, where it is not 1970-01-01: the first Monday after it for weeks."""

_INTERVAL: Final = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks", "M": "months"}


def check_timeframe(timeframe: str) -> str:
    """`timeframe` itself; `UnknownTimeframe` if it is none of the fifteen."""
    if timeframe not in TIMEFRAMES:
        raise UnknownTimeframe(timeframe, TIMEFRAMES)
    return timeframe


def open_time(time_us: int, timeframe: str) -> int:
    """Open time of the bucket `time_us` lies in, microseconds."""
    if check_timeframe(timeframe) == "1M":
        moment = _EPOCH + timedelta(microseconds=time_us)
        return _microseconds(datetime(moment.year, moment.month, 1, tzinfo=UTC))
    origin = _ORIGIN_US.get(timeframe, 0)
    return time_us - (time_us - origin) % WIDTH_US[timeframe]


def next_open(time_us: int, timeframe: str) -> int:
    """Open time of the bucket after the one `time_us` lies in, microseconds: the instant at which its candle is final."""
    opened = open_time(time_us, timeframe)
    if timeframe == "1M":
        return open_time(opened + 32 * _DAY, "1M")
    return opened + WIDTH_US[timeframe]


def open_times(times_us: npt.NDArray[np.int64], timeframe: str) -> npt.NDArray[np.int64]:
    """`open_time` of every element, as an array of the same shape."""
    if check_timeframe(timeframe) == "1M":
        months = times_us.astype("datetime64[us]").astype("datetime64[M]")
        return months.astype("datetime64[us]").astype(np.int64)
    width, origin = WIDTH_US[timeframe], _ORIGIN_US.get(timeframe, 0)
    return (times_us - origin) // width * width + origin


def open_time_expr(column: str, timeframe: str) -> pl.Expr:
    """Polars expression of the bucket's open time for a UTC microsecond timestamp column, named as the column is."""
    import polars as pl  # the command line reads SQL text alone, and polars costs it 0.1 s

    if check_timeframe(timeframe) == "1M":
        return pl.col(column).dt.truncate("1mo")
    width, origin = WIDTH_US[timeframe], _ORIGIN_US.get(timeframe, 0)
    ticks = pl.col(column).dt.epoch("us")
    return ((ticks - origin) // width * width + origin).cast(pl.Datetime("us", "UTC"))


def bucket_sql(timeframe: str, column: str) -> str:
    """DuckDB expression of the bucket's open time for a TIMESTAMPTZ column; independent of the session's time zone."""
    count, unit = int(check_timeframe(timeframe)[:-1]), timeframe[-1]
    if timeframe == "1M":
        return f"timezone('UTC', date_trunc('month', timezone('UTC', {column})))"
    return f"time_bucket(INTERVAL '{count} {_INTERVAL[unit]}', {column})"


def nests(shorter: str, longer: str) -> bool:
    """Whether every bucket of `longer` is made of whole buckets of `shorter`."""
    check_timeframe(shorter)
    check_timeframe(longer)
    if shorter == longer:
        return True
    if "1M" in {shorter, longer}:
        return longer == "1M" and WIDTH_US[shorter] <= _DAY
    if WIDTH_US[longer] % WIDTH_US[shorter]:
        return False
    return _ORIGIN_US.get(longer, 0) % WIDTH_US[shorter] == _ORIGIN_US.get(shorter, 0) % WIDTH_US[shorter]


def _microseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)
