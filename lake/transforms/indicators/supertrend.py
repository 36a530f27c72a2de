"""Supertrend: the one recursion of the suite that branches.

Put here: the rule of the bands. Keep out: the average range they are made of.

The rule: a close above the former upper band turns the trend up, one below the former lower band turns it down, and the bands are the
candle's own. Otherwise the trend stays, and its band (the lower one of a rising trend) does not move away from the price.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from lake.transforms.indicators.grid import FEW, Floats, Grid


@dataclass(frozen=True, slots=True)
class Bands:
    """Where Supertrends stand: upper and lower band and direction (1 up, -1 down); arrays of one shape."""

    upper: Floats
    lower: Floats
    direction: Floats

    @property
    def value(self) -> Floats:
        """The band in force: the lower one while the direction is up."""
        return np.where(self.direction > 0, self.lower, self.upper)


def supertrend(grid: Grid, close: Floats, own: tuple[Floats, Floats], carried: Bands, *, first: int) -> Bands:
    """Bands and direction at every row; NaN before row `first`, the first that has bands of its `own` (upper, lower).

    Continued histories go on from `carried`, one entry a history; others begin upwards.
    """
    begins = grid.resumes or first
    upper, lower, direction = own[0].copy(), own[1].copy(), np.full_like(close, np.nan)
    upper[:begins] = lower[:begins] = np.nan
    if begins >= len(close):
        return Bands(upper, lower, direction)
    width = close.shape[1]
    before = carried if grid.resumes else Bands(np.full(width, math.inf), np.full(width, -math.inf), np.ones(width))
    rows = slice(begins, None)
    if width > FEW:
        _sweep(close[rows], upper[rows], lower[rows], direction[rows], before)
    else:
        for column in range(width):
            former = (float(before.upper[column]), float(before.lower[column]), float(before.direction[column]))
            walked = _walk(close[rows, column].tolist(), upper[rows, column].tolist(), lower[rows, column].tolist(), former)
            upper[rows, column], lower[rows, column], direction[rows, column] = walked
    return Bands(upper, lower, direction)


def _sweep(closes: Floats, uppers: Floats, lowers: Floats, directions: Floats, before: Bands) -> None:
    """All histories, row by row; the arrays of own bands become those in force."""
    former_upper, former_lower, former = before.upper, before.lower, before.direction
    for close, upper, lower, direction in zip(closes, uppers, lowers, directions, strict=True):
        above, below = close > former_upper, close < former_lower
        stays = ~(above | below)
        np.copyto(direction, former)
        direction[above] = 1.0
        direction[below & ~above] = -1.0
        rising = direction > 0
        np.maximum(lower, former_lower, out=lower, where=stays & rising)
        np.minimum(upper, former_upper, out=upper, where=stays & ~rising)
        former_upper, former_lower, former = upper, lower, direction


def _walk(
    closes: list[float], uppers: list[float], lowers: list[float], before: tuple[float, float, float]
) -> tuple[list[float], list[float], list[float]]:
    """One history; the lists of own bands become those in force."""
    former_upper, former_lower, sign = before
    signs = []
    for row, (close, upper, lower) in enumerate(zip(closes, uppers, lowers, strict=True)):
        if close > former_upper:
            sign = 1.0
        elif close < former_lower:
            sign = -1.0
        elif sign > 0:
            lowers[row] = max(lower, former_lower)
        else:
            uppers[row] = min(upper, former_upper)
        former_upper, former_lower = uppers[row], lowers[row]
        signs.append(sign)
    return uppers, lowers, signs
