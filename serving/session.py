"""One replay as it runs: speed, pauses, steps and jumps over an ordered stream.

Put here: when the next event is due, and what a control does. Keep out: reading the past (`serving.replay`), addresses
(`serving.replaying`).

Whoever takes events drives the session: nothing is read that nobody takes, so memory stays bounded whatever the speed.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Final, Literal

from serving import replay
from serving.errors import BadRequest, Conflict
from serving.events import Event, ReplayState
from serving.reader import Reader
from serving.replay import Script, Timed
from serving.times import iso

State = Literal["created", "running", "paused", "ended", "stopped"]

SLOWEST: Final = 0.1
FASTEST: Final = 1_000_000.0
_MOST: Final = 2000
_NAP: Final = 0.02
"""Events due within so many seconds are handed over together."""


def checked_speed(speed: float | None) -> float | None:
    """The speed itself; None is as fast as they are taken. Raises `BadRequest`."""
    if speed is not None and not SLOWEST <= speed <= FASTEST:
        raise BadRequest(f"speed is {speed}, expected {SLOWEST} to {FASTEST:g} times real time, or null for as fast as possible")
    return speed


class Session:
    """A replay of `script`. Controls and `take` belong to one event loop; one receiver takes at a time."""

    def __init__(self, reader: Reader, script: Script, *, speed: float | None = 1.0) -> None:
        self.script = script
        self.speed = checked_speed(speed)
        self.state: State = "created"
        self.position = script.start
        self.sent = 0
        self.touched = time.monotonic()
        self._reader = reader
        self._source: Iterator[list[Timed]] | None = None
        self._buffer: deque[Timed] = deque()
        self._notes: deque[ReplayState] = deque()
        self._steps = 0
        self._jump: int | None = None
        self._anchor: tuple[float, int] | None = None
        self._changed = asyncio.Event()
        self._taking = asyncio.Lock()

    @property
    def attached(self) -> bool:
        """Whether somebody takes events."""
        return self._taking.locked()

    def start(self) -> None:
        """Begin, or go on after a pause."""
        self._alive()
        if self.state in {"created", "paused"}:
            self._enter("running")

    resume = start

    def pause(self) -> None:
        """Hold; what was taken is taken."""
        self._alive()
        if self.state == "running":
            self._enter("paused")
        elif self.state != "paused":
            raise Conflict(f"the replay is {self.state}, expected a running one to pause")

    def step(self, count: int = 1) -> None:
        """Let `count` events through while paused (or not begun)."""
        self._alive()
        if self.state not in {"created", "paused"}:
            raise Conflict(f"the replay is {self.state}, expected a paused one to step")
        self._steps += count
        self._wake()

    def seek(self, to: int) -> None:
        """Go on from another instant of the range (microseconds), in the state it is in; one that has ended pauses there."""
        self._alive()
        if not self.script.start <= to <= self.script.end:
            raise BadRequest(f"the instant is {iso(to)}, expected one from {iso(self.script.start)} to {iso(self.script.end)}")
        self._jump = to
        self._steps = 0
        self.position = to
        self._buffer.clear()
        if self.state == "ended":
            self._enter("paused")
        self._wake()

    def set_speed(self, speed: float | None) -> None:
        """Go on at another speed."""
        self._alive()
        self.speed = checked_speed(speed)
        self._anchor = None
        self._wake()

    def stop(self) -> None:
        """End for good; safe to repeat."""
        if self.state != "stopped":
            self._enter("stopped")
            self._buffer.clear()

    async def close(self) -> None:
        """Stop, and let go of what is being read."""
        self.stop()
        async with self._taking:
            await self._let_go()

    async def stream(self) -> AsyncIterator[list[Event]]:
        """Events as they come due; the last list says `ended` or `stopped`. Raises `Conflict` where somebody takes already."""
        if self._taking.locked():
            raise Conflict("somebody takes the events of this replay already, expected one receiver")
        async with self._taking:
            while True:
                events = await self._take()
                self.touched = time.monotonic()
                yield events
                if any(isinstance(event, ReplayState) and event.state in {"ended", "stopped"} for event in events):
                    return

    async def _take(self) -> list[Event]:
        """Wait for what comes next: changes of state first, then events that are due."""
        while True:
            if self._jump is not None:
                await self._jump_now()
            if self._notes:
                notes: list[Event] = [*self._notes]
                self._notes.clear()
                return notes
            held = self.state in {"created", "paused"}
            if self.state in {"ended", "stopped"}:
                return [self._note()]
            if held and not self._steps:
                await self._news(None)
            elif not self._buffer:
                await self._fetch()
            elif held:
                taken = self._pop(min(self._steps, _MOST), until=None)
                self._steps -= len(taken)
                return taken
            elif self.speed is None:
                return self._pop(_MOST, until=None)
            elif due := self._pop(_MOST, until=self._due(self.speed)):
                return due
            else:
                await self._news(max(_NAP, (self._buffer[0][0] - self._due(self.speed)) / 1e6 / self.speed))

    def _due(self, speed: float) -> int:
        """The time the replay has come to by its speed."""
        if self._anchor is None:
            self._anchor = (time.monotonic(), self.position)
        wall, then = self._anchor
        return then + int((time.monotonic() - wall) * speed * 1e6)

    def _pop(self, most: int, *, until: int | None) -> list[Event]:
        taken: list[Event] = []
        while self._buffer and len(taken) < most and (until is None or self._buffer[0][0] <= until):
            self.position, event = self._buffer.popleft()
            taken.append(event)
        self.sent += len(taken)
        return taken

    async def _fetch(self) -> None:
        """Read on; at the end of the script the session has ended."""
        chunk = await self._reader.call(self._next)
        if self._jump is not None or self.state == "stopped":
            return
        self._buffer.extend(chunk)
        if not chunk:
            self._steps = 0
            self.position = self.script.end
            self._enter("ended")

    def _next(self) -> list[Timed]:
        if self._source is None:
            self._source = replay.chunks(self._reader, replace(self.script, start=self.position))
        return next(self._source, [])

    async def _jump_now(self) -> None:
        await self._let_go()
        if self._jump is None:
            return
        self.position, self._jump = self._jump, None
        self._buffer.clear()
        self._anchor = None
        self._notes.append(self._note("seeked"))

    async def _let_go(self) -> None:
        source, self._source = self._source, None
        if source is not None:
            await self._reader.call(source.close)  # type: ignore[attr-defined]  # it is a generator

    async def _news(self, seconds: float | None) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._changed.wait(), seconds)
        self._changed.clear()

    def _enter(self, state: State) -> None:
        self.state = state
        self._anchor = None
        self._notes.append(self._note())
        self._wake()

    def _wake(self) -> None:
        self.touched = time.monotonic()
        self._changed.set()

    def _alive(self) -> None:
        if self.state == "stopped":
            raise Conflict("the replay was stopped, expected one that still exists: create another")

    def _note(self, state: str | None = None) -> ReplayState:
        return ReplayState(state=state or self.state, position=self.position, sent=self.sent, speed=self.speed)
