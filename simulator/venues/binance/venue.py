"""Binance as the server sees it: paths, request weights, faults of requests, dispatch to feeds.

What belongs here: which path leads where. What does not: bodies (rest.py), messages (feed.py), commands (session.py).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from urllib.parse import parse_qs, unquote

from simulator.instruments import Instrument
from simulator.market import Changes, Market, Trade
from simulator.streams import Socket, Stream
from simulator.venues.base import Answer, Pace, Session, Venue
from simulator.venues.binance import rest
from simulator.venues.binance.catalogue import NAME, SPOT, USDM
from simulator.venues.binance.feed import ALL_FORCED, SPOT_STREAMS, USDM_STREAMS, Feed
from simulator.venues.binance.session import BinanceSession

REST_PREFIXES = {"/spot/api/v3/": SPOT, "/usdm/fapi/v1/": USDM}
# Path below the market -> data class whose streams it delivers.
SOCKET_PATHS = {
    SPOT: {"": "spot"},
    USDM: {"/public": "public", "/market": "market", "": "public"},
}
# Call -> request weight on spot and on futures.
WEIGHTS = {
    "aggTrades": (4, 20),
    "historicalTrades": (25, 20),
    "trades": (25, 5),
    "klines": (2, 5),
    "exchangeInfo": (20, 1),
}
MEAN_FILLS = 1.4
DEPTH_FRAMES_PER_S = 10.0


class Binance(Venue):
    """Spot and USD-M perpetuals."""

    name = NAME
    endpoints: Mapping[str, tuple[str, str]] = {
        "spot_ws": ("/spot", "wss://stream.binance.com:9443"),
        "spot_rest": ("/spot", "https://api.binance.com"),
        "usdm_ws": ("/usdm", "wss://fstream.binance.com"),
        "usdm_rest": ("/usdm", "https://fapi.binance.com"),
    }
    weights: Mapping[str, int] = {SPOT: 6000, USDM: 2400}

    def prepare(self) -> None:
        self.all_forced = Stream(ALL_FORCED, exchange=NAME, market=USDM, symbol="*", channel="liquidations")
        self.feeds = {market.instrument: Feed(market, hub=self.hub, all_forced=self.all_forced) for market in self.markets}
        self._by_id = {(feed.market.instrument.market, feed.spelling.upper): feed for feed in self.feeds.values()}

    def count_weight_in(self, seconds: int) -> None:
        for limit in self.limits.values():
            limit.seconds = seconds

    def connect(self, path: str, query: str, socket: Socket) -> Session | None:
        market, data_class, rest_of_path = self._route(path)
        if market is None:
            return None
        socket.market = market
        if rest_of_path == "/stream":
            wrapped, names = True, [name for part in parse_qs(query).get("streams", []) for name in part.split("/") if name]
        elif rest_of_path == "/ws" or rest_of_path.startswith("/ws/"):
            wrapped, names = False, [unquote(name) for name in rest_of_path[4:].split("/") if name]
        else:
            return None
        return BinanceSession(socket, lookup=lambda name: self._stream(market, data_class, name), wrapped=wrapped, initial=names)

    @staticmethod
    def _route(path: str) -> tuple[str | None, str, str]:
        for market, prefixes in SOCKET_PATHS.items():
            for prefix, data_class in prefixes.items():
                start = f"/{market}{prefix}"
                if path.startswith((f"{start}/ws", f"{start}/stream")):
                    return market, data_class, path.removeprefix(start)
        return None, "", ""

    def _stream(self, market: str, data_class: str, name: str) -> Stream | None:
        if name == ALL_FORCED:
            return self.all_forced if data_class == "market" else None
        symbol, _, suffix = name.partition("@")
        kinds = SPOT_STREAMS if market == SPOT else USDM_STREAMS
        if symbol != symbol.lower() or suffix not in kinds or kinds[suffix][0] != data_class:
            return None
        feed = self._by_id.get((market, symbol.upper()))
        return feed.streams[suffix] if feed else None

    def rest(self, path: str, params: Mapping[str, str], now_us: int) -> Answer | None:
        for prefix, market in REST_PREFIXES.items():
            if path.startswith(prefix):
                try:
                    return self._answer(market, path.removeprefix(prefix), params, now_us)
                except ValueError:
                    return rest.error(400, -1100, "Illegal characters found in a parameter.")
        return None

    def _answer(self, market: str, call: str, params: Mapping[str, str], now_us: int) -> Answer | None:
        feed = self._by_id.get((market, params.get("symbol", "")))
        symbol = feed.market.instrument.symbol if feed else "*"
        weight: int | None = self._weight(market, call)
        if call == "depth":
            weight = rest.depth_weight(market, rest.number(params, "limit", 100 if market == SPOT else 500))
        wait = self.throttled(market, now_us, weight=weight or 1, symbol=symbol)
        if wait:
            answer = rest.error(429, -1003, "Too many requests; please use WebSocket Streams for live updates to avoid polling the API.")
            answer.headers["Retry-After"] = str(wait)
        elif call == "depth":
            answer = self._depth(feed, params, weight, now_us)
        else:
            found = self._call(market, call, feed, params, now_us)
            if found is None:
                return None
            answer = found
        answer.headers["X-MBX-USED-WEIGHT-1M"] = str(self.limits[market].used)
        return answer

    @staticmethod
    def _weight(market: str, call: str) -> int:
        return WEIGHTS.get(call, (1, 1))[0 if market == SPOT else 1]

    def _depth(self, feed: Feed | None, params: Mapping[str, str], weight: int | None, now_us: int) -> Answer:
        if feed is None:
            return rest.invalid_symbol()
        spot = feed.spot
        limit = rest.number(params, "limit", 100 if spot else 500)
        if weight is None and spot and limit > 0:
            limit, weight = 5000, 250
        if weight is None:
            return rest.error(400, -4021, f"Invalid depth limit {limit}.")
        image, delay = self.snapshot(feed.market, now_us)
        return Answer(200, rest.depth(feed.spelling, image, limit=limit, now_ms=now_us // 1000), delay_s=delay)

    def _call(self, market: str, call: str, feed: Feed | None, params: Mapping[str, str], now_us: int) -> Answer | None:
        if call == "ping":
            return Answer(200, "{}")
        if call == "time":
            return Answer(200, f'{{"serverTime":{now_us // 1000}}}')
        if call == "exchangeInfo":
            listed = [item for item in self.listed if item.market == market]
            return Answer(200, rest.exchange_info(listed, market=market, now_us=now_us, weight_limit=self.limits[market].limit))
        if call not in {"aggTrades", "historicalTrades", "trades", "klines", "openInterest"}:
            return None
        if feed is None:
            return rest.invalid_symbol()
        if call == "aggTrades":
            return Answer(200, rest.aggregate_trades(feed.spelling, feed.market, params))
        if call == "klines":
            return rest.klines(feed.spelling, feed.market, params, now_us)
        if call == "openInterest":
            return Answer(200, rest.open_interest(feed.spelling, feed.market, now_us)) if market == USDM else None
        return Answer(200, rest.raw_trades(feed.spelling, feed.market, params))

    def acknowledge(self, text: str, now_us: int) -> list[str]:
        del now_us
        return [f'{{"result":null,"id":{json.dumps(json.loads(text).get("id"))}}}']

    def recorded(self, path: str, text: str) -> str | None:
        # Recordings of the futures' un-routed path hold both data classes; today's paths carry one each.
        market, data_class, rest_of_path = self._route(path)
        mark = ',"data":'
        if not text.startswith('{"stream":"') or mark not in text:
            return text
        name = text[11 : text.index('"', 11)]
        if market == USDM and path.startswith(("/usdm/public", "/usdm/market")):
            suffix = name.partition("@")[2]
            public = suffix.startswith(("depth", "trade", "bookTicker", "rpiDepth")) or name == "!bookTicker"
            if (data_class == "public") != public:
                return None
        return text[text.index(mark) + len(mark) : -1] if rest_of_path.startswith("/ws") else text

    def pace(self, instrument: Instrument, messages_per_s: float) -> Pace:
        depth = min(DEPTH_FRAMES_PER_S, messages_per_s / 2)
        frames_per_order = MEAN_FILLS if instrument.market == SPOT else 1.1
        return Pace((messages_per_s - depth) / frames_per_order, depth)

    def trades(self, market: Market, fills: list[Trade]) -> list[bool]:
        return self.feeds[market.instrument].trades(fills)

    def changes(self, market: Market, changes: Changes) -> None:
        self.feeds[market.instrument].changes(changes)

    def clock(self, now_us: int) -> None:
        for feed in self.feeds.values():
            feed.clock(now_us)

    def wire_ids(self, market: Market, fills: list[Trade]) -> list[str]:
        # Futures publish aggregates alone; spot streams both, and collectors that want every fill take the raw ones.
        if market.instrument.market == SPOT:
            return super().wire_ids(market, fills)
        return [str(fill.aggregate_id) for fill in fills]

    def shutdown_notice(self, socket: Socket, now_us: int) -> list[str | bytes]:
        if socket.market != SPOT:
            return []
        event = f'{{"e":"serverShutdown","E":{now_us // 1000}}}'
        wrapped = any(socket in stream.wrapped for stream in socket.streams)
        return [f'{{"stream":"!serverShutdown","data":{event}}}' if wrapped else event]

    def liquidation(self, market: Market, fills: list[Trade], now_us: int) -> bool | None:
        if market.instrument.market != USDM:
            return None
        feed = self.feeds[market.instrument]
        delivered = feed.forced(fills, now_us)
        if fills[0].trade_id % 3 == 0:
            feed.off_book(now_us)
        return delivered
