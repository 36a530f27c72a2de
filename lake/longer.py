"""Candles of 2h to 1M from shorter ones, of one day or month: what stands stored where it covers its trades, else made from these.

Put here: gathering the shorter candles of a period. Keep out: the computation (`lake.transforms.candles`), and writing the result.

Longer candles are as new as the trades at the instant of reading, whatever the assets between them have made by then. So the
watermark of a period is the greatest instant among the parts of its trades, and every part up to it is covered. An hour that is stored
and one that is computed here come from the same rows by the same code, so the result does not tell which it was.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import polars as pl

from lake.derived import period_file, read_hour, read_period
from lake.errors import PeriodError
from lake.files import now_us
from lake.paths import DAY_US, HOUR_US, Home, Hour
from lake.periods import Period
from lake.registry import DAY_TIMEFRAMES, MONTH_TIMEFRAMES, Span, candle_dataset
from lake.transforms.candles import CANDLE_SCHEMA, candles_from_candles, candles_from_trades
from lake.transforms.timeframes import next_open, open_time
from lake.visible import hour_watermark

Sift = Callable[[pl.DataFrame], pl.DataFrame]
"""Leaves out the trades that may not enter a candle."""

_NO_CANDLES: Final = CANDLE_SCHEMA.to_frame()
"""Of each of the hours of a month that are empty: made once, for making it takes longer than looking the hour up."""


def longer_span(timeframe: str) -> Span:
    """What one partition of a longer timeframe holds, a day or a month; `PeriodError` for one that is filed by the hour."""
    if timeframe in DAY_TIMEFRAMES:
        return "day"
    if timeframe in MONTH_TIMEFRAMES:
        return "month"
    raise PeriodError(f"timeframe {timeframe!r} was received, expected one of {', '.join((*DAY_TIMEFRAMES, *MONTH_TIMEFRAMES))}")


def longer_candles(
    home: Home, timeframe: str, period: Period, *, at_us: int | None = None, sift: Sift = lambda trades: trades
) -> tuple[pl.DataFrame, int]:
    """Candles of `timeframe` that open in `period`, of everything that counts at `at_us` (default: now), and their watermark.

    A candle that is still running, or misses hours, is made of what there is. Columns and order as in
    `lake.transforms.candles.CANDLE_SCHEMA`. Raises `PeriodError`, `UnreadableFile`.
    """
    shorter, watermark = shorter_candles(home, timeframe, period, at_us=at_us, sift=sift)
    return candles_from_candles(shorter, timeframe), watermark


def shorter_candles(
    home: Home, timeframe: str, period: Period, *, at_us: int | None = None, sift: Sift = lambda trades: trades
) -> tuple[pl.DataFrame, int]:
    """The candles of 1h (1d) that make up those of `timeframe` which open in a day (month); the rest as for `longer_candles`."""
    if longer_span(timeframe) != period.span:
        raise PeriodError(f"candles of {timeframe} of a {period.span} were asked for, expected a {longer_span(timeframe)}")
    reader = _Reader(home, now_us() if at_us is None else at_us, sift)
    start, end = _reach(timeframe, period)
    if period.span == "day":
        found = [reader.hour(hour) for hour in map(Hour, range(start, end, HOUR_US))]
    else:
        found = [reader.day(Period.of(day, "day")) for day in range(start, end, DAY_US)]
    return pl.concat([_NO_CANDLES, *(frame for frame, _ in found)]), max((mark for _, mark in found), default=0)


def _reach(timeframe: str, period: Period) -> tuple[int, int]:
    """From the first open time in a period to the end of the last candle that opens in it, microseconds."""
    first = open_time(period.start, timeframe)
    start = first if first >= period.start else next_open(period.start, timeframe)
    return start, next_open(period.end - 1, timeframe)


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads shorter candles as of one instant, each with the greatest instant among the parts they come from."""

    home: Home
    at: int
    sift: Sift

    def hour(self, hour: Hour) -> tuple[pl.DataFrame, int]:
        """Candles of 1h of one hour."""
        landed, made = (hour_watermark(self.home, name, hour, self.at) for name in ("trades", candle_dataset("1h")))
        if made is not None and made >= (landed or 0):
            return pl.DataFrame(read_hour(self.home, candle_dataset("1h"), hour, at_us=self.at)[0]), made
        if landed is None:
            return _NO_CANDLES, 0
        trades, mark = read_hour(self.home, "trades", hour, at_us=self.at)
        return candles_from_trades(self.sift(pl.DataFrame(trades)), "1h"), mark

    def day(self, day: Period) -> tuple[pl.DataFrame, int]:
        """Candles of 1d of one day."""
        marks = [hour_watermark(self.home, "trades", hour, self.at) for hour in day.hours()]
        landed = max((mark for mark in marks if mark is not None), default=None)
        stored = period_file(self.home, candle_dataset("1d"), day, at_us=self.at)
        if stored is not None and stored.watermark >= (landed or 0):
            return pl.DataFrame(read_period(self.home, candle_dataset("1d"), day, at_us=self.at)[0]), stored.watermark
        return longer_candles(self.home, "1d", day, at_us=self.at, sift=self.sift)
