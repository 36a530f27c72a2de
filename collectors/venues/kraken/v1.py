"""Kraken's spot WebSocket v1, as recordings carry it: array frames, XBT names, the checksum as text, trades without an id.

Collected by others until July 2026, when v2 had taken its place; read from recordings only.
Put here: what each frame of v1 means. Keep out: v2 (`session`), routing (`recorded`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from math import inf, isfinite
from typing import Final

import msgspec
from msgspec import Raw, Struct

from collectors.errors import FrameError
from collectors.feeds import GENESIS, BookFeed, TradeFeed
from collectors.textbook import TextBook, TextLevel
from collectors.venue import Outcome
from collectors.venues.kraken.book import DEPTHS, CheckedBook
from collectors.venues.kraken.instruments import unified
from collectors.venues.kraken.messages import EXCHANGE, BookLevel
from collectors.venues.kraken.session import SpotSession

_SIDES: Final = {"b": False, "s": True}
_CONTROL: Final = frozenset({"heartbeat", "systemStatus", "subscriptionStatus", "pong", "error"})
_REPUBLISHED: Final = "r"

WireLevel = list[str]
"""[price, volume, seconds], and "r" behind them where a level that had fallen out of the depth is sent again."""


class BookPart(Struct, frozen=True, gc=False):
    """One object of a book frame: `as` and `bs` are a snapshot, `a` and `b` what changed, `c` the checksum after it."""

    all_asks: list[WireLevel] | None = msgspec.field(default=None, name="as")
    all_bids: list[WireLevel] | None = msgspec.field(default=None, name="bs")
    asks: list[WireLevel] = msgspec.field(default_factory=list, name="a")
    bids: list[WireLevel] = msgspec.field(default_factory=list, name="b")
    checksum: str | None = msgspec.field(default=None, name="c")


class Event(Struct, frozen=True, gc=False):
    """Any object frame: heartbeats, status and answers to commands."""

    event: str = ""


TradeRow = tuple[str, str, str, str, str, str]
"""[price, volume, seconds, b or s of the taker, m or l, -]."""

_decode_frame = msgspec.json.Decoder(list[Raw]).decode
_decode_text = msgspec.json.Decoder(str).decode
_decode_part = msgspec.json.Decoder(BookPart | None).decode
_decode_trades = msgspec.json.Decoder(list[TradeRow]).decode
_decode_event = msgspec.json.Decoder(Event).decode


class SpelledBook(CheckedBook):
    """A book whose checksum is over the digits as they came: v1 sends every zero."""

    def _levels(self, spelled: list[BookLevel]) -> list[TextLevel]:
        return [_spelled(bytes(level.price), bytes(level.qty)) for level in spelled]

    def _derive(self, bids: Iterable[BookLevel], asks: Iterable[BookLevel], *, at_least: tuple[int, int] = (0, 0)) -> None:
        """Precision is not asked for."""


class V1Session(SpotSession):
    """Decodes v1 frames."""

    def feed(self, frame: bytes | str, received: int | None) -> Outcome:
        """Take one frame; raises `FrameError` when it cannot be decoded."""
        if received is not None:
            self.see(received)
        if isinstance(frame, str):
            frame = frame.encode()
        try:
            if frame.lstrip().startswith(b"["):
                return self._array(frame, received)
            return Outcome.CONTROL if _decode_event(frame).event in _CONTROL else Outcome.IGNORED
        except msgspec.MsgspecError as error:
            raise FrameError(EXCHANGE, str(error)) from error

    def checked_book(self, symbol: str) -> CheckedBook:
        """The book of a symbol, kept from its first frame on."""
        known = self.checked_books.get(symbol)
        if known is None:
            book = TextBook(DEPTHS[-1])
            feed = self.book_feeds[symbol] = BookFeed(self.writer, symbol, session=self, book=book)
            known = self.checked_books[symbol] = SpelledBook(feed, book, checksums=self.checksums, renew=None)
        return known

    def trade_feed(self, symbol: str) -> TradeFeed:
        """The trade feed of a symbol; without ids nothing can be told missing."""
        feed = self.trade_feeds.get(symbol)
        if feed is None:
            feed = self.trade_feeds[symbol] = TradeFeed(self.writer, symbol, session=self, contiguous=False)
        return feed

    def _array(self, frame: bytes, received: int | None) -> Outcome:
        """[channel, payload, …, channel name, pair]; a book frame that changes both sides holds two payloads."""
        fields = _decode_frame(frame)
        if len(fields) < 4:
            raise FrameError(EXCHANGE, f"array frame has {len(fields)} fields, expected at least 4")
        channel, _, depth = _decode_text(fields[-2]).partition("-")
        symbol = unified(_decode_text(fields[-1]))
        if channel == "book":
            parts = [part for raw in fields[1:-2] if (part := _decode_part(raw)) is not None]
            return self._book(symbol, parts, depth=int(depth) if depth.isdecimal() else DEPTHS[0], received=received)
        if channel == "trade":
            return self._trades_of(symbol, _decode_trades(fields[1]), received)
        return Outcome.IGNORED

    def _book(self, symbol: str, parts: list[BookPart], *, depth: int, received: int | None) -> Outcome:
        whole = any(part.all_asks is not None or part.all_bids is not None for part in parts)
        asks = [level for part in parts for level in (part.all_asks or [] if whole else part.asks)]
        bids = [level for part in parts for level in (part.all_bids or [] if whole else part.bids)]
        told = next((part.checksum for part in parts if part.checksum is not None), None)
        if told is not None and not told.isdecimal():
            raise FrameError(EXCHANGE, f"checksum {told!r} is no number")
        checksum = None if told is None else int(told)
        time = max((_time(level) for level in (*asks, *bids) if _REPUBLISHED not in level[3:]), default=None)
        book = self.checked_books.get(symbol) or self.checked_book(symbol)
        book.depth = depth
        take = book.snapshot if whole else book.update
        take(_named(bids), _named(asks), checksum=checksum, timestamp=time, received=received)
        return Outcome.DECODED

    def _trades_of(self, symbol: str, rows: list[TradeRow], received: int | None) -> Outcome:
        ready = [_trade(row) for row in rows]
        feed = self.trade_feed(symbol)
        alike: Counter[str] = Counter()
        for natural, time, sold, price, amount in ready:
            alike[natural] += 1
            # Equal trades of one frame are as many trades, so that a frame sent again still finds all of its keys.
            identity = natural if alike[natural] == 1 else f"{natural}-{alike[natural]}"
            feed.take_keyed(identity, time, received=received, sold=sold, price=price, amount=amount)
        return Outcome.DECODED


def _spelled(price: bytes, amount: bytes) -> TextLevel:
    try:
        level = (float(price), float(amount), price.replace(b".", b"").lstrip(b"0") + amount.replace(b".", b"").lstrip(b"0"))
    except ValueError as error:
        raise FrameError(EXCHANGE, f"book level {price!r} {amount!r} holds no number") from error
    if not (isfinite(level[0]) and isfinite(level[1])):
        raise FrameError(EXCHANGE, f"book level {price!r} {amount!r} is not finite")
    return level


def _named(levels: list[WireLevel]) -> list[BookLevel]:
    return [BookLevel(Raw(level[0]), Raw(level[1])) for level in levels]


def _time(level: WireLevel) -> int:
    if len(level) < 3:
        raise FrameError(EXCHANGE, f"book level {level!r} has {len(level)} fields, expected price, volume and time")
    return _seconds(level[2])


def _seconds(text: str) -> int:
    """Seconds with decimals, as text, in microseconds; raises `FrameError` when they lie before 2009."""
    whole, _, part = text.partition(".")
    if not (whole.isdecimal() and (part.isdecimal() or not part)):
        raise FrameError(EXCHANGE, f"time {text!r} is no number of seconds")
    time = int(whole) * 1_000_000 + int(part[:6].ljust(6, "0"))
    if time < GENESIS:
        raise FrameError(EXCHANGE, f"time {text} lies before 2009, expected a time of these markets")
    return time


def _trade(row: TradeRow) -> tuple[str, int, bool, float, float]:
    """Natural key, time, side, price and amount of a trade that can land; all of a frame are looked at before any lands."""
    price, amount, seconds, side, _, _ = row
    time = _seconds(seconds)
    try:
        numbers = float(price), float(amount)
    except ValueError as error:
        raise FrameError(EXCHANGE, f"trade has price {price!r} and amount {amount!r}, expected numbers") from error
    if side not in _SIDES or not all(0.0 < number < inf for number in numbers):
        raise FrameError(EXCHANGE, f"trade has side {side!r}, price {price} and amount {amount}, expected b or s and both above 0")
    return f"{time}-{side}-{amount}-{price}", time, _SIDES[side], *numbers
