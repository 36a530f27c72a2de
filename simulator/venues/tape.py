"""Frames of the past as recorded lines: what every venue's tape shares.

What belongs here: one recorded line, gaps, the contract of a tape. What does not: any venue's frames, and when things happen
(history.py decides that).
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

from simulator.instruments import Instrument
from simulator.market import Changes, Market, Trade


class Gap(NamedTuple):
    """A span of time (unix microseconds) in which nothing of a symbol (`*`: of the whole exchange) was recorded."""

    exchange: str
    symbol: str
    start_us: int
    end_us: int


def stamp(time_us: int) -> str:
    """A time as the recordings write it; all of one length, so that lines sort as text."""
    return f"{time_us // 1_000_000}.{time_us % 1_000_000:06d}"


def line(time_us: int, conn: str, raw: str) -> str:
    """One received WebSocket message. `raw` must be free of backslashes and control characters."""
    escaped = raw.replace('"', '\\"')
    return f'{{"ts":{stamp(time_us)},"dir":"in","conn":"{conn}","raw":"{escaped}"}}\n'


def answer_line(time_us: int, url: str, body: str) -> str:
    """One REST answer."""
    return f'{{"ts":{stamp(time_us)},"dir":"in","conn":"{url}","kind":"http","raw":{json.dumps(body)}}}\n'


def connect_line(time_us: int, conn: str) -> str:
    """A socket was opened."""
    return f'{{"ts":{stamp(time_us)},"dir":"out","conn":"{conn}","kind":"connect"}}\n'


class Tape(ABC):
    """One market's frames. The venue lives on during a gap; only its frames are left out."""

    # Whether the venue marks and liquidates here, so that history.py schedules it.
    marks: bool = False

    def __init__(self, market: Market, gaps: Sequence[Gap]) -> None:
        self.market = market
        self.gaps = [gap for gap in gaps if gap.symbol in {"*", market.instrument.symbol, market.instrument.pair}]

    def hidden(self, time_us: int) -> bool:
        """Whether a frame received at that time falls into a gap."""
        return any(gap.start_us <= time_us < gap.end_us for gap in self.gaps)

    @abstractmethod
    def open(self, time_us: int) -> list[str]:
        """Lines of this market when its socket has just been opened."""

    @abstractmethod
    def order(self, fills: list[Trade]) -> list[str]:
        """Lines for the fills of one taker order."""

    @abstractmethod
    def book(self, changes: Changes) -> list[str]:
        """Lines for what changed in the book, with whatever a collector fetches to be in step again."""

    def mark(self, time_us: int) -> list[str]:
        """Lines for the mark price."""
        del time_us
        return []

    def forced(self, fills: list[Trade]) -> list[str]:
        """Lines for a forced order."""
        del fills
        return []


class Reel(ABC):
    """One exchange's tapes and what concerns all of them."""

    def __init__(self, markets: Sequence[Market], gaps: Sequence[Gap]) -> None:
        self.markets = markets
        self.gaps = gaps

    @abstractmethod
    def tapes(self) -> Sequence[Tape]:
        """One tape per market."""

    @abstractmethod
    def instruments(self, time_us: int) -> list[str]:
        """The venue's instrument lists over REST."""

    @abstractmethod
    def connect(self, time_us: int) -> list[str]:
        """Sockets opened and subscriptions acknowledged, within 200 ms after the time."""


def instruments_of(markets: Sequence[Market]) -> list[Instrument]:
    """What the markets trade."""
    return [market.instrument for market in markets]
