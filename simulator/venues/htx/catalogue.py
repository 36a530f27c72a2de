"""HTX's instruments and how it spells symbols and numbers.

What belongs here: precisions, contract sizes, number formats. What does not: message layouts (frames.py, rest.py).
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from simulator.instruments import Instrument, listing
from simulator.numbers import Prices, fixed

NAME = "htx"
SPOT = "spot"
LINEAR = "linear"

# base, price decimals, amount decimals: as listed in April 2021 where the pair was traded by then
_PAIRS = (
    ("BTC", 2, 6),
    ("ETH", 2, 4),
    ("SOL", 4, 2),
    ("XRP", 5, 2),
    ("BNB", 2, 4),
    ("DOGE", 6, 2),
    ("ADA", 6, 4),
    ("LTC", 2, 4),
    ("AVAX", 4, 4),
    ("LINK", 4, 2),
    ("DOT", 4, 4),
    ("TRX", 6, 2),
    ("BCH", 2, 4),
    ("UNI", 4, 4),
    ("NEAR", 4, 2),
    ("ATOM", 4, 3),
    ("ETC", 4, 4),
    ("FIL", 4, 4),
    ("XLM", 6, 4),
    ("SUI", 4, 2),
)
# base, price decimals, decimals of a contract's size (0.001 BTC, 10 XRP): as listed in February 2022. A lot is one contract.
_CONTRACTS = (
    ("BTC", 1, 3),
    ("ETH", 2, 2),
    ("SOL", 4, 0),
    ("XRP", 5, -1),
    ("BNB", 3, 1),
    ("DOGE", 6, -2),
    ("ADA", 6, -1),
    ("LTC", 2, 1),
    ("AVAX", 4, 0),
    ("LINK", 4, 1),
    ("DOT", 4, 0),
    ("TRX", 6, -2),
    ("BCH", 2, 2),
    ("UNI", 4, 0),
    ("NEAR", 3, 0),
    ("ATOM", 4, 0),
    ("ETC", 4, 0),
    ("FIL", 3, 1),
    ("XLM", 6, -1),
    ("SUI", 4, 0),
)
CATALOGUE: tuple[Instrument, ...] = (
    *(replace(item, skips_sequence=True) for item in listing(NAME, SPOT, [(base, "USDT", ticks, lots) for base, ticks, lots in _PAIRS])),
    *(
        replace(item, contract_size=10.0**-item.lot_decimals)
        for item in listing(NAME, LINEAR, [(base, "USDT", ticks, lots) for base, ticks, lots in _CONTRACTS], settled=True)
    ),
)
DEFAULT_SYMBOLS = ("BTC/USDT", "ETH/USDT", "BTC/USDT:USDT", "ETH/USDT:USDT")


def double(value: float) -> str:
    """A double as the venue's spot trades write it: 716.0, 0.078924, 1.98E-4, 4.0E7."""
    if 1e-3 <= value < 1e7:
        return repr(value)
    number = Decimal(repr(value)).normalize()
    digits = "".join(map(str, number.as_tuple().digits))
    return f"{digits[0]}.{digits[1:] or '0'}E{number.adjusted()}"


class Spelling:
    """How one market is written: the native id, prices and amounts."""

    __slots__ = ("_lot_divisor", "_tick_divisor", "instrument", "native", "price", "spot")

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self.spot = instrument.market == SPOT
        self.native = (instrument.base + instrument.quote).lower() if self.spot else f"{instrument.base}-{instrument.quote}"
        self._tick_divisor = 10**instrument.tick_decimals
        self._lot_divisor = 10**instrument.lot_decimals
        self.price = Prices(instrument.tick_decimals)
        """Spells a price in a book or a contract's trade: 9144, 9138.61."""

    def amount(self, lots: int) -> str:
        """An amount in a book: contracts of a swap, base units on spot, there with an exponent below a thousandth."""
        if not self.spot:
            return str(lots)
        value = lots / self._lot_divisor
        return double(value) if 0 < value < 1e-3 else fixed(lots, self.instrument.lot_decimals)

    def base_units(self, lots: int) -> str:
        """Base units of a number of lots, plain."""
        return fixed(lots, self.instrument.lot_decimals)

    def turnover(self, ticks: int, lots: int) -> str:
        """Price times base units, exact."""
        return fixed(ticks * lots, self.instrument.tick_decimals + self.instrument.lot_decimals)

    def price_double(self, ticks: int) -> str:
        """A price in a spot trade: 716.0."""
        return double(ticks / self._tick_divisor)

    def amount_double(self, lots: int) -> str:
        """An amount in a spot trade: 1.98E-4."""
        return double(lots / self._lot_divisor)

    def levels(self, levels: list[tuple[int, int]]) -> str:
        """A JSON array of [price,amount]."""
        price, amount = self.price, self.amount
        return "[" + ",".join([f"[{price(ticks)},{amount(lots)}]" for ticks, lots in levels]) + "]"
