"""One Binance market's streams: which exist on which path, and what each sends when.

What belongs here: turning fills, book changes and the clock into stream messages. What does not: subscribe commands
(session.py) and REST (rest.py).
"""

from __future__ import annotations

from simulator.market import Changes, Market, Trade
from simulator.prices import index_price
from simulator.streams import Hub, Stream
from simulator.venues.binance import frames
from simulator.venues.binance.catalogue import NAME, SPOT, Spelling

# Stream suffix -> (data class that the futures path must name, channel, interval in ms for what is collected).
SPOT_STREAMS: dict[str, tuple[str, str, int]] = {
    "trade": ("spot", "trades", 0),
    "aggTrade": ("spot", "trades", 0),
    "bookTicker": ("spot", "ticker", 0),
    "depth": ("spot", "book", 1000),
    "depth@100ms": ("spot", "book", 100),
}
USDM_STREAMS: dict[str, tuple[str, str, int]] = {
    "trade": ("public", "trades", 0),
    "bookTicker": ("public", "ticker", 0),
    "depth": ("public", "book", 250),
    "depth@100ms": ("public", "book", 100),
    "depth@500ms": ("public", "book", 500),
    "aggTrade": ("market", "trades", 0),
    "markPrice": ("market", "mark", 3000),
    "markPrice@1s": ("market", "mark", 1000),
    "forceOrder": ("market", "liquidations", 0),
}
ALL_FORCED = "!forceOrder@arr"
FORCED_WINDOW_US = 1_000_000


class Collected:
    """Book changes gathered until a depth stream's next frame is due."""

    __slots__ = ("asks", "bids", "due_us", "first", "interval_us", "last", "previous", "stream", "time_us")

    def __init__(self, stream: Stream, interval_ms: int) -> None:
        self.stream = stream
        self.interval_us = interval_ms * 1000
        self.due_us = 0
        self.first = self.last = self.previous = self.time_us = 0
        self.bids: dict[int, int] = {}
        self.asks: dict[int, int] = {}

    def add(self, changes: Changes) -> None:
        if not self.stream.wanted:
            self.first = self.last = 0
            self.bids, self.asks = {}, {}
            return
        if not self.first:
            self.first = changes.first
            if not self.last:
                self.previous = changes.previous
        self.last = changes.last
        self.time_us = changes.time_us
        self.bids.update(changes.bids)
        self.asks.update(changes.asks)

    def due(self, now_us: int) -> Changes | None:
        """The frame that is due, if anything changed."""
        if now_us < self.due_us:
            return None
        self.due_us = now_us // self.interval_us * self.interval_us + self.interval_us
        if not self.first:
            return None
        gathered = Changes(self.previous, self.first, self.last, self.time_us, self.bids, self.asks)
        self.previous, self.first = self.last, 0
        self.bids, self.asks = {}, {}
        return gathered


class Feed:
    """The streams of one market."""

    def __init__(self, market: Market, *, hub: Hub, all_forced: Stream) -> None:
        self.market = market
        self.spelling = Spelling(market.instrument)
        self.spot = market.instrument.market == SPOT
        self.hub = hub
        kinds = SPOT_STREAMS if self.spot else USDM_STREAMS
        self.streams = {
            suffix: Stream(
                f"{self.spelling.lower}@{suffix}",
                exchange=NAME,
                market=market.instrument.market,
                symbol=market.instrument.symbol,
                channel=channel,
            )
            for suffix, (_, channel, _) in kinds.items()
        }
        self.collected = [
            Collected(self.streams[suffix], interval) for suffix, (_, channel, interval) in kinds.items() if channel == "book"
        ]
        self._marks = [(self.streams[suffix], interval * 1000) for suffix, (_, channel, interval) in kinds.items() if channel == "mark"]
        self._mark_slots = [0] * len(self._marks)
        self._all_forced = all_forced
        self._best: tuple[tuple[int, int], tuple[int, int]] | None = None
        self._last_forced_us = 0

    def trades(self, fills: list[Trade]) -> list[bool]:
        raw, merged = self.streams["trade"], self.streams["aggTrade"]
        event_ms = fills[0].time_us // 1000 + 1
        delivered = [False] * len(fills)
        if raw.wanted:
            one = frames.spot_trade if self.spot else frames.usdm_trade
            delivered = [self.hub.publish(raw, one(self.spelling, fill, event_ms)) for fill in fills]
        if merged.wanted:
            many = frames.spot_aggregate if self.spot else frames.usdm_aggregate
            for group in frames.aggregates(fills):
                if self.hub.publish(merged, many(self.spelling, group, event_ms)):
                    first = group[1] - fills[0].trade_id
                    delivered[first : first + 1 + group[2] - group[1]] = [True] * (1 + group[2] - group[1])
        return delivered

    def changes(self, changes: Changes) -> None:
        for gathered in self.collected:
            gathered.add(changes)
        ticker = self.streams["bookTicker"]
        if not ticker.wanted:
            return
        best = (self.market.book.bids.best(), self.market.book.asks.best())
        if best == self._best:
            return
        self._best = best
        if self.spot:
            text = frames.spot_ticker(self.spelling, changes.last, *best)
        else:
            at_ms = changes.time_us // 1000
            text = frames.usdm_ticker(self.spelling, changes.last, *best, engine_ms=at_ms, event_ms=at_ms + 1)
        self.hub.publish(ticker, text)

    def clock(self, now_us: int) -> None:
        depth = frames.spot_depth if self.spot else frames.usdm_depth
        for gathered in self.collected:
            frame = gathered.due(now_us)
            if frame is not None and gathered.stream.wanted:
                self.hub.publish(gathered.stream, depth(self.spelling, frame, now_us // 1000))
        for position, (stream, interval) in enumerate(self._marks):
            slot = now_us // interval
            if slot == self._mark_slots[position]:
                continue
            self._mark_slots[position] = slot
            if stream.wanted:
                self.hub.publish(stream, self.mark(slot * interval))

    def mark(self, time_us: int) -> str:
        """The mark price message of an instant."""
        index = index_price(self.market.instrument.base, self.market.seed, time_us)
        return frames.mark_price(self.spelling, mark=self.market.path.at(time_us), index=index, event_ms=time_us // 1000)

    def forced(self, fills: list[Trade], now_us: int) -> bool:
        """Announce a liquidation; the venue shows at most one a second and symbol."""
        own = self.streams["forceOrder"]
        if now_us - self._last_forced_us < FORCED_WINDOW_US:
            return False
        self._last_forced_us = now_us
        text = frames.force_order(self.spelling, fills, now_us // 1000)
        return self.hub.publish(own, text) | self.hub.publish(self._all_forced, text)

    def off_book(self, time_us: int) -> None:
        """A fill of the insurance fund: on the raw trade stream only, at a price no book ever showed."""
        bid, _ = self.market.book.bids.best()
        fill = Trade(self.market.skip_trade_id(), 0, time_us, bid - bid // 50, 1_000, buy=False)
        if self.streams["trade"].wanted:
            self.hub.publish(self.streams["trade"], frames.usdm_trade(self.spelling, fill, time_us // 1000, kind="INSURANCE_FUND"))
