"""Contracts to base units.

Put here: the arithmetic. Keep out: which instrument has which size (venues).
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from math import inf, isfinite
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collectors.books import Level
    from collectors.venue import Instrument


_PLACES: Final = 1_000_000
"""Contracts have at most six decimals; as whole millionths they turn into base units by one division, which is exact."""
_MOST: Final = 1 << 53


class Contract:
    """What one contract holds: `size` base units, or, where it is `inverse`, `size` units of the quote."""

    __slots__ = ("_exact", "_parts", "_times", "inverse", "is_base", "size")

    def __init__(self, size: float = 1.0, *, inverse: bool = False) -> None:
        self.size = size
        self.inverse = inverse
        # 5.51 contracts of 0.01 are 0.0551: 551 / 10000 is, while 5.51 * 0.01 and 5.51 / 100 both miss it in the last digit.
        value = Fraction(repr(size)) if isfinite(size) else Fraction(1)
        self._times = value.numerator
        self._parts = value.denominator
        self._exact = _MOST / max(self._times, 1) if max(self._times, self._parts) < _MOST else 0.0
        """Whole amounts below this give an exact numerator."""
        self.is_base = size == 1.0 and not inverse
        """True where amounts are base units already."""

    @staticmethod
    def of(instrument: Instrument) -> Contract:
        """The contract of an instrument; those of one size are one object."""
        return _shared(instrument.contract_size, inverse=instrument.inverse)

    def levels(self, levels: list[Level]) -> list[Level]:
        """Book levels in base units; the very list where amounts are base units already."""
        if self.is_base or not levels:
            return levels
        if not self.inverse:
            amounts = [amount for _, amount in levels]
            if -self._exact < min(amounts) and max(amounts) < self._exact and all(map(float.is_integer, amounts)):
                # Whole contracts: numerator and denominator are exact as floats, and so the division is what `base` computes.
                times, parts = float(self._times), float(self._parts)
                return [(price, amount * times / parts) for price, amount in levels]
        base = self.base
        return [(price, base(amount, price)) for price, amount in levels]

    def base(self, amount: float, price: float) -> float:
        """Base units of `amount` contracts at a price; infinitely many where an inverse one has no price."""
        if self.inverse:
            return amount * self.size / price if price else inf
        if not -_MOST < amount < _MOST:
            return amount * self.size
        if (whole := int(amount)) == amount:
            return whole * self._times / self._parts
        if (millionths := round(amount * _PLACES)) / _PLACES == amount:
            return millionths * self._times / (self._parts * _PLACES)
        return amount * self.size


@lru_cache(maxsize=4096)
def _shared(size: float, *, inverse: bool) -> Contract:
    return Contract(size, inverse=inverse)
