"""One HTX socket of any kind: frames in, rows out.

Put here: routing by channel or topic; trades and books. Keep out: subscriptions (`live`), recordings (`recorded`), states of contracts
(`states`), the full-depth variant (`step0`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

import msgspec

from collectors.alignment import Diff, DiffBook
from collectors.books import Book, Levels, sound
from collectors.continuity import Gap
from collectors.errors import FrameError
from collectors.feeds import BookFeed, TradeFeed, event_time
from collectors.rows import RowWriter
from collectors.session import BaseSession
from collectors.streamed import BookFrame, Rule, StreamedBook
from collectors.venue import Checksums, Instrument, Outcome, Reconnect
from collectors.venues.htx import messages as wire
from collectors.venues.htx import step0
from collectors.venues.htx.books import FULL, INCREMENTAL, REFRESHED, BoundedFeed, MbpDiff, counted
from collectors.venues.htx.instruments import Names, contract_of, contracts
from collectors.venues.htx.messages import EXCHANGE
from collectors.venues.htx.states import States

_HIGH_FREQ: Final = re.compile(r"depth\.size_(\d+)\.high_freq")
_SIDES: Final = {"buy": False, "sell": True}
_LARGEST_ID: Final = (1 << 63) - 1


class HtxSession(BaseSession):
    """Decodes frames of spot, linear and inverse swaps; `depth` is that of the mbp channel, for the edges of its books."""

    spacing_seconds = 0.05

    def __init__(self, writer: RowWriter, *, names: Names, depth: int = 150) -> None:
        super().__init__(writer)
        self.names = names
        self.depth = depth
        self.diff_books: dict[str, DiffBook] = {}
        self.streamed: dict[str, StreamedBook] = {}
        self.ranks: dict[str, int] = {}
        """By symbol, the rank of the channel whose frames its feed takes."""
        self.states = States(writer, find=self.find, carry=self._carried)

    def find(self, native: str) -> Instrument | None:
        """The instrument of a native id; None where its frames are not decoded."""
        return self.names.find(native)

    def ask_snapshot(self, native: str) -> Callable[[], None] | None:
        """What asks for the snapshot an mbp book starts from; None where nobody can."""
        del native
        return None

    def renewal(self, native: str) -> Callable[[], None] | None:
        """What subscribes a high_freq book anew; None where nobody can."""
        del native
        return None

    def holes(self) -> Callable[[TradeFeed, Gap], None] | None:
        """What looks for missed trades; None where nobody can fetch them."""
        return None

    def pinged(self, frame: wire.Frame) -> None:
        """The venue wants an answer with the number it sent."""

    def answered(self, frame: wire.Frame) -> None:
        """A command was answered, well or badly."""

    def feed(self, frame: bytes | str, received: int | None) -> Outcome:
        """Take one frame; raises `FrameError` when it cannot be decoded."""
        if received is not None:
            self.last_received = received
            if received >= self.next_hour:
                self.see_time(received)
        try:
            return self._route(wire.decode_frame(wire.unpacked(frame)), received)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise FrameError(EXCHANGE, str(error)) from error

    def trade_feed(self, symbol: str) -> TradeFeed:
        """The trade feed of a symbol; the venue does not promise ids without holes, so every silence is looked at."""
        feed = self.trade_feeds.get(symbol)
        if feed is None:
            feed = TradeFeed(self.writer, symbol, session=self, contiguous=False, holes=self.holes(), seeks=True)
            self.trade_feeds[symbol] = feed
        return feed

    def take_history(self, native: str, data: bytes | msgspec.Raw, received: int | None) -> None:
        """Groups of a REST trade history, newest first."""
        instrument = self.find(native)
        trades = [trade for group in wire.decode_history(data) for trade in group.data]
        if instrument is not None and trades:
            self._trades(instrument, sorted(trades, key=_trade_time), received, rest=True)

    def diff_book(self, instrument: Instrument, channel: str = "") -> DiffBook:
        """The mbp book of a spot pair, kept from its first frame on; its depth stands in its channel."""
        symbol = instrument.symbol
        known = self.diff_books.get(symbol)
        if known is None:
            size = channel.removeprefix("mbp.")
            depth = int(size) if size.isdigit() else self.depth
            feed = BoundedFeed(self.writer, symbol, session=self, depth=depth)
            ask = self.ask_snapshot(instrument.native)
            assert isinstance(feed.book, Book)
            known = self.diff_books[symbol] = DiffBook(feed, feed.book, rule=MbpDiff(), depth=depth, ask=ask)
        self._ranked(symbol, INCREMENTAL, known.feed)
        return known

    def streamed_book(self, instrument: Instrument, *, rank: int, rule: Rule, depth: int | None = None) -> StreamedBook:
        """The book of a symbol whose stream carries whole books; `depth` is what it tells of, where it only tells changes."""
        symbol = instrument.symbol
        known = self.streamed.get(symbol)
        if known is None or known.rank != rank:
            if depth is None:
                feed = BookFeed(self.writer, symbol, session=self, book=Book())
            else:
                feed = BoundedFeed(self.writer, symbol, session=self, depth=depth)
            renew = self.renewal(instrument.native) if rank == INCREMENTAL else None
            known = self.streamed[symbol] = StreamedBook(feed, rule=rule, checksums=Checksums(), renew=renew, rank=rank)
        self._ranked(symbol, rank, known.feed)
        return known

    def closed(self, now: int | None) -> None:
        super().closed(now)
        self.diff_books.clear()
        self.streamed.clear()
        self.ranks.clear()

    def tick_books(self, now: int) -> None:
        """Time passed for the books."""
        for diff_book in self.diff_books.values():
            diff_book.tick(now)
        for book in self.streamed.values():
            book.tick(now)

    def _route(self, frame: wire.Frame, received: int | None) -> Outcome:
        if frame.ping is not None or frame.op == "ping":
            self.pinged(frame)
            return Outcome.CONTROL
        if frame.op == "notify":
            return self._notify(frame, received)
        if frame.op in ("close", "error"):
            self.actions.append(Reconnect(f"the venue closes the socket: {frame.message or frame.op}"))
            return Outcome.CONTROL
        if frame.ch:
            return self._channel(frame, received)
        if frame.rep:
            return self._reply(frame, received)
        if frame.op or frame.subbed or frame.unsubbed or frame.error is not None or frame.status == "error":
            self.answered(frame)
            return Outcome.CONTROL
        if frame.status == "ok" and bytes(frame.data).startswith(b'[{"volume"'):
            return self._open_interest(frame.data, frame.ts, received)
        return Outcome.IGNORED

    def _channel(self, frame: wire.Frame, received: int | None) -> Outcome:
        """`market.btcusdt.trade.detail`, `market.BTC-USDT.depth.size_150.high_freq`."""
        _, _, rest = frame.ch.partition(".")
        native, _, channel = rest.partition(".")
        instrument = self.find(native)
        if instrument is None and channel != "open_interest":
            return Outcome.IGNORED
        if channel == "open_interest":
            return self._open_interest(frame.data, frame.ts, received)
        assert instrument is not None
        if channel == "trade.detail":
            trades = wire.decode_trades(frame.tick).data
            self._trades(instrument, sorted(trades, key=_trade_time), received)
        elif channel == "depth.step0":
            return self._full(instrument, frame, rank=FULL, received=received)
        elif channel.startswith("mbp.refresh."):
            return self._full(instrument, frame, rank=REFRESHED, received=received)
        elif channel.startswith("mbp."):
            self._mbp(instrument, channel, frame, received)
        elif (size := _HIGH_FREQ.fullmatch(channel)) is not None:
            self._high_freq(instrument, frame, received, depth=int(size[1]))
        elif channel.startswith(("basis.", "mark_price.")):
            return self._price(native, channel, frame, received)
        else:
            return Outcome.IGNORED
        return Outcome.DECODED

    def _notify(self, frame: wire.Frame, received: int | None) -> Outcome:
        kind = frame.topic.rpartition(".")[2]
        if kind == "liquidation_orders":
            taken = self.states.liquidations(wire.decode_liquidations(frame.data), received)
        elif kind == "funding_rate":
            taken = self.states.funding(wire.decode_funding(frame.data), time=_time(frame.ts), received=received)
        elif kind == "contract_info":
            for listed in contracts(frame.data):
                self.names.resize(listed.native, listed.contract_size)
            return Outcome.CONTROL
        else:
            taken = False
        return Outcome.DECODED if taken else Outcome.IGNORED

    def _reply(self, frame: wire.Frame, received: int | None) -> Outcome:
        """The answer to a request: only snapshots of mbp books are asked for. A pair without a book answers null."""
        _, _, rest = frame.rep.partition(".")
        native, _, channel = rest.partition(".")
        instrument = self.find(native)
        if instrument is None or not channel.startswith("mbp."):
            return Outcome.IGNORED
        if bytes(frame.data) in (b"", b"null"):
            if received is not None:
                self.diff_book(instrument).failed(received)
            return Outcome.CONTROL
        tick = wire.decode_book(frame.data)
        bids, asks = self._levels(instrument, tick)
        if tick.seqNum is None:
            raise FrameError(EXCHANGE, f"snapshot of {native} names no seqNum")
        now = received if received is not None else _time(frame.ts)
        self.diff_book(instrument, channel).snapshot(tick.seqNum, bids, asks, received=now)
        return Outcome.DECODED

    def _trades(self, instrument: Instrument, trades: list[wire.Trade], received: int | None, *, rest: bool = False) -> None:
        """Trades oldest first; all are looked at before any lands. A row without a side tells no taker and is left out."""
        contract = contract_of(instrument)
        ready = [(event_time(EXCHANGE, t.ts), t, _amount(t, contract.base(t.amount, t.price) if t.price > 0 else 0.0)) for t in trades]
        for _, trade, amount in ready:
            if not (0 < trade.price < float("inf") and 0 < amount < float("inf")):
                raise FrameError(EXCHANGE, f"trade {bytes(trade.id)!r} has price {trade.price} and amount {amount}, expected both above 0")
        feed = self.trade_feed(instrument.symbol)
        numbers = [_number(trade) for trade in trades]
        if not rest and all(number is not None and number in feed.tape.seen for number in numbers):
            # What a subscription begins with is the last trades: known ones say nothing of the silence before it.
            self.writer.duplicate("trades", rows=len(ready))
            return
        for (time, trade, amount), number in zip(ready, numbers, strict=True):
            sold = _SIDES.get(trade.direction)
            if sold is None:
                self.writer.discard("trades", "no side")
                continue
            if number is None:
                identity = bytes(trade.id).strip(b'"').decode()
                feed.take_keyed(identity, time, received=received, sold=sold, price=trade.price, amount=amount, rest=rest)
            elif rest:
                feed.take_rest(number, time, received=received, sold=sold, price=trade.price, amount=amount)
            else:
                feed.take(number, time, received=received, sold=sold, price=trade.price, amount=amount)

    def _mbp(self, instrument: Instrument, channel: str, frame: wire.Frame, received: int | None) -> None:
        tick = wire.decode_book(frame.tick)
        bids, asks = self._levels(instrument, tick)
        time = _time(frame.ts) or received
        if tick.seqNum is None or tick.prevSeqNum is None or time is None:
            raise FrameError(EXCHANGE, f"mbp frame of {instrument.native} names no seqNum, prevSeqNum or time")
        diff = Diff(tick.prevSeqNum + 1, tick.seqNum, tick.prevSeqNum, bids, asks, time)
        self.diff_book(instrument, channel).update(diff, received)

    def _high_freq(self, instrument: Instrument, frame: wire.Frame, received: int | None, *, depth: int) -> None:
        tick = wire.decode_book(frame.tick)
        bids, asks = self._levels(instrument, tick)
        if tick.version is None or tick.event not in ("snapshot", "update"):
            raise FrameError(EXCHANGE, f"high_freq frame of {instrument.native} has event {tick.event!r} and version {tick.version}")
        book = self.streamed_book(instrument, rank=INCREMENTAL, rule=counted, depth=depth)
        ready = BookFrame(bids=bids, asks=asks, timestamp=_time(tick.ts or frame.ts), sequence=tick.version)
        take = book.snapshot if tick.event == "snapshot" else book.update
        take(ready, received)

    def _full(self, instrument: Instrument, frame: wire.Frame, *, rank: int, received: int | None) -> Outcome:
        if self._outranked(instrument.symbol, rank):
            return Outcome.IGNORED
        tick = wire.decode_book(frame.tick)
        bids, asks = self._levels(instrument, tick)
        sequence = tick.mrid if tick.mrid is not None else tick.version if tick.version is not None else tick.seqNum
        ready = BookFrame(bids=bids, asks=asks, timestamp=_time(tick.ts or frame.ts), sequence=sequence)
        book = self.streamed_book(instrument, rank=rank, rule=step0.growing)
        step0.take(book, ready, update=frame.update, received=received)
        return Outcome.DECODED

    def _levels(self, instrument: Instrument, tick: wire.BookTick) -> tuple[Levels, Levels]:
        """Levels in base units; a missing side is empty."""
        bids, asks = tick.bids or [], tick.asks or []
        if not (sound(bids) and sound(asks)):
            raise FrameError(EXCHANGE, f"book levels of {instrument.native} hold a price or amount that cannot be")
        contract = contract_of(instrument)
        return contract.levels(bids), contract.levels(asks)

    def _price(self, native: str, channel: str, frame: wire.Frame, received: int | None) -> Outcome:
        """Basis carries the index price, of the minute's start (open) or running (close); mark_price is shaped like a candle."""
        tick = wire.decode_price(frame.tick)
        if channel.startswith("mark_price."):
            taken = self.states.price(native, "mark", tick.close, time=_time(frame.ts), received=received)
        else:
            time = event_time(EXCHANGE, tick.id) if channel.endswith(".open") else _time(frame.ts)
            taken = self.states.price(native, "index", tick.index_price, time=time, received=received)
        return Outcome.DECODED if taken else Outcome.IGNORED

    def _open_interest(self, data: msgspec.Raw, ts: int | str | None, received: int | None) -> Outcome:
        taken = self.states.open_interest(wire.decode_open_interest(data), time=_time(ts), received=received)
        return Outcome.DECODED if taken else Outcome.IGNORED

    def _ranked(self, symbol: str, rank: int, feed: BookFeed) -> None:
        """Let the feed of a channel stand for the symbol unless a book of a higher rank does."""
        former = self.book_feeds.get(symbol)
        if former is None or rank >= self.ranks[symbol] or not former.live:
            self.ranks[symbol] = rank
            self.book_feeds[symbol] = feed

    def _outranked(self, symbol: str, rank: int) -> bool:
        """Whether a live book of a channel of higher rank stands, on this socket or on the one whose book lands."""
        owner = self.writer.continuity.books.get(symbol)
        session = owner.session if isinstance(owner, BookFeed) and owner.live else None
        if isinstance(session, HtxSession) and session.ranks.get(symbol, rank) > rank:
            return True
        return self.ranks.get(symbol, rank) > rank and self.book_feeds[symbol].live

    def _carried(self, symbol: str, now: int) -> None:
        self.carries(symbol, "derivatives", now=now)


def _time(value: int | str | None) -> int | None:
    """A time of the wire, milliseconds as number or text, as microseconds."""
    if value is None:
        return None
    try:
        number = int(value)
    except ValueError as error:
        raise FrameError(EXCHANGE, f"time {value!r} is no number") from error
    if number > _LARGEST_ID:
        raise FrameError(EXCHANGE, f"time {value!r} lies beyond any clock")
    return event_time(EXCHANGE, number)


def _trade_time(trade: wire.Trade) -> tuple[int, int]:
    return trade.ts, _number(trade) or 0


def _amount(trade: wire.Trade, contracts_in_base: float) -> float:
    """Base units: swaps send them as `quantity` since 2020."""
    return trade.quantity or contracts_in_base


def _number(trade: wire.Trade) -> int | None:
    """The trade's number: `tradeId` on spot, `id` on swaps; None where it exceeds 64 bits (spot before 2020)."""
    if trade.tradeId is not None or trade.rest_id is not None:
        return trade.tradeId if trade.tradeId is not None else trade.rest_id
    text = bytes(trade.id).strip(b'"')
    return int(text) if text.isdigit() and int(text) <= _LARGEST_ID else None
