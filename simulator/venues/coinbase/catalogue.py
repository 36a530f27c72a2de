"""Coinbase's products and how it spells ids and numbers.

What belongs here: increments, product ids, numbers without trailing zeros. What does not: message layouts (frames.py, rest.py).
"""

from __future__ import annotations

from functools import lru_cache

from simulator.instruments import Instrument, listing

NAME = "coinbase"

# base, price decimals, amount decimals: the increments of the product list of August 2026; TRX was not on it.
_SPOT = (
    ("BTC", 2, 8),
    ("ETH", 2, 8),
    ("SOL", 2, 8),
    ("XRP", 4, 6),
    ("BNB", 2, 5),
    ("DOGE", 5, 1),
    ("ADA", 5, 8),
    ("LTC", 2, 8),
    ("AVAX", 3, 8),
    ("LINK", 3, 2),
    ("DOT", 4, 8),
    ("TRX", 5, 1),
    ("BCH", 2, 8),
    ("UNI", 4, 6),
    ("NEAR", 4, 3),
    ("ATOM", 3, 2),
    ("ETC", 2, 8),
    ("FIL", 3, 3),
    ("XLM", 6, 8),
    ("SUI", 4, 1),
)
# Perpetuals trade in base units; futures of the derivatives exchange in contracts, one of which is one lot here.
_CONTRACTS = (
    Instrument(NAME, "futures", "BTC/USD:USD-301220", "BTC", "USD", 0, 2, contract_size=0.01),
    Instrument(NAME, "futures", "ETH/USD:USD-301220", "ETH", "USD", 1, 1, contract_size=0.1),
)
CONTRACT_IDS = {"BTC/USD:USD-301220": "BIP-20DEC30-CDE", "ETH/USD:USD-301220": "ETP-20DEC30-CDE"}
CONTRACT_EXPIRY = "2030-12-20T16:00:00Z"
CATALOGUE: tuple[Instrument, ...] = (
    *listing(NAME, "spot", ((base, "USD", ticks, lots) for base, ticks, lots in _SPOT)),
    *listing(NAME, "futures", ((base, "USDC", ticks, min(lots, 4)) for base, ticks, lots in _SPOT), settled=True),
    *_CONTRACTS,
)
DEFAULT_SYMBOLS = ("BTC/USD", "ETH/USD", "SOL/USD", "BTC/USDC:USDC")


@lru_cache(maxsize=65_536)
def plain(value: int, decimals: int) -> str:
    """Whole units of 10**-decimals as the venue writes numbers: without trailing zeros."""
    if not decimals:
        return str(value)
    whole, part = divmod(value, 10**decimals)
    return f"{whole}.{part:0{decimals}d}".rstrip("0") if part else str(whole)


class Spelling:
    """How one product is written. `alias` is the second id under which it can be asked for; answers carry `product` alone."""

    __slots__ = ("alias", "instrument", "lot_decimals", "product", "tick_decimals")

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self.alias = ""
        if instrument.market == "spot":
            self.product = f"{instrument.base}-{instrument.quote}"
            self.alias = f"{instrument.base}-USDC"
        else:
            self.product = CONTRACT_IDS.get(instrument.symbol, f"{instrument.base}-PERP-INTX")
        self.tick_decimals = instrument.tick_decimals
        self.lot_decimals = 0 if instrument.contract_size != 1.0 else instrument.lot_decimals

    def price(self, ticks: int) -> str:
        return plain(ticks, self.tick_decimals)

    def size(self, lots: int) -> str:
        """An amount in base units, or in contracts where the product has them."""
        return plain(lots, self.lot_decimals)
