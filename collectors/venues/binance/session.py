"""One Binance socket: frames of spot and USD-M in, rows out; books aligned with REST snapshots.

Put here: routing by stream name and what each message means. Keep out: subscriptions (`live`), recordings (`recorded`), shapes.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from math import isfinite
from typing import Final

import msgspec

from collectors.alignment import Diff, DiffBook
from collectors.books import Book, FuturesDiff, SpotDiff
from collectors.errors import FrameError
from collectors.feeds import BookFeed, TradeFeed, event_time
from collectors.rows import RowWriter
from collectors.session import BaseSession
from collectors.symbols import SymbolMap
from collectors.venue import Outcome, Reconnect
from collectors.venues.binance import messages as wire
from collectors.venues.binance.instruments import EXCHANGE
from lake.dollars import in_dollars

Handler = Callable[[bytes, int | None], Outcome]

OFF_MARKET: Final = frozenset({"INSURANCE_FUND", "ADL", "NA"})
"""Fills of USD-M whose prices are not the market's."""
_STREAM_AT: Final = len(b'{"stream":"')
_DIFF_SPEEDS: Final = frozenset({"", "0ms", "100ms", "250ms", "500ms", "1000ms"})
_EARLIEST_MS: Final = 1_230_940_800_000
_LATEST_MS: Final = 100_000_000_000_000


def _ignore(frame: bytes, received: int | None) -> Outcome:
    del frame, received
    return Outcome.IGNORED


def _when(value: int) -> int:
    """Event time in microseconds; milliseconds are what the venue sends."""
    return value * 1000 if _EARLIEST_MS <= value < _LATEST_MS else event_time(EXCHANGE, value)


class MarketSession(BaseSession):
    """Decodes frames of one market (spot, usdm). Streams are met by their names; `admits` says which native ids count."""

    def __init__(self, writer: RowWriter, *, market: str, symbols: SymbolMap, depth: int) -> None:
        super().__init__(writer)
        self.market = market
        self.symbols = symbols
        self.depth = depth
        self.diff_books: dict[str, DiffBook] = {}
        self._routes: dict[bytes, Handler] = {}

    def ask_depth(self, symbol: str) -> Callable[[], None] | None:
        """What asks for a snapshot of a symbol; None where nobody can be asked."""
        del symbol
        return None

    def answered(self, envelope: wire.Envelope) -> None:
        """An answer to a command arrived."""

    def feed(self, frame: bytes | str, received: int | None) -> Outcome:
        """Take one frame; raises `FrameError` when it cannot be decoded."""
        if received is not None:
            self.last_received = received
            if received >= self.next_hour:
                self.see_time(received)
        if isinstance(frame, str):
            frame = frame.encode()
        route = self._routes.get(frame[_STREAM_AT : frame.find(b'"', _STREAM_AT)])
        if route is _ignore:
            # Most frames of a busy socket: not worth a call.
            return Outcome.IGNORED
        try:
            return self._unrouted(frame, received) if route is None else route(frame, received)
        except msgspec.MsgspecError as error:
            raise FrameError(EXCHANGE, str(error)) from error

    def diff_book(self, symbol: str) -> DiffBook:
        """The book of a symbol, kept from its first frame on."""
        known = self.diff_books.get(symbol)
        if known is None:
            book = Book()
            feed = self.book_feeds[symbol] = BookFeed(self.writer, symbol, session=self, book=book)
            rule = SpotDiff() if self.market == "spot" else FuturesDiff()
            known = self.diff_books[symbol] = DiffBook(feed, book, rule=rule, depth=self.depth, ask=self.ask_depth(symbol))
        return known

    def tick_books(self, now: int) -> None:
        for book in self.diff_books.values():
            book.tick(now)

    def trade_feed(self, symbol: str, kind: str) -> TradeFeed | None:
        """The trade feed of a symbol for an id space (trade, aggTrade); None when the symbol's other id space lands."""
        tape = self.writer.continuity.tape(symbol)
        tape.kind = tape.kind or kind
        if tape.kind != kind:
            return None
        feed = self.trade_feeds.get(symbol)
        if feed is None:
            contiguous = kind == "aggTrade" or self.market == "spot"
            feed = TradeFeed(self.writer, symbol, session=self, contiguous=contiguous, holes=self.holes())
            self.trade_feeds[symbol] = feed
        return feed

    def take_depth_answer(self, symbol: str, body: bytes, received: int | None) -> Outcome:
        """A REST depth answer for a symbol."""
        answer = wire.decode_depth_answer(body)
        _all_finite(answer.bids, answer.asks)
        self.diff_book(symbol).snapshot(answer.lastUpdateId, answer.bids, answer.asks, received=received)
        return Outcome.DECODED

    def take_trades_answer(self, symbol: str, kind: str, *, body: bytes, received: int | None) -> Outcome:
        """A REST answer with trades of a symbol, aggregate (aggTrade) or raw (trade)."""
        rows: list[tuple[int, int, bool, float, float, int]]
        if kind == "aggTrade":
            rows = [(t.a, _when(t.T), t.m, t.p, t.q, t.l - t.f + 1) for t in wire.decode_agg_trades(body)]
        else:
            rows = [(t.id, _when(t.time), t.isBuyerMaker, t.price, t.qty, 1) for t in wire.decode_trades(body)]
        feed = self.trade_feed(symbol, kind)
        if feed is None:
            return Outcome.IGNORED
        for number, timestamp, sold, price, amount, fills in rows:
            feed.take_rest(number, timestamp, received=received, sold=sold, price=price, amount=amount, fills=fills)
        feed.mend(received)
        return Outcome.DECODED

    def take_open_interest(self, body: bytes, received: int | None) -> Outcome:
        """A REST open interest answer, base units."""
        answer = wire.decode_open_interest(body)
        time = _when(answer.time)
        local = time if received is None else received
        symbol = self.symbols.symbol(answer.symbol)
        if self._is_news(symbol, "open_interest", time=time):
            self.writer.derivative(symbol, time, local=local, open_interest=answer.openInterest)
        return Outcome.DECODED

    def _unrouted(self, frame: bytes, received: int | None) -> Outcome:
        """A stream met for the first time, a bare payload, or an answer to a command."""
        if frame[:1] == b"[":
            msgspec.json.decode(frame)
            return Outcome.IGNORED
        envelope = wire.decode_envelope(frame)
        if envelope.stream is not None:
            if envelope.stream == "!serverShutdown":
                return self._shutdown()
            route = self._route(envelope.stream)
            if frame.startswith(f'{{"stream":"{envelope.stream}"'.encode()):
                self._routes[envelope.stream.encode()] = route
            return route(frame, received)
        if envelope.e == "serverShutdown":
            return self._shutdown()
        if envelope.e:
            return self._bare(envelope.e, frame, received=received)
        if envelope.result is not wire.ABSENT or envelope.error is not wire.ABSENT or envelope.code is not None:
            self.answered(envelope)
            return Outcome.CONTROL
        return Outcome.IGNORED

    def _shutdown(self) -> Outcome:
        self.actions.append(Reconnect("the venue announced a planned stop", graceful=True))
        return Outcome.CONTROL

    def _route(self, stream: str) -> Handler:
        """The handler of a stream, by its name: `btcusdt@depth@100ms`, `!markPrice@arr`."""
        native, _, rest = stream.partition("@")
        channel, _, more = rest.partition("@")
        if native == "!markPrice":
            return self._mark_prices
        if native == "!forceOrder":
            return self._force_orders
        native = native.upper()
        if native.startswith("!") or not self.admits(native):
            return _ignore
        symbol = self.symbols.symbol(native)
        match channel:
            case "trade":
                return self._trades(symbol)
            case "aggTrade":
                return self._agg_trades(symbol)
            case "depth" if more in _DIFF_SPEEDS:
                return self._depths(symbol)
            case "markPrice":
                return self._marks
            case "forceOrder":
                return self._force_orders
            case _:
                return _ignore

    def _bare(self, event: str, frame: bytes, *, received: int | None) -> Outcome:
        """A payload without its stream's name, as the raw path sends it."""
        match event:
            case "trade":
                trade = wire.decode_bare_trade(frame)
                return self._trade(self.symbols.symbol(trade.s), trade, received)
            case "aggTrade":
                agg = wire.decode_bare_agg_trade(frame)
                return self._agg_trade(self.symbols.symbol(agg.s), agg, received)
            case "depthUpdate":
                depth = wire.decode_bare_depth(frame)
                return self._depth(self.diff_book(self.symbols.symbol(depth.s)), depth, received)
            case "markPriceUpdate":
                return self._mark(wire.decode_bare_mark_price(frame), received)
            case "forceOrder":
                return self._force_order(wire.decode_bare_force_order(frame), received)
            case _:
                return Outcome.IGNORED

    def _trades(self, symbol: str) -> Handler:
        def handle(frame: bytes, received: int | None) -> Outcome:
            return self._trade(symbol, wire.decode_trade(frame).data, received)

        return handle

    def _trade(self, symbol: str, message: wire.TradeMessage, received: int | None) -> Outcome:
        feed = self.trade_feeds.get(symbol)
        if feed is None or feed.tape.kind != "trade":
            feed = self.trade_feed(symbol, "trade")
            if feed is None:
                return Outcome.IGNORED
        if message.X in OFF_MARKET:
            self.writer.discard("trades", message.X.lower())
            return Outcome.DECODED
        feed.take(message.t, _when(message.T), received=received, sold=message.m, price=message.p, amount=message.q)
        return Outcome.DECODED

    def _agg_trades(self, symbol: str) -> Handler:
        def handle(frame: bytes, received: int | None) -> Outcome:
            return self._agg_trade(symbol, wire.decode_agg_trade(frame).data, received)

        return handle

    def _agg_trade(self, symbol: str, message: wire.AggTradeMessage, received: int | None) -> Outcome:
        feed = self.trade_feeds.get(symbol)
        if feed is None or feed.tape.kind != "aggTrade":
            feed = self.trade_feed(symbol, "aggTrade")
            if feed is None:
                return Outcome.IGNORED
        fills = message.l - message.f + 1
        feed.take(message.a, _when(message.T), received=received, sold=message.m, price=message.p, amount=message.q, fills=fills)
        return Outcome.DECODED

    def _depths(self, symbol: str) -> Handler:
        book = self.diff_book(symbol)

        def handle(frame: bytes, received: int | None) -> Outcome:
            return self._depth(book, wire.decode_depth(frame).data, received)

        return handle

    def _depth(self, book: DiffBook, message: wire.DepthMessage, received: int | None) -> Outcome:
        _all_finite(message.b, message.a)
        time = _when(message.E if message.T is None else message.T)
        book.update(Diff(message.U, message.u, message.pu, message.b, message.a, time), received)
        return Outcome.DECODED

    def _mark_prices(self, frame: bytes, received: int | None) -> Outcome:
        taken = [message for message in wire.decode_mark_prices(frame).data if self.admits(message.s)]
        for message in taken:
            self._mark(message, received)
        return Outcome.DECODED if taken else Outcome.IGNORED

    def _marks(self, frame: bytes, received: int | None) -> Outcome:
        return self._mark(wire.decode_mark_price(frame).data, received)

    def _mark(self, message: wire.MarkPriceMessage, received: int | None) -> Outcome:
        symbol = self.symbols.symbol(message.s)
        time = _when(message.E)
        local = time if received is None else received
        funded = message.T > 0 and message.r
        # A state that landed from another socket says as well that this one carries it.
        self.carries(symbol, "derivatives", now=local)
        if self._is_news(symbol, "mark", time=time):
            self.writer.derivative(
                symbol,
                time,
                local=local,
                funding_rate=float(message.r) if funded else None,
                next_funding=_when(message.T) if funded else None,
                mark_price=message.p,
                index_price=message.i,
            )
        return Outcome.DECODED

    def _is_news(self, symbol: str, kind: str, *, time: int) -> bool:
        """False for a state that has landed: two sockets may publish the same one."""
        if self.writer.continuity.recent("derivatives").add((symbol, kind, time)):
            self.writer.continuity.latest[symbol] = time
            return True
        self.writer.duplicate("derivatives")
        return False

    def _force_orders(self, frame: bytes, received: int | None) -> Outcome:
        return self._force_order(wire.decode_force_order(frame).data, received)

    def _force_order(self, message: wire.ForceOrderMessage, received: int | None) -> Outcome:
        order = message.o
        if not self.admits(order.s):
            return Outcome.IGNORED
        symbol = self.symbols.symbol(order.s)
        time = _when(order.T)
        filled = order.X == "FILLED" and order.z > 0 and order.ap > 0
        price, amount = (order.ap, order.z) if filled else (order.p, order.q)
        if not (isfinite(price) and isfinite(amount)):
            raise FrameError(EXCHANGE, f"forced order has price {price} and amount {amount}, expected numbers")
        natural = f"{order.T}-{order.S.lower()}-{order.q!r}-{order.p!r}"
        if not self.writer.continuity.recent("liquidations").add((symbol, natural)):
            self.writer.duplicate("liquidations")
            return Outcome.DECODED
        self.writer.continuity.latest[symbol] = time
        self.writer.liquidation(
            symbol,
            time,
            local=time if received is None else received,
            side=order.S.lower(),
            price=price,
            amount=amount,
            value_usd=price * amount if in_dollars(symbol) else None,
            liquidation_id=natural,
            sampled=True,
        )
        return Outcome.DECODED


def _all_finite(bids: list[tuple[float, float]], asks: list[tuple[float, float]]) -> None:
    """The decoder takes the text nan for a number; one such price would spoil the order of a book."""
    if not isfinite(sum(chain.from_iterable(chain(bids, asks)))):
        raise FrameError(EXCHANGE, "book levels hold a number that is not finite")
