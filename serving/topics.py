"""What a client subscribes to, and the names of topics.

Put here: channels, subscriptions as they are sent, which topic an event belongs to. Keep out: queues and sockets.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import msgspec

from lake.transforms.timeframes import TIMEFRAMES
from serving.errors import BadRequest
from serving.symbols import exchange_id

CHANNELS: Final = ("trades", "books", "tops", "candles", "indicators", "windows", "liquidations", "derivatives", "gaps", "alerts")
TIMED: Final = frozenset({"candles", "indicators"})
"""Channels that have a timeframe."""

ONE_SYMBOL: Final = frozenset({"books", "candles", "indicators", "windows"})
"""Channels whose state is kept by market: a subscription names the symbol."""


class Topic(NamedTuple):
    """A stream of events: a channel of one market, of one timeframe where it has one."""

    channel: str
    exchange: str
    symbol: str
    timeframe: str = ""

    def __str__(self) -> str:
        return "|".join(filter(None, self))

    @property
    def market(self) -> tuple[str, str]:
        return self.exchange, self.symbol


class Wish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One subscription as a client sends it; without an exchange it is of every exchange, without a symbol of every symbol."""

    channel: str
    exchange: str | None = None
    symbol: str | None = None
    timeframe: str | None = None


class Pattern(NamedTuple):
    """A subscription that has been understood; empty means any."""

    channel: str
    exchange: str
    symbol: str
    timeframe: str

    def __str__(self) -> str:
        return "|".join((self.channel, self.exchange or "*", self.symbol or "*", *filter(None, [self.timeframe])))

    def wants(self, channel: str, exchange: str, symbol: str) -> bool:
        """Whether events of this channel and market are among those meant."""
        return self.channel == channel and self.exchange in {"", exchange} and self.symbol in {"", symbol}


def understood(wish: Wish, resolve: Callable[[str, str | None], str]) -> Pattern:
    """The pattern of a wish; `resolve` makes a unified symbol of (text, exchange). Raises `BadRequest`."""
    if wish.channel not in CHANNELS:
        raise BadRequest(f"channel is {wish.channel[:40]!r}, expected one of {', '.join(CHANNELS)}")
    exchange = exchange_id(wish.exchange) if wish.exchange else ""
    if not wish.symbol and wish.channel in ONE_SYMBOL:
        raise BadRequest(f"channel {wish.channel} came without a symbol, expected one as BTC/USDT")
    timeframe = wish.timeframe or ""
    if wish.channel in TIMED:
        timeframe = timeframe or "1m"
        if timeframe not in TIMEFRAMES:
            raise BadRequest(f"timeframe is {timeframe[:20]!r}, expected one of {' '.join(TIMEFRAMES)}")
    elif timeframe:
        raise BadRequest(f"channel {wish.channel} came with the timeframe {timeframe[:20]!r}, expected none")
    return Pattern(wish.channel, exchange, resolve(wish.symbol, exchange or None) if wish.symbol else "", timeframe)
