"""Coinbase's limit of eight messages a second from one address, which all sockets of a collector share.

Put here: counting messages. Keep out: what they say (`live`).
"""

from __future__ import annotations

from collections import deque
from typing import Final

MESSAGES: Final = 7
"""One less than the venue allows, in a window a little longer: on their way messages may catch up with each other."""
WINDOW: Final = 1_100_000


class CommandBudget:
    """Messages sent lately by all sockets. Times are microseconds since 1970."""

    def __init__(self) -> None:
        self._sent: deque[int] = deque()

    def take(self, now: int) -> bool:
        """Count one message if it may be sent now."""
        sent = self._sent
        if sent and now < sent[-1]:
            # The clock was set back: what was noted says nothing any more.
            sent.clear()
        while sent and sent[0] <= now - WINDOW:
            sent.popleft()
        if len(sent) >= MESSAGES:
            return False
        sent.append(now)
        return True
