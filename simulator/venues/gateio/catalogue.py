"""Gate.io's instruments and how it spells symbols, prices, amounts and contracts.

What belongs here: precisions, contract sizes, ids. What does not: message layouts (frames.py, rest.py).
"""

from __future__ import annotations

from functools import lru_cache

from simulator.instruments import Instrument, listing

NAME = "gateio"
SPOT = "spot"
USDT = "usdt"

# base, price decimals, amount decimals
_PAIRS = (
    ("BTC", 1, 6),
    ("ETH", 2, 4),
    ("SOL", 2, 3),
    ("XRP", 4, 2),
    ("BNB", 1, 4),
    ("DOGE", 5, 2),
    ("ADA", 4, 2),
    ("LTC", 2, 3),
    ("AVAX", 3, 2),
    ("LINK", 3, 2),
    ("DOT", 3, 2),
    ("TRX", 5, 2),
    ("BCH", 1, 4),
    ("UNI", 3, 3),
    ("NEAR", 3, 3),
    ("ATOM", 3, 3),
    ("ETC", 2, 3),
    ("FIL", 3, 3),
    ("XLM", 5, 1),
    ("SUI", 4, 2),
)
# base, price decimals, amount decimals, base units a contract holds; where a lot is less than a contract, sizes have decimals
_CONTRACTS = (
    ("BTC", 1, 4, 0.0001),
    ("ETH", 2, 3, 0.01),
    ("SOL", 3, 1, 1.0),
    ("XRP", 4, 0, 10.0),
    ("BNB", 2, 3, 0.001),
    ("DOGE", 5, 0, 10.0),
    ("ADA", 5, 0, 10.0),
    ("LTC", 2, 2, 0.1),
    ("AVAX", 4, 1, 1.0),
    ("LINK", 4, 1, 1.0),
    ("DOT", 4, 1, 1.0),
    ("TRX", 5, 0, 100.0),
    ("BCH", 2, 3, 0.01),
    ("UNI", 4, 1, 1.0),
    ("NEAR", 4, 1, 1.0),
    ("ATOM", 3, 1, 1.0),
    ("ETC", 3, 2, 0.1),
    ("FIL", 3, 3, 0.01),
    ("XLM", 5, 0, 10.0),
    ("SUI", 4, 1, 1.0),
)
CATALOGUE: tuple[Instrument, ...] = (
    *listing(NAME, SPOT, [(base, "USDT", ticks, lots) for base, ticks, lots in _PAIRS]),
    *(Instrument(NAME, USDT, f"{base}/USDT:USDT", base, "USDT", ticks, lots, contract_size=size) for base, ticks, lots, size in _CONTRACTS),
)
DEFAULT_SYMBOLS = ("BTC/USDT", "ETH/USDT", "SOL/USDT", "BTC/USDT:USDT", "ETH/USDT:USDT")


@lru_cache(maxsize=200_000)
def plain(number: int, decimals: int) -> str:
    """What number / 10**decimals is without zeros behind: 12300 with three decimals is 12.3."""
    if not decimals:
        return str(number)
    sign, digits = ("-", str(-number)) if number < 0 else ("", str(number))
    digits = digits.rjust(decimals + 1, "0")
    fraction = digits[-decimals:].rstrip("0")
    return f"{sign}{digits[:-decimals]}.{fraction}" if fraction else sign + digits[:-decimals]


class Spelling:
    """How one market is written. Sizes of futures are contracts, with the decimals that clients get who ask for them."""

    __slots__ = ("_size_decimals", "id", "instrument", "lots_per_contract", "number", "spot")

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self.id = f"{instrument.base}_{instrument.quote}"
        self.spot = instrument.market == SPOT
        self.number = CATALOGUE.index(instrument)
        # Lots of a contract are a power of ten: one of 0.01 ETH in lots of 0.001 ETH has 10.
        lots = round(instrument.contract_size * 10**instrument.lot_decimals)
        self.lots_per_contract = 1 if self.spot else lots
        self._size_decimals = instrument.lot_decimals if self.spot else len(str(lots)) - 1

    def price(self, ticks: int) -> str:
        return plain(ticks, self.instrument.tick_decimals)

    def amount(self, lots: int) -> str:
        """Base units on spot, contracts on futures; the sign is kept."""
        return plain(lots, self._size_decimals)

    def levels(self, levels: list[tuple[int, int]]) -> str:
        """A JSON array of ["price","amount"] pairs."""
        ticks, lots = self.instrument.tick_decimals, self._size_decimals
        return "[" + ",".join([f'["{plain(price, ticks)}","{plain(amount, lots)}"]' for price, amount in levels]) + "]"

    def global_id(self, trade_id: int) -> int:
        """The id of a trade among those of all pairs: it grows with the pair's own count and leaves numbers out."""
        return trade_id * 64 + self.number
