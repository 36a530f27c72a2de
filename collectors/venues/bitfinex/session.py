"""One Bitfinex socket: frames in, rows out; channels are numbers that acknowledgements give a meaning to.

Put here: what each frame means, the sequence over the whole connection. Keep out: subscriptions (`live`), recordings (`recorded`),
the checksum procedure (`book`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import Any

import msgspec

from collectors.errors import FrameError
from collectors.feeds import GENESIS, BookFeed, TradeFeed, event_time
from collectors.rows import RowWriter
from collectors.session import BaseSession
from collectors.textbook import TextBook
from collectors.venue import Checksums, Outcome, Reconnect
from collectors.venues.bitfinex import messages as wire
from collectors.venues.bitfinex.book import LENGTHS, CheckedBook
from collectors.venues.bitfinex.instruments import Names
from collectors.venues.bitfinex.messages import EXCHANGE, column, moment
from lake.dollars import in_dollars

RESTARTS = 20_051
RESUMES = 20_061
LIQUIDATIONS_KEY = "liq:global"


@dataclass(slots=True, frozen=True)
class Channel:
    """What a channel number stands for: book, trades, liquidations, derivatives, or nothing that lands."""

    kind: str
    native: str
    symbol: str
    length: int = LENGTHS[-1]


NOTHING = Channel("", "", "")


class PublicSession(BaseSession):
    """Decodes frames of one socket. `numbered` is False where frames do not come from one stream and sequences mean nothing."""

    spacing_seconds = 0.05

    def __init__(self, writer: RowWriter, *, names: Names, checksums: Checksums, numbered: bool = True) -> None:
        super().__init__(writer)
        self.names = names
        self.checksums = checksums
        self.channels: dict[int, Channel] = {}
        self.checked_books: dict[str, CheckedBook] = {}
        self.clock: int | None = None
        """The newest time known of this socket, for frames that carry none; microseconds."""
        self._numbered = numbered
        self._sequence: int | None = None
        self._bulk = False
        self._checked = False
        """Whether books come with checksums, which tell whose frames were lost."""

    def renewal(self, native: str) -> Callable[[], None] | None:
        """What subscribes the book of a native symbol anew; None where nobody can."""
        del native
        return None

    def subscribed(self, channel: Channel) -> None:
        """A subscription was acknowledged."""

    def lost_frames(self, count: int, *, now: int) -> None:
        """So many frames of the socket were passed over, none where one only came late."""

    def joined(self, symbol: str, rows: list[wire.TradeRow], received: int | None) -> None:
        """The trades that a subscription begins with, oldest first, are about to land."""

    def refused(self, event: wire.Event) -> None:
        """A command was refused, or the venue announces a pause."""

    def feed(self, frame: bytes | str, received: int | None) -> Outcome:
        """Take one frame; raises `FrameError` when it cannot be decoded."""
        if received is not None:
            self.last_received = self.clock = received
            if received >= self.next_hour:
                self.see_time(received)
        try:
            if isinstance(frame, bytes) and (found := wire.one_level(frame)) is not None:
                return self._level(found, received)
            if frame[:1] in (b"{", "{"):
                return self._event(wire.decode_event(frame))
            return self._data(wire.take_apart(frame), received)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise FrameError(EXCHANGE, str(error)) from error

    def channel_of(self, name: str, native: str, *, prec: str = "P0", length: int = LENGTHS[-1]) -> Channel:
        """What a channel of the venue stands for; funding (f…), aggregated and raw books and tickers land nothing."""
        if name in ("book", "trades") and native.startswith("t") and prec == "P0":
            return Channel(name, native, self.names.symbol(native), length)
        if name == "status" and native == LIQUIDATIONS_KEY:
            return Channel("liquidations", "", "")
        if name == "status" and native.startswith("deriv:"):
            native = native.removeprefix("deriv:")
            return Channel("derivatives", native, self.names.symbol(native))
        return NOTHING

    def checked_book(self, channel: Channel) -> CheckedBook:
        """The book of a channel, kept from its first frame on."""
        known = self.checked_books.get(channel.symbol)
        if known is None:
            book = TextBook(channel.length)
            feed = self.book_feeds[channel.symbol] = BookFeed(self.writer, channel.symbol, session=self, book=book)
            known = CheckedBook(feed, book, checksums=self.checksums, renew=self.renewal(channel.native))
            self.checked_books[channel.symbol] = known
        return known

    def trade_feed(self, symbol: str) -> TradeFeed:
        """The trade feed of a symbol; ids grow over all symbols, so a hole in them says nothing."""
        feed = self.trade_feeds.get(symbol)
        if feed is None:
            feed = TradeFeed(self.writer, symbol, session=self, contiguous=False, holes=self.holes(), seeks=True)
            self.trade_feeds[symbol] = feed
        return feed

    def take_trades_answer(self, symbol: str, body: bytes, *, received: int | None) -> list[wire.TradeRow]:
        """A REST answer with trades of a symbol; returns its rows, oldest first."""
        rows = _checked(wire.decode_trades(body))
        feed = self.trade_feed(symbol)
        for number, time, amount, price in rows:
            feed.take_rest(number, event_time(EXCHANGE, time), received=received, sold=amount < 0, price=price, amount=abs(amount))
        return rows

    def take_status_answer(self, body: bytes, received: int | None) -> Outcome:
        """A REST status answer: rows of derivatives with their key in front."""
        for row in wire.decode_rows(body):
            if row and isinstance(row[0], str):
                self._derivative(self.names.symbol(row[0]), row[1:], received)
        return Outcome.DECODED

    def take_liquidations(self, body: bytes, received: int | None) -> Outcome:
        """Rows of forced closings."""
        for row in wire.decode_rows(body):
            # The hist answer wraps each row once more.
            self._liquidation(row[0] if len(row) == 1 and isinstance(row[0], list) else row, received)
        return Outcome.DECODED

    def tick_books(self, now: int) -> None:
        for book in self.checked_books.values():
            book.tick(now)

    def closed(self, now: int | None) -> None:
        super().closed(now)
        self.checked_books.clear()
        self.channels.clear()

    def _event(self, event: wire.Event) -> Outcome:
        if event.event == "subscribed":
            if not str(event.len).isdecimal():
                raise FrameError(EXCHANGE, f"book has length {event.len!r}, expected a number")
            length = int(event.len)
            channel = self.channel_of(event.channel, event.key or event.symbol, prec=event.prec, length=length)
            self.channels[event.chanId] = channel
            if channel.kind:
                self.subscribed(channel)
        elif event.event == "unsubscribed":
            self.channels.pop(event.chanId, None)
        elif event.event == "conf":
            self._bulk = bool(event.flags & wire.BULK_UPDATES)
            self._checked = bool(event.flags & wire.CHECKSUMS)
        elif event.event == "error":
            self.refused(event)
        elif event.event == "info" and event.code:
            if event.code == RESTARTS:
                self.actions.append(Reconnect("the venue announced a restart", graceful=True))
            elif event.code == RESUMES:
                self.actions.append(Reconnect("the venue's maintenance ended: every channel has to be subscribed anew"))
            else:
                self.refused(event)
        return Outcome.CONTROL

    def _level(self, found: re.Match[bytes], received: int | None) -> Outcome:
        """One level of a book; what `_data` and `_book` make of such a frame, without taking it apart piece by piece."""
        number, price, count, amount, first, second = found.groups()
        sequence, time = wire.numbered(first, second) if first is not None else (None, None)
        channel = self.channels.get(int(number))
        if channel is None or channel.kind != "book":
            return self._data(wire.take_apart(found[0]), received)
        if received is None:
            received = self._undated(time)
        if sequence is not None and self._numbered and not self._follows(sequence):
            return Outcome.IGNORED
        book = self.checked_books.get(channel.symbol) or self.checked_book(channel)
        book.set(price, int(count), amount, timestamp=time, received=received, sequence=sequence)
        return Outcome.DECODED

    def _undated(self, time: int | None) -> int | None:
        """The receive time of a frame of a recording without a clock: none where the frame has a time of its own, else the newest time met,
        or the earliest there can be.
        """
        if time is not None:
            self.clock = time
            return None
        return self.clock if self.clock is not None else GENESIS

    def _data(self, frame: wire.Frame, received: int | None) -> Outcome:
        if frame.time is not None and received is None:
            self.clock = frame.time
        if frame.sequence is not None and self._numbered and not self._follows(frame.sequence):
            return Outcome.IGNORED
        if frame.kind == "hb":
            return Outcome.CONTROL
        channel = self.channels.get(frame.channel)
        if channel is None and frame.named is not None:
            channel = self._named(*frame.named)
        match channel.kind if channel else "":
            case "book":
                assert channel is not None
                self._book(channel, frame, received)
            case "trades":
                assert channel is not None
                return self._trades(channel.symbol, frame, received)
            case "liquidations":
                return self.take_liquidations(frame.body, received)
            case "derivatives":
                assert channel is not None
                self._derivative(channel.symbol, wire.decode_row(frame.body), received)
            case _:
                # A late frame of an old channel, or a channel that lands nothing.
                return Outcome.IGNORED
        return Outcome.DECODED

    def _follows(self, sequence: int) -> bool:
        """Follow the count over all frames of the socket; False for a frame that was sent twice.

        Where frames are missing, or come late, checksums tell which books it concerns; without them none can be trusted.
        """
        last = self._sequence
        if sequence == last:
            return False
        if last is None or sequence > last:
            self._sequence = sequence
        if last is None or sequence == last + 1:
            return True
        now = self.clock if self.clock is not None else GENESIS
        if self._checked:
            for book in self.checked_books.values():
                book.doubt(now)
            self.lost_frames(max(0, sequence - last - 1), now=now)
            return True
        for book in self.checked_books.values():
            book.feed.lost("sequence", now=now, from_sequence=last, to_sequence=sequence)
        self.lost_frames(2, now=now)
        self.actions.append(Reconnect(f"sequence {sequence} came after {last}, expected {last + 1}"))
        return True

    def _named(self, name: str, pair: str) -> Channel:
        if name == "liquidations":
            return self.channel_of("status", LIQUIDATIONS_KEY)
        if name in ("status", "derivatives"):
            return self.channel_of("status", f"deriv:t{pair}")
        return self.channel_of(name, f"t{pair}")

    def _book(self, channel: Channel, frame: wire.Frame, received: int | None) -> None:
        book = self.checked_books.get(channel.symbol) or self.checked_book(channel)
        if received is None:
            received = self._undated(frame.time)
        if frame.kind == "cs":
            now = received if received is not None else frame.time
            book.check(msgspec.json.decode(frame.body, type=int), now=now or GENESIS)
        elif frame.body[1:2] not in (b"[", b"]"):
            book.update([wire.decode_level(frame.body)], timestamp=frame.time, received=received, sequence=frame.sequence)
        elif self._bulk and book.feed.live:
            book.update(wire.decode_levels(frame.body), timestamp=frame.time, received=received, sequence=frame.sequence)
        else:
            levels = wire.decode_levels(frame.body)
            book.snapshot(levels, length=channel.length, timestamp=frame.time, received=received, sequence=frame.sequence)

    def _trades(self, symbol: str, frame: wire.Frame, received: int | None) -> Outcome:
        """A snapshot comes newest first; te and tu are the same trade, whichever comes first lands."""
        if frame.kind in ("te", "tu"):
            rows = _checked([wire.decode_trade(frame.body)])
        elif frame.kind == "":
            rows = _checked(wire.decode_trades(frame.body))
        else:
            return Outcome.IGNORED
        feed = self.trade_feed(symbol)
        if not frame.kind:
            self.joined(symbol, rows, received)
        for number, milliseconds, amount, price in rows:
            time = event_time(EXCHANGE, milliseconds)
            feed.take(number, time, received=received, sold=amount < 0, price=price, amount=abs(amount))
            if received is None and frame.time is None and (self.clock is None or time > self.clock):
                self.clock = time
        return Outcome.DECODED

    def _derivative(self, symbol: str, row: list[Any], received: int | None) -> None:
        """A status row; columns that are null or missing have not changed or are not published."""
        time = moment(row, 0)
        if time is None:
            raise FrameError(EXCHANGE, f"status of {symbol} holds no time")
        local = received if received is not None else time
        self.carries(symbol, "derivatives", now=local)
        if not self.writer.continuity.recent("derivatives").add((symbol, tuple(row))):
            self.writer.duplicate("derivatives")
            return
        self.writer.continuity.latest[symbol] = time
        self.writer.derivative(
            symbol,
            time,
            local=local,
            funding_rate=column(row, 11),
            next_funding=moment(row, 7),
            open_interest=column(row, 17),
            mark_price=column(row, 14),
            index_price=column(row, 3),
        )

    def _liquidation(self, row: list[Any], received: int | None) -> None:
        """A row names the position (its sign: above 0 is long); the forced order is on the other side. Market executions of a
        position that was announced before (column 8 is 1) are left out.
        """
        if len(row) < 9 or row[0] != "pos" or not isinstance(row[4], str):
            raise FrameError(EXCHANGE, f"forced closing of {len(row)} columns, expected pos, id, time, symbol, amount, price")
        number, native = row[1], row[4]
        if row[8] == 1 or not native.startswith("t") or not self.admits(native):
            self.writer.discard("liquidations", "execution" if row[8] == 1 else "not wanted")
            return
        amount, time = column(row, 5), moment(row, 2)
        price = column(row, 11) or column(row, 6)
        if not amount or time is None or price is None or not 0 < price < inf:
            raise FrameError(EXCHANGE, f"forced closing {number} has amount {amount}, price {price}, time {row[2]}")
        symbol = self.names.symbol(native)
        if not self.writer.continuity.recent("liquidations").add((symbol, number)):
            self.writer.duplicate("liquidations")
            return
        self.writer.continuity.latest[symbol] = time
        self.writer.liquidation(
            symbol,
            time,
            local=received if received is not None else time,
            side="sell" if amount > 0 else "buy",
            price=price,
            amount=abs(amount),
            value_usd=price * abs(amount) if in_dollars(symbol) else None,
            liquidation_id=str(number),
            sampled=None,
        )


def _checked(rows: list[wire.TradeRow]) -> list[wire.TradeRow]:
    """Trades oldest first; all are looked at before any lands."""
    for number, time, amount, price in rows:
        if not (0 < price < inf and 0 < abs(amount) < inf):
            raise FrameError(EXCHANGE, f"trade {number} has price {price} and amount {amount}, expected numbers other than 0")
        event_time(EXCHANGE, time)
    return sorted(rows)
