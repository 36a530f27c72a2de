from __future__ import annotations

import warnings

import numpy as np
import pytest

from lake.transforms.indicators import supertrend as room
from lake.transforms.indicators.grid import FEW, Grid
from lake.transforms.indicators.supertrend import Bands, supertrend

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from pandas_ta_classic.overlap.supertrend import _supertrend_loop

WIDTH, BARS = FEW + 8, 400
NONE = Bands(np.empty(0), np.empty(0), np.empty(0))


@pytest.fixture
def jumping() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Closes and bands that jump so far that a carried lower band comes to lie above the upper one, and both are crossed at once."""
    rng = np.random.default_rng(3)
    middle = 100 + rng.normal(0, 6, (BARS, WIDTH))
    return middle + rng.normal(0, 5, middle.shape), middle + 2, middle - 2


def test_bands_that_cross_follow_the_rule_of_pandas_ta(jumping: tuple[np.ndarray, np.ndarray, np.ndarray]):
    close, upper, lower = jumping
    grid = Grid(remembered=np.zeros(WIDTH, int), added=np.full(WIDTH, BARS), resumes=0)

    found = supertrend(grid, close, (upper, lower), NONE, first=0)

    for column in range(WIDTH):
        theirs, _, long, short = _supertrend_loop(close[:, column], upper[:, column].copy(), lower[:, column].copy(), BARS)
        assert np.array_equal(found.direction[:, column], theirs)
        assert np.array_equal(found.value[1:, column], np.where(np.isnan(long), short, long)[1:])


def test_all_at_once_and_one_by_one_are_the_same(jumping: tuple[np.ndarray, np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch):
    close, upper, lower = jumping
    grid = Grid(remembered=np.full(WIDTH, 5), added=np.full(WIDTH, BARS - 5), resumes=5)
    carried = Bands(upper[4], lower[4], np.where(np.arange(WIDTH) % 2, 1.0, -1.0))

    swept = supertrend(grid, close, (upper, lower), carried, first=7)
    monkeypatch.setattr(room, "FEW", WIDTH)
    walked = supertrend(grid, close, (upper, lower), carried, first=7)

    for one, other in ((swept.upper, walked.upper), (swept.lower, walked.lower), (swept.direction, walked.direction)):
        assert np.array_equal(one, other, equal_nan=True)
        assert np.isnan(one[:5]).all()
