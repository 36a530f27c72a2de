"""Kraken's instruments and how it spells symbols and numbers.

What belongs here: precisions, v2 symbols, REST pair keys. What does not: message layouts (frames.py, rest.py).
"""

from __future__ import annotations

from simulator.instruments import Instrument
from simulator.venues.kraken.futures_catalogue import PERPETUALS

NAME = "kraken"

# base, quote, price decimals; amounts always have eight
_PAIRS = (
    ("BTC", "USD", 1),
    ("ETH", "USD", 2),
    ("SOL", "USD", 2),
    ("XRP", "USD", 5),
    ("DOGE", "USD", 7),
    ("ADA", "USD", 6),
    ("LTC", "USD", 2),
    ("AVAX", "USD", 2),
    ("LINK", "USD", 5),
    ("DOT", "USD", 4),
    ("TRX", "USD", 6),
    ("BCH", "USD", 2),
    ("UNI", "USD", 3),
    ("NEAR", "USD", 3),
    ("ATOM", "USD", 4),
    ("ETC", "USD", 3),
    ("FIL", "USD", 3),
    ("XLM", "USD", 6),
    ("SUI", "USD", 4),
    ("BTC", "USDT", 1),
    ("ETH", "USDT", 2),
    ("SOL", "USDT", 2),
)
LOT_DECIMALS = 8
CATALOGUE: tuple[Instrument, ...] = (
    *(Instrument(NAME, "spot", f"{base}/{quote}", base, quote, decimals, LOT_DECIMALS) for base, quote, decimals in _PAIRS),
    *PERPETUALS,
)
DEFAULT_SYMBOLS = ("BTC/USD", "ETH/USD", "SOL/USD", "BTC/USDT")

_OLD_NAMES = {"BTC": "XBT", "DOGE": "XDG"}
_PREFIXED = frozenset({"XBT", "ETH", "XRP", "LTC", "XDG"})


def old_name(asset: str) -> str:
    """REST's name of an asset: XBT for BTC."""
    return _OLD_NAMES.get(asset, asset)


def asset_key(asset: str) -> str:
    """REST's asset id: XXBT for BTC, ZUSD for USD."""
    name = old_name(asset)
    if name in _PREFIXED:
        return f"X{name}"
    return "ZUSD" if name == "USD" else name


class Spelling:
    """How one pair is written: symbols, and ticks and lots as JSON numbers with all their decimals."""

    __slots__ = (
        "_level",
        "_lot_divisor",
        "_lot_format",
        "_tick_divisor",
        "_tick_format",
        "altname",
        "instrument",
        "key",
        "symbol",
        "wsname",
    )

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self.symbol = instrument.symbol
        base, quote = old_name(instrument.base), old_name(instrument.quote)
        self.wsname = f"{base}/{quote}"
        self.altname = base + quote
        # XXBTZUSD keeps the ids of both assets, but XDGUSD does not.
        prefixed = base in _PREFIXED - {"XDG"} and quote == "USD"
        self.key = asset_key(instrument.base) + asset_key(instrument.quote) if prefixed else self.altname
        self._tick_divisor = 10**instrument.tick_decimals
        self._lot_divisor = 10**instrument.lot_decimals
        self._tick_format = f"%.{instrument.tick_decimals}f"
        self._lot_format = f"%.{instrument.lot_decimals}f"
        self._level = f'{{"price":{self._tick_format},"qty":{self._lot_format}}}'

    def price(self, ticks: int) -> str:
        return str(self._tick_format % (ticks / self._tick_divisor))

    def amount(self, lots: int) -> str:
        return str(self._lot_format % (lots / self._lot_divisor))

    def levels(self, levels: list[tuple[int, int]]) -> str:
        """A JSON array of {"price","qty"} objects."""
        level, ticks, lots = self._level, self._tick_divisor, self._lot_divisor
        return "[" + ",".join([level % (price / ticks, amount / lots) for price, amount in levels]) + "]"
