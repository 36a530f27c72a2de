"""One market's channels: deals as they happen, changed levels at the pace of their channel, states by the clock.

What belongs here: which streams a market has, when they speak. What does not: bytes and texts (protobuf.py, pushes.py), commands
(session.py).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from simulator.market import Changes, Market, Trade
from simulator.prices import index_price
from simulator.streams import Hub, Socket, Stream
from simulator.venues.mexc import protobuf, pushes
from simulator.venues.mexc.catalogue import NAME, Spelling

# How long a frame collects what changes; the engine ticks 50 times a second, so that the fast channel comes as often as it can.
SPEEDS_US = {"100ms": 100_000, "10ms": 10_000}
PERP_US = 50_000
TICKER_US = 1_000_000
FUNDING_US = 30_000_000
TOPS = (5, 10, 20)
STATES = ("ticker", "funding.rate", "fair.price", "index.price")


@dataclass(slots=True)
class Collected:
    """A stream of changed levels and what it has not told yet."""

    stream: Stream
    every_us: int
    head: bytes = b""
    event: str = ""
    first: int = 0
    last: int = 0
    bids: dict[int, int] = field(default_factory=dict)
    asks: dict[int, int] = field(default_factory=dict)
    sent_us: int = 0

    def take(self, changes: Changes) -> None:
        """Collect one change; what nobody listened to is forgotten."""
        if not self.stream.wanted:
            self.clear()
            return
        self.first = self.first or changes.first
        self.last = changes.last
        self.bids.update(changes.bids)
        self.asks.update(changes.asks)

    def due(self, now_us: int) -> bool:
        return bool(self.first) and now_us - self.sent_us >= self.every_us

    def clear(self) -> None:
        self.first = self.last = 0
        self.bids, self.asks = {}, {}


class Board:
    """Streams of one market by the name a client subscribes to, without its symbol."""

    def __init__(self, market: Market, hub: Hub) -> None:
        self.market = market
        self.hub = hub
        self.spelling = Spelling(market.instrument)
        self.streams: dict[str, Stream] = {}
        self._depths: list[Collected] = []
        self._heads: dict[str, bytes] = {}
        self._seen = -1
        self._top_us = 0
        self._state_us = 0
        self._funding_us = 0
        if self.spelling.spot:
            for speed, every in SPEEDS_US.items():
                self._open(f"spot@public.aggre.deals.v3.api.pb@{speed}", "trades")
                self._open(f"spot@public.aggre.bookTicker.v3.api.pb@{speed}", "ticker")
                self._collect(f"spot@public.aggre.depth.v3.api.pb@{speed}", every)
            for top in TOPS:
                self._open(f"spot@public.limit.depth.v3.api.pb@{top}", "ticker")
        else:
            self._open("deal", "trades")
            self._collect("depth", PERP_US)
            for name in STATES:
                self._open(name, "mark")

    def _open(self, name: str, channel: str) -> Stream:
        item = self.market.instrument
        stream = Stream(name, exchange=NAME, market=item.market, symbol=item.symbol, channel=channel)
        self.streams[name] = stream
        if self.spelling.spot:
            parts = name.split("@")
            # The symbol stands before the number of levels, and last elsewhere.
            place = 2 if parts[-1].isdigit() else 3
            self._heads[name] = protobuf.head("@".join([*parts[:place], self.spelling.native, *parts[place:]]), self.spelling.native)
        return stream

    def _collect(self, name: str, every_us: int) -> None:
        self._depths.append(Collected(self._open(name, "book"), every_us, self._heads.get(name, b""), name))

    def joined(self, stream: Stream, socket: Socket, now_us: int) -> None:
        """A socket begins to listen; states say at once how they stand."""
        self.hub.attach(socket, stream)
        if stream.name in STATES:
            socket.send(self._state(stream.name, now_us))

    def trades(self, fills: list[Trade]) -> list[bool]:
        """Send the fills of one taker order in one frame; whether it was sent, for each."""
        sent = False
        if not self.spelling.spot:
            stream = self.streams["deal"]
            sent = stream.wanted and self.hub.publish(stream, pushes.deal(self.spelling, fills))
            return [sent] * len(fills)
        for speed in SPEEDS_US:
            name = f"spot@public.aggre.deals.v3.api.pb@{speed}"
            stream = self.streams[name]
            if stream.wanted:
                body = protobuf.deals(self.spelling, fills, event=name)
                frame = protobuf.frame(self._heads[name], protobuf.AGGRE_DEALS, body, now_us=fills[-1].time_us)
                sent = self.hub.publish(stream, frame) or sent
        return [sent] * len(fills)

    def changes(self, changes: Changes) -> None:
        """Collect what changed in the book."""
        for depth in self._depths:
            depth.take(changes)

    def clock(self, now_us: int) -> None:
        """Send what is due."""
        for depth in self._depths:
            if depth.due(now_us):
                self._send_depth(depth, now_us)
        if self.spelling.spot:
            if now_us - self._top_us >= SPEEDS_US["100ms"] and self.market.sequence != self._seen:
                self._top_us, self._seen = now_us, self.market.sequence
                self._send_tops(now_us)
        elif now_us - self._state_us >= TICKER_US:
            self._state_us = now_us
            quiet = now_us - self._funding_us < FUNDING_US
            self._funding_us = self._funding_us if quiet else now_us
            for name in STATES:
                if self.streams[name].wanted and not (quiet and name == "funding.rate"):
                    self.hub.publish(self.streams[name], self._state(name, now_us))

    def _send_depth(self, depth: Collected, now_us: int) -> None:
        bids, asks = depth.bids.items(), depth.asks.items()
        depth.sent_us = now_us
        if self.spelling.spot:
            body = protobuf.depths(
                self.spelling,
                bids=bids,
                asks=asks,
                event=depth.event,
                first=depth.first,
                last=depth.last,
                time_us=self.market.time_us,
            )
            self.hub.publish(depth.stream, protobuf.frame(depth.head, protobuf.AGGRE_DEPTHS, body, now_us=now_us))
        else:
            text = pushes.depth(self.spelling, bids=bids, asks=asks, first=depth.first, last=depth.last, now_us=now_us)
            self.hub.publish(depth.stream, text)
        depth.clear()

    def _send_tops(self, now_us: int) -> None:
        book, version, time_us = self.market.book, self.market.sequence, self.market.time_us
        for name, stream in self.streams.items():
            if not stream.wanted or stream.channel != "ticker":
                continue
            top = name.rpartition("@")[2]
            if top.isdigit():
                field = protobuf.LIMIT_DEPTHS
                bids, asks = book.bids.levels(int(top)), book.asks.levels(int(top))
                body = protobuf.limit_depths(
                    self.spelling, bids=bids, asks=asks, event=name.rpartition("@")[0], version=version, time_us=time_us
                )
            else:
                field = protobuf.AGGRE_TICKER
                body = protobuf.ticker(self.spelling, bid=book.bids.best(), ask=book.asks.best(), version=version, time_us=time_us)
            self.hub.publish(stream, protobuf.frame(self._heads[name], field, body, now_us=now_us))

    def mark(self, now_us: int) -> tuple[float, float, float]:
        """Fair price, index price and funding rate."""
        fair = self.market.path.at(now_us)
        index = index_price(self.market.instrument.base, self.market.seed, now_us)
        return fair, index, max(-0.003, min(0.003, fair / index - 1 + 0.0001))

    def _state(self, name: str, now_us: int) -> str:
        fair, index, rate = self.mark(now_us)
        if name == "funding.rate":
            return pushes.funding(self.spelling, rate=rate, now_us=now_us)
        if name != "ticker":
            return pushes.price(name, self.spelling, fair if name == "fair.price" else index, now_us=now_us)
        book, item = self.market.book, self.market.instrument
        interest = int(500_000_000 / fair / item.contract_size * (1 + now_us // 1_000_000 % 89 / 890))
        return pushes.ticker(
            self.spelling,
            bid=book.bids.best()[0],
            ask=book.asks.best()[0],
            mark=fair,
            index=index,
            rate=rate,
            interest=interest,
            now_us=now_us,
        )
