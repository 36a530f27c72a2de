"""What a channel is, and the one that is always there: the log.

Put here: the protocol, the log channel and the redaction of secrets. Keep out: Discord (`discord`) and what Apprise reaches (`relayed`).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from typing import Final, Protocol

from orchestration.alerting.messages import Message

HIDDEN: Final = "***"
_LEAST_SECRET: Final = 6
"""Shorter pieces of an address are words that texts hold anyway."""


class Channel(Protocol):
    """One way to people. Its `name` is what the ledger knows it by, and holds no secret."""

    @property
    def name(self) -> str: ...

    def send(self, message: Message) -> None:
        """Try once. Returns when the channel has taken the message; raises a `ChannelError` otherwise."""

    def close(self) -> None:
        """Give up what it holds open; safe to repeat."""


class LogChannel:
    """Writes messages to a logger, of Dagster or of Python; it cannot fail."""

    name = "log"

    def __init__(self, logger: logging.Logger | None = None) -> None:
        self._logger = logger or logging.getLogger("tickhouse.alerts")

    def send(self, message: Message) -> None:
        """Log it: grave ones as warnings."""
        level = logging.WARNING if message.severity in {"HIGH", "CRITICAL"} else logging.INFO
        self._logger.log(level, "alert %s\n%s", message.heading, message.plain)

    def close(self) -> None:
        """Nothing is held open."""


class Redactor:
    """Takes the secrets of addresses out of a text: the address itself, and each piece of its path, user part and query."""

    def __init__(self, addresses: Iterable[str]) -> None:
        found: set[str] = set()
        for address in addresses:
            found.add(address)
            rest = address.partition("://")[2]
            pieces = re.split(r"[/?&=:@#,]", rest)
            found.update(piece for piece in pieces if len(piece) >= _LEAST_SECRET and not _is_host(piece))
        self._secrets = sorted(found - {""}, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """The text without them."""
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        return text


def _is_host(piece: str) -> bool:
    """Host names and the words of a webhook's path are no secret, and texts are better to read with them."""
    return re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)+", piece) is not None or piece in {"webhooks", "localhost", "services"}
