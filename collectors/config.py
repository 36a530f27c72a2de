"""tickhouse.toml: which exchanges, symbols and channels are collected.

Put here: reading and validating that file, each error one sentence that names the key, the value and what is allowed.
Keep out: how a collector behaves (settings.py) and what a venue can do (its own module answers).
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from collectors.errors import ConfigError, UnknownChannel, UnknownExchange
from collectors.registry import ALIASES
from collectors.venue import Venue, Wanted
from lake.bucket_sizes import bucket_sizes
from lake.errors import BucketSizeError

_TOP: Final = ("exchanges", "heatmap", "indicators", "retention")
_KEYS: Final = ("symbols", "channels", "depth", "redundant", "endpoints")
_DEPTH: Final = range(1, 10_001)
_FAMILIES: Final = (("ws://", "wss://"), ("http://", "https://"))


@dataclass(frozen=True, slots=True)
class MarketsConfig:
    """What is wanted of each exchange, by exchange id."""

    exchanges: Mapping[str, Wanted]

    def endpoints(self, venue: Venue) -> dict[str, str]:
        """The venue's endpoints with the overrides of the file in place."""
        return {**venue.endpoints, **self.exchanges[venue.exchange].endpoints}


def load(path: Path, venues: Mapping[str, Venue]) -> MarketsConfig:
    """Read `path`, validated against `venues`. Raises `ConfigError` (a file that is missing or no TOML included)."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"configuration {path} cannot be read: {error.strerror}") from error
    return parse(text, venues, source=str(path))


def parse(text: str, venues: Mapping[str, Venue], *, source: str = "tickhouse.toml") -> MarketsConfig:
    """Validate the text of a tickhouse.toml against `venues`. Raises `ConfigError`."""
    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"configuration {source} is no TOML: {error}") from error
    _only(found, _TOP, where=source)
    try:
        bucket_sizes(found.get("heatmap", {}), source=source)
    except BucketSizeError as error:
        raise ConfigError(str(error)) from error
    tables = _table(found.get("exchanges"), f"exchanges in {source}")
    if not tables:
        raise ConfigError(f"{source} names no exchange: expected at least one table, e.g. [exchanges.binance]")
    wanted: dict[str, Wanted] = {}
    for given, table in tables.items():
        exchange = ALIASES.get(given, given)
        if exchange not in venues:
            raise UnknownExchange(given, [*venues, *(old for old, new in ALIASES.items() if new in venues)])
        if exchange in wanted:
            raise ConfigError(f"exchanges.{given} in {source} names {exchange} a second time: expected each exchange once")
        wanted[exchange] = _exchange(table, venues[exchange], key=f"exchanges.{given}")
    return MarketsConfig(wanted)


def _exchange(value: object, venue: Venue, *, key: str) -> Wanted:
    table = _table(value, key)
    _only(table, _KEYS, where=key)
    symbols = _strings(table.get("symbols"), f"{key}.symbols")
    for symbol in symbols:
        venue.market_of(symbol)
    channels = _strings(table.get("channels", list(venue.channels)), f"{key}.channels")
    for channel in channels:
        if channel not in venue.channels:
            raise UnknownChannel(venue.exchange, channel, venue.channels)
    depth = table.get("depth", 1000)
    if not isinstance(depth, int) or isinstance(depth, bool) or depth not in _DEPTH:
        raise ConfigError(f"{key}.depth is {depth!r}, allowed is a whole number of book levels from {_DEPTH.start} to {_DEPTH.stop - 1}")
    redundant = table.get("redundant", False)
    if not isinstance(redundant, bool):
        raise ConfigError(f"{key}.redundant is {redundant!r}, allowed is true (two sockets for every stream) or false")
    endpoints = _endpoints(table.get("endpoints", {}), venue, key=f"{key}.endpoints")
    return Wanted(symbols=symbols, channels=channels, depth=depth, redundant=redundant, endpoints=endpoints)


def _endpoints(value: object, venue: Venue, *, key: str) -> dict[str, str]:
    table = _table(value, key)
    _only(table, venue.endpoints, where=key)
    for name, url in table.items():
        schemes = next(family for family in _FAMILIES if venue.endpoints[name].startswith(family))
        if not isinstance(url, str) or not url.startswith(schemes):
            raise ConfigError(f"{key}.{name} is {url!r}, allowed is an address that begins with {' or '.join(schemes)}")
    return {name: url.rstrip("/") for name, url in table.items()}


def _table(value: object, key: str) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ConfigError(f"{key} is {value!r}, allowed is a table")
    return value


def _strings(value: object, key: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or not all(isinstance(item, str) for item in value):
        raise ConfigError(f"{key} is {value!r}, allowed is a list of at least one text")
    twice = next((item for item in value if value.count(item) > 1), None)
    if twice is not None:
        raise ConfigError(f"{key} names {twice!r} twice: expected each once")
    return tuple(value)


def _only(table: Mapping[str, object], allowed: Iterable[str], *, where: str) -> None:
    names = list(allowed)
    for name in table:
        if name not in names:
            near = get_close_matches(name, names, n=1)
            hint = f" (did you mean {near[0]!r}?)" if near else ""
            raise ConfigError(f"key {name!r} in {where} is unknown{hint}; allowed are {', '.join(names)}")
