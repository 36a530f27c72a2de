"""A live Bitfinex socket: configures, subscribes, renews single books, asks REST for trades of the time that was missed.

Put here: what needs somebody to answer. Keep out: what frames mean (`session`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from collectors.continuity import Gap
from collectors.errors import FrameError
from collectors.feeds import TradeFeed
from collectors.logs import logger
from collectors.rows import RowWriter
from collectors.venue import Checksums, ConnectionPlan, HttpGet, Outcome, SendText
from collectors.venues.bitfinex import messages as wire
from collectors.venues.bitfinex.book import LENGTHS
from collectors.venues.bitfinex.instruments import Names
from collectors.venues.bitfinex.messages import EXCHANGE
from collectors.venues.bitfinex.session import LIQUIDATIONS_KEY, Channel, PublicSession

TRADES_LIMIT: Final = 10_000
LONGEST_FETCH: Final = 6 * 3_600_000_000
"""A gap longer than this (microseconds) stays one: fetching it would eat the venue's request budget."""
FLAGS: Final = wire.TIMESTAMPS | wire.SEQUENCES | wire.CHECKSUMS


class LiveSession(PublicSession):
    """The life of one socket of a `ConnectionPlan`."""

    def __init__(self, plan: ConnectionPlan, writer: RowWriter, *, endpoints: dict[str, str], depth: int) -> None:
        super().__init__(writer, names=Names(), checksums=Checksums())
        self.plan = plan
        self._length = next((allowed for allowed in LENGTHS if allowed >= depth), LENGTHS[-1])
        self._natives = {each.symbol: each.native for each in plan.instruments}
        self._symbols = {each.native: each.symbol for each in plan.instruments}
        self._rest = endpoints["rest"]
        self._fetching: dict[str, list[Gap]] = {}
        self._log = logger(exchange=EXCHANGE, connection=plan.name)

    def opened(self, now: int | None) -> None:
        """Ask for times, sequences and checksums, then subscribe to everything, a channel a command."""
        if now is not None:
            self.see(now)
            self.clock = now
        self._send({"event": "conf", "flags": FLAGS})
        for stream in self.plan.streams:
            if stream.channel == "trades":
                self._send({"event": "subscribe", "channel": "trades", "symbol": self._natives[stream.symbol]})
            elif stream.channel == "book":
                self._subscribe_book(self._natives[stream.symbol])
            elif stream.channel == "derivatives":
                self._send({"event": "subscribe", "channel": "status", "key": f"deriv:{self._natives[stream.symbol]}"})
        if any(stream.channel == "liquidations" for stream in self.plan.streams):
            self._send({"event": "subscribe", "channel": "status", "key": LIQUIDATIONS_KEY})

    def admits(self, native: str) -> bool:
        return native in self._symbols

    def channel_of(self, name: str, native: str, *, prec: str = "P0", length: int = LENGTHS[-1]) -> Channel:
        found = super().channel_of(name, native, prec=prec, length=length)
        symbol = self._symbols.get(found.native)
        return found if symbol is None else Channel(found.kind, found.native, symbol, found.length)

    def renewal(self, native: str) -> Callable[[], None]:
        def renew() -> None:
            for number, channel in list(self.channels.items()):
                if channel.kind == "book" and channel.native == native:
                    del self.channels[number]
                    self._send({"event": "unsubscribe", "chanId": number})
            self._subscribe_book(native)

        return renew

    def subscribed(self, channel: Channel) -> None:
        now = self.clock
        match channel.kind:
            case "trades":
                self.trade_feed(channel.symbol)
                self.acked[channel.symbol] = self.last_received
                for gap in self.writer.continuity.open_gaps(channel.symbol, "trades"):
                    if gap.kind == "disconnect" and gap.to_time is None and now is not None:
                        gap.to_time = now
                        self.writer.gap(gap.row(None, None))
                        self._fetch(channel.symbol, gap)
            case "book":
                self.checked_book(channel)
            case "liquidations" if now is not None:
                for symbol in self._natives:
                    self.carries(symbol, "liquidations", now=now)

    def missed(self, feed: TradeFeed) -> None:
        now, last = self.clock, feed.tape.last_time
        if now is None:
            return
        gap = self.writer.continuity.open_gap(
            self.writer,
            feed.symbol,
            channel="trades",
            kind="sequence",
            now=now,
            from_time=now if last is None else last,
            from_sequence=feed.tape.seen.last,
            to_time=now,
        )
        self._fetch(feed.symbol, gap)

    def refused(self, event: wire.Event) -> None:
        self._log.warning("the venue says", code=event.code, message=event.msg, channel=event.channel, symbol=event.symbol or event.key)

    def feed_http(self, request: HttpGet, body: bytes, received: int | None) -> Outcome:
        """Take one REST answer; raises `FrameError` when it cannot be decoded."""
        if received is not None:
            self.see(received)
        if request.purpose != "trades":
            return Outcome.IGNORED
        try:
            rows = self.take_trades_answer(request.symbol, body, received=received)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise FrameError(EXCHANGE, f"trades answer: {error}") from error
        waiting = self._fetching.get(request.symbol, [])
        if not waiting:
            return Outcome.DECODED
        gap = waiting.pop(0)
        if len(rows) >= TRADES_LIMIT:
            # The next page begins in the millisecond this one ends in, ids tell what has landed.
            self._fetch(request.symbol, gap, since=rows[-1][1])
        elif gap in self.writer.continuity.open_gaps(gap.symbol, gap.channel):
            self.writer.continuity.heal(self.writer, gap, by="rest", now=gap.noticed if received is None else received)
        return Outcome.DECODED

    def http_failed(self, request: HttpGet, reason: str, now: int) -> None:
        """Missed trades that cannot be fetched stay a gap."""
        del now
        self._log.warning("request failed", purpose=request.purpose, symbol=request.symbol, reason=reason)
        if self._fetching.get(request.symbol):
            self._fetching[request.symbol].pop(0)

    def tick(self, now: int) -> None:
        """Time passed."""
        self.see_time(now)
        for book in self.checked_books.values():
            book.tick(now)
        self.confirm_trades(now)

    def _fetch(self, symbol: str, gap: Gap, *, since: int | None = None) -> None:
        """Ask for the trades of a gap's time; `since` in milliseconds where a page has come already."""
        if gap.to_time is None or gap.to_time - gap.from_time > LONGEST_FETCH:
            return
        start = gap.from_time // 1000 - 1 if since is None else since
        self._fetching.setdefault(symbol, []).append(gap)
        path = f"/v2/trades/{self._natives[symbol]}/hist?start={start}&end={gap.to_time // 1000 + 1}&limit={TRADES_LIMIT}&sort=1"
        self.actions.append(HttpGet(url=f"{self._rest}{path}", purpose="trades", symbol=symbol))

    def _subscribe_book(self, native: str) -> None:
        options = {"prec": "P0", "freq": "F0", "len": str(self._length)}
        self._send({"event": "subscribe", "channel": "book", "symbol": native, **options})

    def _send(self, command: dict[str, object]) -> None:
        self.actions.append(SendText(wire.encode(command)))
