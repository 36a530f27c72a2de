"""Bitget as the server sees it: the v2 and v3 gateways, one REST host, faults of requests, dispatch to feeds.

What belongs here: which path leads where. What does not: bodies (rest.py), messages (feed.py), commands (session.py).
"""

from __future__ import annotations

from collections.abc import Mapping

from simulator.instruments import Instrument
from simulator.limits import WeightLimit
from simulator.market import Changes, Market, Trade
from simulator.streams import Socket, Stream
from simulator.venues.base import Answer, Pace, Session, Venue, standing
from simulator.venues.bitget import rest
from simulator.venues.bitget.catalogue import FUTURES, NAME, SPOT, trade_id
from simulator.venues.bitget.feed import Feed
from simulator.venues.bitget.session import BitgetSession, Named, acknowledgements

SOCKET_PATHS = {"/v2/ws/public": "v2", "/v3/ws/public": "v3"}
SPOT_PREFIX, FUTURES_PREFIX = "/rest/api/v2/spot/", "/rest/api/v2/mix/"
HOST = "rest"
REQUESTS, WINDOW_S = 20, 1
PRODUCTS = (FUTURES, "usdc-futures", "coin-futures")
BOOK_FRAMES_PER_S = 6.0
TICKERS_PER_S = 3.0


class Bitget(Venue):
    """Spot and USDT perpetuals; the other product types exist and are empty."""

    name = NAME
    endpoints: Mapping[str, tuple[str, str]] = {
        **{f"{version}_ws": (path, f"wss://ws.bitget.com{path}") for path, version in SOCKET_PATHS.items()},
        "rest": ("/rest", "https://api.bitget.com"),
    }
    weights: Mapping[str, int] = {HOST: REQUESTS}

    def prepare(self) -> None:
        self.limits = {HOST: WeightLimit(self.weight_limit or REQUESTS, seconds=WINDOW_S)}
        self.feeds = {market.instrument: Feed(market, hub=self.hub) for market in self.markets}
        self._by_id = {(item.market, feed.spelling.id): feed for item, feed in self.feeds.items()}
        # A topic of a whole product type: a fault that names a symbol misses it, one that names the channel does not.
        self.liquidations = Stream("liquidation", exchange=NAME, market=FUTURES, symbol="*", channel="liquidations")
        self._sessions: dict[Socket, BitgetSession] = {}
        self._delayed: set[tuple[Socket, Named]] = set()

    def connect(self, path: str, query: str, socket: Socket) -> Session | None:
        del query
        version = SOCKET_PATHS.get(path)
        if version is None:
            return None
        socket.market = version
        session = BitgetSession(socket, self, version=version)
        self._sessions[socket] = session
        return session

    def has(self, version: str, named: Named) -> bool:
        """Whether an argument names a channel of the gateway; v2 writes product types in capitals, v3 in small letters."""
        kind, channel, native = named
        if version == "v3":
            return kind in PRODUCTS and channel == "liquidation" and not native
        feed = self._by_id.get((kind.lower(), native)) if kind == kind.upper() else None
        return feed is not None and channel in feed.channels

    def subscribe(self, socket: Socket, named: Named, *, now_us: int) -> None:
        """Attach a socket to a channel, and send it what that channel begins with."""
        kind, channel, native = named
        if not native:
            if kind == FUTURES:
                self.hub.attach(socket, self.liquidations)
            return
        feed = self._by_id[kind.lower(), native]
        match channel:
            case "books":
                late = self.snapshot_delay(feed.market, now_us)
                if late:
                    self._delayed.add((socket, named))
                    self.later(now_us + int(late * 1e6), lambda: self._start_late(socket, named, feed))
                else:
                    self._start_book(socket, feed)
                return
            case "trade":
                if (history := feed.history(now_us)) is not None:
                    socket.send(history)
            case "ticker":
                pass
            case _:
                socket.send(feed.short_book(channel))
        self.hub.attach(socket, feed.channels[channel])

    def _start_late(self, socket: Socket, named: Named, feed: Feed) -> None:
        if (socket, named) in self._delayed:
            self._delayed.discard((socket, named))
            if socket in self.hub.sockets:
                self._start_book(socket, feed)

    def _start_book(self, socket: Socket, feed: Feed) -> None:
        self.hub.detach(socket, feed.book.stream)
        current = feed.book.snapshot(self.hub)
        stale = self.faults.request("stale_snapshot", NAME, feed.market.instrument.symbol)
        socket.send(current if stale is None else feed.book.stale())
        self.hub.attach(socket, feed.book.stream)

    def unsubscribe(self, socket: Socket, named: Named) -> None:
        """Detach a socket from a channel."""
        kind, channel, native = named
        self.hub.detach(socket, self._by_id[kind.lower(), native].channels[channel] if native else self.liquidations)
        self._delayed.discard((socket, named))

    def rest(self, path: str, params: Mapping[str, str], now_us: int) -> Answer | None:
        market = SPOT if path.startswith(SPOT_PREFIX) else params.get("productType", "").lower()
        feed = self._by_id.get((market, params.get("symbol", "")))
        if self.throttled(HOST, now_us, symbol=feed.market.instrument.symbol if feed else "*"):
            return rest.failed("429", "Too Many Requests", now_us, status=429)
        if path == "/rest/api/v2/public/time":
            return rest.answered({"serverTime": str(now_us // 1000)}, now_us)
        if path == "/rest/api/v2/margin/currencies":
            return rest.answered(rest.margin_currencies(self.listed), now_us)
        try:
            if path.startswith(SPOT_PREFIX):
                return self._answer(path.removeprefix(SPOT_PREFIX), market, feed, params, now_us)
            if path.startswith(FUTURES_PREFIX):
                return self._answer(path.removeprefix(FUTURES_PREFIX), market, feed, params, now_us)
        except rest.BadParameter as error:
            return rest.failed("40020", str(error), now_us)
        return None

    def _answer(self, call: str, market: str, feed: Feed | None, params: Mapping[str, str], now_us: int) -> Answer | None:
        if market not in {SPOT, *PRODUCTS}:
            raise rest.BadParameter("Parameter productType error")
        if call == "public/symbols" and market == SPOT:
            return rest.answered(rest.spot_symbols(self.listed), now_us)
        if call == "market/contracts" and market != SPOT:
            return rest.answered(rest.contracts(self.listed, market), now_us)
        call = call.removeprefix("market/")
        if feed is None:
            return rest.failed("40034", "Parameter does not exist", now_us)
        delay = 0.0
        data: object
        match call:
            case "fills" | "fills-history":
                data = rest.fills(feed, params, history=call != "fills")
            case "candles" | "history-candles":
                data = rest.klines(feed, params, now_us, history=call != "candles")
            case "open-interest" if market != SPOT:
                data = rest.open_interest(feed, now_us)
            case "current-fund-rate" if market != SPOT:
                data = rest.funding(feed, now_us)
            case "history-fund-rate" if market != SPOT:
                data = rest.funding_history(feed, params, now_us)
            case "orderbook":
                image, delay = self.snapshot(feed.market, now_us)
                data = rest.order_book(feed, image, params)
            case _:
                return None
        answer = rest.answered(data, now_us)
        answer.delay_s = delay
        return answer

    def acknowledge(self, text: str, now_us: int) -> list[str]:
        del now_us
        return acknowledgements(text)

    def pace(self, instrument: Instrument, messages_per_s: float) -> Pace:
        timed = BOOK_FRAMES_PER_S + (TICKERS_PER_S if instrument.market == FUTURES else 0.0)
        timed = min(timed, messages_per_s / 2)
        return Pace(messages_per_s - timed, 2 * timed)

    def trades(self, market: Market, fills: list[Trade]) -> list[bool]:
        return [self.feeds[market.instrument].send_trades(fills)] * len(fills)

    def changes(self, market: Market, changes: Changes) -> None:
        self.feeds[market.instrument].changed(changes)

    def clock(self, now_us: int) -> None:
        for feed in self.feeds.values():
            feed.clock(now_us)
        for socket, session in standing(self._sessions, self.hub):
            if session.unpinged(now_us):
                socket.cut()

    def wire_ids(self, market: Market, fills: list[Trade]) -> list[str]:
        del market
        return [trade_id(fill.trade_id) for fill in fills]

    def restart_sequence(self, market: Market, now_us: int) -> None:
        del now_us
        self.feeds[market.instrument].restart()

    def liquidation(self, market: Market, fills: list[Trade], now_us: int) -> bool | None:
        if market.instrument.market != FUTURES:
            return None
        return self.feeds[market.instrument].forced(self.liquidations, fills, now_us)
