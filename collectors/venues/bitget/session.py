"""One Bitget socket, v2 or v3: frames in, rows out.

Put here: what each frame means. Keep out: subscriptions (`live`), recordings (`recorded`), retired formats (`v1`, `v0`).
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
from collectors.venue import Checksums, Outcome
from collectors.venues.bitget import messages as wire
from collectors.venues.bitget.instruments import MARKETS, Names, plain
from collectors.venues.bitget.messages import EXCHANGE
from lake.dollars import in_dollars

BOOKS: Final = {"books": 1000, "books50": 50, "books15": 15, "books5": 5, "books1": 1}
"""Book channels and their depths; the numbered ones send snapshots only."""
SIDES: Final = {"buy": False, "sell": True}
_ORDER_SIDES: Final = {"buy": "sell", "sell": "buy"}
"""Side of the forced order by side of the position: a long is sold."""
_BASE: Final = Contract()
_QUOTED: Final = Contract(1.0, inverse=True)

Row = tuple[str, int, str, float, float]
"""A trade: (id, milliseconds, side of the taker, price, amount in base units)."""
States = tuple[float | None, int | None, float | None, float | None, float | None]
"""(funding rate, next funding us, open interest, mark, index)."""


class BitgetSession(BaseSession):
    """Decodes frames of v2 and v3. `lands` says which ids of a market count."""

    def __init__(self, writer: RowWriter, *, checksums: Checksums, names: Names) -> None:
        super().__init__(writer)
        self.checksums = checksums
        self.names = names
        self.streamed: dict[str, StreamedBook] = {}
        self._states: dict[str, States] = {}

    def lands(self, market: str, native: str) -> bool:
        """Whether rows of an instrument are landed."""
        del market, native
        return True

    def renewal(self, market: str, native: str) -> Callable[[], None] | None:
        """What asks for a fresh snapshot; None where nobody can be asked."""
        del market, native
        return None

    def confirmed(self, arg: wire.Arg) -> None:
        """A subscription was acknowledged."""

    def refused(self, envelope: wire.Envelope) -> None:
        """A command was refused."""

    def history(self, symbol: str, rows: list[Row], received: int | None) -> bool:
        """Whether the trades a subscription begins with, newest first, are to land."""
        del symbol, rows, received
        return True

    def feed(self, frame: bytes | str, received: int | None) -> Outcome:
        """Take one frame; raises `FrameError` when it cannot be decoded."""
        if received is not None:
            self.last_received = received
            if received >= self.next_hour:
                self.see_time(received)
        if frame in (b"pong", "pong"):
            return Outcome.CONTROL
        try:
            envelope = wire.decode_envelope(frame)
            if envelope.event:
                if envelope.event == "subscribe" and envelope.arg is not None:
                    self.confirmed(envelope.arg)
                elif envelope.event == "error":
                    self.refused(envelope)
                return Outcome.CONTROL
            if envelope.arg is None or envelope.arg.instType.lower() not in MARKETS:
                return Outcome.IGNORED
            return self._channel(envelope, envelope.arg, received)
        except msgspec.MsgspecError as error:
            raise FrameError(EXCHANGE, str(error)) from error

    def trade_feed(self, symbol: str) -> TradeFeed:
        """The trade feed of a symbol; ids grow without following each other, so that each silence is looked into."""
        feed = self.trade_feeds.get(symbol)
        if feed is None:
            feed = TradeFeed(self.writer, symbol, session=self, contiguous=False, holes=self.holes(), seeks=True)
            self.trade_feeds[symbol] = feed
        return feed

    def book(self, market: str, native: str, *, rank: int) -> StreamedBook:
        """The book of an instrument, kept from its first frame on, by a channel of depth `rank`."""
        symbol = self.names.symbol(market, native)
        known = self.streamed.get(symbol)
        if known is None:
            feed = self.book_feeds[symbol] = BookFeed(self.writer, symbol, session=self, book=Book())
            known = StreamedBook(feed, rule=linked, checksums=self.checksums, renew=self.renewal(market, native), rank=rank)
            self.streamed[symbol] = known
        return known

    def take_trades(self, symbol: str, rows: list[Row], *, received: int | None, first: bool) -> None:
        """Land trades unless their ids have landed; `first` where a subscription begins with them, newest first."""
        ready = [(event_time(EXCHANGE, ms), identity, sold_by(side), price, amount) for identity, ms, side, price, amount in rows]
        for _, identity, _, price, amount in ready:
            if not (0.0 < price < inf and 0.0 < amount < inf):
                raise FrameError(EXCHANGE, f"trade {identity} has price {price} and amount {amount}, expected both above 0")
        if first:
            ready.reverse()
            if not self.history(symbol, rows, received):
                self.writer.discard("trades", "history of a silent stream", rows=len(rows))
                return
        ready.sort(key=_moment)
        feed = self.trade_feed(symbol)
        for time, identity, sold, price, amount in ready:
            if identity.isdigit() and int(identity) < 1 << 63:
                feed.take(int(identity), time, received=received, sold=sold, price=price, amount=amount)
            else:
                feed.take_keyed(identity, time, received=received, sold=sold, price=price, amount=amount)

    def take_books(
        self, market: str, native: str, rows: list[wire.BookData], *, channel: str, update: bool, received: int | None
    ) -> Outcome:
        """Take frames of a book."""
        frames = [book_frame(row) for row in rows]
        book = self.book(market, native, rank=BOOKS[channel])
        if not book.takes(BOOKS[channel], snapshot=not update):
            return Outcome.IGNORED
        for frame in frames:
            (book.update if update else book.snapshot)(frame, received)
        return Outcome.DECODED

    def take_state(
        self,
        symbol: str,
        time: int | None,
        received: int | None,
        *,
        rate: str = "",
        settles: str = "",
        open_interest: str = "",
        mark: str = "",
        index: str = "",
    ) -> None:
        """Land what a ticker says of a derivative, when it differs from what was said last."""
        try:
            known = [float(text) if text else None for text in (rate, open_interest, mark, index)]
            next_funding = event_time(EXCHANGE, int(settles)) if settles and int(settles) else None
        except ValueError as error:
            raise FrameError(EXCHANGE, f"ticker of {symbol}: {error}") from error
        if any(value is not None and not isfinite(value) for value in known):
            raise FrameError(EXCHANGE, f"ticker of {symbol} holds a number that is not finite")
        state: States = (known[0], next_funding, *known[1:])  # type: ignore[assignment]
        if all(value is None for value in state):
            return
        local = received if received is not None else time
        if local is not None:
            # A state that landed from another socket says as well that this one carries it.
            self.carries(symbol, "derivatives", now=local)
        if self._states.get(symbol) == state:
            self.writer.discard("derivatives", "unchanged")
            return
        self._states[symbol] = state
        if time is None or local is None:
            self.writer.discard("derivatives", "no time")
            return
        if not self.writer.continuity.recent("derivatives").add((symbol, "ticker", time, state)):
            self.writer.duplicate("derivatives")
            return
        self.writer.continuity.latest[symbol] = time
        self.writer.derivative(
            symbol,
            time,
            local=local,
            funding_rate=state[0],
            next_funding=state[1],
            open_interest=state[2],
            mark_price=state[3],
            index_price=state[4],
        )

    def tick_books(self, now: int) -> None:
        for book in self.streamed.values():
            book.tick(now)

    def closed(self, now: int | None) -> None:
        super().closed(now)
        self.streamed.clear()
        self._states.clear()

    def _channel(self, envelope: wire.Envelope, arg: wire.Arg, received: int | None) -> Outcome:
        market, channel, native = arg.instType.lower(), arg.name, arg.native
        data = wire.listed(envelope.data)
        if channel == "liquidation":
            for forced in wire.decode_liquidations(data):
                self._liquidation(market, forced, received)
            return Outcome.DECODED
        if not self.lands(market, native):
            return Outcome.IGNORED
        first = envelope.action == "snapshot"
        if channel in BOOKS:
            return self.take_books(
                market, native, wire.decode_books(data), channel=channel, update=envelope.action == "update", received=received
            )
        symbol = self.names.symbol(market, native)
        match channel:
            case "trade":
                trades = [(row.tradeId, row.ts, row.side, row.price, row.size) for row in wire.decode_trades(data)]
                self.take_trades(symbol, trades, received=received, first=first)
            case "publicTrade":
                # v3 counts coin-margined trades in the quote; everything else is base units.
                contract = _QUOTED if market == "coin-futures" else _BASE
                public = wire.decode_public_trades(data)
                trades = [(row.i, row.T, row.S, row.p, contract.base(row.v, row.p)) for row in public]
                self.take_trades(symbol, trades, received=received, first=first)
            case "ticker" if market != "spot":
                for row in wire.decode_tickers(data):
                    stamp = row.ts if row.ts is not None else envelope.ts
                    self.take_state(
                        symbol,
                        received if stamp is None else event_time(EXCHANGE, stamp),
                        received,
                        rate=row.fundingRate,
                        settles=row.nextFundingTime,
                        open_interest=row.holdingAmount or row.openInterest,
                        mark=row.markPrice,
                        index=row.indexPrice,
                    )
            case _:
                return Outcome.IGNORED
        return Outcome.DECODED

    def _liquidation(self, market: str, forced: wire.LiquidationData, received: int | None) -> None:
        time = event_time(EXCHANGE, forced.ts)
        position = forced.side.lower()
        if position not in _ORDER_SIDES or not (0.0 < forced.price < inf and 0.0 < forced.amount < inf):
            raise FrameError(
                EXCHANGE, f"liquidation of {forced.symbol} has side {forced.side!r}, price {forced.price}, amount {forced.amount}"
            )
        native = plain(forced.symbol)
        if not self.lands(market, native):
            self.writer.discard("liquidations", "not asked for")
            return
        symbol = self.names.symbol(market, native)
        natural = f"{forced.ts}-{position}-{forced.amount!r}-{forced.price!r}"
        if not self.writer.continuity.recent("liquidations").add((symbol, natural)):
            self.writer.duplicate("liquidations")
            return
        self.writer.continuity.latest[symbol] = time
        self.writer.liquidation(
            symbol,
            time,
            local=time if received is None else received,
            side=_ORDER_SIDES[position],
            price=forced.price,
            amount=forced.amount / forced.price,
            value_usd=forced.amount if in_dollars(symbol) else None,
            liquidation_id=natural,
            sampled=True,
        )


def book_frame(row: wire.BookData) -> BookFrame:
    """A book message. A checksum of 0 is none; without a sequence the spelling is kept, for a later frame may carry one."""
    bids, asks = row.bids or row.b, row.asks or row.a
    spelled = row.checksum is not None and (row.checksum != 0 or row.seq is None)
    return BookFrame(
        bids=levels_of(bids),
        asks=levels_of(asks),
        timestamp=event_time(EXCHANGE, row.ts),
        sequence=row.seq,
        previous=row.pseq,
        checksum=row.checksum or None,
        spelled=([f"{p}:{a}".encode() for p, a in bids], [f"{p}:{a}".encode() for p, a in asks]) if spelled else None,
    )


def _moment(row: tuple[int, str, bool, float, float]) -> int:
    return row[0]


def sold_by(side: str) -> bool:
    """True where the taker sold; raises `FrameError` for a side that is none."""
    try:
        return SIDES[side.lower()]
    except KeyError:
        raise FrameError(EXCHANGE, f"side is {side!r}, expected buy or sell") from None


def levels_of(spelled: list[wire.Spelled]) -> list[Level]:
    """Levels as numbers; raises `FrameError` when one is no price and amount."""
    try:
        levels = [(float(price), float(amount)) for price, amount in spelled]
    except ValueError as error:
        raise FrameError(EXCHANGE, f"a book level holds no price and amount: {error}") from error
    for price, amount in levels:
        if not (0.0 < price < inf and 0.0 <= amount < inf):
            raise FrameError(EXCHANGE, f"book level has price {price} and amount {amount}, expected a price above 0")
    return levels
