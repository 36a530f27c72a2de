"""Instruments of an exchange: asked of its REST, kept under the home, and read from there while the REST is down.

Put here: fetching, the cache and its age. Keep out: what an answer means (the venue parses) and how requests are paced (http.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from collectors.classify import Verdict, classify
from collectors.errors import CollectorError, ConnectionLost
from collectors.http import RestClient
from collectors.venue import Instrument, Venue
from lake.paths import Home


class Cached(msgspec.Struct, frozen=True):
    """The instruments of one market as kept in `<home>/instruments/<exchange>-<market>.json`; time in microseconds."""

    exchange: str
    market: str
    fetched_at: int
    instruments: list[Instrument]
    gone: list[str] = []
    """Symbols that earlier lists held and this one does not."""


@dataclass(frozen=True, slots=True)
class InstrumentList:
    """Instruments by CCXT symbol. `stale_since` is when they were fetched (microseconds) if the REST was down, else None."""

    instruments: Mapping[str, Instrument]
    stale_since: int | None = None
    failure: str = ""
    gone: frozenset[str] = frozenset()
    """Symbols that were listed once and are no longer."""


def cache_path(home: Home, exchange: str, market: str) -> Path:
    """Where the instruments of a market are kept."""
    return home.instruments / f"{exchange}-{market}.json"


async def fetch(
    venue: Venue, endpoints: Mapping[str, str], markets: list[str], *, rest: RestClient, home: Home, now: int
) -> InstrumentList:
    """Instruments of `markets`, from the venue or else from the cache.

    Raises what the request raised (`ConnectionLost`, `Refused`, `FrameError`) when a market is not in the cache either.
    """
    try:
        found: list[Instrument] = []
        for request in venue.instrument_requests(endpoints, markets):
            found += venue.parse_instruments(request, await rest.get(request))
    except CollectorError as error:
        if classify(error) is Verdict.FATAL:
            raise
        kept = [_read(home, venue.exchange, market) for market in markets]
        if None in kept:
            raise
        cached = [each for each in kept if each is not None]
        oldest = min(each.fetched_at for each in cached)
        return InstrumentList(
            _by_symbol([instrument for each in cached for instrument in each.instruments]),
            stale_since=oldest,
            failure=str(error),
            gone=frozenset(symbol for each in cached for symbol in each.gone),
        )
    gone: set[str] = set()
    for market in markets:
        of_market = [instrument for instrument in found if instrument.market == market]
        if not of_market:
            raise ConnectionLost(f"{venue.exchange} listed no instrument of market {market!r}, expected at least one")
        gone |= _write(home, Cached(venue.exchange, market, now, of_market))
    return InstrumentList(_by_symbol(found), gone=frozenset(gone))


def _by_symbol(instruments: list[Instrument]) -> dict[str, Instrument]:
    return {instrument.symbol: instrument for instrument in instruments}


def _write(home: Home, cached: Cached) -> set[str]:
    """Keep a list; returns the symbols that were listed before and are no longer."""
    former = _read(home, cached.exchange, cached.market)
    now = {instrument.symbol for instrument in cached.instruments}
    gone = set() if former is None else {*former.gone, *(instrument.symbol for instrument in former.instruments)} - now
    cached = msgspec.structs.replace(cached, gone=sorted(gone))
    path = cache_path(home, cached.exchange, cached.market)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".tmp-{path.name}")
    temporary.write_bytes(msgspec.json.encode(cached))
    temporary.replace(path)
    return gone


def _read(home: Home, exchange: str, market: str) -> Cached | None:
    """What the cache holds of a market, or None where that is missing or unreadable."""
    try:
        return msgspec.json.decode(cache_path(home, exchange, market).read_bytes(), type=Cached)
    except (FileNotFoundError, msgspec.DecodeError):
        return None
