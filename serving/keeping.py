"""State that is kept for the markets somebody watches: books, forming bars and their indicators, windows.

Put here: when such state begins, moves and is given up, and what of it is sent. Keep out: the state itself (`serving.books`,
`serving.bars`, `serving.studies`, `serving.windows`).

State begins with what the lake holds, read in a thread; what is followed meanwhile is kept and taken in then. It is given up when nobody
wants it any more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, Final

import structlog

from lake.errors import LakeError
from serving import seeds
from serving.bars import Series
from serving.books import LiveBook
from serving.errors import ServingError
from serving.events import Book, BookDelta, Candle, Failed, Liquidation, MarketEvent, Trade
from serving.expand import Market
from serving.studies import Study
from serving.subscriber import Chunk, Subscriber
from serving.times import now_us
from serving.topics import Pattern, Topic
from serving.windows import RollingWindow

if TYPE_CHECKING:
    from serving.feed import Feed

_STUDY_US: Final = 500_000
"""Indicators of a forming bar are computed at most so often."""

_WINDOW_US: Final = 1_000_000
_AGAIN_SECONDS: Final = 5.0

_log = structlog.get_logger("serving")


class Keeper:
    """The state of every market that needs any; use from the loop of the feed."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._books: dict[Market, LiveBook] = {}
        self._series: dict[tuple[Market, str], Series] = {}
        self._studies: dict[tuple[Market, str], Study | None] = {}
        self._studied: dict[tuple[Market, str], int] = {}
        self._last_studied: dict[tuple[Market, str], Candle] = {}
        self._windows: dict[Market, RollingWindow] = {}
        self._windowed: dict[Market, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, subscriber: Subscriber, pattern: Pattern) -> None:
        """Somebody subscribed: begin what is needed, and let what is known be sent to them."""
        for market in self._markets(pattern):
            if pattern.channel == "books":
                subscriber.awaiting[Topic("books", *market)] = False
            self._ensure(pattern.channel, market, pattern.timeframe)
            if pattern.channel == "candles" and (current := self._current(market, pattern.timeframe)) is not None:
                subscriber.push(Chunk(Topic("candles", *market, pattern.timeframe), (current,)))

    def needs(self, channel: str, market: Market) -> bool:
        """Whether events of a channel move state that somebody wants."""
        if channel == "trades":
            return bool(self._feed.wanting("candles", market) or self._feed.wanting("indicators", market))
        return channel == "liquidations" and bool(self._feed.wanting("windows", market))

    def take(self, channel: str, market: Market, events: Sequence[MarketEvent]) -> bool:
        """Move state by events; true where they are sent by this room."""
        if channel == "books":
            self._take_book(market, events)
            return True
        if channel == "trades" and self.needs(channel, market):
            for of in ("candles", "indicators"):
                for timeframe in self._feed.timeframes(of, market):
                    self._ensure(of, market, timeframe)
            for (own, _), series in self._series.items():
                if own == market:
                    for event in events:
                        assert isinstance(event, Trade)
                        series.add(event)
        if channel == "liquidations" and self.needs(channel, market):
            self._ensure("windows", market, "")
            for event in events:
                assert isinstance(event, Liquidation)
                self._windows[market].add(event)
        return False

    def move(self, now: int) -> None:
        """Send what changed since the last call, and books to who awaits them."""
        for (market, timeframe), series in self._series.items():
            if series.late:
                series.restart()
                series.late = False
                self._spawn(lambda market=market, timeframe=timeframe: self._seed_bars(market, timeframe))  # type: ignore[misc]  # a lambda with defaults
            if series.whole:
                candles = series.take(now)
                self._feed.publish(Topic("candles", *market, timeframe), candles)
                self._study(market, timeframe, candles, now)
        for market, window in self._windows.items():
            window.expire(now)
            if window.changed and now - self._windowed.get(market, 0) >= _WINDOW_US:
                window.changed = False
                self._windowed[market] = now
                self._feed.publish(Topic("windows", *market), (window.window(now),))
        for subscriber in self._feed.receivers():
            if subscriber.awaiting and not subscriber.waiting:
                self._send_books(subscriber)

    def sweep(self) -> None:
        """Give up what nobody wants any more."""
        feed = self._feed
        self._books = {market: book for market, book in self._books.items() if feed.wanting("books", market)}
        self._windows = {market: window for market, window in self._windows.items() if feed.wanting("windows", market)}
        self._studies = {key: study for key, study in self._studies.items() if key[1] in feed.timeframes("indicators", key[0])}
        self._series = {
            key: series for key, series in self._series.items() if key in self._studies or key[1] in feed.timeframes("candles", key[0])
        }
        self._last_studied = {key: candle for key, candle in self._last_studied.items() if key in self._studies}
        self._studied = {key: then for key, then in self._studied.items() if key in self._studies}
        self._windowed = {market: then for market, then in self._windowed.items() if market in self._windows}

    async def close(self) -> None:
        """End what is being read."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _markets(self, pattern: Pattern) -> list[Market]:
        if pattern.exchange and pattern.symbol:
            return [(pattern.exchange, pattern.symbol)]
        return [market for market in self._feed.markets if pattern.wants(pattern.channel, *market)]

    def _ensure(self, channel: str, market: Market, timeframe: str) -> None:
        """Begin the state that a channel of a market needs, where there is none."""
        if channel == "books" and market not in self._books:
            self._books[market] = LiveBook(*market)
            self._spawn(lambda: self._seed_book(market))
        elif channel == "windows" and market not in self._windows:
            settings = self._feed.settings
            self._windows[market] = RollingWindow(
                *market, seconds=settings.window_seconds, threshold_usd=settings.liquidation_threshold_usd
            )
            self._spawn(lambda: self._seed_window(market))
        elif channel in {"candles", "indicators"}:
            key = (market, timeframe)
            if key not in self._series:
                self._series[key] = Series(*market, timeframe)
                self._spawn(lambda: self._seed_bars(market, timeframe))
            if channel == "indicators" and key not in self._studies:
                self._studies[key] = None
                self._spawn(lambda: self._seed_study(market, timeframe))

    def _take_book(self, market: Market, events: Sequence[MarketEvent]) -> None:
        if market not in self._books:
            for each in self._feed.wanting("books", market):
                each.awaiting[Topic("books", *market)] = False
        self._ensure("books", market, "")
        book = self._books[market]
        sent = []
        for event in events:
            assert isinstance(event, Book | BookDelta)
            if book.apply(event):
                sent.append(event)
        if not sent:
            return
        topic = Topic("books", *market)
        chunk = Chunk(topic, sent)
        for each in self._feed.wanting("books", market):
            if topic not in each.awaiting:
                each.push(chunk)
            elif each.awaiting[topic]:
                each.drop(topic, len(sent))

    def _send_books(self, subscriber: Subscriber) -> None:
        for topic in [*subscriber.awaiting]:
            book = self._books.get(topic.market)
            if book is not None and book.known:
                del subscriber.awaiting[topic]
                subscriber.push(Chunk(topic, (book.snapshot(),)))

    def _current(self, market: Market, timeframe: str) -> Candle | None:
        series = self._series.get((market, timeframe))
        return series.current() if series is not None and series.whole else None

    def _study(self, market: Market, timeframe: str, candles: Sequence[Candle], now: int) -> None:
        key = (market, timeframe)
        study = self._studies.get(key)
        if study is None:
            return
        current = self._current(market, timeframe)
        if current is None:
            return
        due = now - self._studied.get(key, 0) >= _STUDY_US
        moved = current != self._last_studied.get(key)
        todo = [candle for candle in candles if candle.closed]
        if due and moved and current.timestamp not in {each.timestamp for each in todo}:
            todo.append(current)
        if todo and (due or todo[0].closed):
            self._studied[key] = now
            self._last_studied[key] = current
            rows = [row for row in map(study.take, todo) if row is not None]
            self._feed.publish(Topic("indicators", *market, timeframe), rows)

    async def _seed_book(self, market: Market) -> None:
        snapshot = await self._read(lambda: seeds.book(self._feed.reader, *market))
        book = self._books.get(market)
        if book is not None and snapshot is not None:
            book.begin(snapshot)

    async def _seed_bars(self, market: Market, timeframe: str) -> None:
        base, trades, since = await self._read(lambda: seeds.bars(self._feed.reader, *market, timeframe))
        series = self._series.get((market, timeframe))
        if series is not None:
            series.seed(base, trades, since=since)

    async def _seed_study(self, market: Market, timeframe: str) -> None:
        state, until = await self._read(lambda: seeds.indicator_state(self._feed.reader, *market, timeframe))
        if (market, timeframe) in self._studies:
            self._studies[market, timeframe] = Study(state, until)

    async def _seed_window(self, market: Market) -> None:
        since = now_us() - self._feed.settings.window_seconds * 1_000_000
        events = await self._read(lambda: seeds.liquidations(self._feed.reader, *market, since=since))
        window = self._windows.get(market)
        if window is not None:
            window.begin(events)

    def _read(self, work: Callable[[], Any]) -> Awaitable[Any]:
        return self._feed.reader.call(work)

    def _spawn(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        task = asyncio.create_task(self._until_done(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _until_done(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Try until it works: a lake that is busy now is not a reason to leave a market without its state."""
        while True:
            try:
                await work()
            except (ServingError, LakeError) as error:
                _log.warning("state of the live feed cannot be read, tried again", seconds=_AGAIN_SECONDS, error=str(error))
                for each in self._feed.receivers():
                    if each.awaiting:
                        each.say(Failed(code="behind", message=f"a book cannot be read yet: {error}"))
                await asyncio.sleep(_AGAIN_SECONDS)
            else:
                return
