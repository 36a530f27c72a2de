"""Two sockets for every planned one: their names, and that they are never opened nor replaced at the same moment.

Put here: what the two share as connections. Keep out: how their rows merge (feeds.py, bookfeed.py), sockets.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import Final

from collectors.venue import ConnectionPlan

TWIN: Final = "b"
APART_SECONDS: Final = 1.0
"""Least time between the openings of two sockets of a pair."""


def twin_of(plan: ConnectionPlan) -> ConnectionPlan:
    """The plan of the second connection: the same streams under another name."""
    return replace(plan, name=f"{plan.name}{TWIN}")


class Pair:
    """What keeps two connections apart in time."""

    def __init__(self) -> None:
        self.replacing = asyncio.Lock()
        """Held by the one that is handing over to a new socket."""
        self._free_at = 0.0

    async def turn(self) -> None:
        """Wait until a socket may be opened without being too close to the last one."""
        now = time.monotonic()
        at = max(now, self._free_at)
        self._free_at = at + APART_SECONDS
        await asyncio.sleep(at - now)
