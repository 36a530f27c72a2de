"""What waits for one receiver of the live feed, within bounds.

Put here: the queue of a receiver, and what is said of what it lost. Keep out: which events there are (`serving.feed`), sockets
(`serving.live`).

A receiver that falls behind loses what waits for it, all at once and counted by topic, and goes on with what is new: late news of a
market is worth less than none. Nobody else notices.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence

from serving.events import Dropped, Event, encoded
from serving.topics import Pattern, Topic


class Chunk:
    """Events of one topic, written as JSON once for everybody who gets them."""

    __slots__ = ("_text", "events", "topic")

    def __init__(self, topic: Topic | None, events: Sequence[Event]) -> None:
        self.topic = topic
        self.events = events
        self._text: str | None = None

    @property
    def text(self) -> str:
        """The events as JSON, commas between, without the brackets of an array."""
        if self._text is None:
            self._text = encoded(self.events)[1:-1].decode("utf-8")
        return self._text


class Subscriber:
    """One receiver: its subscriptions, and what waits for it. Use from the loop of the feed."""

    def __init__(self, *, most_events: int) -> None:
        self.patterns: set[Pattern] = set()
        self.awaiting: dict[Topic, bool] = {}
        """Books it must get whole before any change; true where it lost changes."""
        self.lost = 0
        self._most = most_events
        self._queue: deque[Chunk] = deque()
        self._waiting = 0
        self._dropped: dict[str, int] = {}
        self._news = asyncio.Event()

    @property
    def waiting(self) -> int:
        """Events that wait."""
        return self._waiting

    def push(self, chunk: Chunk) -> None:
        """Let a chunk wait; when too much waits all of it is dropped, and counted."""
        if self._waiting and self._waiting + len(chunk.events) > self._most:
            for each in (*self._queue, chunk):
                if each.topic is None:
                    continue
                self.drop(each.topic, len(each.events))
                if each.topic.channel == "books":
                    self.awaiting[each.topic] = True
            self._queue = deque(each for each in self._queue if each.topic is None)
            self._waiting = sum(len(each.events) for each in self._queue)
            if chunk.topic is not None:
                return
        self._queue.append(chunk)
        self._waiting += len(chunk.events)
        self._news.set()

    def say(self, event: Event) -> None:
        """Let something wait that is never dropped."""
        self.push(Chunk(None, (event,)))

    def drop(self, topic: Topic, count: int) -> None:
        """Note that events of a topic were lost; the receiver is told."""
        self._dropped[str(topic)] = self._dropped.get(str(topic), 0) + count
        self.lost += count
        self._news.set()

    async def take(self, most: int = 5000) -> list[Chunk]:
        """Wait for news, and take up to about `most` events of it; what was dropped is said first."""
        await self._news.wait()
        taken: list[Chunk] = []
        if self._dropped:
            dropped, self._dropped = self._dropped, {}
            taken.append(Chunk(None, [Dropped(topic=topic, count=count) for topic, count in dropped.items()]))
        count = 0
        while self._queue and count < most:
            chunk = self._queue.popleft()
            count += len(chunk.events)
            taken.append(chunk)
        self._waiting -= count
        if not self._queue:
            self._news.clear()
        return taken

    async def __aiter__(self) -> AsyncIterator[Sequence[Event]]:
        """Events, as many as there are at a time, without end."""
        while True:
            yield [event for chunk in await self.take() for event in chunk.events]
