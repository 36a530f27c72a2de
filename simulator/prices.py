"""Where prices are at any instant: a random walk that can be entered anywhere, without walking there.

What belongs here: price level as a function of (seed, exchange, instrument, time), so that a history that ends now and a
live run that starts now meet. What does not: books and trades, which add their own seeded noise.
"""

from __future__ import annotations

import zlib
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from simulator.instruments import Instrument, asset

Floats = npt.NDArray[np.float64]

SECONDS_PER_YEAR = 365.25 * 86_400
MARKET_VOLATILITY = 0.42
# The walk is a sum of piecewise linear noises, one per octave of period. Amplitude grows with the root of the
# period, which is what makes the sum spread like a random walk over every horizon between the first and last octave.
WALK_PERIODS = tuple(float(2**k) for k in range(2, 22))
BASIS_PERIODS = tuple(float(2**k) for k in range(3, 11))
AMPLITUDE = 0.45
BASIS_VOLATILITY = 0.03
GRID_SECONDS = 2
GRID_POINTS = 2048


def stream_key(*parts: object) -> int:
    """A stable 64-bit number for a name; `hash` is salted per process and would not do."""
    text = "|".join(str(part) for part in parts).encode()
    return (zlib.crc32(text) << 32) | zlib.crc32(text[::-1] + b"#")


def _normals(key: int, nodes: npt.NDArray[np.int64]) -> Floats:
    """Nearly normal numbers for the nodes of one noise, each a hash of its own index (splitmix64)."""
    with np.errstate(over="ignore"):
        z = nodes.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(key)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    total = np.zeros(len(z))
    for shift in (0, 16, 32, 48):
        total += ((z >> np.uint64(shift)) & np.uint64(0xFFFF)).astype(np.float64) / 65_536.0
    return np.asarray((total - 2.0) * np.sqrt(3.0), dtype=np.float64)


def _walk(key: int, times: Floats, *, volatility: float, periods: tuple[float, ...]) -> Floats:
    """One walk at ascending times (unix seconds), close together or far apart."""
    per_root_second = volatility / np.sqrt(SECONDS_PER_YEAR)
    total = np.zeros(len(times))
    for octave, period in enumerate(periods):
        octave_key = (key + octave * 0x632BE59BD9B4E019) & 0xFFFFFFFFFFFFFFFF
        first = int(times[0] // period)
        last = int(times[-1] // period) + 1
        if last - first <= 2 * len(times):
            nodes = np.arange(first, last + 1, dtype=np.int64)
            heights = np.interp(times, nodes * period, _normals(octave_key, nodes))
        else:
            nodes = (times // period).astype(np.int64)
            left = _normals(octave_key, nodes)
            heights = left + (_normals(octave_key, nodes + 1) - left) * (times / period - nodes)
        total += AMPLITUDE * per_root_second * np.sqrt(period) * heights
    return total


def _dollars(seed: int, base: str, times: Floats) -> Floats:
    traded = asset(base)
    market = _walk(stream_key(seed, "market"), times, volatility=MARKET_VOLATILITY, periods=WALK_PERIODS)
    own = _walk(stream_key(seed, "asset", base), times, volatility=traded.own_volatility, periods=WALK_PERIODS)
    return np.asarray(traded.reference_price * np.exp(traded.market_weight * market + own), dtype=np.float64)


@lru_cache(maxsize=256)
def _asset_block(seed: int, base: str, block: int) -> Floats:
    """Dollar prices of one asset on the grid points of a block, the last point being the next block's first."""
    times = (block * GRID_POINTS + np.arange(GRID_POINTS + 1, dtype=np.float64)) * GRID_SECONDS
    return _dollars(seed, base, times)


class PricePath:
    """Fair price of one instrument at any time.

    The dollar price is common to all venues; each instrument adds a basis of its own of about a basis point.
    """

    def __init__(self, instrument: Instrument, seed: int) -> None:
        self._instrument = instrument
        self._seed = seed
        self._key = stream_key(seed, instrument.exchange, instrument.market, instrument.symbol)
        self._block = -1
        self._prices: list[float] = []

    def at(self, time_us: int) -> float:
        """Price in quote currency at a time in unix microseconds."""
        position, offset = divmod(time_us, GRID_SECONDS * 1_000_000)
        block, index = divmod(position, GRID_POINTS)
        if block != self._block:
            self._load(block)
        low = self._prices[index]
        return low + (self._prices[index + 1] - low) * (offset / (GRID_SECONDS * 1_000_000))

    def sample(self, times: Floats) -> Floats:
        """Prices at ascending times in unix seconds, however far apart."""
        basis = _walk(self._key, times, volatility=BASIS_VOLATILITY, periods=BASIS_PERIODS)
        return np.asarray(_dollars(self._seed, self._instrument.base, times) * np.exp(basis), dtype=np.float64)

    def _load(self, block: int) -> None:
        times = (block * GRID_POINTS + np.arange(GRID_POINTS + 1, dtype=np.float64)) * GRID_SECONDS
        basis = _walk(self._key, times, volatility=BASIS_VOLATILITY, periods=BASIS_PERIODS)
        self._prices = (_asset_block(self._seed, self._instrument.base, block) * np.exp(basis)).tolist()
        self._block = block


def index_price(base: str, seed: int, time_us: int) -> float:
    """Dollar price of an asset without any venue's basis, at unix microseconds."""
    position, offset = divmod(time_us, GRID_SECONDS * 1_000_000)
    block, index = divmod(position, GRID_POINTS)
    prices = _asset_block(seed, base, block)
    return float(prices[index] + (prices[index + 1] - prices[index]) * (offset / (GRID_SECONDS * 1_000_000)))
