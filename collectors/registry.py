"""Every venue by exchange id: the one place that names them all.

Put here: a literal. Keep out: import magic, protocol.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from collectors.errors import UnknownExchange
from collectors.venue import Venue
from collectors.venues import binance, bitfinex, bitget, bybit, coinbase, gateio, htx, kraken, kucoin, mexc, okx

VENUES: Final[Mapping[str, Venue]] = {
    "binance": binance.VENUE,
    "kraken": kraken.VENUE,
    "okx": okx.VENUE,
    "bitfinex": bitfinex.VENUE,
    "coinbase": coinbase.VENUE,
    "bybit": bybit.VENUE,
    "htx": htx.VENUE,
    "kucoin": kucoin.VENUE,
    "bitget": bitget.VENUE,
    "mexc": mexc.VENUE,
    "gateio": gateio.VENUE,
}

ALIASES: Final[Mapping[str, str]] = {"huobi": "htx"}
"""Former names of exchanges that are accepted."""

HOSTS: Final[Mapping[str, str]] = {"huobi": "htx", "hbdm": "htx"}
"""Parts of host names that do not carry the exchange's id."""


def venue(name: str) -> Venue:
    """The venue that answers to an exchange id or alias; raises `UnknownExchange`."""
    found = VENUES.get(ALIASES.get(name, name))
    if found is None:
        raise UnknownExchange(name, [*VENUES, *(old for old, new in ALIASES.items() if new in VENUES)])
    return found


def exchange_of(conn: str) -> str | None:
    """Which exchange a connection or request URL belongs to, by its host or the first part of its path; None where neither says."""
    parts = urlsplit(conn)
    first = parts.path.lstrip("/").partition("/")[0]
    for name in VENUES:
        if name in (parts.hostname or "") or name == first:
            return name
    return next((name for part, name in HOSTS.items() if part in (parts.hostname or "") and name in VENUES), None)
