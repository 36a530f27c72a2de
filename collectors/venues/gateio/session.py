"""One v4 socket, spot or futures: frames in, rows out.

Put here: what each frame of v4 means. Keep out: subscriptions (`live`), recordings (`recorded`), retired formats (`v3`, `signed`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import chain
from math import isfinite
from typing import Final

import msgspec

from collectors.alignment import Diff, DiffBook
from collectors.books import Book, Follows, Levels, SpotDiff
from collectors.contracts import Contract
from collectors.errors import FrameError
from collectors.feeds import BookFeed, TradeFeed, event_time
from collectors.rows import RowWriter
from collectors.session import BaseSession
from collectors.streamed import BookFrame, StreamedBook
from collectors.venue import Checksums, Instrument, Outcome, Reconnect
from collectors.venues.gateio import messages as wire
from collectors.venues.gateio.instruments import guessed_contract, unified
from collectors.venues.gateio.messages import EXCHANGE
from lake.dollars import in_dollars

WHOLE_SINCE: Final = 1_787_184_000_000_000
"""2026-08-20: since then every liquidation is published, before at most one a contract and second."""
_WHOLE_BOOK: Final = 1 << 30
"""Depth of a snapshot that is never taken for cut off."""
_ANSWERS: Final = frozenset({"subscribe", "unsubscribe"})


def follows(applied: int, previous: int | None, sequence: int) -> Follows:
    """A frame begins right after the last one; one that overlaps and reaches further holds absolute amounts and is taken."""
    if sequence <= applied:
        return Follows.STALE
    return Follows.NEXT if previous is None or previous <= applied else Follows.AHEAD


class MarketSession(BaseSession):
    """Decodes frames of spot or of futures. `linked` tells whether frames follow each other, so that one can be missing."""

    def __init__(self, writer: RowWriter, *, spot: bool, instruments: dict[str, Instrument], linked: bool) -> None:
        super().__init__(writer)
        self.spot = spot
        self.instruments = instruments
        self.linked = linked
        self.order_sign = 1
        """-1 once REST has shown that the sign of a liquidation is the position's and not the order's."""
        self.diff_books: dict[str, DiffBook] = {}
        self.streamed_books: dict[str, StreamedBook] = {}
        self._contracts: dict[str, Contract] = {}

    def renewal(self, symbol: str) -> Callable[[], None] | None:
        """What asks for a fresh snapshot of a symbol; None where nobody can be asked."""
        del symbol
        return None

    def answered(self, envelope: wire.Envelope) -> None:
        """An answer to a command arrived."""

    def symbol(self, native: str) -> str:
        """CCXT symbol of a native id."""
        known = self.instruments.get(native)
        return unified(native, spot=self.spot) if known is None else known.symbol

    def contract(self, native: str) -> Contract:
        """What one unit of size is."""
        known = self._contracts.get(native)
        listed = self.instruments.get(native)
        if listed is not None and (known is None or (known.size, known.inverse) != (listed.contract_size, listed.inverse)):
            known = self._contracts[native] = Contract.of(listed)
        elif known is None:
            known = self._contracts[native] = Contract() if self.spot else guessed_contract(native)
        return known

    def levels(self, native: str, levels: Levels | Iterable[wire.PricedSize]) -> list[tuple[float, float]]:
        """Levels of either spelling in base units; raises `FrameError` when a number is not finite."""
        contract = self.contract(native)
        pairs = [(each.p, each.s) if isinstance(each, wire.PricedSize) else each for each in levels]
        if not isfinite(sum(chain.from_iterable(pairs))):
            raise FrameError(EXCHANGE, "book levels hold a number that is not finite")
        return pairs if contract.is_base else [(price, contract.base(size, price)) for price, size in pairs]

    def feed(self, frame: bytes | str, received: int | None) -> Outcome:
        """Take one frame; raises `FrameError` when it cannot be decoded."""
        if received is not None:
            self.last_received = received
            if received >= self.next_hour:
                self.see_time(received)
        try:
            return self.take(wire.decode_envelope(frame), received)
        except msgspec.MsgspecError as error:
            raise FrameError(EXCHANGE, str(error)) from error

    def take(self, envelope: wire.Envelope, received: int | None) -> Outcome:
        """Take one frame whose envelope has been read."""
        if envelope.type == "upgrade":
            self.actions.append(Reconnect("the venue announced a restart", graceful=True))
            return Outcome.CONTROL
        if envelope.event in _ANSWERS or envelope.channel.endswith(".pong"):
            self.answered(envelope)
            return Outcome.CONTROL
        match envelope.channel:
            case "spot.obu" | "futures.obu":
                return self._streamed(wire.decode_streamed(envelope.result), received)
            case "spot.trades":
                return self._spot_trade(wire.decode_spot_trade(envelope.result), received)
            case "futures.trades":
                return self._futures_trades(wire.decode_futures_trades(envelope.result), received)
            case "spot.order_book_update":
                return self._update(wire.decode_spot_update(envelope.result), received)
            case "futures.order_book_update":
                return self._update(wire.decode_futures_update(envelope.result), received)
            case "futures.tickers":
                return self._tickers(envelope, received)
            case "futures.public_liquidates":
                return self._liquidations(wire.decode_liquidations(envelope.result), received)
        # Version 3 answers commands with an id and a result, and nothing that names a channel.
        return Outcome.IGNORED if envelope.channel or not bytes(envelope.result) else Outcome.CONTROL

    def trade_feed(self, symbol: str, *, contiguous: bool = False) -> TradeFeed:
        """The trade feed of a symbol."""
        feed = self.trade_feeds.get(symbol)
        if feed is None:
            linked = contiguous and self.linked
            feed = self.trade_feeds[symbol] = TradeFeed(
                self.writer, symbol, session=self, contiguous=linked, holes=self.holes(), seeks=not linked
            )
        return feed

    def streamed_book(self, symbol: str) -> StreamedBook:
        """The book of a symbol whose stream carries its snapshots; it takes over from a diff book of the same socket."""
        known = self.streamed_books.get(symbol)
        if known is None:
            former = self.diff_books.pop(symbol, None)
            if former is not None:
                former.feed.live = False
            feed = self.book_feeds[symbol] = BookFeed(self.writer, symbol, session=self, book=Book())
            known = StreamedBook(feed, rule=follows, checksums=Checksums(), renew=self.renewal(symbol))
            self.streamed_books[symbol] = known
        return known

    def diff_book(self, symbol: str) -> DiffBook | None:
        """The book of a symbol made of diffs and REST snapshots; None where a streamed book of the symbol stands."""
        if symbol in self.streamed_books:
            return None
        known = self.diff_books.get(symbol)
        if known is None:
            book = Book()
            feed = self.book_feeds[symbol] = BookFeed(self.writer, symbol, session=self, book=book)
            known = self.diff_books[symbol] = DiffBook(feed, book, rule=SpotDiff(), depth=_WHOLE_BOOK, ask=None)
        return known

    def take_book_answer(self, native: str, body: bytes, received: int | None) -> Outcome:
        """A REST order book with its id."""
        answer = wire.decode_spot_book_answer(body) if self.spot else wire.decode_futures_book_answer(body)
        bids, asks = self.levels(native, answer.bids), self.levels(native, answer.asks)
        book = self.diff_book(self.symbol(native))
        if book is None:
            return Outcome.IGNORED
        book.snapshot(answer.id, bids, asks, received=received)
        return Outcome.DECODED

    def take_futures_rows(self, rows: list[wire.FuturesTrade], *, received: int | None, rest: bool) -> None:
        """Land trades of futures, oldest first; all of them are looked at before any lands."""
        times = [(row.id, wire.trade_time(row.create_time, row.create_time_ms), row.contract) for row in rows]
        ready = []
        for row in rows:
            if row.is_internal:
                self.writer.discard("trades", "internal")
                continue
            if not (isfinite(row.size) and row.size != 0 and row.price > 0):
                raise FrameError(EXCHANGE, f"trade {row.id} has size {row.size} and price {row.price}, expected a signed size and a price")
            amount = self.contract(row.contract).base(abs(row.size), row.price)
            ready.append((row.id, wire.trade_time(row.create_time, row.create_time_ms), row.size < 0, row.price, amount, row.contract))
        if not rest:
            self.numbered(sorted(times))
        for number, time, sold, price, amount, native in sorted(ready):
            feed = self.trade_feed(self.symbol(native))
            land = feed.take_rest if rest else feed.take
            land(number, time, received=received, sold=sold, price=price, amount=amount)

    def tick_books(self, now: int) -> None:
        """Look after the books."""
        for streamed in self.streamed_books.values():
            streamed.tick(now)
        for diffed in self.diff_books.values():
            diffed.tick(now)

    def closed(self, now: int | None) -> None:
        super().closed(now)
        self.streamed_books.clear()
        self.diff_books.clear()

    def _streamed(self, message: wire.Streamed, received: int | None) -> Outcome:
        """A stream is named ob.<id>.<levels>."""
        native = message.s.removeprefix("ob.").rpartition(".")[0]
        if not native:
            raise FrameError(EXCHANGE, f"book stream {message.s!r} is not ob.<id>.<levels>")
        if not self.admits(native):
            return Outcome.IGNORED
        if not message.full and message.U is None:
            raise FrameError(EXCHANGE, f"book frame of {message.s} has neither full nor U")
        frame = BookFrame(
            bids=self.levels(native, message.b),
            asks=self.levels(native, message.a),
            timestamp=event_time(EXCHANGE, message.t),
            sequence=message.u,
            previous=message.U - 1 if message.U is not None and self.linked else None,
        )
        book = self.streamed_book(self.symbol(native))
        take = book.snapshot if message.full else book.update
        take(frame, received)
        return Outcome.DECODED

    def _update(self, message: wire.SpotUpdate | wire.FuturesUpdate, received: int | None) -> Outcome:
        if not self.admits(message.s):
            return Outcome.IGNORED
        bids, asks = self.levels(message.s, message.b or ()), self.levels(message.s, message.a or ())
        time = event_time(EXCHANGE, message.t)
        book = self.diff_book(self.symbol(message.s))
        if book is None:
            return Outcome.IGNORED
        if message.full:
            book.snapshot(message.u, bids, asks, received=time if received is None else received)
        else:
            book.update(Diff(message.U, message.u, None, bids, asks, time), received)
        return Outcome.DECODED

    def _spot_trade(self, trade: wire.SpotTrade, received: int | None) -> Outcome:
        """The pair's own count is the id where the venue sends it; the global one, as before, has holes by nature."""
        if not self.admits(trade.currency_pair):
            return Outcome.IGNORED
        time = wire.trade_time(trade.create_time, trade.create_time_ms)
        symbol = self.symbol(trade.currency_pair)
        own = trade.id_market
        first, _, last = trade.range.partition("-")
        covers = int(last) - int(first) + 1 if own is not None and last == str(own) and first.isdecimal() else 1
        feed = self.trade_feed(symbol, contiguous=own is not None)
        self.met(trade)
        feed.take(
            trade.id if own is None else own,
            time,
            received=received,
            sold=trade.side == "sell",
            price=trade.price,
            amount=trade.amount,
            fills=max(covers, 1),
            covers=max(covers, 1),
        )
        return Outcome.DECODED

    def numbered(self, rows: list[tuple[int, int, str]]) -> None:
        """Ids, times and contracts of futures trades of the stream, off the book ones among them, about to land."""

    def met(self, trade: wire.SpotTrade) -> None:
        """A trade of the stream, about to land."""

    def liquidated(self, row: wire.Liquidation, time: int) -> None:
        """A forced order of the stream, about to land."""

    def _futures_trades(self, rows: list[wire.FuturesTrade], received: int | None) -> Outcome:
        admitted = [row for row in rows if self.admits(row.contract)]
        self.take_futures_rows(admitted, received=received, rest=False)
        return Outcome.DECODED if admitted or not rows else Outcome.IGNORED

    def _tickers(self, envelope: wire.Envelope, received: int | None) -> Outcome:
        """In 2021 the rows came wrapped once more."""
        nested = bytes(envelope.result).lstrip()[:2] == b"[["
        rows = list(chain(*wire.decode_nested_tickers(envelope.result))) if nested else wire.decode_tickers(envelope.result)
        time = wire.sent_time(envelope)
        local = time if received is None else received
        taken = [row for row in rows if self.admits(row.contract)]
        for row in taken:
            symbol = self.symbol(row.contract)
            mark, interest = wire.number(row.mark_price), wire.number(row.total_size)
            index, funding = wire.number(row.index_price), wire.number(row.funding_rate)
            # A state that landed from another socket says as well that this one carries it.
            self.carries(symbol, "derivatives", now=local)
            if not self.writer.continuity.recent("derivatives").add((symbol, time, mark, index, funding, interest)):
                self.writer.duplicate("derivatives")
                continue
            self.writer.continuity.latest[symbol] = time
            self.writer.derivative(
                symbol,
                time,
                local=local,
                funding_rate=funding,
                open_interest=self.contract(row.contract).base(interest, mark) if interest is not None and mark else None,
                mark_price=mark,
                index_price=index,
            )
        return Outcome.DECODED if taken or not rows else Outcome.IGNORED

    def _liquidations(self, rows: list[wire.Liquidation], received: int | None) -> Outcome:
        """The sign is read as the order's: negative sells, because a long was liquidated."""
        taken = [row for row in rows if self.admits(row.contract)]
        ready = []
        for row in taken:
            time = row.time_ms or row.time or 0
            if not (isfinite(row.size) and row.size != 0 and row.price > 0 and isfinite(row.price)):
                raise FrameError(EXCHANGE, f"liquidation has size {row.size} and price {row.price}, expected a signed size and a price")
            ready.append((row, event_time(EXCHANGE, time)))
        for row, time in ready:
            symbol = self.symbol(row.contract)
            side = "sell" if row.size * self.order_sign < 0 else "buy"
            natural = f"{time}-{row.size!r}-{row.price!r}"
            if not self.writer.continuity.recent("liquidations").add((symbol, natural)):
                self.writer.duplicate("liquidations")
                continue
            self.writer.continuity.latest[symbol] = time
            amount = self.contract(row.contract).base(abs(row.size), row.price)
            self.liquidated(row, time)
            self.writer.liquidation(
                symbol,
                time,
                local=time if received is None else received,
                side=side,
                price=row.price,
                amount=amount,
                value_usd=row.price * amount if in_dollars(symbol) else None,
                liquidation_id=natural,
                sampled=time < WHOLE_SINCE,
            )
        return Outcome.DECODED if taken or not rows else Outcome.IGNORED
