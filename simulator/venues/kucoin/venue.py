"""KuCoin as the server sees it: the two push hosts, REST dispatch and its weights.

What belongs here: paths, who gets what. What does not: texts (frames.py, rest.py), commands (session.py), streams (feed.py).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from simulator.instruments import Instrument
from simulator.market import Changes, Market, Trade
from simulator.streams import Socket, Stream
from simulator.venues.base import Answer, Pace, Session, Venue, standing
from simulator.venues.kucoin import frames, rest
from simulator.venues.kucoin.catalogue import FUTURES, NAME, SPOT
from simulator.venues.kucoin.feed import Asked, Feed
from simulator.venues.kucoin.session import KucoinSession, Topic

TRADE_TYPES = {SPOT: "SPOT", FUTURES: "FUTURES"}
# 2,000 a client and half a minute for public data.
WEIGHT_PER_MINUTE = 4_000
WEIGHTS = {"api/v2/symbols": 4, "api/v1/symbols": 4, "api/v1/contracts/active": 3, "api/ua/v1/market/trade": 3}
USUAL_WEIGHT = 3
# Of one market; the unified list of trades is served for futures too.
SPOT_CALLS = frozenset(
    {"api/ua/v1/market/trade", "api/v1/market/orderbook/level2_20", "api/v1/market/orderbook/level2_100", "api/v1/market/candles"}
)
BOOK_FRAMES_PER_S = 20.0
MEAN_FILLS = 1.4


class Kucoin(Venue):
    """Spot pairs and USDT-margined futures over the unified gateway; liquidations are not published."""

    name = NAME
    endpoints: Mapping[str, tuple[str, str]] = {
        "spot_ws": ("/spot", "wss://x-push-spot.kucoin.com"),
        "spot_rest": ("/spot", "https://api.kucoin.com"),
        "futures_ws": ("/futures", "wss://x-push-futures.kucoin.com"),
        "futures_rest": ("/futures", "https://api-futures.kucoin.com"),
    }
    weights: Mapping[str, int] = {SPOT: WEIGHT_PER_MINUTE, FUTURES: WEIGHT_PER_MINUTE}

    def prepare(self) -> None:
        self.feeds = {market.instrument: Feed(market, hub=self.hub) for market in self.markets}
        self._by_name = {(feed.spelling.trade_type, feed.spelling.native): feed for feed in self.feeds.values()}
        self._sessions: dict[Socket, KucoinSession] = {}

    def connect(self, path: str, query: str, socket: Socket) -> Session | None:
        del query
        market = path.strip("/")
        if market not in TRADE_TYPES:
            return None
        socket.market = market
        session = KucoinSession(socket, self, trade_type=TRADE_TYPES[market])
        if socket.identity:
            self._sessions[socket] = session
        return session

    def offers(self, topic: Topic, trade_type: str) -> bool:
        """Whether a market has a channel."""
        channel, native, depth = topic
        feed = self._by_name.get((trade_type, native))
        return feed is not None and feed.stream(channel, depth) is not None

    def subscribe(self, socket: Socket, topic: Topic, now_us: int) -> None:
        """Let a socket listen; an increment stream begins with the whole book."""
        channel, native, depth = topic
        feed = self._by_name[TRADE_TYPES[socket.market], native]
        stream = feed.stream(channel, depth)
        assert stream is not None
        if channel == "obu" and depth in feed.increments:
            late = max(self.snapshot_delay(feed.market, now_us), self._silent(stream, now_us))
            feed.ask(depth, Asked(socket, now_us + int(late * 1e6)))
        else:
            self.hub.attach(socket, stream)

    def unsubscribe(self, socket: Socket, topic: Topic) -> None:
        """A socket listens no more."""
        channel, native, depth = topic
        feed = self._by_name[TRADE_TYPES[socket.market], native]
        stream = feed.stream(channel, depth)
        assert stream is not None
        self.hub.detach(socket, stream)
        feed.leave(socket, depth)

    def _silent(self, stream: Stream, now_us: int) -> float:
        """Seconds for which a fault keeps a stream from saying anything, also what a subscription begins with."""
        stalls = [fault for fault in self.faults.active if fault.kind == "stall"]
        ends = [fault.end_us for fault in stalls if fault.matches(NAME, stream.symbol, stream.channel)]
        return max(0.0, (max(ends, default=0) - now_us) / 1e6)

    def rest(self, path: str, params: Mapping[str, str], now_us: int) -> Answer | None:
        market, _, call = path[1:].partition("/")
        if market not in self.limits:
            return None
        trade_type = params.get("tradeType", TRADE_TYPES[market])
        feed = self._by_name.get((trade_type, params.get("symbol", "")))
        weight = WEIGHTS.get(call, USUAL_WEIGHT)
        wait = self.throttled(market, now_us, weight=weight, symbol=feed.market.instrument.symbol if feed else "*")
        if wait:
            headers = {
                "gw-ratelimit-limit": str(self.limits[market].limit),
                "gw-ratelimit-remaining": "0",
                "gw-ratelimit-reset": f"{wait}000",
            }
            return Answer(429, '{"code":"429000","msg":"Too many requests in a short period of time, please retry later"}', headers=headers)
        try:
            return self._spot(call, feed, params, now_us) if market == SPOT else self._futures(call, feed, params, now_us)
        except ValueError:
            return rest.failed("400100", "Invalid parameter.")

    def _spot(self, call: str, feed: Feed | None, params: Mapping[str, str], now_us: int) -> Answer | None:
        if call in {"api/v2/symbols", "api/v1/symbols"}:
            return rest.symbols(rest.listed(self.listed, spot=True))
        if call == "api/v1/bullet-public":
            return Answer(200, '{"msg":"Method Not Allowed","code":"405000"}')
        if call not in {
            "api/ua/v1/market/trade",
            "api/v1/market/orderbook/level2_100",
            "api/v1/market/orderbook/level2_20",
            "api/v1/market/candles",
        }:
            return None
        if feed is None:
            return rest.failed("900001", "symbol not exists")
        if call == "api/ua/v1/market/trade":
            return rest.newest_trades(feed)
        if call == "api/v1/market/candles":
            return rest.spot_candles(feed, params, now_us)
        return self._depth(feed, int(call.rpartition("_")[2]), now_us)

    def _futures(self, call: str, feed: Feed | None, params: Mapping[str, str], now_us: int) -> Answer | None:
        if call == "api/v1/contracts/active":
            markets = {feed.market.instrument: feed.market for feed in self.feeds.values()}
            return rest.contracts(rest.listed(self.listed, spot=False), markets, now_us)
        if call.startswith("api/v1/funding-rate/"):
            feed = self._by_name.get(("FUTURES", call.split("/")[3]))
        elif call not in {"api/v1/level2/snapshot", "api/v1/kline/query"}:
            return None
        if feed is None:
            return rest.failed("404000", "Symbol is not found")
        if call == "api/v1/level2/snapshot":
            return self._depth(feed, None, now_us)
        return rest.futures_candles(feed, params, now_us) if call == "api/v1/kline/query" else rest.current_funding(feed, now_us)

    def _depth(self, feed: Feed, count: int | None, now_us: int) -> Answer:
        image, late = self.snapshot(feed.market, now_us)
        answer = rest.depth(feed, image, count=count)
        answer.delay_s = late
        return answer

    def acknowledge(self, text: str, now_us: int) -> list[str]:
        message: Any = json.loads(text)
        identity = json.dumps(message.get("id"))
        return [frames.pong(identity=identity, now_us=now_us) if message.get("type") == "ping" else frames.done(identity=identity)]

    def pace(self, instrument: Instrument, messages_per_s: float) -> Pace:
        del instrument
        book = min(BOOK_FRAMES_PER_S, messages_per_s / 2)
        return Pace((messages_per_s - book) / MEAN_FILLS, book)

    def trades(self, market: Market, fills: list[Trade]) -> list[bool]:
        return self.feeds[market.instrument].trades(fills)

    def changes(self, market: Market, changes: Changes) -> None:
        self.feeds[market.instrument].changes(changes)

    def clock(self, now_us: int) -> None:
        for feed in self.feeds.values():
            feed.clock(now_us)
        for _, session in standing(self._sessions, self.hub):
            session.beat(now_us)

    def wire_ids(self, market: Market, fills: list[Trade]) -> list[str]:
        spelling = self.feeds[market.instrument].spelling
        return [str(spelling.trade_id(fill.trade_id)) for fill in fills]

    def restart_sequence(self, market: Market, now_us: int) -> None:
        self.feeds[market.instrument].finish(now_us)
        super().restart_sequence(market, now_us)
