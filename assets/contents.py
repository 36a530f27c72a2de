"""What the files of an hour hold, counted for coverage: rows and times by exchange, dataset and symbol.

Put here: counting, and reading the small datasets that coverage judges by. Keep out: the judgement (`lake.transforms.coverage`).

The newest sealed file of an hour is read even if its instant is still a moment ahead: it is the one the run has just made.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import duckdb
import polars as pl

from lake.derived import read_hour
from lake.parquet import Duplicates, read_metadata
from lake.paths import HOUR_US, Home, Hour
from lake.registry import dataset
from lake.transforms.coverage import STATS_SCHEMA, Key
from lake.visible import VisibleFile, covers, hour_files

MARKET_DATASETS: Final = ("trades", "book_deltas", "book_snapshots", "liquidations", "derivatives")
"""The datasets coverage speaks of: those that a market sends."""

LOOK_BACK_HOURS: Final = 24
"""What came in one of the hours before is expected in this one; a gap noticed that long ago may last until now."""

_LATE_GAP_HOURS: Final = 1
"""A gap at the end of an hour is noticed in the next."""

_STATS: Final = """
    select exchange, symbol, count(*), min(epoch_us({time})), max(epoch_us({time}))
    from read_parquet($paths, hive_partitioning = false)
    where epoch_us({time}) >= $start and epoch_us({time}) < $end
    group by exchange, symbol order by exchange, symbol
"""


@dataclass(slots=True)
class Contents:
    """Contents of hours, each hour looked at once: a range of hours shares most of what it looks back on."""

    home: Home
    connection: duckdb.DuckDBPyConnection
    _stats: dict[Hour, pl.DataFrame] = field(default_factory=dict)
    _gaps: dict[Hour, pl.DataFrame] = field(default_factory=dict)

    def stats(self, hour: Hour) -> pl.DataFrame:
        """Counts of the hour, in the columns of `STATS_SCHEMA`."""
        if hour not in self._stats:
            frames = [self._count(name, hour) for name in MARKET_DATASETS]
            self._stats[hour] = pl.concat([STATS_SCHEMA.to_frame(), *frames])
        return self._stats[hour]

    def gaps(self, hour: Hour) -> pl.DataFrame:
        """Gaps that may touch the hour, by when they were noticed: some hours before, up to an hour after."""
        return pl.concat([self._gaps_noticed(other) for other in _around(hour, LOOK_BACK_HOURS, _LATE_GAP_HOURS)])

    def expected(self, hour: Hour) -> set[Key]:
        """(exchange, symbol, dataset) that came in one of the hours before."""
        before = pl.concat([self.stats(other) for other in _around(hour, LOOK_BACK_HOURS, -1)])
        return set(before.select("exchange", "symbol", "dataset").unique().iter_rows())

    def ledger(self, hour: Hour) -> pl.DataFrame:
        """The ledger's rows of the hour."""
        return pl.DataFrame(read_hour(self.home, "ledger", hour)[0])

    def watermark(self, hour: Hour) -> int:
        """The greatest instant among the parts in what was counted of the hour; 0 where nothing landed."""
        return max((_watermark(file, hour) for name in MARKET_DATASETS for file in _files(self.home, name, hour)), default=0)

    def _count(self, name: str, hour: Hour) -> pl.DataFrame:
        files = _files(self.home, name, hour)
        if not files:
            return STATS_SCHEMA.to_frame()
        statement = _STATS.format(time=dataset(name).time_column)
        values = {"paths": [str(file.path) for file in files], "start": hour.start, "end": hour.end}
        duplicates = _duplicates(files, hour)
        rows = [
            (exchange, name, symbol, count, duplicates.get((exchange, symbol), 0), first, last)
            for exchange, symbol, count, first, last in self.connection.execute(statement, values).fetchall()
        ]
        plain = {column: pl.Int64() if isinstance(kind, pl.Datetime) else kind for column, kind in STATS_SCHEMA.items()}
        return pl.DataFrame(rows, schema=plain, orient="row").cast(STATS_SCHEMA)

    def _gaps_noticed(self, hour: Hour) -> pl.DataFrame:
        if hour not in self._gaps:
            self._gaps[hour] = pl.DataFrame(read_hour(self.home, "gaps", hour)[0])
        return self._gaps[hour]


def _around(hour: Hour, before: int, after: int) -> Iterator[Hour]:
    """Hours from `before` hours earlier to `after` hours later, both included."""
    return (Hour(start) for start in range(hour.start - before * HOUR_US, hour.start + after * HOUR_US + 1, HOUR_US))


def _files(home: Home, name: str, hour: Hour) -> list[VisibleFile]:
    """The newest sealed file of the hour, or its parts while there is none."""
    present = hour_files(home, name, hour)
    newest = max((*present.hours, *present.days), key=lambda file: (file.visible_from, file.kind == "hour"), default=None)
    return list(present.parts) if newest is None else [newest]


def _watermark(file: VisibleFile, hour: Hour) -> int:
    return file.visible_from if file.kind == "part" else covers(file, hour)[1]


def _duplicates(files: list[VisibleFile], hour: Hour) -> Duplicates:
    """Rows merged away, by exchange and symbol."""
    found: Duplicates = {}
    for file in files:
        metadata = read_metadata(file.path)
        share = metadata.hours.get(hour.moment.hour) if file.kind == "day" else metadata
        for key, count in (share.duplicates if share else {}).items():
            found[key] = found.get(key, 0) + count
    return found
