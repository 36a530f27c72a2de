"""Which intervals of a series are missing, as the windows in which they are best asked for.

Put here: the arithmetic of holes, on the grid of one timeframe. Keep out: asking, and remembering what was answered.

Times are microseconds since 1970; a window is [start, end), both on the grid.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Times = npt.NDArray[np.int64]


class Window(NamedTuple):
    """From `start` up to, not including, `end`."""

    start: int
    end: int


def missing_opens(have: Times, *, start: int, end: int, width: int, known: Iterable[Window] = ()) -> Times:
    """Open times of the grid in [start, end) whose intervals end by `end`, that are neither in `have` nor in a `known` window."""
    first = -(-start // width) * width
    grid = np.arange(first, end - width + 1, width, dtype=np.int64)
    lacking = grid[~np.isin(grid, have)]
    for window in known:
        lacking = lacking[(lacking < window.start) | (lacking >= window.end)]
    return lacking


def windows(opens: Times, *, width: int, reach: int) -> list[Window]:
    """Windows of at most `reach` intervals that hold every one of `opens` (ascending), as few as can be: each is one request."""
    found: list[Window] = []
    position = 0
    while position < len(opens):
        start = int(opens[position])
        beyond = int(np.searchsorted(opens, start + reach * width))
        found.append(Window(start, int(opens[beyond - 1]) + width))
        position = beyond
    return found


def stretches(opens: Times, *, width: int) -> list[Window]:
    """The same intervals as unbroken stretches, in order."""
    if not len(opens):
        return []
    breaks = np.flatnonzero(np.diff(opens) != width) + 1
    return [Window(int(part[0]), int(part[-1]) + width) for part in np.split(opens, breaks)]


def merged(one: Iterable[Window], other: Iterable[Window]) -> list[Window]:
    """Both lists as one, in order, touching and overlapping windows joined."""
    found: list[Window] = []
    for window in sorted((*one, *other)):
        if found and window.start <= found[-1].end:
            found[-1] = Window(found[-1].start, max(found[-1].end, window.end))
        else:
            found.append(window)
    return found
