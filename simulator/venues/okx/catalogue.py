"""OKX's instruments and how it spells ids and numbers.

What belongs here: precisions, contract values, native ids, numbers as text. What does not: message layouts (frames.py, rest.py).
"""

from __future__ import annotations

from simulator.instruments import Instrument

NAME = "okx"
SPOT = "spot"
SWAP = "swap"

# base, decimals of price and amount on spot, decimals of price on swaps, base units a contract, decimals of a swap's smallest
# amount in base units
_ROWS: tuple[tuple[str, int, int, int, float, int], ...] = (
    ("BTC", 1, 8, 1, 0.01, 4),
    ("ETH", 2, 6, 2, 0.1, 3),
    ("SOL", 2, 6, 2, 1.0, 2),
    ("XRP", 5, 6, 4, 100.0, 0),
    ("BNB", 1, 6, 1, 0.01, 2),
    ("DOGE", 6, 6, 5, 1000.0, 0),
    ("ADA", 5, 6, 5, 100.0, 0),
    ("LTC", 2, 6, 2, 1.0, 2),
    ("AVAX", 3, 6, 3, 1.0, 1),
    ("LINK", 3, 6, 3, 1.0, 1),
    ("DOT", 3, 6, 3, 1.0, 1),
    ("TRX", 5, 6, 5, 1000.0, 0),
    ("BCH", 2, 6, 2, 0.1, 2),
    ("UNI", 3, 6, 3, 1.0, 1),
    ("NEAR", 3, 8, 3, 10.0, 0),
    ("ATOM", 3, 6, 3, 1.0, 1),
    ("ETC", 3, 6, 3, 10.0, 1),
    ("FIL", 3, 6, 3, 0.1, 1),
    ("XLM", 5, 6, 5, 100.0, 0),
    ("SUI", 4, 4, 4, 1.0, 0),
)
CATALOGUE: tuple[Instrument, ...] = tuple(
    Instrument(NAME, SPOT, f"{base}/USDT", base, "USDT", tick, lot, skips_sequence=True) for base, tick, lot, *_ in _ROWS
) + tuple(
    Instrument(NAME, SWAP, f"{base}/USDT:USDT", base, "USDT", tick, lot, skips_sequence=True, contract_size=size)
    for base, _, _, tick, size, lot in _ROWS
)
DEFAULT_SYMBOLS = ("BTC/USDT", "ETH/USDT", "BTC/USDT:USDT", "ETH/USDT:USDT")


def trimmed(text: str) -> str:
    """A decimal number without the zeros that say nothing."""
    return text.rstrip("0").rstrip(".") if "." in text else text


class Spelling:
    """How one instrument is written: ids, and ticks and lots as text; swaps are counted in contracts."""

    __slots__ = ("_lot_divisor", "_lot_format", "_tick_divisor", "_tick_format", "index", "instrument", "kind", "native")

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self.index = f"{instrument.base}-{instrument.quote}"
        spot = instrument.market == SPOT
        self.kind = "SPOT" if spot else "SWAP"
        self.native = self.index if spot else f"{self.index}-SWAP"
        lots_per_contract = round(10**instrument.lot_decimals * instrument.contract_size)
        self._tick_divisor = 10**instrument.tick_decimals
        self._lot_divisor = lots_per_contract
        self._tick_format = f"%.{instrument.tick_decimals}f"
        self._lot_format = f"%.{len(str(lots_per_contract)) - 1}f"

    def price(self, ticks: int) -> str:
        return trimmed(self._tick_format % (ticks / self._tick_divisor))

    def amount(self, lots: int) -> str:
        return trimmed(self._lot_format % (lots / self._lot_divisor))

    def quoted(self, price: float) -> str:
        """A price that is none of the book's, rounded to ticks."""
        return trimmed(self._tick_format % price)

    def levels(self, levels: list[tuple[int, int]]) -> str:
        """A JSON array of [price, amount, "0", orders]; a level without amount has no orders either."""
        price, amount = self.price, self.amount
        return (
            "["
            + ",".join([f'["{price(ticks)}","{amount(lots)}","0","{1 + (lots ^ ticks) % 12 if lots else 0}"]' for ticks, lots in levels])
            + "]"
        )
