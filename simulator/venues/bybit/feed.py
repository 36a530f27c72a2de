"""One Bybit market's topics: trades, books of every depth, tickers, liquidations, and what each sends when.

What belongs here: turning fills, books and the clock into topic messages. What does not: commands (session.py), REST (rest.py).
"""

from __future__ import annotations

from simulator.market import Image, Market, Trade
from simulator.prices import index_price
from simulator.streams import Hub, Stream
from simulator.venues.bybit import frames
from simulator.venues.bybit.catalogue import NAME, SPOT, Spelling

# Depth -> milliseconds between its frames. Spot's 200 levels come as often as those of contracts (recording of August 2026).
PUSH_MS = {1: 10, 50: 20, 200: 100, 1000: 200}
REPEAT_US = 3_000_000
TICKER_US = 100_000
STATE_US = 1_000_000
FUNDING_S = 8 * 3600
OPEN_INTEREST_USD = 2e9

Levels = list[tuple[int, int]]


def told(held: dict[int, int], levels: Levels) -> Levels:
    """What a client that holds one window must hear to hold another; levels that leave it are deleted, as recorded."""
    wanted = dict(levels)
    return [(price, 0) for price in held if price not in wanted] + [(price, lots) for price, lots in levels if held.get(price) != lots]


class BookTopic:
    """One depth of one book. `update` counts this topic's frames alone; clients hold what the last frame left them with."""

    def __init__(self, market: Market, spelling: Spelling, depth: int) -> None:
        self.depth = depth
        self.stream = stream(market, f"orderbook.{depth}.{spelling.id}", "book")
        self._market = market
        self._spelling = spelling
        self._push_us = PUSH_MS[depth] * 1000
        self._due_us = 0
        self._sent_us = 0
        self._changed = True
        self.update = 1_000 + market.sequence % 100_000_000
        self._bids: dict[int, int] = {}
        self._asks: dict[int, int] = {}

    def mark(self) -> None:
        """The book has changed since the last frame."""
        self._changed = True

    def snapshot(self, now_us: int) -> str:
        """What a new client is told; without listeners the topic is brought up to date first."""
        if not self.stream.wanted:
            self._take()
        return self._text("snapshot", list(self._bids.items()), list(self._asks.items()), now_us)

    def stale(self, image: Image, now_us: int) -> str:
        """A snapshot of an earlier book under an earlier count, after which the next frame does not follow."""
        bids, asks = image.bids[: self.depth], image.asks[: self.depth]
        return self._text("snapshot", bids, asks, now_us, update=max(2, self.update - 7))

    def restart(self, hub: Hub, now_us: int) -> None:
        """The service came up anew: a snapshot counted 1."""
        self._take()
        self.update = 1
        if self.stream.wanted:
            hub.publish(self.stream, self._text("snapshot", list(self._bids.items()), list(self._asks.items()), now_us))

    def clock(self, hub: Hub, now_us: int) -> None:
        """Send what is due."""
        if now_us < self._due_us or not self.stream.wanted:
            return
        self._due_us = now_us // self._push_us * self._push_us + self._push_us
        if not self._changed:
            if self.depth == 1 and now_us - self._sent_us >= REPEAT_US:
                self._send(hub, "snapshot", list(self._bids.items()), list(self._asks.items()), now_us)
            return
        before = self._bids, self._asks
        update = self.update
        self._take()
        if self.depth == 1:
            bids, asks = list(self._bids.items()), list(self._asks.items())
            self._send(hub, "snapshot", bids, asks, now_us)
            return
        bids, asks = (told(held, list(new.items())) for held, new in zip(before, (self._bids, self._asks), strict=True))
        if bids or asks:
            self._send(hub, "delta", bids, asks, now_us)
        else:
            self.update = update

    def _take(self) -> None:
        book = self._market.book
        self._bids, self._asks = dict(book.bids.levels(self.depth)), dict(book.asks.levels(self.depth))
        self.update += 1
        self._changed = False

    def _send(self, hub: Hub, kind: str, bids: Levels, asks: Levels, now_us: int) -> None:
        self._sent_us = now_us
        hub.publish(self.stream, self._text(kind, bids, asks, now_us))

    def _text(self, kind: str, bids: Levels, asks: Levels, now_us: int, *, update: int | None = None) -> str:
        market = self._market
        return frames.book(
            self._spelling,
            depth=self.depth,
            kind=kind,
            bids=bids,
            asks=asks,
            update=self.update if update is None else update,
            sequence=market.sequence,
            matched_ms=market.time_us // 1000,
            now_ms=now_us // 1000,
        )


class Feed:
    """The topics of one market."""

    def __init__(self, market: Market, *, hub: Hub) -> None:
        self.market = market
        self.spelling = Spelling(market.instrument)
        self.spot = market.instrument.market == SPOT
        self.hub = hub
        self.trades = stream(market, f"publicTrade.{self.spelling.id}", "trades")
        self.books = {depth: BookTopic(market, self.spelling, depth) for depth in PUSH_MS}
        self.ticker = stream(market, f"tickers.{self.spelling.id}", "mark")
        self.liquidations = stream(market, f"allLiquidation.{self.spelling.id}", "liquidations")
        shown = [self.trades, *(topic.stream for topic in self.books.values())]
        if not self.spot:
            shown += [self.ticker, self.liquidations]
        self.topics = {each.name: each for each in shown}
        self._ticker_due_us = 0
        self._state_us = 0
        self._state: dict[str, str] = {}
        self._told: dict[str, str] = {}

    def send_trades(self, fills: list[Trade]) -> bool:
        """Send the fills of one order; whether a client was sent them."""
        if not self.trades.wanted:
            return False
        sequence, now_ms = self.market.sequence, fills[0].time_us // 1000 + 1
        return self.hub.publish(self.trades, frames.trades(self.spelling, fills, sequence=sequence, now_ms=now_ms))

    def changed(self) -> None:
        """The book is another one now."""
        for topic in self.books.values():
            topic.mark()

    def clock(self, now_us: int) -> None:
        """Send books and states that are due."""
        for topic in self.books.values():
            topic.clock(self.hub, now_us)
        if now_us >= self._ticker_due_us and self.ticker.wanted:
            self._ticker_due_us = now_us // TICKER_US * TICKER_US + TICKER_US
            fields = self.fields(now_us)
            changed = {name: value for name, value in fields.items() if self._told.get(name) != value}
            for side in ("bid1", "ask1"):
                if changed.keys() & {f"{side}Price", f"{side}Size"}:
                    changed |= {name: fields[name] for name in (f"{side}Price", f"{side}Size")}
            if changed:
                self._told = fields
                ordered = {name: fields[name] for name in fields if name in changed}
                self.hub.publish(self.ticker, self._ticker("delta", ordered, now_us))

    def ticker_snapshot(self, now_us: int) -> str:
        """All fields; what the next delta is measured against."""
        if not self.ticker.wanted:
            self._told = self.fields(now_us)
        return self._ticker("snapshot", self._told, now_us)

    def _ticker(self, kind: str, fields: dict[str, str], now_us: int) -> str:
        return frames.ticker(self.spelling, fields, kind=kind, sequence=self.market.sequence, now_ms=now_us // 1000)

    def fields(self, now_us: int) -> dict[str, str]:
        """Fields of the ticker in the venue's order; prices of reference move once a second."""
        if now_us - self._state_us >= STATE_US:
            self._state_us = now_us
            self._state = self._references(now_us)
        spelling, market = self.spelling, self.market
        (bid, bid_lots), (ask, ask_lots) = market.book.bids.best(), market.book.asks.best()
        touch = {
            "bid1Price": spelling.price(bid),
            "bid1Size": spelling.amount(bid_lots),
            "ask1Price": spelling.price(ask),
            "ask1Size": spelling.amount(ask_lots),
        }
        return {**self._state, **touch, "preOpenPrice": "", "preQty": "", "curPreListingPhase": ""}

    def _references(self, now_us: int) -> dict[str, str]:
        market, item, shown = self.market, self.market.instrument, self.spelling.shown
        mark, index = market.path.at(now_us), index_price(item.base, market.seed, now_us)
        day, hour = market.path.at(now_us - 86_400_000_000), market.path.at(now_us - 3_600_000_000)
        last = market.recent[-1].price if market.recent else market.book.bids.best()[0]
        # Each contract is counted on both sides; the single number is half of it.
        single = OPEN_INTEREST_USD / 2 / mark * (1.0 + 0.02 * (now_us // 5_000_000 % 720 / 720 - 0.5))
        settles = (now_us // 1_000_000 // FUNDING_S + 1) * FUNDING_S * 1000
        return {
            "tickDirection": "ZeroPlusTick",
            "price24hPcnt": f"{mark / day - 1:.6f}",
            "lastPrice": self.spelling.price(last),
            "prevPrice24h": f"{day:.{shown}f}",
            "highPrice24h": f"{max(day, hour, mark):.{shown}f}",
            "lowPrice24h": f"{min(day, hour, mark):.{shown}f}",
            "prevPrice1h": f"{hour:.{shown}f}",
            "markPrice": f"{mark:.{shown}f}",
            "indexPrice": f"{index:.{shown}f}",
            "openInterest": f"{2 * single:.{item.lot_decimals}f}",
            "openInterestValue": f"{2 * single * mark:.2f}",
            "turnover24h": f"{OPEN_INTEREST_USD * 0.3:.4f}",
            "volume24h": f"{OPEN_INTEREST_USD * 0.3 / mark:.4f}",
            "fundingIntervalHour": "8",
            "fundingCap": "0.005",
            "singleOpenInterest": f"{single:.{item.lot_decimals}f}",
            "singleOpenInterestValue": f"{single * mark:.2f}",
            "nextFundingTime": str(settles),
            "fundingRate": funding_rate(mark, index),
        }

    def forced(self, fills: list[Trade], now_us: int) -> bool:
        """Announce a liquidation; whether a client was sent it."""
        if not self.liquidations.wanted:
            return False
        text = frames.liquidation(
            self.spelling,
            bought=fills[0].buy,
            price=fills[0].price,
            lots=sum(fill.amount for fill in fills),
            time_ms=now_us // 1000,
            now_ms=now_us // 1000 + 300,
        )
        return self.hub.publish(self.liquidations, text)

    def block(self, time_us: int) -> None:
        """A trade agreed away from the book, at a price of its own; marked as such on the trade topic."""
        bid, _ = self.market.book.bids.best()
        fill = Trade(self.market.skip_trade_id(), 0, time_us, bid - bid // 50, 1_000, buy=False)
        if self.trades.wanted:
            self.hub.publish(
                self.trades, frames.trades(self.spelling, [fill], sequence=self.market.sequence, now_ms=time_us // 1000, block=True)
            )

    def restart(self, now_us: int) -> None:
        """The service came up anew: every book topic begins again."""
        self.market.restart_sequence()
        for topic in self.books.values():
            topic.restart(self.hub, now_us)


def funding_rate(mark: float, index: float) -> str:
    """The rate of eight hours: interest of one basis point, moved by the premium within half a basis point."""
    premium = mark / index - 1
    return f"{premium + max(-0.00005, min(0.00005, 0.0001 - premium)):.8f}"


def stream(market: Market, name: str, channel: str) -> Stream:
    """A topic as the hub knows it."""
    return Stream(name, exchange=NAME, market=market.instrument.market, symbol=market.instrument.symbol, channel=channel)
