"""Kraken Futures' linear perpetuals and how their ids and numbers are written.

What belongs here: precisions, PF_ ids, trade uids. What does not: spot (catalogue.py), message layouts (futures_frames.py).
"""

from __future__ import annotations

from simulator.instruments import Instrument, listing
from simulator.prices import stream_key

MARKET = "futures"

# base, price decimals, amount decimals; amounts are base units
_PERPETUALS = (
    ("BTC", 1, 4),
    ("ETH", 1, 3),
    ("SOL", 2, 2),
    ("XRP", 5, 0),
    ("BNB", 2, 2),
    ("DOGE", 6, 0),
    ("ADA", 5, 0),
    ("LTC", 2, 2),
    ("AVAX", 3, 1),
    ("LINK", 3, 1),
    ("DOT", 4, 1),
    ("TRX", 5, 0),
    ("BCH", 2, 2),
    ("UNI", 3, 1),
    ("NEAR", 4, 1),
    ("ATOM", 3, 1),
    ("ETC", 3, 1),
    ("FIL", 3, 1),
    ("XLM", 5, 0),
    ("SUI", 4, 0),
)
PERPETUALS: tuple[Instrument, ...] = listing(
    "kraken", MARKET, ((base, "USD", ticks, lots) for base, ticks, lots in _PERPETUALS), settled=True
)
_MASK = (1 << 128) - 1


class Contract:
    """How one perpetual is written: `PF_XBTUSD`, numbers as the venue's doubles, a trade's uid."""

    __slots__ = ("_lots", "_salt", "_ticks", "base", "instrument", "product")

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self.base = "XBT" if instrument.base == "BTC" else instrument.base
        self.product = f"PF_{self.base}{instrument.quote}"
        self._ticks = 10**instrument.tick_decimals
        self._lots = 10**instrument.lot_decimals
        self._salt = stream_key(self.product)

    def price(self, ticks: int) -> str:
        return repr(ticks / self._ticks)

    def size(self, lots: int) -> str:
        return repr(lots / self._lots)

    def uid(self, trade_id: int) -> str:
        """A trade's unique name, the same over the socket and over REST."""
        text = f"{(trade_id * 0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835 + self._salt) & _MASK:032x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
