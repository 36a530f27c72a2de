"""One market of Gate.io: its streams, what they have been told of the book, and the pace at which they are told.

What belongs here: which change becomes which message, and when. What does not: texts (frames.py), commands (session.py).
"""

from __future__ import annotations

from collections import deque

from simulator.market import Changes, Market, Trade
from simulator.prices import index_price
from simulator.streams import Hub, Socket, Stream
from simulator.venues.edged import Edged
from simulator.venues.gateio import frames
from simulator.venues.gateio.catalogue import NAME, Spelling
from simulator.venues.gateio.rest import Forced

BOOK_PACE_US = {50: 20_000, 400: 100_000}
"""Depth of an obu stream and how often it speaks."""
TICKER_US = 1_000_000
OPEN_USD = 2e9


class Ladder:
    """One obu stream: what its clients know of the book, up to which number."""

    def __init__(self, feed: Feed, depth: int) -> None:
        self.depth = depth
        self.stream = feed.stream(f"ob.{feed.spelling.id}.{depth}", "book")
        self._feed = feed
        self._edged: Edged | None = None
        self._told = 0
        self._slot = 0

    def note(self, changes: Changes) -> None:
        """The book changed; without a listener nothing is kept."""
        if self._edged is not None:
            if self.stream.wanted:
                self._edged.note(changes)
            else:
                self._edged = None

    def tick(self, now_us: int) -> None:
        """Speak once in each span of the stream's pace."""
        slot = now_us // BOOK_PACE_US[self.depth]
        if slot != self._slot:
            self._slot = slot
            self.speak()

    def speak(self) -> None:
        """Tell what has changed inside the depth since the last frame; numbers without such a change are told with the next."""
        if self._edged is None or not self._edged.changed:
            return
        bids, asks = self._edged.take()
        if not bids and not asks:
            return
        market = self._feed.market
        first, self._told = self._told + 1, market.sequence
        text = frames.book_change(
            self._feed.spelling, self.depth, bids=bids, asks=asks, first=first, last=self._told, time_us=market.time_us
        )
        self._feed.hub.publish(self.stream, text)

    def join(self, socket: Socket) -> None:
        """A new listener gets the book; what the others have not been told yet is told first, so that all count alike."""
        self.speak()
        if self._edged is None:
            self._edged = Edged(self._feed.market.book, self.depth)
        self._told = self._feed.market.sequence
        self._feed.hub.attach(socket, self.stream)
        socket.send(self._whole())

    def restart(self) -> None:
        """The numbers have begun anew: everyone gets the book again."""
        self._told = self._feed.market.sequence
        if self.stream.wanted:
            self._edged = Edged(self._feed.market.book, self.depth)
            self._feed.hub.publish(self.stream, self._whole())

    def _whole(self) -> str:
        market = self._feed.market
        bids, asks = market.book.bids.levels(self.depth), market.book.asks.levels(self.depth)
        return frames.whole_book(self._feed.spelling, self.depth, bids=bids, asks=asks, sequence=market.sequence, time_us=market.time_us)


class Feed:
    """The streams of one market. `all_forced` carries the forced orders of every contract."""

    def __init__(self, market: Market, *, hub: Hub, all_forced: Stream) -> None:
        self.market = market
        self.spelling = Spelling(market.instrument)
        self.hub = hub
        self.trades_stream = self.stream("trades", "trades")
        self.ticker_stream = self.stream("tickers", "mark")
        self.forced_stream = self.stream("public_liquidates", "liquidations")
        self.ladders = {depth: Ladder(self, depth) for depth in BOOK_PACE_US}
        self.forced_orders: deque[Forced] = deque(maxlen=1000)
        self._all_forced = all_forced
        self._ticker_slot = 0

    def stream(self, name: str, channel: str) -> Stream:
        """A stream of this market; `channel` is what faults call it."""
        item = self.market.instrument
        return Stream(name, exchange=NAME, market=item.market, symbol=item.symbol, channel=channel)

    def trades(self, fills: list[Trade]) -> list[bool]:
        """Spot sends every fill alone, futures those of an order together."""
        if not self.trades_stream.wanted:
            return [False] * len(fills)
        if self.spelling.spot:
            return [self.hub.publish(self.trades_stream, frames.spot_trade(self.spelling, fill)) for fill in fills]
        return [self.hub.publish(self.trades_stream, frames.futures_trades(self.spelling, fills))] * len(fills)

    def changes(self, changes: Changes) -> None:
        for ladder in self.ladders.values():
            ladder.note(changes)

    def clock(self, now_us: int) -> None:
        for ladder in self.ladders.values():
            ladder.tick(now_us)
        slot = now_us // TICKER_US
        if slot != self._ticker_slot:
            self._ticker_slot = slot
            if self.ticker_stream.wanted:
                self.hub.publish(self.ticker_stream, self.ticker(now_us))

    def ticker(self, now_us: int) -> str:
        """The state of a contract at a time: open interest swings slowly, funding follows the minute."""
        market, minute = self.market, now_us // 60_000_000
        price = market.path.at(now_us)
        swing = 1.0 + 0.05 * ((minute % 720) / 720 - 0.5)
        return frames.ticker(
            self.spelling,
            last=market.book.bids.best()[0],
            mark=price,
            index=index_price(market.instrument.base, market.seed, now_us),
            funding=0.0001 + 0.000001 * (minute % 100 - 50),
            open_lots=int(OPEN_USD / price * swing * 10**market.instrument.lot_decimals),
            time_us=now_us,
        )

    def restart(self) -> None:
        """Begin the book's numbers anew; an obu stream may send the whole book at any time, so that says it."""
        for ladder in self.ladders.values():
            ladder.speak()
        self.market.restart_sequence()
        for ladder in self.ladders.values():
            ladder.restart()

    def forced(self, fills: list[Trade], now_us: int) -> bool:
        """Announce a forced order at once: since 2026 all are told, and a period of collecting may end early."""
        order = Forced(now_us, sum(fill.amount for fill in fills), fills[-1].price, fills[0].buy)
        self.forced_orders.append(order)
        text = frames.liquidation(self.spelling, price=order.price, lots=order.lots, buy=order.buy, time_us=now_us)
        return self.hub.publish(self.forced_stream, text) | self.hub.publish(self._all_forced, text)

    def off_book(self, time_us: int) -> None:
        """A fill of the insurance fund: marked as internal, at a price no book ever showed."""
        bid, _ = self.market.book.bids.best()
        lots = 10 * self.spelling.lots_per_contract
        fill = Trade(self.market.skip_trade_id(), 0, time_us, bid - bid // 50, lots, buy=False)
        if self.trades_stream.wanted:
            self.hub.publish(self.trades_stream, frames.futures_trades(self.spelling, [fill], internal=True))
