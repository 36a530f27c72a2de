"""Contracts to base units.

Put here: the arithmetic. Keep out: which instrument has which size (venues).
"""

from __future__ import annotations

from fractions import Fraction
from math import inf, isfinite
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collectors.venue import Instrument


_PLACES: Final = 1_000_000
"""Contracts have at most six decimals; as whole millionths they turn into base units by one division, which is exact."""
_MOST: Final = 1 << 53


class Contract:
    """What one contract holds: `size` base units, or, where it is `inverse`, `size` units of the quote."""

    __slots__ = ("_parts", "_times", "inverse", "size")

    def __init__(self, size: float = 1.0, *, inverse: bool = False) -> None:
        self.size = size
        self.inverse = inverse
        # 5.51 contracts of 0.01 are 0.0551: 551 / 10000 is, while 5.51 * 0.01 and 5.51 / 100 both miss it in the last digit.
        value = Fraction(repr(size)) if isfinite(size) else Fraction(1)
        self._times = value.numerator
        self._parts = value.denominator

    @classmethod
    def of(cls, instrument: Instrument) -> Contract:
        """The contract of an instrument."""
        return cls(instrument.contract_size, inverse=instrument.inverse)

    @property
    def is_base(self) -> bool:
        """True where amounts are base units already."""
        return self.size == 1.0 and not self.inverse

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
