"""Relative strength and the true range: what moves from one candle to the next.

Put here: inputs of recursive averages and what is made of their results. Keep out: the averages themselves.
"""

from __future__ import annotations

import numpy as np

from lake.transforms.indicators.grid import Floats, before


def gains_and_losses(close: Floats) -> tuple[Floats, Floats]:
    """What each close gained and lost against the one before, both at least 0; NaN at a first candle."""
    change = close - before(close, 1)
    return np.maximum(change, 0.0), np.maximum(-change, 0.0)


def relative_strength(gain: Floats, loss: Floats) -> Floats:
    """RSI from averaged gains and losses: 0 to 100, and 0 where there was neither."""
    total = gain + loss
    moved = total != 0
    return np.where(moved, 100.0 * gain / np.where(moved, total, 1.0), 0.0)


def true_range(high: Floats, low: Floats, close: Floats) -> Floats:
    """Span of the candle and the close before it; NaN at a first candle, which has none."""
    former = before(close, 1)
    return np.maximum(high, former) - np.minimum(low, former)
