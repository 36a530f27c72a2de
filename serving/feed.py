"""The live feed: one follower of the log for everybody, each batch decoded once and only for who wants it.

Put here: who wants what, and handing it out. Keep out: reading the log (`serving.follower`), what lies in a queue (`serving.subscriber`),
state that is kept by market (`serving.keeping`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress

import pyarrow as pa

from serving import expand
from serving.events import Event, MarketEvent
from serving.expand import CHANNEL_OF, Market
from serving.follower import Followed, Follower
from serving.keeping import Keeper
from serving.meters import Meters
from serving.reader import Reader
from serving.settings import ServingSettings
from serving.subscriber import Chunk, Subscriber
from serving.times import now_us
from serving.topics import Pattern, Topic


class Feed:
    """Live events of a home. Start it in a running loop, subscribe, and stop it at the end.

    In one process: `subscriber = feed.subscriber(); feed.subscribe(subscriber, [Pattern("trades", "", "BTC/USDT", "")])`, then
    `async for events in subscriber`, and `feed.leave(subscriber)`.
    """

    def __init__(self, reader: Reader, settings: ServingSettings, meters: Meters) -> None:
        self.reader = reader
        self.settings = settings
        self.meters = meters
        self.markets: set[Market] = set()
        """Markets that any batch was of since the start."""
        self._follower = Follower(reader.home)
        self._subscribers: set[Subscriber] = set()
        self._wanted: dict[tuple[str, str, str], tuple[Subscriber, ...]] = {}
        self._keeper = Keeper(self)
        self._task: asyncio.Task[None] | None = None
        self._swept = 0.0

    @property
    def running(self) -> bool:
        """Whether the log is being followed."""
        return self._task is not None and not self._task.done()

    @property
    def failure(self) -> str | None:
        """Why the feed ended though nobody stopped it."""
        if self._task is None or not self._task.done() or self._task.cancelled():
            return None
        error = self._task.exception()
        return None if error is None else f"{type(error).__name__}: {error}"

    @property
    def clients(self) -> int:
        """Receivers there are."""
        return len(self._subscribers)

    async def start(self) -> None:
        """Begin to follow: what is appended from now on."""
        await asyncio.to_thread(self._follower.poll)
        self._task = asyncio.create_task(self._run(), name="live-feed")

    async def stop(self) -> None:
        """End following; safe to repeat."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        await self._keeper.close()
        self._follower.close()

    def subscriber(self) -> Subscriber:
        """A new receiver, without subscriptions."""
        made = Subscriber(most_events=self.settings.live_queue_events)
        self._subscribers.add(made)
        return made

    def subscribe(self, subscriber: Subscriber, patterns: Iterable[Pattern]) -> None:
        """Add subscriptions; state of what they name (books, bars, windows) is sent as soon as it is known."""
        new = [each for each in patterns if each not in subscriber.patterns]
        subscriber.patterns.update(new)
        self._wanted.clear()
        for pattern in new:
            self._keeper.begin(subscriber, pattern)

    def unsubscribe(self, subscriber: Subscriber, patterns: Iterable[Pattern]) -> None:
        """Take subscriptions away; those that are none are passed over."""
        subscriber.patterns.difference_update(patterns)
        self._wanted.clear()
        subscriber.awaiting = {
            topic: lost for topic, lost in subscriber.awaiting.items() if subscriber in self.wanting(topic.channel, topic.market)
        }

    def leave(self, subscriber: Subscriber) -> None:
        """Forget a receiver."""
        self._subscribers.discard(subscriber)
        self._wanted.clear()

    def wanting(self, channel: str, market: Market) -> tuple[Subscriber, ...]:
        """Receivers that want a channel of a market, of whatever timeframe."""
        key = (channel, *market)
        known = self._wanted.get(key)
        if known is None:
            known = tuple(each for each in self._subscribers if any(pattern.wants(*key) for pattern in each.patterns))
            self._wanted[key] = known
        return known

    def wanting_topic(self, topic: Topic) -> tuple[Subscriber, ...]:
        """Receivers that want a topic; one with a timeframe only of that timeframe."""
        receivers = self.wanting(topic.channel, topic.market)
        if not topic.timeframe:
            return receivers
        return tuple(
            each
            for each in receivers
            if any(pattern.timeframe == topic.timeframe and pattern.wants(topic.channel, *topic.market) for pattern in each.patterns)
        )

    def timeframes(self, channel: str, market: Market) -> set[str]:
        """Timeframes of a channel that somebody wants of a market."""
        found = self.wanting(channel, market)
        return {pattern.timeframe for each in found for pattern in each.patterns if pattern.wants(channel, *market)}

    def patterns(self) -> set[Pattern]:
        """Every subscription there is."""
        return {pattern for each in self._subscribers for pattern in each.patterns}

    def receivers(self) -> Sequence[Subscriber]:
        """Every receiver."""
        return tuple(self._subscribers)

    def publish(self, topic: Topic, events: Sequence[Event]) -> None:
        """Hand events of a topic to all who want it."""
        receivers = self.wanting_topic(topic)
        if receivers and events:
            chunk = Chunk(topic, events)
            for each in receivers:
                each.push(chunk)

    async def _run(self) -> None:
        while True:
            begun = time.monotonic()
            for followed in await asyncio.to_thread(self._follower.poll):
                self._take(followed)
                # A long backlog must not keep clients from being written to.
                await asyncio.sleep(0)
            now = now_us()
            self._keeper.move(now)
            if begun - self._swept > 1.0:
                self._swept = begun
                self._keeper.sweep()
                self.meters.feed(clients=self.clients, waiting=max((each.waiting for each in self._subscribers), default=0))
            await asyncio.sleep(max(0.001, self.settings.live_poll_seconds - (time.monotonic() - begun)))

    def _take(self, followed: Followed) -> None:
        batch = followed.batch
        newest = batch["local_timestamp"] if "local_timestamp" in batch.schema.names else None
        if newest is not None and len(newest):
            self.meters.followed(followed.dataset, batch.num_rows, lag_us=now_us() - int(newest[len(newest) - 1].cast(pa.int64()).as_py()))
        channel = CHANNEL_OF.get(followed.dataset)
        if channel is None:
            return
        table = pa.Table.from_batches([batch])
        markets = expand.markets(table)
        self.markets.update(markets)
        wanted = [market for market in markets if self.wanting(channel, market) or self._keeper.needs(channel, market)]
        if not wanted:
            return
        rows = table if len(wanted) == len(markets) else expand.only(table, wanted)
        grouped: dict[Market, list[MarketEvent]] = {}
        for event in expand.events(followed.dataset, rows):
            grouped.setdefault((event.exchange, event.symbol), []).append(event)
        for market, events in grouped.items():
            if not self._keeper.take(channel, market, events):
                self.publish(Topic(channel, *market), events)
