"""Answers many viewers wait for, worked out once.

Put here: how long an answer is handed out again, and that nobody asks for the second time what is being worked out. Keep out: what is
answered (`serving.dashboard.pages`).
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable


class Shared:
    """Answers by key, each worked out at most once within its time, however many ask; `most` keys are remembered.

    Use from one event loop. An answer that failed is told to all who waited for it, and is not kept.
    """

    def __init__(self, *, most: int = 256, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._clock = clock
        self._kept: OrderedDict[Hashable, tuple[float, asyncio.Future[bytes]]] = OrderedDict()

    async def get(self, key: Hashable, work: Callable[[], Awaitable[bytes]], *, seconds: float) -> bytes:
        """The answer of `key`, at most `seconds` old, else that of `work()`. Raises what `work` raises."""
        found = self._kept.get(key)
        if found is None or (found[1].done() and self._clock() - found[0] > seconds):
            task = asyncio.ensure_future(work())
            task.add_done_callback(lambda done: self._settle(key, done))
            self._kept[key] = found = (self._clock(), task)
            self._kept.move_to_end(key)
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)
        # One viewer who goes away must not take the answer from the others.
        return await asyncio.shield(found[1])

    def _settle(self, key: Hashable, done: asyncio.Future[bytes]) -> None:
        held = self._kept.get(key)
        if held is None or held[1] is not done:
            return
        if done.cancelled() or done.exception() is not None:
            del self._kept[key]
        else:
            self._kept[key] = (self._clock(), done)
