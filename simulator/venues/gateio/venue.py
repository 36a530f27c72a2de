"""Gate.io as the server sees it: paths, streams by name, request counting, REST dispatch.

What belongs here: which path, stream or call leads where. What does not: texts (frames.py, rest.py), commands (session.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from simulator.instruments import Instrument
from simulator.limits import WeightLimit
from simulator.market import Changes, Market, Trade
from simulator.streams import Socket, Stream
from simulator.venues.base import Answer, Pace, Session, Venue
from simulator.venues.gateio import frames, rest
from simulator.venues.gateio.catalogue import NAME, SPOT, USDT
from simulator.venues.gateio.feed import BOOK_PACE_US, Feed, Ladder
from simulator.venues.gateio.session import GateSession, acknowledgements

REST_PREFIX = "/api/v4/"
SOCKET_PATHS = {"/ws/v4": SPOT, "/v4/ws/usdt": USDT, "/v4/ws/btc": "btc"}
REQUESTS = 200
WINDOW_S = 10
ALL = "!all"
MEAN_FILLS = 1.4
BOOK_FRAMES_PER_S = 10.0


class Gateio(Venue):
    """Spot, and futures settled in USDT; those settled in BTC have a socket and an empty list."""

    name = NAME
    endpoints: Mapping[str, tuple[str, str]] = {
        "spot_ws": ("/ws/v4/", "wss://api.gateio.ws/ws/v4/"),
        "usdt_ws": ("/v4/ws/usdt", "wss://fx-ws.gateio.ws/v4/ws/usdt"),
        "btc_ws": ("/v4/ws/btc", "wss://fx-ws.gateio.ws/v4/ws/btc"),
        "rest": ("/api/v4", "https://api.gateio.ws/api/v4"),
    }

    def prepare(self) -> None:
        self.all_forced = Stream(ALL, exchange=NAME, market=USDT, symbol="*", channel="liquidations")
        self.feeds = {market.instrument: Feed(market, hub=self.hub, all_forced=self.all_forced) for market in self.markets}
        self._by_id = {(feed.market.instrument.market, feed.spelling.id): feed for feed in self.feeds.values()}
        self._requests = self.weight_limit or REQUESTS
        self._awaiting: set[tuple[Socket, Ladder]] = set()

    def connect(self, path: str, query: str, socket: Socket) -> Session | None:
        del query
        market = SOCKET_PATHS.get(path.rstrip("/"))
        if market is None:
            return None
        socket.market = market
        return GateSession(socket, self)

    def has(self, market: str, channel: str, name: str) -> bool:
        """Whether a name of a payload stands for a stream."""
        if channel == "public_liquidates" and name == ALL:
            return True
        if channel == "obu":
            return self._ladder(market, name) is not None
        return (market, name) in self._by_id

    def holds(self, socket: Socket, channel: str, name: str) -> bool:
        """Whether a socket has subscribed to a stream, though its book may still be on the way."""
        ladder = self._ladder(socket.market, name) if channel == "obu" else None
        if ladder is not None and (socket, ladder) in self._awaiting:
            return True
        return self._stream(socket.market, channel, name) in socket.streams

    def join(self, socket: Socket, channel: str, name: str, *, now_us: int) -> None:
        """Attach a socket to a stream; a book begins with all of it."""
        ladder = self._ladder(socket.market, name) if channel == "obu" else None
        if ladder is None:
            self.hub.attach(socket, self._stream(socket.market, channel, name))
            return
        late = self.snapshot_delay(self._feed_of(socket.market, name).market, now_us)
        if late:
            self._awaiting.add((socket, ladder))
            self.later(now_us + int(late * 1e6), partial(self._join_late, socket, ladder))
        else:
            ladder.join(socket)

    def leave(self, socket: Socket, channel: str, name: str) -> None:
        """Detach a socket from a stream."""
        ladder = self._ladder(socket.market, name) if channel == "obu" else None
        if ladder is not None:
            self._awaiting.discard((socket, ladder))
        self.hub.detach(socket, self._stream(socket.market, channel, name))

    def _join_late(self, socket: Socket, ladder: Ladder) -> None:
        if (socket, ladder) in self._awaiting:
            self._awaiting.discard((socket, ladder))
            if socket in self.hub.sockets:
                ladder.join(socket)

    def _feed_of(self, market: str, name: str) -> Feed:
        """The feed a stream name ob.<id>.<levels> speaks of."""
        return self._by_id[market, name.removeprefix("ob.").rpartition(".")[0]]

    def _ladder(self, market: str, name: str) -> Ladder | None:
        prefix, _, rest_of_name = name.partition(".")
        native, _, depth = rest_of_name.rpartition(".")
        if prefix != "ob" or not depth.isdecimal() or (market, native) not in self._by_id:
            return None
        return self._by_id[market, native].ladders.get(int(depth)) if int(depth) in BOOK_PACE_US else None

    def _stream(self, market: str, channel: str, name: str) -> Stream:
        if channel == "obu":
            ladder = self._ladder(market, name)
            assert ladder is not None
            return ladder.stream
        if name == ALL:
            return self.all_forced
        feed = self._by_id[market, name]
        return {"trades": feed.trades_stream, "tickers": feed.ticker_stream, "public_liquidates": feed.forced_stream}[channel]

    def rest(self, path: str, params: Mapping[str, str], now_us: int) -> Answer | None:
        if not path.startswith(REST_PREFIX):
            return None
        call = path.removeprefix(REST_PREFIX)
        family, _, name = call.rpartition("/")
        market = {"spot": SPOT, "futures/usdt": USDT, "futures/btc": "btc"}.get(family)
        if market is None:
            return None
        feed = self._by_id.get((market, params.get("currency_pair" if market == SPOT else "contract", "")))
        limit = self.limits.setdefault(call, WeightLimit(self._requests, seconds=WINDOW_S))
        wait = self.throttled(call, now_us, symbol=feed.market.instrument.symbol if feed else "*")
        if wait:
            answer = rest.error("TOO_MANY_REQUESTS", "Request Rate limit Exceeded (311)", status=429)
        else:
            try:
                found = self._answer(market, name, feed, params, now_us)
            except ValueError as error:
                found = rest.error("INVALID_PARAM_VALUE", f"Invalid request parameter `{error}` value")
            if found is None:
                return None
            answer = found
        second = now_us // 1_000_000
        answer.headers |= {
            "X-Gate-RateLimit-Limit": str(limit.limit),
            "X-Gate-RateLimit-Requests-Remain": str(0 if wait else max(0, limit.limit - limit.used)),
            "X-Gate-RateLimit-Reset-Timestamp": str(second + (wait or WINDOW_S - second % WINDOW_S)),
        }
        return answer

    def _answer(self, market: str, name: str, feed: Feed | None, params: Mapping[str, str], now_us: int) -> Answer | None:
        listed = [item for item in self.listed if item.market == market]
        if name == "currency_pairs" and market == SPOT:
            return Answer(200, rest.currency_pairs(listed))
        if name == "contracts" and market != SPOT:
            return Answer(200, rest.contracts(listed, now_us))
        if name not in {"order_book", "trades", "candlesticks"} and (name != "liq_orders" or market == SPOT):
            return None
        if feed is None:
            if market == SPOT:
                return rest.error("INVALID_CURRENCY_PAIR", f"Invalid currency pair {params.get('currency_pair', '')}")
            return rest.error("CONTRACT_NOT_FOUND", "CONTRACT_NOT_FOUND")
        if name == "order_book":
            image, late = self.snapshot(feed.market, now_us)
            limit = rest.number(params, "limit", 10, most=5000 if market == SPOT else 300)
            with_id = params.get("with_id", "false") == "true"
            return Answer(200, rest.depth(feed.spelling, image, limit=limit, with_id=with_id, now_us=now_us), delay_s=late)
        if name == "trades":
            return Answer(200, rest.trades(feed.spelling, feed.market, params))
        if name == "candlesticks":
            return rest.candlesticks(feed.spelling, feed.market, params, now_us)
        return Answer(200, rest.forced_orders(feed.spelling, feed.forced_orders, params))

    def acknowledge(self, text: str, now_us: int) -> list[str]:
        return acknowledgements(text, now_us)

    def pace(self, instrument: Instrument, messages_per_s: float) -> Pace:
        book = min(BOOK_FRAMES_PER_S, messages_per_s / 2)
        return Pace((messages_per_s - book) / (MEAN_FILLS if instrument.market == SPOT else 1.0), book)

    def trades(self, market: Market, fills: list[Trade]) -> list[bool]:
        return self.feeds[market.instrument].trades(fills)

    def changes(self, market: Market, changes: Changes) -> None:
        self.feeds[market.instrument].changes(changes)

    def clock(self, now_us: int) -> None:
        for feed in self.feeds.values():
            feed.clock(now_us)

    def restart_sequence(self, market: Market, now_us: int) -> None:
        del now_us
        self.feeds[market.instrument].restart()

    def shutdown_notice(self, socket: Socket, now_us: int) -> list[str | bytes]:
        del socket, now_us
        return [frames.UPGRADE]

    def liquidation(self, market: Market, fills: list[Trade], now_us: int) -> bool | None:
        if market.instrument.market == SPOT:
            return None
        feed = self.feeds[market.instrument]
        delivered = feed.forced(fills, now_us)
        if fills[0].trade_id % 3 == 0:
            feed.off_book(now_us)
        return delivered
