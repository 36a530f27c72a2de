"""Bybit's instruments and how it spells ids, prices and amounts.

What belongs here: ticks, lots, decimals on the wire of both markets. What does not: message layouts (frames.py, rest.py).
"""

from __future__ import annotations

from simulator.instruments import Instrument, listing

NAME = "bybit"
SPOT = "spot"
LINEAR = "linear"

# base, tick decimals, lot decimals of spot; tick decimals, decimals shown, lot decimals of the perpetual (lists of August 2026)
_ASSETS = (
    ("BTC", 1, 6, 1, 2, 3),
    ("ETH", 2, 5, 2, 2, 2),
    ("SOL", 2, 4, 2, 3, 1),
    ("XRP", 4, 2, 4, 4, 1),
    ("BNB", 1, 4, 1, 2, 2),
    ("DOGE", 5, 1, 5, 5, 0),
    ("ADA", 4, 2, 4, 4, 0),
    ("LTC", 2, 5, 2, 2, 1),
    ("AVAX", 3, 3, 3, 3, 1),
    ("LINK", 3, 3, 3, 3, 1),
    ("DOT", 4, 3, 4, 4, 1),
    ("TRX", 4, 2, 5, 5, 0),
    ("BCH", 1, 4, 1, 2, 2),
    ("UNI", 3, 2, 3, 3, 1),
    ("NEAR", 3, 2, 4, 4, 1),
    ("ATOM", 3, 2, 4, 4, 1),
    ("ETC", 3, 3, 3, 3, 1),
    ("FIL", 4, 2, 4, 4, 1),
    ("XLM", 4, 1, 5, 5, 0),
    ("SUI", 4, 2, 4, 5, 0),
)
_SHOWN = {base: shown for base, _, _, _, shown, _ in _ASSETS}
CATALOGUE: tuple[Instrument, ...] = (
    *listing(NAME, SPOT, ((base, "USDT", tick, lot) for base, tick, lot, _, _, _ in _ASSETS)),
    *listing(NAME, LINEAR, ((base, "USDT", tick, lot) for base, _, _, tick, _, lot in _ASSETS), settled=True),
)
DEFAULT_SYMBOLS = ("BTC/USDT", "ETH/USDT", "SOL/USDT")


def _plain(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text else text


class Spelling:
    """How one instrument is written: perpetuals with all their decimals, spot without zeros at the end."""

    __slots__ = ("_lot_divisor", "_lot_format", "_spot", "_tick_divisor", "_tick_format", "id", "instrument", "shown")

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self.id = instrument.base + instrument.quote
        self._spot = instrument.market == SPOT
        self.shown = instrument.tick_decimals if self._spot else _SHOWN[instrument.base]
        self._tick_divisor = 10**instrument.tick_decimals
        self._lot_divisor = 10**instrument.lot_decimals
        self._tick_format = f"%.{self.shown}f"
        self._lot_format = f"%.{instrument.lot_decimals}f"

    def price(self, ticks: int) -> str:
        text = self._tick_format % (ticks / self._tick_divisor)
        return _plain(text) if self._spot else text

    def amount(self, lots: int) -> str:
        text = self._lot_format % (lots / self._lot_divisor)
        return _plain(text) if self._spot or not lots else text

    def levels(self, levels: list[tuple[int, int]]) -> str:
        """A JSON array of [price, amount] pairs, both text; an amount that is gone is "0"."""
        if self._spot:
            return "[" + ",".join([f'["{self.price(price)}","{self.amount(amount)}"]' for price, amount in levels]) + "]"
        pair, gone = f'["{self._tick_format}","{self._lot_format}"]', f'["{self._tick_format}","0"]'
        ticks, lots = self._tick_divisor, self._lot_divisor
        texts = [pair % (price / ticks, amount / lots) if amount else gone % (price / ticks) for price, amount in levels]
        return "[" + ",".join(texts) + "]"
