"""The execution log: which process ran when, and what came of it.

Put here: writing the log. Keep out: what the processes do. `with logged(home, "coingecko", run_id=…) as entry: … entry.rows = n`.

A run is written when it begins (status running) and again when it ends, so that one which was killed can be seen.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from lake.edited import edit_period, with_rows
from lake.files import Clock, now_us
from lake.paths import Home
from lake.periods import Period
from lake.registry import dataset

LOG: Final = "execution_log"
MOST_ERROR: Final = 300
"""Characters of an error that the log keeps."""


@dataclass(slots=True)
class Entry:
    """One run as it goes: set `rows`, or call `skip`."""

    process: str
    run_id: str
    started: int
    rows: int | None = None
    status: str = "running"
    error: str | None = None
    finished: int | None = None

    def skip(self, reason: str) -> None:
        """The run does nothing, for a reason in one sentence."""
        self.status, self.error = "skipped", reason

    def fail(self, reason: str) -> None:
        """The run failed in part: what it wrote stands, one sentence says what is missing."""
        self.status, self.error = "failure", reason


@contextmanager
def logged(home: Home, process: str, *, run_id: str, visible_after: float, clock: Clock = time.time) -> Iterator[Entry]:
    """Log one run of `process`; an exception that leaves the block is logged as its failure and goes on.

    The first line of the exception is kept: it must hold no secret, as no error of this project does.
    """
    entry = Entry(process=process, run_id=run_id, started=now_us(clock))
    _write(home, entry, visible_after=visible_after, clock=clock)
    try:
        yield entry
    except BaseException as error:
        entry.fail(f"{type(error).__name__}: {error}")
        raise
    finally:
        entry.finished = max(entry.started, now_us(clock))
        entry.status = "success" if entry.status == "running" else entry.status
        _write(home, entry, visible_after=visible_after, clock=clock)


def _write(home: Home, entry: Entry, *, visible_after: float, clock: Clock) -> None:
    spec = dataset(LOG)
    error = None if entry.error is None else " ".join(entry.error.splitlines()[:1])[:MOST_ERROR]
    values = [entry.process, entry.run_id, entry.started, entry.finished, entry.status, entry.rows, error]
    row = pa.Table.from_arrays(
        [pa.array([value], field.type) for value, field in zip(values, spec.schema, strict=True)], schema=spec.schema
    )

    day = Period.of(entry.started, "day")
    edit_period(home, LOG, day, lambda former: with_rows(LOG, former, row), visible_after=visible_after, clock=clock)
