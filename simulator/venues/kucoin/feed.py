"""One KuCoin market's streams: trades fill by fill, books as snapshots of the top or as a snapshot and what changed since.

What belongs here: turning fills, book changes and the clock into messages. What does not: commands (session.py) and REST (rest.py).
"""

from __future__ import annotations

from typing import NamedTuple

from simulator.market import Changes, Market, Trade
from simulator.streams import Hub, Socket, Stream
from simulator.venues.kucoin import frames
from simulator.venues.kucoin.catalogue import NAME, Spelling

TOPS = {"1": 1, "5": 5, "50": 50}
TOP_US = 100_000
# The plain one sends each change at once.
INCREMENTS_US = {"increment": 0, "increment@10ms": 10_000}


class Asked(NamedTuple):
    """A client that waits for the snapshot of an increment stream, from when on."""

    socket: Socket
    due_us: int


class Increment:
    """Changes gathered until the next delta. A price that changed twice stands twice, in order. Snapshots go out between two deltas."""

    def __init__(self, stream: Stream, market: Market, *, depth: str) -> None:
        self.stream = stream
        self.market = market
        self.depth = depth
        self.asked: list[Asked] = []
        self.bids: list[tuple[int, int]] = []
        self.asks: list[tuple[int, int]] = []
        self.first = self.last = self.time_us = 0
        self._interval_us = INCREMENTS_US[depth]
        self._due_us = 0

    def add(self, changes: Changes) -> None:
        """Gather a change if somebody listens."""
        if not self.stream.wanted:
            self.clear()
            return
        if not self.pending:
            self.first = changes.first
        self.last, self.time_us = changes.last, changes.time_us
        self.bids += changes.bids.items()
        self.asks += changes.asks.items()

    @property
    def pending(self) -> bool:
        """Whether something is gathered that no frame has told."""
        return bool(self.bids or self.asks)

    def clear(self) -> None:
        """Begin anew."""
        self.bids, self.asks = [], []

    def due(self, now_us: int) -> bool:
        """Whether a frame is to be sent now."""
        if now_us < self._due_us or not self.pending:
            return False
        self._due_us = now_us + self._interval_us
        return True

    def answerable(self, now_us: int) -> list[Socket]:
        """Those who can be given the whole book now."""
        if not self.asked or self.pending:
            return []
        ready = [asked.socket for asked in self.asked if asked.due_us <= now_us]
        self.asked = [asked for asked in self.asked if asked.due_us > now_us]
        return ready


class Feed:
    """The streams of one market: `trade`, and `obu` by depth."""

    def __init__(self, market: Market, *, hub: Hub) -> None:
        self.market = market
        self.spelling = Spelling(market.instrument)
        self.hub = hub
        self.trade_stream = self._stream("trade", "trades")
        self.tops = {depth: self._stream(f"obu-{depth}", "book") for depth in TOPS}
        self.increments = {depth: Increment(self._stream(f"obu-{depth}", "book"), market, depth=depth) for depth in INCREMENTS_US}
        self._shown: dict[str, int] = {}
        self._top_slot = 0

    def _stream(self, name: str, channel: str) -> Stream:
        item = self.market.instrument
        return Stream(name, exchange=NAME, market=item.market, symbol=item.symbol, channel=channel)

    def stream(self, channel: str, depth: str) -> Stream | None:
        """The stream of a channel; None where there is none."""
        if channel == "trade":
            return self.trade_stream
        if channel != "obu":
            return None
        return self.increments[depth].stream if depth in self.increments else self.tops.get(depth)

    def trades(self, fills: list[Trade]) -> list[bool]:
        """Send each fill; of each, whether somebody was sent it."""
        if not self.trade_stream.wanted:
            return [False] * len(fills)
        return [self.hub.publish(self.trade_stream, frames.trade(self.spelling, fill)) for fill in fills]

    def changes(self, changes: Changes) -> None:
        """Gather a change for those who follow changes; the stream without a pause tells it at once."""
        for increment in self.increments.values():
            increment.add(changes)
        plain = self.increments["increment"]
        if plain.pending:
            self._send(plain, changes.time_us)

    def ask(self, depth: str, asked: Asked) -> None:
        """A client is to get the whole book, and what changes from then on."""
        self.increments[depth].asked.append(asked)

    def leave(self, socket: Socket, depth: str) -> None:
        """A client follows a book no more."""
        if depth in self.increments:
            increment = self.increments[depth]
            increment.asked = [asked for asked in increment.asked if asked.socket is not socket]

    def clock(self, now_us: int) -> None:
        """Send deltas that are due, the snapshots that were asked for, and the tops each tenth of a second."""
        for increment in self.increments.values():
            if increment.due(now_us):
                self._send(increment, now_us)
            for socket in increment.answerable(now_us):
                if socket in self.hub.sockets:
                    socket.send(self._whole(increment.depth, now_us=now_us))
                    self.hub.attach(socket, increment.stream)
        if now_us // TOP_US != self._top_slot:
            self._top_slot = now_us // TOP_US
            for depth, stream in self.tops.items():
                if stream.wanted and self._shown.get(depth) != self.market.sequence:
                    self._shown[depth] = self.market.sequence
                    self.hub.publish(stream, self._whole(depth, now_us=now_us))

    def finish(self, now_us: int) -> None:
        """Send what is gathered: the numbers of what follows are others."""
        for increment in self.increments.values():
            if increment.pending and increment.stream.wanted:
                self._send(increment, now_us)

    def _whole(self, depth: str, *, now_us: int) -> str:
        book, sequence = self.market.book, self.market.sequence
        count = TOPS.get(depth)
        return frames.book(
            self.spelling,
            depth=depth,
            kind="snapshot",
            bids=book.bids.levels(count),
            asks=book.asks.levels(count),
            first=sequence,
            last=sequence,
            time_us=self.market.time_us,
            now_us=now_us,
        )

    def _send(self, increment: Increment, now_us: int) -> None:
        bids, asks = increment.bids, increment.asks
        increment.clear()
        text = frames.book(
            self.spelling,
            depth=increment.depth,
            kind="delta",
            bids=bids,
            asks=asks,
            first=increment.first,
            last=increment.last,
            time_us=increment.time_us,
            now_us=now_us,
        )
        self.hub.publish(increment.stream, text)
