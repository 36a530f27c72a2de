"""The views `indicators` and `indicator_studies` show every timeframe once, and open no file of one that is not asked for."""

from __future__ import annotations

from collections import Counter

import duckdb
import pyarrow as pa
import pytest

from lake import query
from lake.catalog import publish
from lake.context_views import CONTEXT_VIEWS
from lake.derived import write_hour, write_period
from lake.indicator_views import INDICATOR_VIEWS
from lake.paths import Hour
from lake.periods import Period
from lake.registry import DATASETS, DAY_TIMEFRAMES, MONTH_TIMEFRAMES, TRADE_TIMEFRAMES
from lake.transforms.timeframes import TIMEFRAMES
from tests.lake.laying import LaidLake
from tests.lake.making import START, rows


@pytest.fixture
def laid(tmp_path):
    """A row of each timeframe, of indicators and of studies; its rsi14 and value are the number of the timeframe."""
    made = LaidLake(tmp_path / "home")
    for kind in ("indicators", "indicator_studies"):
        for span, held in (("hour", TRADE_TIMEFRAMES), ("day", DAY_TIMEFRAMES), ("month", MONTH_TIMEFRAMES)):
            number = {each: float(TIMEFRAMES.index(each)) for each in held}
            given = [{"timeframe": each, "timestamp": START, "rsi14": number[each], "value": number[each]} for each in held]
            table = pa.Table.from_batches([rows(f"{kind}_{span}", *given)])
            more = {"watermark": 5, "visible_after": 0.5, "clock": made.clock}
            if span == "hour":
                write_hour(made.home, f"{kind}_hour", Hour(START), table, **more)
            else:
                write_period(made.home, f"{kind}_{span}", Period.of(START, span), table, **more)
            made.clock.advance(1)
    publish(made.home)
    yield made
    made.close()


@pytest.mark.parametrize(("view", "column"), [("indicators", "rsi14"), ("indicator_studies", "value")])
def test_each_timeframe_is_there_once(laid, view, column):
    sql = f"SELECT timeframe, {column}, epoch_us(timestamp) FROM {view}"
    expected = {each: (float(number), START) for number, each in enumerate(TIMEFRAMES)}

    with duckdb.connect(str(laid.home.catalog), read_only=True) as connection:
        found = connection.execute(sql).fetchall()
    assert len(found) == len(TIMEFRAMES)
    assert {timeframe: (value, time) for timeframe, value, time in found} == expected
    assert query.run_sql(laid.home, f"{sql} WHERE timeframe = '1h'").table.to_pylist()[0][column] == expected["1h"][0]


@pytest.mark.parametrize(("timeframe", "unread"), [("1h", ("day", "month")), ("4h", ("hour", "month")), ("1M", ("hour", "day"))])
def test_files_of_other_timeframes_stay_unread(laid, timeframe, unread):
    sql = f"SELECT rsi14 FROM indicators WHERE timeframe = '{timeframe}'"
    for span in unread:
        (path,) = (laid.home.lake if span == "hour" else laid.home.days).glob(f"indicators_{span}/date=2026*/**/*.parquet")
        path.write_bytes(b"PAR1 no footer of Parquet PAR1")

    with duckdb.connect(str(laid.home.catalog), read_only=True) as connection:
        assert connection.execute(sql).fetchall() == [(float(TIMEFRAMES.index(timeframe)),)]
        with pytest.raises(duckdb.Error):
            connection.execute("SELECT rsi14 FROM indicators").fetchall()


def test_no_view_takes_the_name_of_another():
    """The catalog holds one view a name: of two of one name the later would silently replace the one that leaves files unread."""
    times = Counter([*DATASETS, *(view.name for view in (*INDICATOR_VIEWS, *CONTEXT_VIEWS))])

    assert [name for name, count in times.items() if count > 1] == []
