"""MEXC's instruments and how it spells ids and numbers.

What belongs here: precisions, contract sizes, native ids, numbers as text. What does not: message layouts.
"""

from __future__ import annotations

from simulator.instruments import Instrument

NAME = "mexc"
SPOT = "spot"
PERP = "perp"

# base, decimals of price and amount on spot, decimals of price on perpetuals, decimals of a contract in base units (0.0001 BTC: 4).
# Amounts are finer than the venue's: REST trades have no ids, so that equal ones of one millisecond could not be compared.
_ROWS: tuple[tuple[str, int, int, int, int], ...] = (
    ("BTC", 2, 8, 1, 6),
    ("ETH", 2, 8, 2, 6),
    ("SOL", 2, 6, 2, 5),
    ("XRP", 4, 6, 4, 4),
    ("BNB", 2, 6, 1, 5),
    ("DOGE", 5, 4, 5, 3),
    ("ADA", 4, 4, 4, 3),
    ("LTC", 2, 6, 2, 5),
    ("AVAX", 3, 6, 3, 5),
    ("LINK", 3, 6, 3, 5),
    ("DOT", 4, 6, 3, 4),
    ("TRX", 4, 4, 5, 3),
    ("BCH", 2, 6, 2, 5),
    ("UNI", 3, 6, 3, 4),
    ("NEAR", 4, 6, 3, 4),
    ("ATOM", 3, 6, 3, 4),
    ("ETC", 3, 6, 3, 5),
    ("FIL", 3, 6, 3, 4),
    ("XLM", 5, 4, 5, 3),
    ("SUI", 4, 6, 4, 4),
)
CATALOGUE: tuple[Instrument, ...] = tuple(
    Instrument(NAME, SPOT, f"{base}/USDT", base, "USDT", tick, lot) for base, tick, lot, *_ in _ROWS
) + tuple(Instrument(NAME, PERP, f"{base}/USDT:USDT", base, "USDT", tick, lot, contract_size=10.0**-lot) for base, _, _, tick, lot in _ROWS)
DEFAULT_SYMBOLS = ("BTC/USDT", "ETH/USDT", "BTC/USDT:USDT")


def trimmed(text: str) -> str:
    """A decimal number without the zeros that say nothing."""
    return text.rstrip("0").rstrip(".") if "." in text else text


class Spelling:
    """How one instrument is written. Perpetuals are counted in contracts, and one lot is one contract."""

    __slots__ = ("_lot_divisor", "_lot_format", "_tick_divisor", "_tick_format", "instrument", "native", "spot")

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self.spot = instrument.market == SPOT
        self.native = instrument.base + ("" if self.spot else "_") + instrument.quote
        self._tick_divisor = 10**instrument.tick_decimals
        self._lot_divisor = 10**instrument.lot_decimals
        self._tick_format = f"%.{instrument.tick_decimals}f"
        self._lot_format = f"%.{instrument.lot_decimals}f"

    def padded_price(self, ticks: int) -> str:
        return str(self._tick_format % (ticks / self._tick_divisor))

    def padded_amount(self, lots: int) -> str:
        return str(self._lot_format % (lots / self._lot_divisor))

    def price(self, ticks: int) -> str:
        return trimmed(self.padded_price(ticks))

    def amount(self, lots: int) -> str:
        """Base units on spot, contracts of perpetuals."""
        return trimmed(self.padded_amount(lots)) if self.spot else str(lots)

    def quoted(self, price: float) -> str:
        """A price that is none of the book's, rounded to ticks."""
        return trimmed(self._tick_format % price)
