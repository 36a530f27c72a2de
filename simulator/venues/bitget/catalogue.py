"""Bitget's instruments and how it spells ids, prices and amounts.

What belongs here: ticks, lots, spellings of both markets. What does not: message layouts (frames.py, rest.py).
"""

from __future__ import annotations

from simulator.instruments import Instrument, listing

NAME = "bitget"
SPOT = "spot"
FUTURES = "usdt-futures"

# base, tick and lot decimals of spot, tick and lot decimals of the perpetual
_ASSETS = (
    ("BTC", 2, 6, 1, 4),
    ("ETH", 2, 4, 2, 2),
    ("SOL", 2, 4, 3, 1),
    ("XRP", 4, 4, 4, 0),
    ("BNB", 2, 4, 2, 2),
    ("DOGE", 5, 4, 5, 0),
    ("ADA", 4, 4, 4, 0),
    ("LTC", 2, 4, 2, 1),
    ("AVAX", 3, 4, 3, 1),
    ("LINK", 3, 4, 3, 1),
    ("DOT", 4, 4, 4, 1),
    ("TRX", 5, 4, 5, 0),
    ("BCH", 1, 4, 2, 2),
    ("UNI", 3, 4, 3, 1),
    ("NEAR", 3, 4, 4, 1),
    ("ATOM", 3, 4, 4, 1),
    ("ETC", 3, 4, 3, 1),
    ("FIL", 3, 4, 4, 1),
    ("XLM", 5, 4, 5, 0),
    ("SUI", 4, 4, 4, 1),
)
CATALOGUE: tuple[Instrument, ...] = (
    *listing(NAME, SPOT, ((base, "USDT", tick, lot) for base, tick, lot, _, _ in _ASSETS)),
    *listing(NAME, FUTURES, ((base, "USDT", tick, lot) for base, _, _, tick, lot in _ASSETS), settled=True),
)
DEFAULT_SYMBOLS = ("BTC/USDT", "ETH/USDT", "SOL/USDT")
# Ids grow with time and leave numbers out, beyond what a double holds.
_IDS_FROM = 1_000_000_000_000_000_000
_ID_STEP = 1 << 14


def trade_id(number: int) -> str:
    """The id of a fill: nineteen digits that grow without following each other."""
    return str(_IDS_FROM + number * _ID_STEP + (number * 7_919 & _ID_STEP - 1))


def plain(text: str) -> str:
    """A decimal number without zeros at its end."""
    return text.rstrip("0").rstrip(".") if "." in text else text


class Spelling:
    """How one instrument is written: books with all decimals, trades without zeros at the end."""

    __slots__ = ("_gone", "_level", "_lot_divisor", "_lot_format", "_tick_divisor", "_tick_format", "id", "instrument", "kind")

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self.id = instrument.base + instrument.quote
        self.kind = instrument.market.upper()
        self._tick_divisor = 10**instrument.tick_decimals
        self._lot_divisor = 10**instrument.lot_decimals
        self._tick_format = f"%.{instrument.tick_decimals}f"
        self._lot_format = f"%.{instrument.lot_decimals}f"
        self._level = f'["{self._tick_format}","{self._lot_format}"]'
        self._gone = f'["{self._tick_format}","0"]'

    def price(self, ticks: int) -> str:
        return str(self._tick_format % (ticks / self._tick_divisor))

    def amount(self, lots: int) -> str:
        return str(self._lot_format % (lots / self._lot_divisor))

    def levels(self, levels: list[tuple[int, int]]) -> str:
        """A JSON array of [price, amount] pairs, both text; an amount that is gone is "0"."""
        level, gone, ticks, lots = self._level, self._gone, self._tick_divisor, self._lot_divisor
        texts = [level % (price / ticks, amount / lots) if amount else gone % (price / ticks) for price, amount in levels]
        return "[" + ",".join(texts) + "]"
