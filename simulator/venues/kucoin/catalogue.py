"""KuCoin's instruments and how it spells symbols and numbers.

What belongs here: precisions, multipliers, ids. What does not: message layouts (frames.py, rest.py).
"""

from __future__ import annotations

from dataclasses import replace

from simulator.instruments import Instrument, listing
from simulator.numbers import Prices, fixed

NAME = "kucoin"
SPOT = "spot"
FUTURES = "futures"

# base, price decimals, amount decimals: as listed in April 2021 where the pair was traded by then
_PAIRS = (
    ("BTC", 1, 8),
    ("ETH", 2, 7),
    ("SOL", 3, 4),
    ("XRP", 5, 4),
    ("BNB", 3, 4),
    ("DOGE", 5, 4),
    ("ADA", 6, 4),
    ("LTC", 3, 6),
    ("AVAX", 3, 4),
    ("LINK", 4, 4),
    ("DOT", 4, 4),
    ("TRX", 6, 4),
    ("BCH", 2, 4),
    ("UNI", 4, 4),
    ("NEAR", 4, 4),
    ("ATOM", 4, 4),
    ("ETC", 4, 6),
    ("FIL", 4, 4),
    ("XLM", 6, 4),
    ("SUI", 4, 4),
)
# base, price decimals, decimals of a contract's size (0.001 BTC, 10 XRP). A lot is one contract.
_CONTRACTS = (
    ("BTC", 1, 3),
    ("ETH", 2, 2),
    ("SOL", 3, 1),
    ("XRP", 4, -1),
    ("BNB", 2, 2),
    ("DOGE", 5, -2),
    ("ADA", 5, -1),
    ("LTC", 2, 1),
    ("AVAX", 3, 1),
    ("LINK", 3, 1),
    ("DOT", 3, 0),
    ("TRX", 5, -2),
    ("BCH", 2, 2),
    ("UNI", 3, 0),
    ("NEAR", 3, 1),
    ("ATOM", 3, 1),
    ("ETC", 3, 1),
    ("FIL", 3, 1),
    ("XLM", 5, -1),
    ("SUI", 4, 0),
)
CATALOGUE: tuple[Instrument, ...] = (
    *listing(NAME, SPOT, [(base, "USDT", ticks, lots) for base, ticks, lots in _PAIRS]),
    *(
        replace(item, contract_size=10.0**-item.lot_decimals)
        for item in listing(NAME, FUTURES, [(base, "USDT", ticks, lots) for base, ticks, lots in _CONTRACTS], settled=True)
    ),
)
DEFAULT_SYMBOLS = ("BTC/USDT", "ETH/USDT", "BTC/USDT:USDT", "ETH/USDT:USDT")

_OLD_NAMES = {"BTC": "XBT"}


class Spelling:
    """How one market is written: the native id, trade type, prices and amounts, all as text."""

    __slots__ = ("asset", "instrument", "native", "price", "spot", "trade_type")

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self.spot = instrument.market == SPOT
        self.trade_type = "SPOT" if self.spot else "FUTURES"
        self.asset = instrument.base if self.spot else _OLD_NAMES.get(instrument.base, instrument.base)
        self.native = f"{self.asset}-{instrument.quote}" if self.spot else f"{self.asset}{instrument.quote}M"
        self.price = Prices(instrument.tick_decimals)
        """Spells a price: 1933.1."""

    def amount(self, lots: int) -> str:
        """Base units on spot, contracts on futures."""
        return fixed(lots, self.instrument.lot_decimals) if self.spot else str(lots)

    def trade_id(self, number: int) -> int:
        """The id of a trade: spot's have seventeen digits and never follow each other, those of futures share their count with the book."""
        return number * 1_009 if self.spot else number * 3

    def levels(self, levels: list[tuple[int, int]]) -> str:
        """A JSON array of ["price","size"]."""
        price, amount = self.price, self.amount
        return "[" + ",".join([f'["{price(ticks)}","{amount(lots)}"]' for ticks, lots in levels]) + "]"
