"""One Bitget market's channels: trades, the full book and its shorter relatives, tickers, and what each sends when.

What belongs here: turning fills, book changes and the clock into messages. What does not: commands (session.py), REST (rest.py).
"""

from __future__ import annotations

from simulator.market import Changes, Market, Trade
from simulator.prices import index_price
from simulator.streams import Hub, Stream
from simulator.venues.bitget import frames
from simulator.venues.bitget.catalogue import FUTURES, NAME, SPOT, Spelling, plain

HISTORY_TRADES = 50
BOOK_US = {SPOT: 200_000, FUTURES: 150_000}
# Channels that send the whole of their few levels each time.
SHORT = {"books1": 1, "books5": 5, "books15": 15}
TICKER_US = 300_000
STATE_US = 1_000_000
FUNDING_S = 8 * 3600
OPEN_INTEREST_USD = 1.5e9
LIQUIDATED_EVERY_US = 1_000_000


class FullBook:
    """The `books` channel: changes are gathered until a frame is due, and each names the frame before it."""

    def __init__(self, market: Market, spelling: Spelling) -> None:
        self.stream = stream(market, "books", "book")
        self._market = market
        self._spelling = spelling
        self._every_us = BOOK_US[market.instrument.market]
        self._due_us = 0
        self._last = market.sequence
        self._bids: dict[int, int] = {}
        self._asks: dict[int, int] = {}

    def note(self, changes: Changes) -> None:
        """The book has changed."""
        if self.stream.wanted:
            self._bids.update(changes.bids)
            self._asks.update(changes.asks)

    def snapshot(self, hub: Hub) -> str:
        """What a new client is told, once the others have been told all that happened before."""
        self._send(hub)
        self._last = self._market.sequence
        book = self._market.book
        return self._text("snapshot", book.bids.levels(), book.asks.levels(), previous=None)

    def stale(self) -> str:
        """A snapshot of the book at the venue's start, after which no update follows."""
        opening = self._market.opening
        return frames.book(
            self._spelling,
            channel="books",
            action="snapshot",
            bids=opening.bids,
            asks=opening.asks,
            sequence=opening.sequence,
            previous=None,
            matched_ms=opening.time_us // 1000,
        )

    def restart(self) -> None:
        """Sequences begin again; nothing announces it."""
        self._last = self._market.sequence

    def clock(self, hub: Hub, now_us: int) -> None:
        """Send what is due."""
        if now_us >= self._due_us:
            self._due_us = now_us // self._every_us * self._every_us + self._every_us
            self._send(hub)

    def _send(self, hub: Hub) -> None:
        if (self._bids or self._asks) and self.stream.wanted:
            text = self._text("update", list(self._bids.items()), list(self._asks.items()), previous=self._last)
            self._last = self._market.sequence
            hub.publish(self.stream, text)
        self._bids, self._asks = {}, {}

    def _text(self, action: str, bids: frames.Levels, asks: frames.Levels, *, previous: int | None) -> str:
        return frames.book(
            self._spelling,
            channel="books",
            action=action,
            bids=bids,
            asks=asks,
            sequence=self._market.sequence,
            previous=previous,
            matched_ms=self._market.time_us // 1000,
        )


class Feed:
    """The channels of one market."""

    def __init__(self, market: Market, *, hub: Hub) -> None:
        self.market = market
        self.spelling = Spelling(market.instrument)
        self.hub = hub
        self.trades = stream(market, "trade", "trades")
        self.book = FullBook(market, self.spelling)
        self.short = {name: stream(market, name, "ticker") for name in SHORT}
        self.ticker = stream(market, "ticker", "mark")
        self.channels = {each.name: each for each in (self.trades, self.book.stream, *self.short.values())}
        if market.instrument.market != SPOT:
            self.channels[self.ticker.name] = self.ticker
        self._short_due_us = self._ticker_due_us = self._state_us = self._forced_us = 0
        self._state: dict[str, str] = {}
        self._told: dict[str, str] = {}
        self._changed = False

    def history(self, now_us: int) -> str | None:
        """The newest trades, newest first; None where there are none yet."""
        recent = self.market.last_trades(HISTORY_TRADES)[::-1]
        return frames.trades(self.spelling, recent, action="snapshot", now_ms=now_us // 1000) if recent else None

    def send_trades(self, fills: list[Trade]) -> bool:
        """Send the fills of one order; whether a client was sent them."""
        if not self.trades.wanted:
            return False
        text = frames.trades(self.spelling, fills, action="update", now_ms=fills[0].time_us // 1000 + 9)
        return self.hub.publish(self.trades, text)

    def changed(self, changes: Changes) -> None:
        """The book is another one now."""
        self.book.note(changes)
        self._changed = True

    def clock(self, now_us: int) -> None:
        """Send books and states that are due."""
        self.book.clock(self.hub, now_us)
        if self._changed and now_us >= self._short_due_us:
            self._short_due_us = now_us + BOOK_US[self.market.instrument.market]
            self._changed = False
            for name, each in self.short.items():
                if each.wanted:
                    self.hub.publish(each, self.short_book(name))
        if now_us >= self._ticker_due_us and self.ticker.wanted:
            self._ticker_due_us = now_us + TICKER_US
            fields = self.fields(now_us)
            if fields != self._told:
                self._told = fields
                self.hub.publish(self.ticker, frames.ticker(self.spelling, fields, now_ms=now_us // 1000))

    def short_book(self, name: str) -> str:
        """The best levels as a whole."""
        book = self.market.book
        return frames.book(
            self.spelling,
            channel=name,
            action="snapshot",
            bids=book.bids.levels(SHORT[name]),
            asks=book.asks.levels(SHORT[name]),
            sequence=self.market.sequence,
            previous=None,
            matched_ms=self.market.time_us // 1000,
        )

    def fields(self, now_us: int) -> dict[str, str]:
        """Fields of the ticker in the venue's order; prices of reference move once a second."""
        if now_us - self._state_us >= STATE_US:
            self._state_us = now_us
            self._state = self._references(now_us)
        spelling, book = self.spelling, self.market.book
        (bid, bid_lots), (ask, ask_lots) = book.bids.best(), book.asks.best()
        last = self.market.recent[-1].price if self.market.recent else bid
        touch = {
            "lastPr": plain(spelling.price(last)),
            "bidPr": plain(spelling.price(bid)),
            "askPr": plain(spelling.price(ask)),
            "bidSz": plain(spelling.amount(bid_lots)),
            "askSz": plain(spelling.amount(ask_lots)),
        }
        return {**touch, **self._state}

    def _references(self, now_us: int) -> dict[str, str]:
        market, item = self.market, self.market.instrument
        shown = item.tick_decimals
        mark, index = market.path.at(now_us), index_price(item.base, market.seed, now_us)
        day, hour = market.path.at(now_us - 86_400_000_000), market.path.at(now_us - 3_600_000_000)
        interest = OPEN_INTEREST_USD / mark * (1.0 + 0.02 * (now_us // 5_000_000 % 720 / 720 - 0.5))
        volume = 0.4 * OPEN_INTEREST_USD / mark
        premium = mark / index - 1
        settles = (now_us // 1_000_000 // FUNDING_S + 1) * FUNDING_S * 1000
        return {
            "open24h": f"{day:.{shown}f}",
            "high24h": f"{max(day, hour, mark):.{shown}f}",
            "low24h": f"{min(day, hour, mark):.{shown}f}",
            "change24h": f"{mark / day - 1:.5f}",
            "fundingRate": plain(f"{premium + max(-0.00005, min(0.00005, 0.0001 - premium)):.6f}"),
            "nextFundingTime": str(settles),
            "markPrice": f"{mark:.{shown}f}",
            "indexPrice": f"{index:.8f}",
            "holdingAmount": plain(f"{interest:.{item.lot_decimals}f}"),
            "baseVolume": plain(f"{volume:.{item.lot_decimals}f}"),
            "quoteVolume": f"{volume * mark:.5f}",
            "openUtc": f"{hour:.{shown}f}",
            "symbolType": "1",
            "symbol": self.spelling.id,
            "deliveryPrice": "0",
        }

    def forced(self, liquidations: Stream, fills: list[Trade], now_us: int) -> bool:
        """Announce a liquidation; the venue shows about one a second and symbol."""
        if now_us - self._forced_us < LIQUIDATED_EVERY_US or not liquidations.wanted:
            return False
        self._forced_us = now_us
        text = frames.liquidation(
            self.spelling,
            bought=fills[0].buy,
            price=fills[0].price,
            lots=sum(fill.amount for fill in fills),
            time_ms=now_us // 1000,
            now_ms=now_us // 1000 + 600,
        )
        return self.hub.publish(liquidations, text)

    def restart(self) -> None:
        """The book's sequence begins again, and the next update names a frame that nobody has seen."""
        self.market.restart_sequence()
        self.book.restart()


def stream(market: Market, name: str, channel: str) -> Stream:
    """A channel as the hub knows it."""
    return Stream(name, exchange=NAME, market=market.instrument.market, symbol=market.instrument.symbol, channel=channel)
