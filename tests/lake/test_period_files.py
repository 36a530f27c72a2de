"""Days and months as partitions: what they hold, and their files."""

from __future__ import annotations

from datetime import date

import pyarrow as pa
import pytest

from lake.derived import period_file, read_period, write_period
from lake.errors import PeriodError
from lake.layout import ensure
from lake.paths import DAY_US, HOUR_US, Home, Hour
from lake.periods import Period
from lake.registry import dataset
from lake.verify import verify
from lake.visible import visible_files
from tests.lake.making import START, Clock, rows

NOVEMBER = Period(date(2026, 11, 1), "month")


@pytest.fixture
def home(tmp_path) -> Home:
    ensure(Home(tmp_path))
    return Home(tmp_path)


def candles(*times: int):
    return pa.Table.from_batches([rows("candles_1w", *({"timestamp": at, "timeframe": "1w"} for at in times))])


def write(home: Home, table, clock: Clock, *, watermark: int = 7):
    result = write_period(home, "candles_1w", NOVEMBER, table, watermark=watermark, visible_after=0.5, clock=clock)
    clock.advance(1)
    return result


@pytest.mark.parametrize(
    ("first", "last", "hours"), [(date(2028, 2, 1), date(2028, 3, 1), 696), (date(2026, 12, 1), date(2027, 1, 1), 744)]
)
def test_a_month_is_the_calendars(first, last, hours):
    month = Period(first, "month")

    assert (month.following.first, month.following.former) == (last, month)
    assert len(list(month.hours())) == hours
    assert [day.first for day in month.days()][::27][:2] == [first, first.replace(day=28)]
    assert Period.of(month.end - 1, "month") == month


@pytest.mark.parametrize(("first", "span"), [(date(2026, 11, 2), "month"), (date(2026, 11, 2), "hour")])
def test_what_is_no_period_is_refused(first, span):
    with pytest.raises(PeriodError, match="expected a day, or a month from its first day"):
        Period(first, span)


def test_a_month_is_one_file_that_a_newer_one_supersedes(home):
    clock = Clock()
    first = write(home, candles(NOVEMBER.start + DAY_US), clock)
    same = write(home, candles(NOVEMBER.start + DAY_US), clock)
    newer = write(home, candles(NOVEMBER.start + DAY_US, NOVEMBER.start + 8 * DAY_US), clock, watermark=9)
    older = write(home, candles(), clock, watermark=8)

    assert (first.written, same.written, newer.written, older.written) == (True, False, True, False)
    table, watermark = read_period(home, "candles_1w", NOVEMBER, at_us=clock.us)
    assert (table.num_rows, watermark) == (2, 9)
    assert period_file(home, "candles_1w", NOVEMBER, at_us=clock.us).path == newer.path
    assert verify(home, clock=clock).ok


def test_a_month_is_listed_for_any_hour_in_it_and_for_no_other(home):
    clock = Clock()
    path = write(home, candles(NOVEMBER.start), clock).path

    def listed(start: int) -> list:
        return [file.path for file in visible_files(home, "candles_1w", at_us=clock.us, hours=(Hour(start), Hour(start + HOUR_US)))]

    assert listed(START) == listed(NOVEMBER.start) == listed(NOVEMBER.end - HOUR_US) == [path]
    assert listed(NOVEMBER.end) == listed(NOVEMBER.start - HOUR_US) == []


def test_rows_of_another_month_and_datasets_of_other_partitions_are_refused(home):
    with pytest.raises(PeriodError, match="lie outside the month of 2026-11-01"):
        write(home, candles(NOVEMBER.end), Clock())
    with pytest.raises(PeriodError, match="expected hours: those are its partitions"):
        read_period(home, "trades", NOVEMBER)
    assert dataset("candles_1w").span == "month"
