"""Contracts to base units.

Put here: the arithmetic. Keep out: which instrument has which size (venues).
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collectors.venue import Instrument


class Contract:
    """What one contract holds: `size` base units, or, where it is `inverse`, `size` units of the quote."""

    __slots__ = ("_divisor", "inverse", "size")

    def __init__(self, size: float = 1.0, *, inverse: bool = False) -> None:
        self.size = size
        self.inverse = inverse
        # 190.13 contracts of 0.01 are 190.13 / 100 = 1.9013, while 190.13 * 0.01 is 1.9013000000000002.
        parts = round(1 / size) if 0 < size < 1 else 0
        self._divisor = float(parts) if parts and abs(parts * size - 1) < 1e-12 else 0.0

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
        return amount / self._divisor if self._divisor else amount * self.size
