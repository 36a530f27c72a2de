"""One OKX v5 socket: frames in, rows out.

Put here: what each frame of v5 means. Keep out: subscriptions (`live`), recordings (`recorded`), the retired v3 (`v3`).
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf, isfinite
from typing import Final

import msgspec

from collectors.books import Book, Level
from collectors.contracts import Contract
from collectors.errors import FrameError
from collectors.feeds import BookFeed, TradeFeed, event_time
from collectors.rows import RowWriter
from collectors.session import BaseSession
from collectors.streamed import BookFrame, StreamedBook, linked
from collectors.venue import Checksums, Outcome, Reconnect
from collectors.venues.okx import messages as wire
from collectors.venues.okx.instruments import Names, index_symbol, read_instruments
from collectors.venues.okx.messages import EXCHANGE
from lake.dollars import in_dollars

BOOKS: Final = {"books-l2-tbt": 401, "books": 400, "books50-l2-tbt": 50, "books5": 5, "bbo-tbt": 1}
"""Book channels and their depths; the two 400-level ones differ in speed. `books-rpi` has other levels and is left out."""
_BOOK: Final = b'{"arg":{"channel":"b'
"""How frames of book channels begin; one that is spelled otherwise is read all the same, in two steps."""
_UPGRADE: Final = "64008"
_SIDES: Final = {"buy": False, "sell": True}


class OkxSession(BaseSession):
    """Decodes v5 frames. `counted` says that trades have always told how many ids they cover. `admits` says which ids
    are landed; `started` is the time the socket opened, microseconds, where it is known.
    """

    counted = False

    def __init__(self, writer: RowWriter, *, checksums: Checksums, names: Names) -> None:
        super().__init__(writer)
        self.checksums = checksums
        self.names = names
        self.streamed: dict[str, StreamedBook] = {}
        self.started: int | None = None

    def renewal(self, native: str) -> Callable[[], None] | None:
        """What asks for a fresh snapshot; None where nobody can be asked."""
        del native
        return None

    def confirmed(self, arg: wire.Arg, command: str) -> None:
        """A subscription was acknowledged; `command` is the id of its command."""

    def refused(self, envelope: wire.Envelope) -> None:
        """A command was refused."""

    def feed(self, frame: bytes | str, received: int | None) -> Outcome:
        """Take one frame; raises `FrameError` when it cannot be decoded."""
        if received is not None:
            self.last_received = received
            if received >= self.next_hour:
                self.see_time(received)
        if isinstance(frame, str):
            frame = frame.encode()
        if frame == b"pong":
            return Outcome.CONTROL
        try:
            if frame.startswith(_BOOK):
                books = wire.decode_book_envelope(frame)
                if books.data is not None and (rank := BOOKS.get(books.arg.channel)) is not None:
                    return self._books(books.arg.instId, books.data, rank=rank, update=books.action == "update", received=received)
            envelope = wire.decode_envelope(frame)
            if envelope.event:
                return self._event(envelope)
            if envelope.arg is None:
                return Outcome.IGNORED
            return self._channel(envelope.arg, envelope.action, data=envelope.data, received=received)
        except msgspec.MsgspecError as error:
            raise FrameError(EXCHANGE, str(error)) from error

    def trade_feed(self, native: str) -> TradeFeed:
        """The trade feed of an instrument."""
        symbol = self.names[native].symbol
        feed = self.trade_feeds.get(symbol)
        if feed is None:
            # Rows of 2022 do not say how many ids they cover: between those nothing can be told missing.
            feed = self.trade_feeds[symbol] = TradeFeed(self.writer, symbol, session=self, contiguous=self.counted, holes=self.holes())
        return feed

    def book(self, native: str, *, rank: int) -> StreamedBook:
        """The book of an instrument, kept from its first frame on, by a channel of depth `rank`."""
        symbol = self.names[native].symbol
        known = self.streamed.get(symbol)
        if known is None:
            feed = self.book_feeds[symbol] = BookFeed(self.writer, symbol, session=self, book=Book())
            known = StreamedBook(feed, rule=linked, checksums=self.checksums, renew=self.renewal(native), rank=rank)
            self.streamed[symbol] = known
        return known

    def take_rest_trades(self, data: bytes | msgspec.Raw, *, received: int | None) -> Outcome:
        """Rows of a REST answer with trades, newest first.

        What is not missing stays out: newer trades are on their way in the stream, merged, and older ones nobody asked for.
        """
        rows = sorted(wire.decode_trades(data), key=_trade_number)
        for row in rows:
            known, feed = self.names[row.instId], self.trade_feed(row.instId)
            time, sold = event_time(EXCHANGE, row.ts), _sold(row.side)
            covers = row.count or 1
            first = row.tradeId - covers + 1
            last = feed.tape.seen.last
            known_id = row.tradeId in feed.tape.seen if self.counted else last is None or first > last
            if not known_id and not self._in_hole(known.symbol, row.tradeId):
                self.writer.discard("trades", "not missing")
                continue
            feed.take_rest(
                row.tradeId, time, received=received, sold=sold, price=row.px, amount=known.contract.base(row.sz, row.px), fills=covers
            )
            for number in range(first, row.tradeId):
                feed.tape.seen.add(number)
        for native in {row.instId for row in rows}:
            self.trade_feed(native).mend(received)
        return Outcome.DECODED

    def take_former_liquidation(self, native: str, side: str, *, price: str, size: str, milliseconds: int, received: int | None) -> None:
        """A forced order out of a format that is no longer sent; `side` is the order's."""
        detail = wire.LiquidationDetail(side=side, bkPx=_number(price), sz=_number(size), ts=milliseconds)
        self._liquidations(native, [detail], received)

    def take_derivatives(self, channel: str, data: bytes | msgspec.Raw, received: int | None) -> Outcome:
        """Funding, open interest, mark and index prices: frames and REST answers have the same rows."""
        match channel:
            case "funding-rate":
                for funding in wire.decode_funding(data):
                    time = event_time(EXCHANGE, funding.ts) if funding.ts is not None else received
                    rate = _number(funding.fundingRate) if funding.fundingRate else None
                    settles = event_time(EXCHANGE, funding.fundingTime)
                    self._state(funding.instId, channel, time=time, received=received, rate=rate, next_funding=settles)
            case "open-interest":
                for interest in wire.decode_open_interest(data):
                    # No price is at hand for inverse contracts: there the venue's own base units are the only ones.
                    contract = self.names[interest.instId].contract
                    amount = _number(interest.oiCcy) if interest.oiCcy else None if contract.inverse else contract.base(interest.oi, 1.0)
                    time = event_time(EXCHANGE, interest.ts)
                    self._state(interest.instId, channel, time=time, received=received, open_interest=amount)
            case "mark-price":
                for mark in wire.decode_mark_prices(data):
                    self._state(mark.instId, channel, time=event_time(EXCHANGE, mark.ts), received=received, mark=mark.markPx)
            case "index-tickers":
                for index in wire.decode_indexes(data):
                    time = event_time(EXCHANGE, index.ts)
                    self._state(f"{index.instId}-SWAP", channel, time=time, received=received, index=index.idxPx)
        return Outcome.DECODED

    def tick_books(self, now: int) -> None:
        for book in self.streamed.values():
            book.tick(now)

    def closed(self, now: int | None) -> None:
        super().closed(now)
        self.streamed.clear()

    def _event(self, envelope: wire.Envelope) -> Outcome:
        if envelope.event == "notice" and str(envelope.code) == _UPGRADE:
            self.actions.append(Reconnect("the venue announced a service upgrade", graceful=True))
        elif envelope.event == "error":
            self.refused(envelope)
        elif envelope.event == "subscribe" and envelope.arg is not None:
            self.confirmed(envelope.arg, str(envelope.id))
        return Outcome.CONTROL

    def _channel(self, arg: wire.Arg, action: str, *, data: msgspec.Raw, received: int | None) -> Outcome:
        channel = arg.channel
        if channel in BOOKS:
            return self._books(arg.instId, wire.decode_books(data), rank=BOOKS[channel], update=action == "update", received=received)
        match channel:
            case "trades" | "trades-all":
                return self._trades(channel, data, received)
            case "liquidation-orders":
                for row in wire.decode_liquidations(data):
                    self._liquidations(row.instId, row.details, received)
                return Outcome.DECODED
            case "liquidations":
                self._liquidations(arg.instId, wire.decode_former_liquidations(data), received)
                return Outcome.DECODED
            case "funding-rate" | "open-interest" | "mark-price" | "index-tickers":
                return self.take_derivatives(channel, data, received)
            case "instruments":
                self.names.learn(read_instruments(data))
                return Outcome.CONTROL
            case _:
                return Outcome.IGNORED

    def _books(self, native: str, rows: list[wire.BookData], *, rank: int, update: bool, received: int | None) -> Outcome:
        if not self.admits(native):
            return Outcome.IGNORED
        symbol, contract = self.names[native]
        frames = [book_frame(row, contract) for row in rows]
        book = self.streamed.get(symbol) or self.book(native, rank=rank)
        if not book.takes(rank, snapshot=not update):
            return Outcome.IGNORED
        for frame in frames:
            (book.update if update else book.snapshot)(frame, received)
        return Outcome.DECODED

    def _trades(self, channel: str, data: msgspec.Raw, received: int | None) -> Outcome:
        rows = wire.decode_trades(data)
        ready = [(row, event_time(EXCHANGE, row.ts), _sold(row.side)) for row in rows if self.admits(row.instId)]
        for row in rows:
            if not (0.0 < row.px < inf and 0.0 < row.sz < inf):
                raise FrameError(EXCHANGE, f"trade {row.tradeId} has price {row.px} and size {row.sz}, expected both above 0")
        for row, time, sold in ready:
            feed = self.trade_feed(row.instId)
            kind = feed.tape.kind = feed.tape.kind or channel
            if kind != channel:
                # The same fills twice: merged on one channel, one by one on the other.
                self.writer.discard("trades", "other id space")
                continue
            covers = row.count or 1
            amount = self.names[row.instId].contract.base(row.sz, row.px)
            feed.take(row.tradeId, time, received=received, sold=sold, price=row.px, amount=amount, fills=covers, covers=covers)
            feed.contiguous = row.count is not None or channel == "trades-all"
        return Outcome.DECODED if ready else Outcome.IGNORED

    def _liquidations(self, native: str, details: list[wire.LiquidationDetail], received: int | None) -> None:
        if not self.admits(native):
            self.writer.discard("liquidations", "not asked for", rows=len(details))
            return
        symbol, contract = self.names[native]
        for detail in details:
            time = event_time(EXCHANGE, detail.ts)
            _sold(detail.side)
            if not (0.0 < detail.bkPx < inf and 0.0 < detail.sz < inf):
                raise FrameError(EXCHANGE, f"forced order has price {detail.bkPx} and size {detail.sz}, expected both above 0")
            if self.started is not None and time < self.started:
                # The first frame after subscribing can repeat an old one.
                self.writer.discard("liquidations", "before subscription")
                continue
            natural = f"{detail.ts}-{detail.side}-{detail.sz!r}-{detail.bkPx!r}"
            if not self.writer.continuity.recent("liquidations").add((symbol, natural)):
                self.writer.duplicate("liquidations")
                continue
            self.writer.continuity.latest[symbol] = time
            amount = contract.base(detail.sz, detail.bkPx)
            self.writer.liquidation(
                symbol,
                time,
                local=time if received is None else received,
                side=detail.side,
                price=detail.bkPx,
                amount=amount,
                value_usd=detail.bkPx * amount if in_dollars(symbol) else None,
                liquidation_id=natural,
                sampled=True,
            )

    def _state(
        self,
        native: str,
        kind: str,
        *,
        time: int | None,
        received: int | None,
        rate: float | None = None,
        next_funding: int | None = None,
        open_interest: float | None = None,
        mark: float | None = None,
        index: float | None = None,
    ) -> None:
        """Land what one message says of a derivative, once."""
        symbol = index_symbol(native.removesuffix("-SWAP")) if kind == "index-tickers" else self.names[native].symbol
        if not self.admits(native):
            self.writer.discard("derivatives", "not asked for")
            return
        if time is None:
            self.writer.discard("derivatives", "no time")
            return
        if any(value is not None and not isfinite(value) for value in (rate, open_interest, mark, index)):
            raise FrameError(EXCHANGE, f"{kind} of {native} holds a number that is not finite")
        local = time if received is None else received
        # A state that landed from another socket says as well that this one carries it.
        self.carries(symbol, "derivatives", now=local)
        if not self.writer.continuity.recent("derivatives").add((symbol, kind, time)):
            self.writer.duplicate("derivatives")
            return
        self.writer.continuity.latest[symbol] = time
        self.writer.derivative(
            symbol,
            time,
            local=local,
            funding_rate=rate,
            next_funding=next_funding,
            open_interest=open_interest,
            mark_price=mark,
            index_price=index,
        )

    def _in_hole(self, symbol: str, number: int) -> bool:
        """Whether a trade lies in an open gap; one whose end is not known reaches on."""
        return any(
            (gap.from_sequence is None or gap.from_sequence < number) and (gap.to_sequence is None or number < gap.to_sequence)
            for gap in self.writer.continuity.open_gaps(symbol, "trades")
        )


def book_frame(row: wire.BookData, contract: Contract) -> BookFrame:
    """A book message in base units. A checksum of 0 means that none is sent any more."""
    checksum = row.checksum or None
    bids, asks = row.bids, row.asks
    return BookFrame(
        bids=levels_of(bids, contract) if bids else [],
        asks=levels_of(asks, contract) if asks else [],
        timestamp=event_time(EXCHANGE, row.ts),
        sequence=row.seqId,
        previous=row.prevSeqId,
        checksum=checksum,
        # A book that began with checksums needs the spelling of every level.
        spelled=None if checksum is None else (spelling_of(bids) if bids else [], spelling_of(asks) if asks else []),
    )


def levels_of(spelled: list[wire.Spelled], contract: Contract) -> list[Level]:
    """Levels in base units; raises `FrameError` when one is no price and amount."""
    levels: list[Level] = []
    try:
        for level in spelled:
            price, amount = float(level[0]), float(level[1])
            if not (0.0 < price < inf and 0.0 <= amount < inf):
                raise FrameError(EXCHANGE, f"book level has price {price} and amount {amount}, expected a price above 0")
            levels.append((price, amount))
    except (ValueError, IndexError) as error:
        raise FrameError(EXCHANGE, f"a book level holds no price and amount: {error}") from error
    return levels if contract.is_base else contract.levels(levels)


def spelling_of(spelled: list[wire.Spelled]) -> list[bytes]:
    """price:amount of each level as sent."""
    return [f"{level[0]}:{level[1]}".encode() for level in spelled]


def _sold(side: str) -> bool:
    try:
        return _SIDES[side]
    except KeyError:
        raise FrameError(EXCHANGE, f"side is {side!r}, expected buy or sell") from None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise FrameError(EXCHANGE, f"{text!r} is no number") from None


def _trade_number(row: wire.TradeData) -> int:
    return row.tradeId
