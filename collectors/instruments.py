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


@dataclass(frozen=True, slots=True)
class InstrumentList:
    """Instruments by CCXT symbol. `stale_since` is when they were fetched (microseconds) if the REST was down, else None."""

    instruments: Mapping[str, Instrument]
    stale_since: int | None = None
    failure: str = ""


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
        kept = _read(home, venue.exchange, markets)
        if kept is None:
            raise
        return InstrumentList(_by_symbol(kept[0]), stale_since=kept[1], failure=str(error))
    for market in markets:
        of_market = [instrument for instrument in found if instrument.market == market]
        if not of_market:
            raise ConnectionLost(f"{venue.exchange} listed no instrument of market {market!r}, expected at least one")
        _write(home, Cached(venue.exchange, market, now, of_market))
    return InstrumentList(_by_symbol(found))


def _by_symbol(instruments: list[Instrument]) -> dict[str, Instrument]:
    return {instrument.symbol: instrument for instrument in instruments}


def _write(home: Home, cached: Cached) -> None:
    path = cache_path(home, cached.exchange, cached.market)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".tmp-{path.name}")
    temporary.write_bytes(msgspec.json.encode(cached))
    temporary.replace(path)


def _read(home: Home, exchange: str, markets: list[str]) -> tuple[list[Instrument], int] | None:
    """What the cache holds for `markets` and the time of its oldest answer, or None where one is missing or unreadable."""
    instruments: list[Instrument] = []
    oldest: int | None = None
    for market in markets:
        try:
            cached = msgspec.json.decode(cache_path(home, exchange, market).read_bytes(), type=Cached)
        except (FileNotFoundError, msgspec.DecodeError):
            return None
        instruments += cached.instruments
        oldest = cached.fetched_at if oldest is None else min(oldest, cached.fetched_at)
    return None if oldest is None else (instruments, oldest)
