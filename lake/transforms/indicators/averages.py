"""Averages over windows and recursive averages, down the rows of a grid.

Put here: means and deviations of windows, exponential and Wilder averages. Keep out: indicators made of them.

Windows are put together from windows of half the length, never by adding the new and taking away the old value: a value depends on
nothing but the rows of its window, so that every partitioning gives the same bits, and flat prices give a deviation of exactly 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import numpy as np

from lake.transforms.indicators.grid import FEW, Floats, Grid, before


def exponential(grid: Grid, values: Floats, length: int, carried: Floats, *, first: int = 0) -> Floats:
    """EMA: weight 2 / (length + 1), seeded by the mean of the first `length` inputs; `first` is the row of the first input.

    Continued histories go on from `carried` instead, one value a history. NaN before.
    """
    return _recursive(grid, values, 2.0 / (length + 1), length, first, carried)


def wilder(grid: Grid, values: Floats, length: int, carried: Floats, *, first: int = 0) -> Floats:
    """Wilder's average: weight 1 / length, else as `exponential`."""
    return _recursive(grid, values, 1.0 / length, length, first, carried)


def _recursive(grid: Grid, values: Floats, weight: float, length: int, first: int, carried: Floats) -> Floats:
    begins = grid.resumes - 1 if grid.resumes else first + length - 1
    smoothed = np.full_like(values, np.nan)
    if begins >= len(values):
        return smoothed
    smoothed[begins] = carried if grid.resumes else _mean(values[first : begins + 1])
    if values.shape[1] > FEW:
        former = smoothed[begins]
        for row, result in zip(values[begins + 1 :], smoothed[begins + 1 :], strict=True):
            np.subtract(row, former, out=result)
            np.multiply(result, weight, out=result)
            former = np.add(result, former, out=result)
        return smoothed
    for column in range(values.shape[1]):
        inputs = values[begins + 1 :, column].tolist()
        steps = accumulate(inputs, lambda former, value: former + (value - former) * weight, initial=float(smoothed[begins, column]))
        smoothed[begins:, column] = list(steps)
    return smoothed


def _mean(rows: Floats) -> Floats:
    # Row by row: NumPy's own sum adds in an order that depends on the width.
    total: Floats = rows[0].copy()
    for row in rows[1:]:
        total += row
    total /= len(rows)
    return total


def window_sums(values: Floats, lengths: Sequence[int]) -> dict[int, Floats]:
    """Sum of the last `length` values at every row, NaN where there are fewer."""
    doubled = {1: values}
    while max(doubled) * 2 <= max(lengths):
        half = max(doubled)
        doubled[half * 2] = doubled[half] + before(doubled[half], half)
    sums = {}
    for length in lengths:
        covered = _power(length)
        total = doubled[covered]
        while covered < length:
            older = _power(length - covered)
            total = total + before(doubled[older], covered)
            covered += older
        sums[length] = total
    return sums


def window_deviation(values: Floats, length: int) -> Floats:
    """Standard deviation of the population of the last `length` values, NaN where there are fewer."""
    sums = window_sums(values, [1 << bit for bit in range(length.bit_length())])
    squares = {1: np.zeros_like(values)}
    while max(squares) * 2 <= length:
        half = max(squares)
        squares[half * 2] = _joined(squares[half], sums[half], half, squares[half], sums[half], half)
    covered = max(squares)
    squared, total = squares[covered], sums[covered]
    while covered < length:
        older = _power(length - covered)
        squared = _joined(squared, total, covered, squares[older], sums[older], older)
        total = total + before(sums[older], covered)
        covered += older
    return np.sqrt(squared / length)


def _power(length: int) -> int:
    """The greatest power of two that is no more than `length`."""
    return 1 << (length.bit_length() - 1)


def _joined(squares: Floats, totals: Floats, count: int, older_squares: Floats, older_totals: Floats, older_count: int) -> Floats:
    """Squared distances from the mean of windows of `count` values and the older ones together: nothing large is taken from another."""
    apart = totals / count - before(older_totals, count) / older_count
    return squares + before(older_squares, count) + apart * apart * (count * older_count / (count + older_count))
