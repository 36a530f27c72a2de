"""Bitfinex's instruments and how it spells pairs and numbers.

What belongs here: codes, five significant digits, numbers as JavaScript prints them. What does not: message layouts (frames.py, rest.py).
"""

from __future__ import annotations

from functools import lru_cache

from simulator.instruments import Instrument, listing

NAME = "bitfinex"
SPOT = "spot"
PERP = "perp"
LOT_DECIMALS = 8

# base and the decimals that leave its price five significant digits
_TICKS = {
    "BTC": 0,
    "ETH": 1,
    "SOL": 2,
    "XRP": 4,
    "BNB": 2,
    "DOGE": 5,
    "ADA": 5,
    "LTC": 3,
    "AVAX": 3,
    "LINK": 3,
    "DOT": 4,
    "TRX": 5,
    "BCH": 2,
    "UNI": 4,
    "NEAR": 4,
    "ATOM": 4,
    "ETC": 3,
    "FIL": 4,
    "XLM": 5,
    "SUI": 4,
}
_TETHERED = ("BTC", "ETH", "SOL", "XRP")
CATALOGUE: tuple[Instrument, ...] = (
    *listing(NAME, SPOT, [(base, "USD", ticks, LOT_DECIMALS) for base, ticks in _TICKS.items()]),
    *listing(NAME, SPOT, [(base, "USDT", _TICKS[base], LOT_DECIMALS) for base in _TETHERED]),
    *listing(NAME, PERP, [(base, "USDT", ticks, LOT_DECIMALS) for base, ticks in _TICKS.items()], settled=True),
)
DEFAULT_SYMBOLS = ("BTC/USD", "ETH/USD", "BTC/USDT", "BTC/USDT:USDT")

CODES = {"USDT": "UST", "ATOM": "ATO", "BCH": "BCHN"}
"""Assets that spot knows under another code."""
NAMED = [["UST", "USDt"], ["ATO", "ATOM"], ["BCHN", "BCH"], ["USTF0", "USDt0"], ["DSH", "DASH"], ["QTM", "QTUM"], ["IOT", "IOTA"]]
"""The venue's own map of codes."""


def code(asset: str) -> str:
    """What spot calls an asset."""
    return CODES.get(asset, asset)


def pair_of(instrument: Instrument) -> str:
    """BTCUSD, DOGE:USD, BTCF0:USTF0."""
    if instrument.market == PERP:
        return f"{instrument.base}F0:{code(instrument.quote)}F0"
    base, quote = code(instrument.base), code(instrument.quote)
    return f"{base}:{quote}" if len(base) > 3 or len(quote) > 3 else base + quote


@lru_cache(maxsize=200_000)
def number(value: int, decimals: int) -> str:
    """What value / 10**decimals looks like in JavaScript: no zeros behind, and an exponent below a millionth."""
    sign, digits = ("-", str(-value)) if value < 0 else ("", str(value))
    if decimals and len(digits) + 6 <= decimals and value:
        exponent = decimals - len(digits) + 1
        fraction = digits[1:].rstrip("0")
        return f"{sign}{digits[0]}{'.' + fraction if fraction else ''}e-{exponent}"
    digits = digits.rjust(decimals + 1, "0")
    fraction = digits[-decimals:].rstrip("0") if decimals else ""
    whole = digits[:-decimals] if decimals else digits
    return f"{sign}{whole}.{fraction}" if fraction else sign + whole


class Spelling:
    """How one market is written: ticks and lots as JSON numbers; what is sold or asked for is negative."""

    __slots__ = ("instrument", "number", "pair", "symbol")

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self.pair = pair_of(instrument)
        self.symbol = f"t{self.pair}"
        self.number = CATALOGUE.index(instrument)

    def price(self, ticks: int) -> str:
        return number(ticks, self.instrument.tick_decimals)

    def amount(self, lots: int) -> str:
        return number(lots, LOT_DECIMALS)

    def trade_id(self, own: int) -> int:
        """The id of a trade among those of all pairs: it grows with the pair's own count and leaves numbers out."""
        return own * 64 + self.number
