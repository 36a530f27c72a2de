"""Request budgets: how much weight a host takes in a span of time, and who goes first when it does not take more.

Put here: counting and queueing, time handed in or taken from the loop. Keep out: HTTP itself (http.py) and each venue's numbers.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping
from heapq import heappop, heappush
from itertools import count
from types import MappingProxyType
from typing import Final

from collectors.errors import ConfigError

SLACK: Final = 1.02
"""A window is kept this much longer than the venue's: two requests may be closer together when they arrive than when they left."""
BACKFILL_SHARE: Final = 0.6
"""Of a budget, what back-fills and polls may use up, so that a book that must be fetched anew finds room at once."""
AT_ONCE: Final = 6
"""Requests under way to one host at a time; more would only queue up in the venue."""
LONGEST_PAUSE_SECONDS: Final = 90.0
"""Requests wait for a pause of up to this long to end; a longer one fails them, so that their sessions can decide anew."""

URGENCY: Final[Mapping[str, int]] = MappingProxyType({"instruments": 0, "depth": 0, "trades": 1})
"""By purpose of a request, its place in the queue: the smaller goes first. What is not named (polls) comes last."""
LEAST_URGENT: Final = 2


class Window:
    """A budget of `capacity` weight in any `per_seconds`, whenever they begin, so that no clock a venue counts by sees more."""

    def __init__(self, capacity: float, per_seconds: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        if capacity <= 0 or per_seconds <= 0:
            raise ConfigError(f"a budget of {capacity} in {per_seconds} seconds allows nothing: expected both above 0")
        self.capacity = capacity
        self.per_seconds = per_seconds
        self._clock = clock
        self._spent: deque[tuple[float, float]] = deque()
        self._used = 0.0
        self._turn = asyncio.Lock()

    @property
    def used(self) -> float:
        """Weight spent in the window that ends now."""
        self._forget(self._clock())
        return self._used

    def wait(self, weight: float, *, share: float = 1.0) -> float:
        """Seconds until `weight` fits into `share` of the budget; 0 takes it. A weight above all of that waits for an empty window."""
        now = self._clock()
        self._forget(now)
        limit = self.capacity * share
        excess = self._used + min(weight, limit) - limit
        if excess <= 1e-9:
            self._spent.append((now, weight))
            self._used += weight
            return 0.0
        for at, spent in self._spent:
            excess -= spent
            if excess <= 1e-9:
                return max(at + self.per_seconds * SLACK - now, 1e-3)
        return self.per_seconds

    def learn(self, used: float) -> None:
        """The venue says how much it has counted; what we did not spend ourselves, somebody else behind our address did."""
        now = self._clock()
        self._forget(now)
        if used > self._used:
            self._spent.append((now, used - self._used))
            self._used = used

    async def take(self, weight: float) -> None:
        """Wait until `weight` fits, and take it; callers are served in the order they came."""
        async with self._turn:
            while (seconds := self.wait(weight)) > 0:  # noqa: ASYNC110 - a window that moves has no event to wait for
                await asyncio.sleep(seconds)

    def _forget(self, now: float) -> None:
        spent, span = self._spent, self.per_seconds * SLACK
        while spent and spent[0][0] + span <= now:
            self._used -= spent.popleft()[1]
        if not spent:
            self._used = 0.0


class Pause:
    """How long one host is left alone, and why."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.reason = ""
        self.banned = False
        self.bans = 0
        """Refusals since the last answer."""
        self._until = 0.0
        self._clock = clock

    @property
    def seconds(self) -> float:
        """From now, 0 when the host may be asked."""
        return max(0.0, self._until - self._clock())

    @property
    def fails(self) -> bool:
        """Whether requests fail for it instead of waiting."""
        seconds = self.seconds
        return seconds > 0 and (self.banned or seconds > LONGEST_PAUSE_SECONDS)

    def begin(self, seconds: float, reason: str, *, banned: bool = False) -> None:
        """Leave the host alone for `seconds`, or longer where it was to be already."""
        until = self._clock() + seconds
        if until >= self._until or (banned and not self.banned):
            self._until, self.reason, self.banned = max(until, self._until), reason, banned


class Gate:
    """Where the requests of one budget wait: the most urgent first, of these in the order they came, a few under way at once.

    `share` is what the less urgent may use of the window; all of it where nothing urgent is ever paid from this budget.
    """

    def __init__(self, window: Window, pause: Pause, *, at_once: int = AT_ONCE, share: float = BACKFILL_SHARE) -> None:
        self.window = window
        self.pause = pause
        self._at_once = at_once
        self._share = share
        self._inside = 0
        self._number = count()
        self._waiting: list[tuple[int, int, float, asyncio.Future[None]]] = []
        self._timer: asyncio.TimerHandle | None = None

    @property
    def waiting(self) -> int:
        """Requests that wait for their turn."""
        return sum(not entry[3].done() for entry in self._waiting)

    async def enter(self, weight: float, *, urgency: int) -> None:
        """Wait for this request's turn; each `enter` that returns is followed by one `leave`.

        While the pause fails requests everyone is let through at once, unpaid: the caller looks at the pause before it asks.
        """
        turn = asyncio.get_running_loop().create_future()
        heappush(self._waiting, (urgency, next(self._number), weight, turn))
        self.turn_over()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.leave()
            raise

    def leave(self) -> None:
        """The request is answered, or came to nothing."""
        self._inside -= 1
        self.turn_over()

    def turn_over(self) -> None:
        """Let in whoever may go now, and come back when the next one may."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._waiting:
            urgency, _, weight, turn = self._waiting[0]
            if not turn.done():
                if self.pause.fails:
                    seconds = 0.0
                elif self._inside >= self._at_once:
                    return
                else:
                    seconds = self.pause.seconds or self.window.wait(weight, share=self._share if urgency else 1.0)
                if seconds > 0:
                    self._timer = asyncio.get_running_loop().call_later(seconds, self.turn_over)
                    return
                self._inside += 1
                turn.set_result(None)
            heappop(self._waiting)
