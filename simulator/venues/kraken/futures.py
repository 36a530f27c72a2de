"""Kraken Futures as the server sees it: feeds of perpetuals, books counted level by level, REST dispatch.

What belongs here: which client sees which trades, levels and states. What does not: texts (futures_frames.py, futures_rest.py), commands
(futures_session.py), spot (venue.py). Of the client's pings, which keep a real socket alive, the library answers each without a word.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Mapping, Sequence

from simulator.instruments import Instrument
from simulator.limits import WeightLimit
from simulator.market import Changes, Image, Market, Trade
from simulator.streams import Hub, Socket, Stream
from simulator.venues.base import Answer, Session
from simulator.venues.kraken import futures_frames as frames
from simulator.venues.kraken import futures_rest as rest
from simulator.venues.kraken.catalogue import NAME
from simulator.venues.kraken.futures_catalogue import MARKET, Contract
from simulator.venues.kraken.futures_session import FuturesSession

SOCKET_PATH = "/futures/ws/v1"
REST_PREFIX = "/futures/derivatives/api/v3/"
CHARTS_PREFIX = "/futures/api/charts/v1/trade/"
REQUESTS, WINDOW_S = 500, 10
SNAPSHOT_TRADES = 100
TICKER_US = 1_000_000
REMEMBERED_FORCED = 2_000


class Perpetual:
    """One market's streams, its own count of levels and the trades that were forced."""

    def __init__(self, market: Market) -> None:
        self.market = market
        self.contract = Contract(market.instrument)
        self.streams = {"trade": self._stream("trades"), "book": self._stream("book"), "ticker": self._stream("mark")}
        self.sequence = market.sequence
        self.forced: deque[int] = deque(maxlen=REMEMBERED_FORCED)
        self.told = False

    def _stream(self, channel: str) -> Stream:
        return Stream(channel, exchange=NAME, market=MARKET, symbol=self.market.instrument.symbol, channel=channel)


class Futures:
    """The derivatives side of the venue. `delay` tells how late a snapshot is in seconds, `later` does something at a time."""

    def __init__(
        self,
        markets: Sequence[Market],
        listed: Sequence[Instrument],
        *,
        hub: Hub,
        weight_limit: int | None,
        delay: Callable[[Market, int], float],
        later: Callable[[int, Callable[[], None]], None],
    ) -> None:
        self.hub = hub
        self.listed = listed
        self.limit = WeightLimit(weight_limit or REQUESTS, seconds=WINDOW_S)
        self.products = {perpetual.contract.product: perpetual for perpetual in map(Perpetual, markets)}
        self._by_symbol = {perpetual.market.instrument.symbol: perpetual for perpetual in self.products.values()}
        self._delay = delay
        self._later = later
        self._delayed: set[tuple[Socket, str]] = set()
        self._sessions: dict[Socket, FuturesSession] = {}
        self._beat = 0

    def connect(self, socket: Socket) -> Session:
        """A conversation on a new socket."""
        socket.market = MARKET
        session = FuturesSession(socket, self)
        self._sessions[socket] = session
        return session

    def has(self, product: str) -> bool:
        """Whether a product id is traded here."""
        return product in self.products

    def subscribe(self, socket: Socket, *, feed: str, product: str, now_us: int) -> None:
        """Attach a socket to a feed, after the snapshot of it."""
        found = self.products[product]
        if feed == "book":
            late = self._delay(found.market, now_us)
            if late:
                self._delayed.add((socket, product))
                self._later(now_us + int(late * 1e6), lambda: self._start_late(socket, found))
            else:
                self._start_book(socket, found)
            return
        if feed == "trade":
            socket.send(frames.trade_snapshot(found.contract, found.market.last_trades(SNAPSHOT_TRADES), set(found.forced)))
        else:
            socket.send(self._ticker(found, now_us))
        self.hub.attach(socket, found.streams[feed])

    def _start_late(self, socket: Socket, product: Perpetual) -> None:
        place = (socket, product.contract.product)
        if place in self._delayed:
            self._delayed.discard(place)
            if socket in self.hub.sockets:
                self._start_book(socket, product)

    def _start_book(self, socket: Socket, product: Perpetual) -> None:
        market = product.market
        bids, asks = market.book.bids.levels(), market.book.asks.levels()
        socket.send(frames.book_snapshot(product.contract, bids=bids, asks=asks, sequence=product.sequence, time_us=market.time_us))
        self.hub.attach(socket, product.streams["book"])

    def unsubscribe(self, socket: Socket, *, feed: str, product: str) -> None:
        """Detach a socket from a feed."""
        self.hub.detach(socket, self.products[product].streams[feed])
        self._delayed.discard((socket, product))

    def wire_ids(self, market: Market, fills: list[Trade]) -> list[str]:
        """The uid of each fill."""
        contract = self._by_symbol[market.instrument.symbol].contract
        return [contract.uid(fill.trade_id) for fill in fills]

    def trades(self, market: Market, fills: list[Trade], *, kind: str = "fill") -> list[bool]:
        """Send each fill by itself; forced ones say so in their `kind`."""
        product = self._by_symbol[market.instrument.symbol]
        stream = product.streams["trade"]
        if not stream.wanted:
            sent = [False] * len(fills)
        else:
            sent = [self.hub.publish(stream, frames.trade(product.contract, fill, kind=kind)) for fill in fills]
        if kind == "liquidation":
            product.forced.extend(fill.trade_id for fill in fills)
            product.told = any(sent)
        return sent

    def told(self, market: Market) -> bool:
        """Whether a socket was sent any trade of the last forced order."""
        return self._by_symbol[market.instrument.symbol].told

    def changes(self, market: Market, changes: Changes) -> None:
        """Send each changed level by itself, numbered."""
        product = self._by_symbol[market.instrument.symbol]
        stream = product.streams["book"]
        if not stream.wanted:
            product.sequence += len(changes.bids) + len(changes.asks)
            return
        levels = [("buy", level) for level in changes.bids.items()] + [("sell", level) for level in changes.asks.items()]
        # What leaves goes first: between two messages, too, a book is never crossed.
        for side, level in sorted(levels, key=lambda each: each[1][1] > 0):
            product.sequence += 1
            text = frames.book(product.contract, side=side, level=level, sequence=product.sequence, time_us=changes.time_us)
            self.hub.publish(stream, text)

    def restart_sequence(self, market: Market) -> None:
        """The count of a book starts over without a word."""
        self._by_symbol[market.instrument.symbol].sequence = 0

    def clock(self, now_us: int) -> None:
        """Tickers and heartbeats, once a second."""
        for socket in [socket for socket in self._sessions if socket not in self.hub.sockets]:
            del self._sessions[socket]
        if now_us // TICKER_US == self._beat:
            return
        self._beat = now_us // TICKER_US
        for product in self.products.values():
            if product.streams["ticker"].wanted:
                self.hub.publish(product.streams["ticker"], self._ticker(product, now_us))
        for socket, session in self._sessions.items():
            if session.heartbeats:
                socket.send(frames.heartbeat(now_us))

    @staticmethod
    def _ticker(product: Perpetual, now_us: int) -> str:
        market = product.market
        bid, ask = market.book.bids.best(), market.book.asks.best()
        index = market.path.at(now_us)
        mark = (market.instrument.price(bid[0]) + market.instrument.price(ask[0])) / 2
        interest = round(2.0e7 / index * (1.0 + now_us // 1_000_000 % 600 / 6000), market.instrument.lot_decimals)
        return frames.ticker(product.contract, bid=bid, ask=ask, mark=mark, index=index, interest=float(interest), now_us=now_us)

    def symbol_of(self, path: str, params: Mapping[str, str]) -> str:
        """The symbol a request is about, `*` where none."""
        name = path.removeprefix(CHARTS_PREFIX).partition("/")[0] if path.startswith(CHARTS_PREFIX) else params.get("symbol", "")
        product = self.products.get(name.upper())
        return product.market.instrument.symbol if product else "*"

    def answer(
        self, path: str, params: Mapping[str, str], now_us: int, snapshot: Callable[[Market, int], tuple[Image, float]]
    ) -> Answer | None:
        """The answer to a request that was not throttled."""
        symbol = self.symbol_of(path, params)
        product = self._by_symbol.get(symbol)
        try:
            if path.startswith(CHARTS_PREFIX):
                resolution = path.removeprefix(CHARTS_PREFIX).partition("/")[2]
                return rest.failed(404, "notFound", now_us) if product is None else rest.charts(product.market, resolution, params, now_us)
            call = path.removeprefix(REST_PREFIX)
            if call == "instruments":
                return rest.succeeded(rest.instruments(self.listed), now_us)
            if call == "tickers":
                rows = [json.loads(self._ticker(each, now_us)) for each in self.products.values()]
                return rest.succeeded({"tickers": [{"symbol": row["product_id"], **row} for row in rows]}, now_us)
            if call not in {"history", "orderbook", "historical-funding-rates"}:
                return None
            if product is None:
                return rest.failed(400, "invalidArgument: symbol" if "symbol" in params else "requiredArgumentMissing: symbol", now_us)
            if call == "history":
                return rest.history(product.contract, product.market, params, forced=set(product.forced), now_us=now_us)
            if call == "orderbook":
                image, late = snapshot(product.market, now_us)
                answer = rest.succeeded(rest.order_book(product.market, image), now_us)
                answer.delay_s = late
                return answer
            return rest.succeeded(rest.funding(product.market, now_us), now_us)
        except ValueError:
            return rest.failed(400, "invalidArgument", now_us)
