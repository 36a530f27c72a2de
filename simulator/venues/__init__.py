"""The pretended venues by name; a new venue adds a line to VENUES and its own folder.

What belongs here: the registry. What does not: anything about a single venue.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from simulator.errors import UnknownSymbol
from simulator.instruments import Instrument
from simulator.venues.base import Venue
from simulator.venues.binance import catalogue as binance_catalogue
from simulator.venues.binance.venue import Binance
from simulator.venues.bitfinex import catalogue as bitfinex_catalogue
from simulator.venues.bitfinex.venue import Bitfinex
from simulator.venues.bitget import catalogue as bitget_catalogue
from simulator.venues.bitget.venue import Bitget
from simulator.venues.bybit import catalogue as bybit_catalogue
from simulator.venues.bybit.venue import Bybit
from simulator.venues.coinbase import catalogue as coinbase_catalogue
from simulator.venues.coinbase.venue import Coinbase
from simulator.venues.gateio import catalogue as gateio_catalogue
from simulator.venues.gateio.venue import Gateio
from simulator.venues.htx import catalogue as htx_catalogue
from simulator.venues.htx.venue import Htx
from simulator.venues.kraken import catalogue as kraken_catalogue
from simulator.venues.kraken.venue import Kraken
from simulator.venues.kucoin import catalogue as kucoin_catalogue
from simulator.venues.kucoin.venue import Kucoin
from simulator.venues.mexc import catalogue as mexc_catalogue
from simulator.venues.mexc.venue import Mexc
from simulator.venues.okx import catalogue as okx_catalogue
from simulator.venues.okx.venue import Okx


class Entry(NamedTuple):
    """A venue's class, everything it could trade, and what it trades when nobody says otherwise."""

    venue: type[Venue]
    catalogue: Sequence[Instrument]
    default_symbols: Sequence[str]
    invented: Callable[[str], Instrument | None] | None = None
    """Finds the instrument of an invented symbol, where the venue trades any number of them."""


VENUES: dict[str, Entry] = {
    "binance": Entry(Binance, binance_catalogue.CATALOGUE, binance_catalogue.DEFAULT_SYMBOLS, binance_catalogue.invented),
    "bitfinex": Entry(Bitfinex, bitfinex_catalogue.CATALOGUE, bitfinex_catalogue.DEFAULT_SYMBOLS),
    "coinbase": Entry(Coinbase, coinbase_catalogue.CATALOGUE, coinbase_catalogue.DEFAULT_SYMBOLS),
    "bitget": Entry(Bitget, bitget_catalogue.CATALOGUE, bitget_catalogue.DEFAULT_SYMBOLS),
    "bybit": Entry(Bybit, bybit_catalogue.CATALOGUE, bybit_catalogue.DEFAULT_SYMBOLS),
    "gateio": Entry(Gateio, gateio_catalogue.CATALOGUE, gateio_catalogue.DEFAULT_SYMBOLS),
    "htx": Entry(Htx, htx_catalogue.CATALOGUE, htx_catalogue.DEFAULT_SYMBOLS),
    "kraken": Entry(Kraken, kraken_catalogue.CATALOGUE, kraken_catalogue.DEFAULT_SYMBOLS),
    "kucoin": Entry(Kucoin, kucoin_catalogue.CATALOGUE, kucoin_catalogue.DEFAULT_SYMBOLS),
    "mexc": Entry(Mexc, mexc_catalogue.CATALOGUE, mexc_catalogue.DEFAULT_SYMBOLS),
    "okx": Entry(Okx, okx_catalogue.CATALOGUE, okx_catalogue.DEFAULT_SYMBOLS),
}


def entry(name: str) -> Entry:
    """The registry's entry for a venue; UnknownSymbol where there is none."""
    if name not in VENUES:
        raise UnknownSymbol("exchange", name, expected=", ".join(VENUES))
    return VENUES[name]


__all__ = ["VENUES", "Entry", "Venue", "entry"]
