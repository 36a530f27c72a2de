"""Bybit as the server sees it: a socket a market, one REST host, bans, faults of requests, dispatch to feeds.

What belongs here: which path leads where, and who is banned. What does not: bodies (rest.py), messages (feed.py), commands (session.py).
"""

from __future__ import annotations

from collections.abc import Mapping

from simulator.instruments import Instrument
from simulator.limits import WeightLimit
from simulator.market import Changes, Market, Trade
from simulator.streams import Socket
from simulator.venues.base import Answer, Pace, Session, Venue, standing
from simulator.venues.bybit import frames, rest
from simulator.venues.bybit.catalogue import LINEAR, NAME
from simulator.venues.bybit.feed import BookTopic, Feed
from simulator.venues.bybit.session import BybitSession, acknowledgements

SOCKET_PREFIX = "/v5/public/"
REST_PREFIX = "/rest/v5/market/"
HOST = "rest"
REQUESTS, WINDOW_S = 600, 5
BANNED_US = 600_000_000
BOOK_FRAMES_PER_S = 5.0
TICKERS_PER_S = 8.0


class Bybit(Venue):
    """Spot and linear perpetuals; the inverse socket and list exist and are empty."""

    name = NAME
    endpoints: Mapping[str, tuple[str, str]] = {
        **{f"{market}_ws": (f"{SOCKET_PREFIX}{market}", f"wss://stream.bybit.com{SOCKET_PREFIX}{market}") for market in rest.CATEGORIES},
        "rest": ("/rest", "https://api.bybit.com"),
    }
    weights: Mapping[str, int] = {HOST: REQUESTS}

    def prepare(self) -> None:
        self.limits = {HOST: WeightLimit(self.weight_limit or REQUESTS, seconds=WINDOW_S)}
        self.feeds = {market.instrument: Feed(market, hub=self.hub) for market in self.markets}
        self._by_id = {(item.market, feed.spelling.id): feed for item, feed in self.feeds.items()}
        self._topics = {(item.market, name): feed for item, feed in self.feeds.items() for name in feed.topics}
        self._sessions: dict[Socket, BybitSession] = {}
        self._delayed: set[tuple[Socket, str]] = set()
        self._banned_until_us = 0

    def connect(self, path: str, query: str, socket: Socket) -> Session | None:
        del query
        market = path.removeprefix(SOCKET_PREFIX)
        if not path.startswith(SOCKET_PREFIX) or market not in rest.CATEGORIES:
            return None
        socket.market = market
        session = BybitSession(socket, self, market=market)
        self._sessions[socket] = session
        return session

    def has(self, market: str, topic: str) -> bool:
        """Whether a topic exists on a market's socket."""
        return (market, topic) in self._topics

    def subscribe(self, socket: Socket, *, market: str, topic: str, now_us: int) -> None:
        """Attach a socket to a topic, and send it the snapshot that books and tickers begin with."""
        feed = self._topics[market, topic]
        stream = feed.topics[topic]
        book = next((book for book in feed.books.values() if book.stream is stream), None)
        if book is not None:
            late = self.snapshot_delay(feed.market, now_us)
            if late:
                self._delayed.add((socket, topic))
                due_us = now_us + int(late * 1e6)
                self.later(due_us, lambda: self._start_late(socket, feed, book, due_us))
            else:
                self._start_book(socket, feed, book, now_us)
            return
        if stream is feed.ticker:
            socket.send(feed.ticker_snapshot(now_us))
        self.hub.attach(socket, stream)

    def _start_late(self, socket: Socket, feed: Feed, book: BookTopic, now_us: int) -> None:
        if (socket, book.stream.name) in self._delayed:
            self._delayed.discard((socket, book.stream.name))
            if socket in self.hub.sockets:
                self._start_book(socket, feed, book, now_us)

    def _start_book(self, socket: Socket, feed: Feed, book: BookTopic, now_us: int) -> None:
        current = book.snapshot(now_us)
        stale = self.faults.request("stale_snapshot", NAME, feed.market.instrument.symbol)
        socket.send(current if stale is None else book.stale(feed.market.opening, now_us))
        self.hub.attach(socket, book.stream)

    def unsubscribe(self, socket: Socket, *, market: str, topic: str) -> None:
        """Detach a socket from a topic."""
        self.hub.detach(socket, self._topics[market, topic].topics[topic])
        self._delayed.discard((socket, topic))

    def rest(self, path: str, params: Mapping[str, str], now_us: int) -> Answer | None:
        if not path.startswith(REST_PREFIX):
            return None
        category = params.get("category", LINEAR)
        if category not in rest.CATEGORIES:
            return rest.failed(10001, "params error: Category is invalid", now_us)
        feed = self._by_id.get((category, params.get("symbol", "")))
        if refusal := self._throttle(feed, now_us):
            return refusal
        call = path.removeprefix(REST_PREFIX)
        try:
            return self._answer(call, category, feed, params, now_us)
        except rest.BadParameter as error:
            return rest.failed(10001, str(error), now_us)

    def _throttle(self, feed: Feed | None, now_us: int) -> Answer | None:
        """Who asks more than 600 times in five seconds is sent away for ten minutes; the fault is the milder answer of the system."""
        limit = self.limits[HOST]
        wait = self.throttled(HOST, now_us, symbol=feed.market.instrument.symbol if feed else "*")
        if limit.used > limit.limit:
            self._banned_until_us = max(self._banned_until_us, now_us + BANNED_US)
        if now_us < self._banned_until_us:
            return Answer(403, "access too frequent")
        if not wait:
            return None
        answer = rest.failed(10006, "Too many visits. Exceeded the API Rate Limit.", now_us, status=429)
        answer.headers["X-Bapi-Limit-Status"] = "0"
        answer.headers["X-Bapi-Limit-Reset-Timestamp"] = str(now_us // 1000 + wait * 1000)
        return answer

    def _answer(self, call: str, category: str, feed: Feed | None, params: Mapping[str, str], now_us: int) -> Answer | None:
        if call == "time":
            return rest.answered({"timeSecond": str(now_us // 1_000_000), "timeNano": str(now_us * 1000)}, now_us)
        if call == "instruments-info":
            return rest.answered(rest.instruments(self.listed, category, params), now_us)
        if call == "tickers" and category == LINEAR and "symbol" not in params:
            feeds = [feed for feed in self.feeds.values() if not feed.spot]
            return rest.answered(rest.tickers(category, feeds, now_us), now_us)
        contract = call in {"tickers", "open-interest", "funding/history"}
        if call not in {"recent-trade", "kline", "orderbook"} and not contract:
            return None
        if feed is None or (contract and feed.spot):
            raise rest.BadParameter("params error: Symbol Invalid")
        delay = 0.0
        match call:
            case "recent-trade":
                result = rest.recent_trades(feed.spelling, feed.market, params)
            case "kline":
                result = rest.klines(feed.spelling, feed.market, params, now_us)
            case "open-interest":
                result = rest.open_interest(feed, params, now_us)
            case "funding/history":
                result = rest.funding_history(feed, params, now_us)
            case "tickers":
                result = rest.tickers(category, [feed], now_us)
            case _:
                image, delay = self.snapshot(feed.market, now_us)
                result = rest.order_book(feed.spelling, image, params, now_us)
        answer = rest.answered(result, now_us)
        answer.delay_s = delay
        return answer

    def acknowledge(self, text: str, now_us: int) -> list[str]:
        del now_us
        return acknowledgements(text)

    def pace(self, instrument: Instrument, messages_per_s: float) -> Pace:
        timed = BOOK_FRAMES_PER_S + (0.0 if instrument.market != LINEAR else TICKERS_PER_S)
        timed = min(timed, messages_per_s / 2)
        return Pace(messages_per_s - timed, 2 * timed)

    def trades(self, market: Market, fills: list[Trade]) -> list[bool]:
        return [self.feeds[market.instrument].send_trades(fills)] * len(fills)

    def changes(self, market: Market, changes: Changes) -> None:
        del changes
        self.feeds[market.instrument].changed()

    def clock(self, now_us: int) -> None:
        for feed in self.feeds.values():
            feed.clock(now_us)
        for socket, session in standing(self._sessions, self.hub):
            if session.idle(now_us):
                socket.cut()

    def wire_ids(self, market: Market, fills: list[Trade]) -> list[str]:
        spelling = self.feeds[market.instrument].spelling
        return [frames.trade_id(spelling, fill.trade_id) for fill in fills]

    def restart_sequence(self, market: Market, now_us: int) -> None:
        self.feeds[market.instrument].restart(now_us)

    def liquidation(self, market: Market, fills: list[Trade], now_us: int) -> bool | None:
        if market.instrument.market != LINEAR:
            return None
        feed = self.feeds[market.instrument]
        delivered = feed.forced(fills, now_us)
        if fills[0].trade_id % 3 == 0:
            feed.block(now_us)
        return delivered
