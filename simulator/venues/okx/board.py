"""One market's channels: trades as they happen, the book's frames every 100 ms, derivative states by the clock.

What belongs here: when a channel says something, and which levels a book frame holds. What does not: texts (frames.py), commands
(session.py).
"""

from __future__ import annotations

from simulator.book import Side
from simulator.market import Image, Market, Trade
from simulator.prices import index_price
from simulator.streams import Hub, Socket, Stream
from simulator.venues.okx import frames
from simulator.venues.okx.catalogue import NAME, SWAP, Spelling

DEPTH = 400
BOOK_US = 100_000
QUIET_US = 60_000_000
"""A book that does not change is confirmed this often by an empty update."""
INTERVALS_US = {"mark-price": 200_000, "index-tickers": 1_000_000, "open-interest": 3_000_000, "funding-rate": 60_000_000}
STATES = frozenset(INTERVALS_US)
DAY_US = 86_400_000_000
TRADES, EACH_TRADE, BOOKS = "trades", "trades-all", "books"
_KINDS = {TRADES: "trades", EACH_TRADE: "trades", BOOKS: "book"}


def _difference(side: Side, held: dict[int, int]) -> tuple[list[tuple[int, int]], dict[int, int]]:
    """Levels that turn `held` into the best levels of a side (0: gone or fallen out of them), and those levels."""
    levels = side.levels(DEPTH)
    now = dict(levels)
    told = [level for level in levels if held.get(level[0]) != level[1]]
    told += [(price, 0) for price in held if price not in now]
    return told, now


class Board:
    """Streams of one market. A client of the book joins between two frames, so that its snapshot is the last frame's state."""

    def __init__(self, market: Market, hub: Hub) -> None:
        self.market = market
        self.hub = hub
        self.spelling = Spelling(market.instrument)
        self.swap = market.instrument.market == SWAP
        names = [TRADES, EACH_TRADE, BOOKS, *(sorted(STATES) if self.swap else ())]
        self.streams = {name: self._stream(name) for name in names}
        self.sequence = market.sequence
        """Of the last book frame."""
        self._held: tuple[dict[int, int], dict[int, int]] = ({}, {})
        self._framed_us = 0
        self._wire_ids: list[str] = []
        self._joining: dict[Socket, Image | None] = {}
        self._next_state = dict.fromkeys(INTERVALS_US, 0)
        self._day: tuple[float, float, float] | None = None

    def _stream(self, name: str) -> Stream:
        item = self.market.instrument
        return Stream(name, exchange=NAME, market=item.market, symbol=item.symbol, channel=_KINDS.get(name, "mark"))

    def trades(self, fills: list[Trade]) -> list[bool]:
        """Send fills; of each, whether a row that holds it was sent."""
        delivered: list[bool] = []
        self._wire_ids = []
        stream, each = self.streams[TRADES], self.streams[EACH_TRADE]
        for row in frames.merged(fills):
            sent = stream.wanted and self.hub.publish(stream, frames.trade(self.spelling, row, sequence=self.market.sequence))
            self._wire_ids += [str(row[-1].trade_id)] * len(row) if sent else [str(fill.trade_id) for fill in row]
            for fill in row:
                alone = each.wanted and self.hub.publish(each, frames.single_trade(self.spelling, fill))
                delivered.append(sent or alone)
        return delivered

    def wire_ids(self, fills: list[Trade]) -> list[str]:
        """Ids of the fills last given to `trades`: that of the row they were sent in, or their own where no row was sent."""
        assert len(fills) == len(self._wire_ids)
        return self._wire_ids

    def join(self, socket: Socket, image: Image | None) -> None:
        """Let a socket have the book from the next frame on; `image` is the snapshot it is to get instead of the right one."""
        self._joining[socket] = image

    def leave(self, socket: Socket) -> None:
        """A socket wants the book no more."""
        self._joining.pop(socket, None)
        self.hub.detach(socket, self.streams[BOOKS])

    def clock(self, now_us: int) -> None:
        """Send what is due."""
        if now_us - self._framed_us >= BOOK_US:
            self._frame(now_us)
        if self.swap:
            for channel, due in self._next_state.items():
                if now_us >= due:
                    self._next_state[channel] = now_us + INTERVALS_US[channel]
                    stream = self.streams[channel]
                    if stream.wanted:
                        self.hub.publish(stream, self.state(channel, now_us))

    def state(self, channel: str, now_us: int) -> str:
        """A derivative state as a frame."""
        spelling = self.spelling
        if channel == "index-tickers":
            return frames.state(channel, spelling.index, self.state_row(channel, now_us))
        return frames.state(channel, spelling.native, self.state_row(channel, now_us))

    def state_row(self, channel: str, now_us: int) -> str:
        """A derivative state as the row that frames and REST answers share."""
        spelling, market = self.spelling, self.market
        mark = market.path.at(now_us)
        index = index_price(market.instrument.base, market.seed, now_us)
        match channel:
            case "mark-price":
                return frames.mark_row(spelling, mark=mark, now_us=now_us)
            case "open-interest":
                return frames.interest_row(spelling, mark=mark, now_us=now_us)
            case "funding-rate":
                return frames.funding_row(spelling, premium=mark / index - 1, now_us=now_us)
            case _:
                return frames.index_row(spelling, index=index, day=self._last_day(now_us), now_us=now_us)

    def _last_day(self, now_us: int) -> tuple[float, float, float]:
        if self._day is None:
            hours = [index_price(self.market.instrument.base, self.market.seed, now_us - DAY_US * part // 24) for part in range(24, -1, -1)]
            self._day = (hours[0], max(hours), min(hours))
        return self._day

    def _frame(self, now_us: int) -> None:
        """Tell listeners what changed since the last frame, then let those in who wait."""
        stream, market = self.streams[BOOKS], self.market
        if stream.wanted:
            if market.sequence != self.sequence:
                self._update(now_us)
            elif now_us - self._framed_us >= QUIET_US:
                self._publish([], [], now_us)
        elif self._joining:
            self._held = (dict(market.book.bids.levels(DEPTH)), dict(market.book.asks.levels(DEPTH)))
            self.sequence = market.sequence
            self._framed_us = now_us
        for socket, image in self._joining.items():
            self.hub.attach(socket, stream)
            socket.send(self._snapshot(image))
        self._joining.clear()

    def _update(self, now_us: int) -> None:
        bids, held_bids = _difference(self.market.book.bids, self._held[0])
        asks, held_asks = _difference(self.market.book.asks, self._held[1])
        self._held = (held_bids, held_asks)
        self._publish(bids, asks, now_us)

    def _publish(self, bids: list[tuple[int, int]], asks: list[tuple[int, int]], now_us: int) -> None:
        previous, self.sequence = self.sequence, self.market.sequence
        self._framed_us = now_us
        text = frames.book(self.spelling, action="update", bids=bids, asks=asks, time_us=now_us, sequence=self.sequence, previous=previous)
        self.hub.publish(self.streams[BOOKS], text)

    def _snapshot(self, image: Image | None) -> str:
        if image is None:
            image = Image(self.sequence, self.market.time_us, list(self._held[0].items()), list(self._held[1].items()))
        return frames.book(
            self.spelling,
            action="snapshot",
            bids=image.bids[:DEPTH],
            asks=image.asks[:DEPTH],
            time_us=image.time_us,
            sequence=image.sequence,
            previous=-1,
        )
