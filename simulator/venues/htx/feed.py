"""One HTX market's streams: what each topic sends, and when.

What belongs here: turning fills, book changes and the clock into messages; snapshots in step with updates. What does not: commands
(session.py) and REST (rest.py).
"""

from __future__ import annotations

from collections import deque
from itertools import count
from typing import NamedTuple

from simulator.market import Changes, Image, Market, Trade
from simulator.prices import index_price
from simulator.streams import Hub, Socket, Stream
from simulator.venues.htx import frames
from simulator.venues.htx.catalogue import NAME, Spelling
from simulator.window import Window

MBP_DEPTHS = (5, 20, 150, 400)
MAJORS = frozenset({"BTC", "ETH", "XRP", "LTC", "BCH"})
"""Bases whose pairs have mbp.5 and mbp.20, which every change goes out on at once; other pairs have the deep ones alone."""
HIGH_FREQ_DEPTHS = (20, 150)
MBP_US = 100_000
HIGH_FREQ_US = 30_000
STEP0_LEVELS = 150
SECOND_US = 1_000_000
GROUPS = 2_000
"""Orders whose fills the REST history holds."""


class Asked(NamedTuple):
    """A client that waits for a snapshot: of which socket, under which id (JSON text), from when on."""

    socket: Socket
    identity: str
    due_us: int


class Depth:
    """One depth of a book: changes gathered until the next frame, snapshots only between frames, so that their numbers meet."""

    def __init__(self, stream: Stream, market: Market, *, depth: int, interval_us: int) -> None:
        self.stream = stream
        self.depth = depth
        self.market = market
        self.asked: list[Asked] = []
        self.last = market.sequence
        """Number of the last frame."""
        self.time_us = market.time_us
        self.bids: dict[int, int] = {}
        self.asks: dict[int, int] = {}
        self._interval_us = interval_us
        self._due_us = 0
        self._window: Window | None = None

    def open(self) -> None:
        """Somebody listens from now on."""
        if self._window is None:
            self._window = Window(self.market.book, self.depth)
            self.last = self.market.sequence
            self.bids, self.asks = {}, {}

    def add(self, changes: Changes) -> None:
        """Gather what changed inside the depth."""
        if self._window is None:
            return
        if not (self.stream.wanted or self.asked):
            self._window = None
            return
        bids, asks = self._window.update(changes)
        self.bids.update(bids)
        self.asks.update(asks)
        self.time_us = changes.time_us

    def due(self, now_us: int) -> bool:
        """Whether a frame is to be sent now."""
        if now_us < self._due_us:
            return False
        self._due_us = now_us // self._interval_us * self._interval_us + self._interval_us if self._interval_us else 0
        return bool(self.bids or self.asks)

    def take(self) -> tuple[list[tuple[int, int]], list[tuple[int, int]], int]:
        """The gathered bids and asks, and the number of the frame before; the book's present number becomes the last one."""
        bids, asks, previous = list(self.bids.items()), list(self.asks.items()), self.last
        self.bids, self.asks = {}, {}
        self.last = self.market.sequence
        return bids, asks, previous

    def answerable(self, now_us: int) -> list[Asked]:
        """Those who can be given a snapshot now: nothing is gathered that no frame has told."""
        if not self.asked or self.bids or self.asks:
            return []
        ready = [asked for asked in self.asked if asked.due_us <= now_us]
        self.asked = [asked for asked in self.asked if asked.due_us > now_us]
        return ready

    def top(self) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """Bids and asks inside the depth."""
        return self.market.book.bids.levels(self.depth), self.market.book.asks.levels(self.depth)


class Feed:
    """The streams of one market, by topic without `market.<symbol>.`."""

    def __init__(self, market: Market, *, hub: Hub) -> None:
        self.market = market
        self.spelling = Spelling(market.instrument)
        self.hub = hub
        self.groups: deque[list[Trade]] = deque(maxlen=GROUPS)
        self.streams: dict[str, Stream] = {}
        self.mbp: dict[int, Depth] = {}
        self.high_freq: dict[int, Depth] = {}
        self._versions: dict[tuple[Socket, int], count[int]] = {}
        self._second = 0
        self.trade_stream = self._stream("trade.detail", "trades")
        self.full = self._stream("depth.step0", "book")
        if self.spelling.spot:
            for depth in MBP_DEPTHS if market.instrument.base in MAJORS else MBP_DEPTHS[2:]:
                interval = MBP_US if depth >= 150 else 0
                self.mbp[depth] = Depth(self._stream(f"mbp.{depth}", "book"), market, depth=depth, interval_us=interval)
            return
        for depth in HIGH_FREQ_DEPTHS:
            stream = self._stream(f"depth.size_{depth}.high_freq", "book")
            self.high_freq[depth] = Depth(stream, market, depth=depth, interval_us=HIGH_FREQ_US)
        self.marks = self._stream("mark_price.1min", "mark")
        self.basis = self._stream("basis.1min.close", "mark")

    def _stream(self, name: str, channel: str) -> Stream:
        item = self.market.instrument
        stream = self.streams[name] = Stream(name, exchange=NAME, market=item.market, symbol=item.symbol, channel=channel)
        return stream

    def trades(self, fills: list[Trade]) -> list[bool]:
        """Send one order's fills, and keep them for REST."""
        self.groups.append(fills)
        sent = self.trade_stream.wanted and self.hub.publish(
            self.trade_stream, frames.packed(frames.trades(self.spelling, fills, fills[0].time_us + 30_000))
        )
        return [sent] * len(fills)

    def changes(self, changes: Changes) -> None:
        """Gather a change for each depth that somebody follows."""
        for depth in (*self.mbp.values(), *self.high_freq.values()):
            depth.add(changes)

    def clock(self, now_us: int) -> None:
        """Send the frames that are due, then the snapshots that were asked for."""
        for depth in self.mbp.values():
            if depth.due(now_us):
                self._send_mbp(depth, now_us)
            for asked in depth.answerable(now_us):
                bids, asks = depth.top()
                self._reply(depth, asked, bids=bids, asks=asks, sequence=depth.last, now_us=now_us)
        for depth in self.high_freq.values():
            if depth.due(now_us):
                self._send_high_freq(depth)
            for asked in depth.answerable(now_us):
                self._start_high_freq(depth, asked.socket)
        if now_us // SECOND_US != self._second:
            self._second = now_us // SECOND_US
            self._each_second(now_us)

    def ask(self, depth: Depth, asked: Asked, *, stale: Image | None) -> None:
        """A client wants a snapshot; `stale` is an old book it is to get instead."""
        if stale is not None and self.mbp:
            bids, asks = stale.bids[: depth.depth], stale.asks[: depth.depth]
            self._reply(depth, asked, bids=bids, asks=asks, sequence=stale.sequence, now_us=asked.due_us)
            return
        depth.open()
        depth.asked.append(asked)

    def leave(self, socket: Socket, depth: Depth) -> None:
        """A client follows a depth no more."""
        depth.asked = [asked for asked in depth.asked if asked.socket is not socket]
        self._versions.pop((socket, depth.depth), None)

    def forget_closed(self) -> None:
        """Drop the counts of sockets that are gone."""
        self._versions = {place: version for place, version in self._versions.items() if place[0] in self.hub.sockets}

    def restart_versions(self) -> None:
        """Count the frames of every socket from the beginning again, unannounced."""
        for place in self._versions:
            self._versions[place] = count(1)

    def _send_mbp(self, depth: Depth, now_us: int) -> None:
        bids, asks, previous = depth.take()
        if depth.stream.wanted:
            text = frames.mbp(self.spelling, depth.depth, bids=bids, asks=asks, first=previous, last=depth.last, now_us=now_us)
            self.hub.publish(depth.stream, frames.packed(text))

    def _reply(
        self, depth: Depth, asked: Asked, *, bids: list[tuple[int, int]], asks: list[tuple[int, int]], sequence: int, now_us: int
    ) -> None:
        text = frames.mbp_snapshot(
            self.spelling, depth.depth, bids=bids, asks=asks, sequence=sequence, identity=asked.identity, now_us=now_us
        )
        asked.socket.send(frames.packed(text))

    def _send_high_freq(self, depth: Depth) -> None:
        bids, asks, _ = depth.take()
        if not depth.stream.wanted:
            return
        head, tail = frames.high_freq(
            self.spelling, depth.depth, event="update", bids=bids, asks=asks, engine_id=depth.last, time_us=depth.time_us
        )
        versions, size = self._versions, depth.depth
        self.hub.publish(depth.stream, "", render=lambda socket: frames.packed(f"{head}{next(versions[socket, size])}{tail}"))

    def _start_high_freq(self, depth: Depth, socket: Socket) -> None:
        if socket not in self.hub.sockets:
            return
        bids, asks = depth.top()
        head, tail = frames.high_freq(
            self.spelling, depth.depth, event="snapshot", bids=bids, asks=asks, engine_id=depth.last, time_us=self.market.time_us
        )
        # Numbers of different sockets have nothing to do with each other.
        version = self._versions[socket, depth.depth] = count(1_000 * socket.identity + 30_000)
        socket.send(frames.packed(f"{head}{next(version)}{tail}"))
        self.hub.attach(socket, depth.stream)

    def _each_second(self, now_us: int) -> None:
        if self.full.wanted:
            book = self.market.book
            bids, asks = book.bids.levels(STEP0_LEVELS), book.asks.levels(STEP0_LEVELS)
            text = frames.step0(
                self.spelling, bids=bids, asks=asks, engine_id=self.market.sequence, time_us=self.market.time_us, now_us=now_us
            )
            self.hub.publish(self.full, frames.packed(text))
        if self.spelling.spot:
            return
        self.forget_closed()
        if self.marks.wanted:
            self.hub.publish(self.marks, frames.packed(frames.mark_price(self.spelling, mark=self.market.path.at(now_us), now_us=now_us)))
        if self.basis.wanted:
            index = index_price(self.market.instrument.base, self.market.seed, now_us)
            last = self.market.recent[-1].price if self.market.recent else self.market.book.bids.best()[0]
            text = frames.basis(self.spelling, "close", index=index, contract=self.spelling.price(last), now_us=now_us)
            self.hub.publish(self.basis, frames.packed(text))
