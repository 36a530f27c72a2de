"""Every error `collectors` raises, as one tree; leaves carry what was received and what was expected.

CollectorError
├── FrameError            a frame or answer that cannot be decoded (becomes a dead letter)
├── ConfigError           tickhouse.toml asks for something that is not there
│   ├── UnknownExchange
│   ├── UnknownSymbol
│   └── UnknownChannel
├── RecordingError        a recording that cannot be read
├── ConnectionLost        the socket ended or could not be opened (retry)
└── Refused               the venue refuses this client as configured (do not retry fast)
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class CollectorError(Exception):
    """Root of everything this package raises."""


class FrameError(CollectorError):
    """A frame or answer that cannot be decoded."""

    def __init__(self, exchange: str, reason: str) -> None:
        self.exchange = exchange
        self.reason = reason
        super().__init__(f"{exchange} sent a frame that cannot be decoded: {reason}")


class ConfigError(CollectorError):
    """The configuration asks for something that is not there."""


def _allowed(value: str, known: Iterable[str]) -> str:
    names = sorted(known)
    near = get_close_matches(value, names, n=3)
    shown = near or names[:12]
    more = "" if len(shown) == len(names) else f" (and {len(names) - len(shown)} more)"
    return f"{', '.join(shown)}{more}"


class UnknownExchange(ConfigError):
    """An exchange id that no venue answers to."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        self.name = name
        super().__init__(f"exchange {name!r} is unknown; known are {_allowed(name, known)}")


class UnknownSymbol(ConfigError):
    """A symbol the venue does not list."""

    def __init__(self, exchange: str, symbol: str, known: Iterable[str]) -> None:
        self.exchange = exchange
        self.symbol = symbol
        super().__init__(f"symbol {symbol!r} is not listed on {exchange}; near or known are {_allowed(symbol, known)}")


class UnknownChannel(ConfigError):
    """A channel the venue does not publish."""

    def __init__(self, exchange: str, channel: str, known: Iterable[str]) -> None:
        self.exchange = exchange
        self.channel = channel
        super().__init__(f"channel {channel!r} is not published by {exchange}; allowed are {_allowed(channel, known)}")


class RecordingError(CollectorError):
    """A recording that cannot be read."""


class ConnectionLost(CollectorError):
    """The socket ended or could not be opened."""


class Refused(CollectorError):
    """The venue refuses this client as configured (a ban, a blocked country): retrying fast makes it worse."""
