"""The outside sources of market context, pretended: what is asked over REST alone and belongs to no venue.

What belongs here: the registry of them and the contract with the server. What does not: exchanges (`simulator.venues`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from simulator.context.coingecko import CoinGecko
from simulator.context.coinglass import Coinglass
from simulator.faults import Faults
from simulator.venues.base import Answer


class Source(Protocol):
    """One source: its name is the first part of the path."""

    name: str

    def answer(self, path: str, params: Mapping[str, str], headers: Mapping[str, str], now_us: int) -> Answer | None:
        """The answer to a GET below /<name>, header names in lower case; None where there is no such path."""


def sources(*, seed: int, faults: Faults) -> dict[str, Source]:
    """Every source by name."""
    made: tuple[Source, ...] = (CoinGecko(seed=seed, faults=faults), Coinglass(seed=seed, faults=faults))
    return {source.name: source for source in made}


__all__ = ["Source", "sources"]
