"""Binance's instruments and how it spells symbols and numbers.

What belongs here: ticks, lots, decimals on the wire. What does not: message layouts (frames.py, rest.py).
"""

from __future__ import annotations

from simulator.instruments import Instrument, synthetic

NAME = "binance"
SPOT = "spot"
USDM = "usdm"

# base, tick decimals, lot decimals
_SPOT = (
    *(("BTC", 2, 5), ("ETH", 2, 4), ("SOL", 2, 3), ("XRP", 4, 1), ("BNB", 2, 3), ("DOGE", 5, 0), ("ADA", 4, 1), ("LTC", 2, 3)),
    *(("AVAX", 2, 2), ("LINK", 2, 2), ("DOT", 3, 2), ("TRX", 4, 1), ("BCH", 1, 3), ("UNI", 3, 2), ("NEAR", 3, 1), ("ATOM", 3, 2)),
    *(("ETC", 2, 2), ("FIL", 3, 2), ("XLM", 4, 0), ("SUI", 4, 1)),
)
# base, tick decimals, lot decimals, price decimals on the wire (not always those of the tick: BTCUSDT ticks in 0.10)
_USDM = (
    ("BTC", 1, 3, 2),
    ("ETH", 2, 3, 2),
    ("SOL", 2, 2, 4),
    ("XRP", 4, 1, 4),
    ("BNB", 2, 2, 3),
    ("DOGE", 5, 0, 6),
    ("ADA", 4, 0, 5),
    ("LTC", 2, 3, 2),
    ("AVAX", 3, 0, 4),
    ("LINK", 3, 2, 3),
    ("DOT", 3, 1, 3),
    ("TRX", 5, 0, 5),
    ("BCH", 2, 3, 2),
    ("UNI", 3, 0, 4),
    ("NEAR", 3, 0, 4),
    ("ATOM", 3, 2, 3),
    ("ETC", 3, 2, 3),
    ("FIL", 3, 1, 3),
    ("XLM", 5, 0, 5),
    ("SUI", 4, 1, 6),
)
USDM_PRICE_DECIMALS = {base: wire for base, _, _, wire in _USDM}
WIRE_DECIMALS = 8

CATALOGUE: tuple[Instrument, ...] = (
    *(Instrument(NAME, SPOT, f"{base}/USDT", base, "USDT", tick, lot) for base, tick, lot in _SPOT),
    *(Instrument(NAME, USDM, f"{base}/USDT:USDT", base, "USDT", tick, lot, skips_sequence=True) for base, tick, lot, _ in _USDM),
)
_SYNTHETIC_TICK = 4
_SYNTHETIC_LOT = 1


def invented(symbol: str) -> Instrument | None:
    """The instrument of a symbol like S001/USDT or S001/USDT:USDT; None for any other."""
    pair, _, settle = symbol.partition(":")
    base, _, quote = pair.partition("/")
    if synthetic(base) is None or quote != "USDT" or settle not in {"", quote}:
        return None
    market = USDM if settle else SPOT
    return Instrument(NAME, market, symbol, base, quote, _SYNTHETIC_TICK, _SYNTHETIC_LOT, skips_sequence=market == USDM)


DEFAULT_SYMBOLS = ("BTC/USDT", "ETH/USDT", "SOL/USDT")


def _format(decimals: int, shown: int) -> str:
    """A %-format that shows a number exact to `decimals` with `shown` decimals."""
    if decimals == 0 and shown > 0:
        return "%d." + "0" * shown
    return f"%.{decimals}f" + "0" * (shown - decimals)


class Spelling:
    """How one instrument is written: id, and ticks and lots as decimal text."""

    __slots__ = ("_lot_divisor", "_lot_format", "_tick_divisor", "_tick_format", "instrument", "lower", "upper")

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self.upper = instrument.base + instrument.quote
        self.lower = self.upper.lower()
        spot = instrument.market == SPOT
        shown = WIRE_DECIMALS if spot else USDM_PRICE_DECIMALS.get(instrument.base, instrument.tick_decimals)
        self._tick_format = _format(instrument.tick_decimals, shown)
        self._lot_format = _format(instrument.lot_decimals, WIRE_DECIMALS if spot else instrument.lot_decimals)
        self._tick_divisor = 10**instrument.tick_decimals
        self._lot_divisor = 10**instrument.lot_decimals

    def price(self, ticks: int) -> str:
        return str(self._tick_format % (ticks / self._tick_divisor))

    def amount(self, lots: int) -> str:
        return str(self._lot_format % (lots / self._lot_divisor))

    def levels(self, levels: list[tuple[int, int]]) -> str:
        """A JSON array of [price, amount] pairs, both text."""
        pair = f'["{self._tick_format}","{self._lot_format}"]'
        ticks, lots = self._tick_divisor, self._lot_divisor
        return "[" + ",".join([pair % (price / ticks, amount / lots) for price, amount in levels]) + "]"
