"""One Bybit v5 socket: frames of one market in, rows out.

Put here: what each frame of v5 means. Keep out: subscriptions (`live`), recordings (`recorded`), retired formats (`v2`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf, isfinite
from typing import Final

import msgspec

from collectors.books import Book, Follows, Level
from collectors.contracts import Contract
from collectors.errors import FrameError
from collectors.feeds import BookFeed, TradeFeed, event_time
from collectors.rows import RowWriter
from collectors.session import BaseSession
from collectors.streamed import BookFrame, StreamedBook
from collectors.venue import Checksums, Outcome
from collectors.venues.bybit import messages as wire
from collectors.venues.bybit.instruments import Names
from collectors.venues.bybit.messages import EXCHANGE
from lake.dollars import in_dollars

SIDES: Final = {"Buy": False, "Sell": True}
_ORDER_SIDES: Final = {"Buy": "sell", "Sell": "buy"}
"""Side of the forced order by side of the position: a long is sold."""
_GREATEST: Final = (1 << 63) - 1


@dataclass(slots=True)
class State:
    """What is known of a contract: tickers tell only what changed. Open interest as the venue counts it."""

    mark: float | None = None
    index: float | None = None
    open_interest: float | None = None
    rate: float | None = None
    next_funding: int | None = None


def counted(applied: int, previous: int | None, sequence: int) -> Follows:
    """`u` counts up by one a topic; 1 starts over and comes as a snapshot."""
    del previous
    if sequence == applied + 1:
        return Follows.NEXT
    return Follows.STALE if sequence == applied else Follows.AHEAD


class BybitSession(BaseSession):
    """Decodes v5 frames of one market. `admits` says which ids count."""

    def __init__(self, writer: RowWriter, *, names: Names) -> None:
        super().__init__(writer)
        self.names = names
        self.streamed: dict[str, StreamedBook] = {}
        self.states: dict[str, State] = {}

    def renewal(self, native: str) -> Callable[[], None] | None:
        """What asks for a fresh snapshot; None where nobody can be asked."""
        del native
        return None

    def answered(self, envelope: wire.Envelope) -> None:
        """An answer to a command arrived."""

    def feed(self, frame: bytes | str, received: int | None) -> Outcome:
        """Take one frame; raises `FrameError` when it cannot be decoded."""
        if received is not None:
            self.last_received = received
            if received >= self.next_hour:
                self.see_time(received)
        try:
            envelope = wire.decode_envelope(frame)
            if envelope.topic:
                return self._topic(envelope, received)
        except msgspec.MsgspecError as error:
            raise FrameError(EXCHANGE, str(error)) from error
        if envelope.op or envelope.success is not None:
            self.answered(envelope)
            return Outcome.CONTROL
        return Outcome.IGNORED

    def trade_feed(self, native: str) -> TradeFeed:
        """The trade feed of an instrument."""
        symbol = self.names[native].symbol
        feed = self.trade_feeds.get(symbol)
        if feed is None:
            # Spot counts up by one a symbol, as all recorded neighbours do. UUIDs tell nothing, so that each silence is looked into.
            counted = self.names.market == "spot"
            feed = TradeFeed(self.writer, symbol, session=self, contiguous=counted, holes=self.holes(), seeks=True)
            self.trade_feeds[symbol] = feed
        return feed

    def book(self, native: str, *, rank: int) -> StreamedBook:
        """The book of an instrument, kept from its first frame on, by a topic of depth `rank`."""
        symbol = self.names[native].symbol
        known = self.streamed.get(symbol)
        if known is None:
            feed = self.book_feeds[symbol] = BookFeed(self.writer, symbol, session=self, book=Book())
            known = StreamedBook(feed, rule=counted, checksums=Checksums(), renew=self.renewal(native), rank=rank)
            self.streamed[symbol] = known
        return known

    def take_trade(
        self,
        native: str,
        identity: str,
        milliseconds: int,
        *,
        side: str,
        price: float,
        size: float,
        received: int | None,
        rest: bool = False,
    ) -> None:
        """Land one trade unless its id has landed; `side` is the taker's."""
        time = event_time(EXCHANGE, milliseconds)
        if not 0.0 < price < inf:
            raise FrameError(EXCHANGE, f"trade {identity} has price {price}, expected one above 0")
        amount = self.names[native].contract.base(size, price)
        sold = sold_by(side)
        feed = self.trade_feed(native)
        number = self.number_of(identity)
        if number is None:
            feed.take_keyed(identity, time, received=received, sold=sold, price=price, amount=amount, rest=rest)
        elif rest:
            feed.take_rest(number, time, received=received, sold=sold, price=price, amount=amount)
        else:
            feed.take(number, time, received=received, sold=sold, price=price, amount=amount)

    def number_of(self, identity: str) -> int | None:
        """A trade id as the count it is on spot; None for UUIDs, and for a count beyond what a column holds."""
        counted = self.names.market == "spot" and identity.isdecimal() and len(identity) <= 19
        return number if counted and (number := int(identity)) <= _GREATEST else None

    def take_rest_trade(self, row: wire.RestTrade, received: int | None) -> None:
        """Land one trade of a REST answer, unless it was agreed away from the book."""
        if row.isBlockTrade:
            self.writer.discard("trades", "block trade")
            return
        self.take_trade(row.symbol, row.execId, row.time, side=row.side, price=row.price, size=row.size, received=received, rest=True)

    def take_liquidation(
        self, native: str, milliseconds: int, *, position: str, price: float, size: float, sampled: bool, received: int | None
    ) -> None:
        """Land one forced order; `position` is the side of what was liquidated."""
        symbol, contract = self.names[native]
        time = event_time(EXCHANGE, milliseconds)
        if position not in _ORDER_SIDES or not (0.0 < price < inf and 0.0 < size < inf):
            raise FrameError(EXCHANGE, f"liquidation of {native} has side {position!r}, price {price}, size {size}")
        natural = f"{milliseconds}-{position.lower()}-{size!r}-{price!r}"
        if not self.writer.continuity.recent("liquidations").add((symbol, natural)):
            self.writer.duplicate("liquidations")
            return
        self.writer.continuity.latest[symbol] = time
        amount = contract.base(size, price)
        self.writer.liquidation(
            symbol,
            time,
            local=time if received is None else received,
            side=_ORDER_SIDES[position],
            price=price,
            amount=amount,
            value_usd=price * amount if in_dollars(symbol) else None,
            liquidation_id=natural,
            sampled=sampled,
        )

    def land_state(self, native: str, time: int | None, received: int | None) -> None:
        """Land what is known of a contract now."""
        if time is None:
            self.writer.discard("derivatives", "no time")
            return
        symbol, contract = self.names[native]
        state = self.states[symbol]
        values = (state.mark, state.index, state.open_interest, state.rate)
        if any(value is not None and not isfinite(value) for value in values):
            raise FrameError(EXCHANGE, f"ticker of {native} holds a number that is not finite")
        local = time if received is None else received
        # A state that landed from another socket says as well that this one carries it.
        self.carries(symbol, "derivatives", now=local)
        if not self.writer.continuity.recent("derivatives").add((symbol, "ticker", time)):
            self.writer.duplicate("derivatives")
            return
        self.writer.continuity.latest[symbol] = time
        self.writer.derivative(
            symbol,
            time,
            local=local,
            funding_rate=state.rate,
            next_funding=state.next_funding,
            open_interest=_base_units(state, contract),
            mark_price=state.mark,
            index_price=state.index,
        )

    def take_ticker(self, ticker: wire.TickerData, time: int | None, received: int | None) -> Outcome:
        """Merge a ticker into what is known; rows land when something of a derivative changed."""
        if not (ticker.markPrice or ticker.indexPrice or ticker.openInterest or ticker.fundingRate or ticker.nextFundingTime):
            return Outcome.DECODED
        state = self.states.setdefault(self.names[ticker.symbol].symbol, State())
        try:
            state.mark = float(ticker.markPrice) if ticker.markPrice else state.mark
            state.index = float(ticker.indexPrice) if ticker.indexPrice else state.index
            state.open_interest = float(ticker.openInterest) if ticker.openInterest else state.open_interest
            state.rate = float(ticker.fundingRate) if ticker.fundingRate else state.rate
            if ticker.nextFundingTime:
                settles = int(ticker.nextFundingTime)
                state.next_funding = event_time(EXCHANGE, settles) if settles else None
        except ValueError as error:
            raise FrameError(EXCHANGE, f"ticker of {ticker.symbol}: {error}") from error
        self.land_state(ticker.symbol, time, received)
        return Outcome.DECODED

    def tick_books(self, now: int) -> None:
        for book in self.streamed.values():
            book.tick(now)

    def closed(self, now: int | None) -> None:
        super().closed(now)
        self.streamed.clear()
        self.states.clear()

    def _topic(self, envelope: wire.Envelope, received: int | None) -> Outcome:
        name, _, rest = envelope.topic.partition(".")
        match name:
            case "orderbook":
                depth = rest.partition(".")[0]
                return self._book(envelope, int(depth), received) if depth.isdigit() else Outcome.IGNORED
            case "publicTrade":
                return self._trades(envelope, received)
            case "tickers" if self.names.market != "spot" and rest.count("-") < 3:
                ticker = wire.decode_ticker(envelope.data)
                time = event_time(EXCHANGE, envelope.ts) if envelope.ts is not None else received
                return self.take_ticker(ticker, time, received) if self.admits(ticker.symbol) else Outcome.IGNORED
            case "allLiquidation":
                for forced in wire.decode_liquidations(envelope.data):
                    self.take_liquidation(
                        forced.s, forced.T, position=forced.S, price=forced.p, size=forced.v, sampled=False, received=received
                    )
                return Outcome.DECODED
            case "liquidation":
                return self._former_liquidations(envelope, received)
            case _:
                return Outcome.IGNORED

    def _book(self, envelope: wire.Envelope, depth: int, received: int | None) -> Outcome:
        data = wire.decode_book(envelope.data)
        if not self.admits(data.s):
            return Outcome.IGNORED
        contract = self.names[data.s].contract
        time = envelope.cts if envelope.cts is not None else envelope.ts
        frame = BookFrame(
            bids=levels_of(data.b, contract),
            asks=levels_of(data.a, contract),
            timestamp=None if time is None else event_time(EXCHANGE, time),
            sequence=data.u,
        )
        book = self.book(data.s, rank=depth)
        whole = envelope.type == "snapshot" or data.u == 1
        if not book.takes(depth, snapshot=whole):
            return Outcome.IGNORED
        if whole:
            book.snapshot(frame, received)
        else:
            book.update(frame, received)
        return Outcome.DECODED

    def _trades(self, envelope: wire.Envelope, received: int | None) -> Outcome:
        trades = wire.decode_trades(envelope.data)
        for trade in trades:
            if not self.admits(trade.s):
                return Outcome.IGNORED
            sold_by(trade.S)
            event_time(EXCHANGE, trade.T)
            if not (0.0 < trade.p < inf and 0.0 < trade.v < inf):
                raise FrameError(EXCHANGE, f"trade {trade.i} has price {trade.p} and size {trade.v}, expected both above 0")
        for trade in trades:
            if trade.BT:
                # Agreed away from the book: its price is not the market's.
                self.writer.discard("trades", "block trade")
                if (number := self.number_of(trade.i)) is not None:
                    self.trade_feed(trade.s).tape.seen.add(number)
                continue
            self.take_trade(trade.s, trade.i, trade.T, side=trade.S, price=trade.p, size=trade.v, received=received)
        return Outcome.DECODED

    def _former_liquidations(self, envelope: wire.Envelope, received: int | None) -> Outcome:
        found = wire.decode_former_liquidations(envelope.data)
        for forced in found if isinstance(found, list) else [found]:
            time, size = forced.updatedTime or forced.time, forced.size or forced.qty
            if time is None or size is None:
                raise FrameError(EXCHANGE, f"liquidation of {forced.symbol} has time {time} and size {size}, expected both")
            self.take_liquidation(forced.symbol, time, position=forced.side, price=forced.price, size=size, sampled=True, received=received)
        return Outcome.DECODED


def levels_of(levels: list[tuple[float, float]], contract: Contract) -> list[Level]:
    """Levels in base units; raises `FrameError` when one is no price and amount."""
    for price, amount in levels:
        if not (0.0 < price < inf and 0.0 <= amount < inf):
            raise FrameError(EXCHANGE, f"book level has price {price} and amount {amount}, expected a price above 0")
    return levels if contract.is_base else [(price, contract.base(amount, price)) for price, amount in levels]


def sold_by(side: str) -> bool:
    """True where the taker sold; raises `FrameError` for a side that is none."""
    try:
        return SIDES[side]
    except KeyError:
        raise FrameError(EXCHANGE, f"side is {side!r}, expected Buy or Sell") from None


def _base_units(state: State, contract: Contract) -> float | None:
    """Open interest in base units; on the inverse market the venue counts dollars, and without a price there is no answer."""
    if state.open_interest is None or not contract.inverse:
        return state.open_interest
    return state.open_interest / state.mark if state.mark else None
