"""Indicators partition by partition, each going on from the state the one before left in the lake; repairs run forward.

Put here: which state a partition goes on from, and how far a change reaches. Keep out: the computation (`lake.transforms.indicators`).

A state stands in the lake after every partition that was made. A partition that is made anew, or late, changes what comes after it: those
partitions are made again in the same run, until the new state agrees with the one that stands. Candles without indicators in
between (never made, or behind the retention of states) are gone through without writing rows, so values are those of the full history.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from uuid import uuid4

import polars as pl
import pyarrow as pa

from lake import files, parquet
from lake.derived import WriteResult, period_file, read_hour, read_period, write_hour, write_period
from lake.indicator_datasets import indicator_dataset, indicator_state_dataset
from lake.paths import HOUR_US, Home, Hour
from lake.periods import Period
from lake.registry import DATASETS, DAY_TIMEFRAMES, MONTH_TIMEFRAMES, TRADE_TIMEFRAMES, Span, candle_dataset
from lake.transforms.indicators.dollars import usdt_rates
from lake.transforms.indicators.state import State
from lake.transforms.indicators.suite import compute
from lake.visible import hour_inputs, visible_files

Partition = Hour | Period

TIMEFRAMES_OF: Final[dict[Span, tuple[str, ...]]] = {"hour": TRADE_TIMEFRAMES, "day": DAY_TIMEFRAMES, "month": MONTH_TIMEFRAMES}

_ANY_TIME: Final = 1 << 52
"""After every file's instant: a run goes on from files that it has just written and that do not count yet."""

_FIRST: Final = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """One partition made: its rows and state as they stand, the times of its first and last candle, and whether the next ones change."""

    partition: Partition
    rows: WriteResult
    state: WriteResult
    first_time: datetime | None
    last_time: datetime | None
    spreads: bool


@dataclass(slots=True)
class Chain:
    """Indicators of one span of partitions. Steps of several processes exclude each other one by one.

    Before a step changes a state it notes so; `settled` ends the note. A note that a process left when it died is found by `unsettled`.
    """

    home: Home
    span: Span
    visible_after: float
    _name: str = field(default_factory=lambda: uuid4().hex)
    _path: Path | None = None
    _state: State = field(default_factory=State.empty)

    def make(self, partition: Partition) -> Carried:
        """Make one partition from its candles and the state before it. Raises `IndicatorError`, `UnreadableFile`."""
        with files.locked(self.home.locks / self._rows / "chain"):
            return self._step(partition, self._before(partition))

    def forward(self, after: Partition) -> Iterator[Carried]:
        """Make again every partition behind `after` that stands, one after the other, until a state agrees with the one that stood."""
        spreads, current = True, after
        while spreads:
            with files.locked(self.home.locks / self._rows / "chain"):
                following = self._next_made(current)
                if following is None:
                    return
                made = self._step(following, self._before(following))
            yield made
            spreads, current = made.spreads, following

    def stands(self, partition: Partition) -> bool:
        """Whether a partition was ever made."""
        return self._file(self._rows, partition) is not None

    def settled(self) -> None:
        """Say that everything behind the partitions made by this chain has been made again, too."""
        files.remove(self._note)

    def unsettled(self) -> list[tuple[Path, Partition]]:
        """The notes of chains that did not come to their end, with the partition each had come to."""
        found = []
        for name in files.names(self._notes):
            start = int((self._notes / name).read_text())
            found.append((self._notes / name, Hour(start) if self.span == "hour" else Period.of(start, self.span)))
        return found

    @property
    def _notes(self) -> Path:
        return self.home.locks / f"{self._rows}-unsettled"

    @property
    def _note(self) -> Path:
        return self._notes / self._name

    @property
    def _rows(self) -> str:
        return indicator_dataset(self.span)

    @property
    def _states(self) -> str:
        return indicator_state_dataset(self.span)

    def _step(self, partition: Partition, before: State) -> Carried:
        candles, watermark = self.candles(partition)
        standing = self._standing(partition)
        rows, after = compute(candles, before, rates=usdt_rates(candles))
        spreads = standing is None or not after.agrees(standing)
        if spreads:
            files.write_small(self._note, str(partition.start))
        written = self.write(self._rows, partition, rows.to_arrow(), watermark=watermark)
        state = self._keep(partition, after, watermark=watermark)
        opened = rows["timestamp"].unique().sort().to_list()
        return Carried(
            partition=partition,
            rows=written,
            state=state,
            first_time=opened[0] if opened else None,
            last_time=opened[-1] if opened else None,
            spreads=spreads,
        )

    def _keep(self, partition: Partition, after: State, *, watermark: int) -> WriteResult:
        begins = datetime.fromtimestamp(partition.start / 1_000_000, UTC)
        result = self.write(self._states, partition, after.to_arrow(begins), watermark=watermark)
        self._path, self._state = result.path, after
        return result

    def _before(self, partition: Partition) -> State:
        """The state just before a partition: the nearest that stands, carried on over the candles in between."""
        nearest = former(partition)
        if (standing := self._standing(nearest)) is not None:
            return standing
        kept = self._made(self._states, _FIRST, partition.start)
        state = State.empty()
        if kept:
            state = self._standing(kept[-1]) or state
        start = _following(kept[-1]).start if kept else _FIRST
        between = {each for timeframe in TIMEFRAMES_OF[self.span] for each in self._made(candle_dataset(timeframe), start, partition.start)}
        watermark = 0
        for each in sorted(between, key=lambda one: one.start):
            candles, watermark = self.candles(each)
            _, state = compute(candles, state, rates=usdt_rates(candles))
        if between:
            self._keep(max(between, key=lambda one: one.start), state, watermark=watermark)
        return state

    def candles(self, partition: Partition) -> tuple[pl.DataFrame, int]:
        """Candles of all timeframes of a partition, the newest that were written, and the greatest watermark among them."""
        read = [self._read(candle_dataset(timeframe), partition) for timeframe in TIMEFRAMES_OF[self.span]]
        return pl.concat([pl.DataFrame(table) for table, _ in read]), max(watermark for _, watermark in read)

    def _standing(self, partition: Partition) -> State | None:
        path = self._file(self._states, partition)
        if path is None:
            return None
        # A day file holds the states of 24 hours: its path alone does not say whose state was remembered.
        if path == self._path and (self.span != "hour" or not path.name.startswith("day-")):
            return self._state
        return State.from_arrow(self._read(self._states, partition)[0])

    def _file(self, name: str, partition: Partition) -> Path | None:
        """The newest file that holds a partition of a dataset, or None where it was never made."""
        if isinstance(partition, Period):
            file = period_file(self.home, name, partition, at_us=_ANY_TIME)
            return file.path if file else None
        sealed = hour_inputs(self.home, name, partition, _ANY_TIME)
        holds = [file for file in sealed if file.kind == "hour" or partition.moment.hour in parquet.read_metadata(file.path).hours]
        return holds[-1].path if holds else None

    def _read(self, name: str, partition: Partition) -> tuple[pa.Table, int]:
        if isinstance(partition, Hour):
            return read_hour(self.home, name, partition, at_us=_ANY_TIME)
        return read_period(self.home, name, partition, at_us=_ANY_TIME)

    def before(self, partition: Partition, count: int) -> list[Partition]:
        """The `count` partitions before this one, the earliest first."""
        found = [partition]
        while len(found) <= count:
            found.append(former(found[-1]))
        return found[:0:-1]

    def write(self, name: str, partition: Partition, table: pa.Table, *, watermark: int) -> WriteResult:
        """Make a table, in the registry's columns, the rows of a partition of a dataset."""
        schema = DATASETS[name].schema
        rows = table.select(schema.names).cast(schema)
        if isinstance(partition, Hour):
            return write_hour(self.home, name, partition, rows, watermark=watermark, visible_after=self.visible_after)
        return write_period(self.home, name, partition, rows, watermark=watermark, visible_after=self.visible_after)

    def _next_made(self, partition: Partition) -> Partition | None:
        """The first partition behind this one that has rows: usually there is none, or it is the very next."""
        following = _following(partition)
        if self._file(self._rows, following) is not None:
            return following
        made = self._made(self._rows, following.start, _ANY_TIME)
        return made[0] if made else None

    def _made(self, name: str, start: int, end: int) -> list[Partition]:
        """Partitions of a dataset that stand and begin in [start, end), in order."""
        found: set[Partition] = set()
        for file in visible_files(self.home, name, at_us=_ANY_TIME, hours=(Hour(start), Hour(end - end % HOUR_US))):
            if self.span != "hour":
                found.add(Period(file.day, self.span))
            elif file.hour is not None:
                found.add(file.hour)
            else:
                found |= {hour for hour in Hour.of_day(file.day) if hour.moment.hour in parquet.read_metadata(file.path).hours}
        return sorted((each for each in found if start <= each.start < end), key=lambda one: one.start)


def former(partition: Partition) -> Partition:
    """The partition just before."""
    return Hour(partition.start - HOUR_US) if isinstance(partition, Hour) else partition.former


def _following(partition: Partition) -> Partition:
    return partition.next() if isinstance(partition, Hour) else partition.following
