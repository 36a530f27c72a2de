"""A live Bitfinex socket: configures, subscribes, renews single books, asks REST for trades of the time that was missed.

Put here: what needs somebody to answer. Keep out: what frames mean (`session`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from collectors.errors import FrameError
from collectors.feeds import event_time
from collectors.live import LiveBase
from collectors.pages import Missing, Page
from collectors.rows import RowWriter
from collectors.venue import Checksums, ConnectionPlan, HttpGet, Outcome, SendText, Stream
from collectors.venues.bitfinex import messages as wire
from collectors.venues.bitfinex.book import LENGTHS
from collectors.venues.bitfinex.instruments import Names
from collectors.venues.bitfinex.losses import Losses
from collectors.venues.bitfinex.messages import EXCHANGE
from collectors.venues.bitfinex.session import LIQUIDATIONS_KEY, Channel, PublicSession

TRADES_LIMIT: Final = 10_000
HELD: Final = 10_301
"""A refusal that says the stream stands."""
FLAGS: Final = wire.TIMESTAMPS | wire.SEQUENCES | wire.CHECKSUMS


class LiveSession(LiveBase, PublicSession):
    """The life of one socket of a `ConnectionPlan`."""

    def __init__(self, plan: ConnectionPlan, writer: RowWriter, *, endpoints: dict[str, str], depth: int) -> None:
        super().__init__(writer, names=Names(), checksums=Checksums())
        self._length = next((allowed for allowed in LENGTHS if allowed >= depth), LENGTHS[-1])
        self._symbols = {each.native: each.symbol for each in plan.instruments}
        self._rest = endpoints["rest"]
        self.losses = Losses(writer, self._renew_trades)
        self.attend(plan)

    def opened(self, now: int | None) -> None:
        """Ask for times, sequences and checksums, then subscribe to everything, a channel a command."""
        super().opened(now)
        if now is not None:
            self.clock = now
        self._send({"event": "conf", "flags": FLAGS})
        for stream in self.plan.streams:
            if stream.channel != "liquidations":
                self.actions.append(SendText(self._subscription(stream)))
        if any(stream.channel == "liquidations" for stream in self.plan.streams):
            self._send({"event": "subscribe", "channel": "status", "key": LIQUIDATIONS_KEY})

    def resubscription(self, stream: Stream) -> list[str]:
        """Frames of the old channel are no longer listened to. Forced closings of all symbols share a channel, which stays."""
        if stream.channel == "liquidations":
            return []
        native = self._natives[stream.symbol]
        old = [number for number, channel in self.channels.items() if (channel.kind, channel.native) == (stream.channel, native)]
        for number in old:
            del self.channels[number]
        return [*(wire.encode({"event": "unsubscribe", "chanId": number}) for number in old), self._subscription(stream)]

    def channel_of(self, name: str, native: str, *, prec: str = "P0", length: int = LENGTHS[-1]) -> Channel:
        found = super().channel_of(name, native, prec=prec, length=length)
        symbol = self._symbols.get(found.native)
        return found if symbol is None else Channel(found.kind, found.native, symbol, found.length)

    def renewal(self, native: str) -> Callable[[], None]:
        def renew() -> None:
            self.resubscribe([Stream("book", self._symbols[native])])

        return renew

    def subscribed(self, channel: Channel) -> None:
        now = self.clock
        if channel.symbol:
            self.stream_accepted(channel.symbol, channel.kind)
        match channel.kind:
            case "trades":
                self.trade_feed(channel.symbol)
                self.acked[channel.symbol] = self.last_received
            case "book":
                book = self.checked_book(channel)
                if now is not None:
                    book.awaited(now)
            case "liquidations" if now is not None:
                for symbol in self._natives:
                    self.carries(symbol, "liquidations", now=now)

    def joined(self, symbol: str, rows: list[wire.TradeRow], received: int | None) -> None:
        """A subscription begins with the last trades of its pair: where they reach back over a gap, they heal it."""
        if received is None or not rows:
            return
        oldest = event_time(EXCHANGE, rows[0][1]), rows[0][0]
        continuity = self.writer.continuity
        for gap in continuity.open_gaps(symbol, "trades"):
            if gap.to_time is None and gap.from_sequence is not None and oldest[1] <= gap.from_sequence:
                self.losses.forget(gap)
                continuity.heal(self.writer, gap, by="snapshot", now=received, to_time=received)
        self.losses.began(symbol, oldest)

    def lost_frames(self, count: int, *, now: int) -> None:
        self.losses.frames(count, self.trade_feeds, now=now)

    def refused(self, event: wire.Event) -> None:
        """A refusal repeats what was asked for; a pause that the venue announces names nothing."""
        native = event.symbol or event.key.removeprefix("deriv:")
        self._log.warning("the venue says", code=event.code, message=event.msg, channel=event.channel, symbol=native)
        symbol = self._symbols.get(native)
        channel = "derivatives" if event.channel == "status" else event.channel
        if event.event != "error" or event.code == HELD or symbol is None or self.last_received is None:
            return
        if Stream(channel, symbol) in self.plan.streams:
            self.stream_refused(symbol, channel, reason=event.msg or f"code {event.code}", now=self.last_received)

    def feed_http(self, request: HttpGet, body: bytes, received: int | None) -> Outcome:
        """Take one REST answer; raises `FrameError` when it cannot be decoded."""
        if received is not None:
            self.see(received)
        if request.purpose != "trades":
            return Outcome.IGNORED
        try:
            self.take_trades_answer(request.symbol, body, received=received)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise FrameError(EXCHANGE, f"trades answer: {error}") from error
        self.healer.answered(request, received)
        return Outcome.DECODED

    def tick(self, now: int) -> None:
        """Time passed."""
        super().tick(now)
        self.losses.tick(now)
        if self.losses.calmed(now):
            for book in self.checked_books.values():
                book.refresh(now)

    def closed(self, now: int | None) -> None:
        if now is not None:
            self.losses.closed(now)
        super().closed(now)

    def _trade_page(self, missing: Missing, last: Page | None) -> HttpGet | None:
        """Trades of a span upwards; a page that is full goes on in the millisecond where it ended."""
        start = missing.since // 1000
        if last is not None:
            if last.rows < TRADES_LIMIT or last.newest is None or (missing.before is not None and (last.highest or 0) >= missing.before):
                return None
            start = last.newest // 1000
        path = f"/v2/trades/{self._natives[missing.symbol]}/hist?start={start}&end={missing.until // 1000 + 1}&limit={TRADES_LIMIT}&sort=1"
        return HttpGet(url=f"{self._rest}{path}", purpose="trades", symbol=missing.symbol)

    def _renew_trades(self, symbol: str) -> None:
        self.resubscribe([Stream("trades", symbol)])

    def _subscription(self, stream: Stream) -> str:
        """The command that subscribes to one stream."""
        native = self._natives[stream.symbol]
        if stream.channel == "book":
            options = {"prec": "P0", "freq": "F0", "len": str(self._length)}
            return wire.encode({"event": "subscribe", "channel": "book", "symbol": native, **options})
        if stream.channel == "trades":
            return wire.encode({"event": "subscribe", "channel": "trades", "symbol": native})
        return wire.encode({"event": "subscribe", "channel": "status", "key": f"deriv:{native}"})

    def _send(self, command: dict[str, object]) -> None:
        self.actions.append(SendText(wire.encode(command)))
