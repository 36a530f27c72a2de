"""Coinbase as the server sees it: numbered sockets, books sent every 50 ms, REST dispatch.

What belongs here: which client sees which trades and levels. What does not: texts (frames.py, rest.py), commands (session.py).
"""

from __future__ import annotations

from collections.abc import Mapping

from simulator.instruments import Instrument
from simulator.limits import CommandLimit, WeightLimit
from simulator.market import Changes, Market, Trade
from simulator.streams import Socket, Stream
from simulator.venues.base import Answer, Pace, Session, Venue, standing
from simulator.venues.coinbase import frames, rest
from simulator.venues.coinbase.catalogue import NAME, Spelling
from simulator.venues.coinbase.frames import Message
from simulator.venues.coinbase.session import AdvancedSession, acknowledgements

REST_PREFIX = "/spot/api/v3/brokerage/market/"
# Nothing is documented for REST without a key; ten a second is what clients keep to.
CALLS_PER_SECOND = 10
COMMANDS_PER_SECOND = 8
BOOK_US = 50_000
SNAPSHOT_TRADES = 100


class Product:
    """One market's streams, and the levels that changed since its last frame."""

    def __init__(self, market: Market) -> None:
        self.market = market
        self.spelling = Spelling(market.instrument)
        self.streams = {"market_trades": self._stream("market_trades", "trades"), "level2": self._stream("level2", "book")}
        self.bids: dict[int, int] = {}
        self.asks: dict[int, int] = {}
        self.time_us = 0
        self.sent_us = 0

    def _stream(self, name: str, channel: str) -> Stream:
        item = self.market.instrument
        return Stream(name, exchange=NAME, market=item.market, symbol=item.symbol, channel=channel)


class Coinbase(Venue):
    """Spot and futures products over Advanced Trade. Trades leave order by order: the ledger must know at once who was sent them."""

    name = NAME
    endpoints: Mapping[str, tuple[str, str]] = {
        "spot_ws": ("/spot/ws", "wss://advanced-trade-ws.coinbase.com"),
        "spot_rest": ("/spot", "https://api.coinbase.com"),
    }

    def prepare(self) -> None:
        self.limits = {"spot": WeightLimit(self.weight_limit or CALLS_PER_SECOND, seconds=1)}
        self.products = {product.spelling.product: product for product in map(Product, self.markets)}
        self._by_symbol = {product.market.instrument.symbol: product for product in self.products.values()}
        self._aliases = {product.spelling.alias: name for name, product in self.products.items() if product.spelling.alias}
        self._sessions: dict[Socket, AdvancedSession] = {}
        self._delayed: set[tuple[Socket, str]] = set()
        self._commands = CommandLimit(COMMANDS_PER_SECOND)

    def connect(self, path: str, query: str, socket: Socket) -> Session | None:
        del query
        if path.rstrip("/") != "/spot/ws":
            return None
        socket.market = "spot"
        session = AdvancedSession(socket, self)
        self._sessions[socket] = session
        return session

    def product(self, name: str) -> str | None:
        """The product an id stands for; an alias is answered under the product's own id."""
        known = self._aliases.get(name, name)
        return known if known in self.products else None

    def too_many_commands(self, now_us: int) -> bool:
        """Commands are counted over all sockets of an address, and all clients here have one."""
        return self._commands.exceeded(now_us)

    def subscribe(self, session: AdvancedSession, *, channel: str, product: str, now_us: int) -> None:
        """Attach a socket to a channel, after its snapshot."""
        found = self.products[product]
        if channel == "market_trades":
            recent = found.market.last_trades(SNAPSHOT_TRADES)
            if recent:
                session.say(frames.trades(found.spelling, recent, kind="snapshot", now_us=now_us))
            self.hub.attach(session.socket, found.streams[channel])
            return
        late = self.snapshot_delay(found.market, now_us)
        if late:
            due_us = now_us + int(late * 1e6)
            self._delayed.add((session.socket, product))
            self.later(due_us, lambda: self._start_late(session, found, due_us))
            return
        self._start_book(session, found, now_us)

    def _start_late(self, session: AdvancedSession, product: Product, now_us: int) -> None:
        place = (session.socket, product.spelling.product)
        if place in self._delayed:
            self._delayed.discard(place)
            if session.socket in self.hub.sockets:
                self._start_book(session, product, now_us)

    def _start_book(self, session: AdvancedSession, product: Product, now_us: int) -> None:
        book, stream = product.market.book, product.streams["level2"]
        if not stream.wanted:
            # Collected for a client that is gone, and not followed since.
            product.bids, product.asks = {}, {}
        session.say(
            frames.book(
                product.spelling,
                kind="snapshot",
                bids=book.bids.levels(),
                asks=book.asks.levels(),
                time_us=product.market.time_us,
                now_us=now_us,
            )
        )
        self.hub.attach(session.socket, stream)

    def unsubscribe(self, session: AdvancedSession, *, channel: str, product: str) -> None:
        """Detach a socket from a channel."""
        self.hub.detach(session.socket, self.products[product].streams[channel])
        self._delayed.discard((session.socket, product))

    def restart_sequence(self, market: Market, now_us: int) -> None:
        """Books have no numbers of their own: the sockets that carry this one count from 0 again, without a word."""
        super().restart_sequence(market, now_us)
        for socket in self._by_symbol[market.instrument.symbol].streams["level2"].bare:
            self._sessions[socket].number = 0

    def rest(self, path: str, params: Mapping[str, str], now_us: int) -> Answer | None:
        if not path.startswith(REST_PREFIX):
            return None
        call, _, below = path.removeprefix(REST_PREFIX).partition("/")
        name, _, what = below.partition("/")
        product = self.products.get(self.product(name or params.get("product_id", "")) or "")
        wait = self.throttled("spot", now_us, symbol=product.market.instrument.symbol if product else "*")
        if wait:
            return rest.failed(429, "RESOURCE_EXHAUSTED", "too many requests", headers={"Retry-After": str(wait)})
        try:
            if call == "products" and not name:
                return Answer(200, rest.products(self.listed, self._prices(), params))
            if call not in {"products", "product_book"} or what not in {"", "ticker", "candles"}:
                return None
            return rest.unknown_product() if product is None else self._answer(call, what, product, params, now_us)
        except ValueError:
            return rest.failed(400, "INVALID_ARGUMENT", "a parameter is no number")

    def _answer(self, call: str, what: str, product: Product, params: Mapping[str, str], now_us: int) -> Answer:
        spelling, market = product.spelling, product.market
        if call == "product_book":
            image, late = self.snapshot(market, now_us)
            return Answer(200, rest.product_book(spelling, image, limit=int(params.get("limit", 500))), delay_s=late)
        if what == "ticker":
            return rest.ticker(spelling, market, params)
        if what == "candles":
            return rest.candle_rows(spelling, market, params, now_us)
        return Answer(200, rest.one_product(market.instrument, price=self._prices()[market.instrument.symbol]))

    def _prices(self) -> dict[str, str]:
        return {symbol: product.spelling.price(product.market.book.bids.best()[0]) for symbol, product in self._by_symbol.items()}

    def acknowledge(self, text: str, now_us: int) -> list[str]:
        return acknowledgements(text, now_us)

    def pace(self, instrument: Instrument, messages_per_s: float) -> Pace:
        # A book sends at most twenty frames a second however much it changes: beyond, only orders make more messages.
        del instrument
        return Pace(max(0.3 * messages_per_s, messages_per_s - 20.0), min(0.4 * messages_per_s, 40.0))

    def trades(self, market: Market, fills: list[Trade]) -> list[bool]:
        product = self._by_symbol[market.instrument.symbol]
        stream = product.streams["market_trades"]
        if not stream.wanted:
            return [False] * len(fills)
        message = frames.trades(product.spelling, fills, kind="update", now_us=fills[-1].time_us)
        return [self._publish(stream, message)] * len(fills)

    def _publish(self, stream: Stream, message: Message) -> bool:
        sessions = self._sessions
        return self.hub.publish(stream, "", render=lambda socket: message.numbered(sessions[socket].next_number()))

    def changes(self, market: Market, changes: Changes) -> None:
        product = self._by_symbol[market.instrument.symbol]
        if product.streams["level2"].wanted:
            product.bids.update(changes.bids)
            product.asks.update(changes.asks)
            product.time_us = changes.time_us

    def clock(self, now_us: int) -> None:
        for product in self._by_symbol.values():
            if (product.bids or product.asks) and now_us - product.sent_us >= BOOK_US:
                self._send_book(product, now_us)
        for _, session in standing(self._sessions, self.hub):
            session.live(now_us)

    def _send_book(self, product: Product, now_us: int) -> None:
        bids, asks = sorted(product.bids.items(), reverse=True), sorted(product.asks.items())
        product.bids, product.asks = {}, {}
        product.sent_us = now_us
        message = frames.book(product.spelling, kind="update", bids=bids, asks=asks, time_us=product.time_us, now_us=now_us)
        self._publish(product.streams["level2"], message)
