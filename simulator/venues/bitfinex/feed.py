"""One market of Bitfinex: its trades, books of several lengths with their checksums, its state.

What belongs here: which change becomes which bodies, and when. What does not: bodies (frames.py), numbers of sockets (session.py).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Protocol

from simulator.faults import Faults
from simulator.market import Changes, Market, Trade
from simulator.prices import index_price
from simulator.streams import Stream
from simulator.venues.bitfinex import frames
from simulator.venues.bitfinex.catalogue import LOT_DECIMALS, NAME, PERP, Spelling, number
from simulator.venues.edged import Edged

BOOK_LENGTHS = (1, 25, 100, 250)
STATUS_US = 2_000_000
SLOWEST_TU_US = 900_000
FUNDING_US = 8 * 3_600_000_000
OPEN_USD = 3e8


class Sender(Protocol):
    """What a feed asks of the venue."""

    faults: Faults

    def publish(self, stream: Stream, body: str) -> bool: ...
    def later(self, due_us: int, act: Callable[[], None]) -> None: ...


class Ladder:
    """A book of one length: levels on `stream`, checksums on `checks`, which only those hear that asked for them."""

    def __init__(self, feed: Feed, length: int) -> None:
        self.length = length
        self.stream = feed.stream(f"book {length}", "book")
        self.checks = feed.stream(f"checksum {length}", "book")
        self._feed = feed
        self._edged: Edged | None = None

    def note(self, changes: Changes) -> None:
        """The book changed; without a listener nothing is kept."""
        if self._edged is not None:
            if self.stream.wanted:
                self._edged.note(changes)
            else:
                self._edged = None

    def speak(self) -> None:
        """Tell every level that has changed, one by one, then the checksum of what the book is now."""
        if self._edged is None or not self._edged.changed:
            return
        bids, asks = self._edged.take()
        bodies = frames.levels(self._feed.spelling, bids=bids, asks=asks)
        if not bodies:
            return
        sender, symbol = self._feed.sender, self._feed.market.instrument.symbol
        # Asked before the levels go out, so that it is the checksum that the fault hits.
        spoiled = bool(sender.faults.active) and sender.faults.request("bad_checksum", NAME, symbol) is not None
        for body in bodies:
            sender.publish(self.stream, body)
        if self.checks.wanted:
            found = frames.checksum(self._feed.spelling, self._feed.market.book, self.length)
            sender.publish(self.checks, f'"cs",{found ^ 1 if spoiled else found}')

    def begin(self) -> str:
        """The whole book for a new listener, after the others have been told what changed."""
        self.speak()
        book = self._feed.market.book
        if self._edged is None:
            self._edged = Edged(book, self.length)
        bids, asks = book.bids.levels(self.length), book.asks.levels(self.length)
        return "[" + ",".join(frames.levels(self._feed.spelling, bids=bids, asks=asks)) + "]"


class Feed:
    """The streams of one market."""

    def __init__(self, market: Market, sender: Sender) -> None:
        self.market = market
        self.spelling = Spelling(market.instrument)
        self.sender = sender
        self.trades_stream = self.stream("trades", "trades")
        self.status_stream = self.stream("status", "mark")
        self.ladders = {length: Ladder(self, length) for length in BOOK_LENGTHS}
        self._slot = 0

    def stream(self, name: str, channel: str) -> Stream:
        """A stream of this market; `channel` is what faults call it."""
        item = self.market.instrument
        return Stream(name, exchange=NAME, market=item.market, symbol=item.symbol, channel=channel)

    def trades(self, fills: list[Trade]) -> list[bool]:
        """Each fill goes out at once as te, and some time later again as tu."""
        if not self.trades_stream.wanted:
            return [False] * len(fills)
        delivered = []
        for fill in fills:
            body = frames.trade(self.spelling, fill)
            delivered.append(self.sender.publish(self.trades_stream, f'"te",{body}'))
            wait = 30_000 + fill.trade_id * 7_919 % SLOWEST_TU_US
            self.sender.later(fill.time_us + wait, partial(self._again, f'"tu",{body}'))
        return delivered

    def _again(self, body: str) -> None:
        self.sender.publish(self.trades_stream, body)

    def changes(self, changes: Changes) -> None:
        for ladder in self.ladders.values():
            ladder.note(changes)

    def clock(self, now_us: int) -> None:
        for ladder in self.ladders.values():
            ladder.speak()
        slot = now_us // STATUS_US
        if slot != self._slot:
            self._slot = slot
            if self.status_stream.wanted:
                self.sender.publish(self.status_stream, self.status(now_us))

    def status(self, now_us: int) -> str:
        """The state of a perpetual at a time: open interest swings slowly, funding follows the minute."""
        market, minute = self.market, now_us // 60_000_000
        price = market.path.at(now_us)
        index = index_price(market.instrument.base, market.seed, now_us)
        ticks = 10**market.instrument.tick_decimals
        swing = 1.0 + 0.05 * ((minute % 720) / 720 - 0.5)
        return frames.status(
            price=self.spelling.price(market.book.bids.best()[0]),
            spot=number(int(index * ticks * 10), market.instrument.tick_decimals + 1),
            mark=number(int(price * ticks * 100), market.instrument.tick_decimals + 2),
            funding=number(minute % 100 - 50, LOT_DECIMALS - 2),
            open_interest=self.spelling.amount(int(OPEN_USD / price * swing * 10**LOT_DECIMALS)),
            next_us=now_us - now_us % FUNDING_US + FUNDING_US,
            time_us=now_us,
        )

    def forced(self, fills: list[Trade], now_us: int) -> tuple[str, str]:
        """What announces a position that is closed, and what its execution is told by: the position's sign is not the order's."""
        lots = sum(fill.amount for fill in fills)
        signed = -lots if fills[0].buy else lots
        price = fills[0].price

        def row(acquired: int | None, time_us: int) -> str:
            return frames.position(
                self.spelling, identity=fills[0].trade_id, lots=signed, base_price=price, acquired=acquired, time_us=time_us
            )

        return row(None, now_us), row(fills[-1].price, now_us + 300_000)


def tradable(market: Market) -> bool:
    """Whether a market is a perpetual, which has a state and forced closings."""
    return market.instrument.market == PERP
