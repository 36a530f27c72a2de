"""The one function that decides what follows from an error: try again, re-synchronise, or stop.

Put here: every case, in one place. Keep out: carrying the decision out (connection.py, runtime.py). Nothing else in this package
catches broadly.
"""

from __future__ import annotations

from enum import Enum

import httpx
from websockets.exceptions import InvalidStatus, InvalidURI, WebSocketException

from collectors.errors import CollectorError, ConfigError, FrameError, Refused
from lake.errors import LakeError


class Verdict(Enum):
    """What follows from an error."""

    RETRY = "retry"
    """Try the same again after the back-off: the network or the venue failed, or our own code for this venue did."""
    RESYNC = "resync"
    """The socket stands, but what it carried has a hole: note it and let the sequence rule bring the state back."""
    FATAL = "fatal"
    """Trying again cannot help: stop the collector with the message."""


REFUSING_STATUS = frozenset({401, 403, 418, 451})
"""Answers with which a venue or the wall in front of it sends a client away: unauthorised, forbidden, banned, blocked country."""


def classify(error: BaseException) -> Verdict:
    """What follows from `error`, whoever raised it. (A time-out is an OSError, as is a full disk: the log says so as a LakeError.)"""
    match error:
        case FrameError():
            return Verdict.RESYNC
        case ConfigError() | InvalidURI() | httpx.InvalidURL() | httpx.UnsupportedProtocol():
            return Verdict.FATAL
        case LakeError() | MemoryError():
            # The log cannot be written: collecting on would only lose what comes.
            return Verdict.FATAL
        case CollectorError() | httpx.HTTPError() | WebSocketException():
            return Verdict.RETRY
        case OSError() | EOFError():
            return Verdict.RETRY
        case Exception():
            # A bug in one venue's code must not take the other venues down: that connection starts afresh, loudly.
            return Verdict.RETRY
        case _:
            return Verdict.FATAL


def is_refusal(error: BaseException) -> bool:
    """Whether the venue refuses this client as configured, so that retrying fast makes it worse."""
    if isinstance(error, InvalidStatus):
        return error.response.status_code in REFUSING_STATUS
    return isinstance(error, Refused)


def is_expected(error: BaseException) -> bool:
    """Whether the error belongs to the life of a network; anything else is logged with its traceback."""
    return isinstance(error, CollectorError | LakeError | httpx.HTTPError | WebSocketException | OSError | EOFError)
