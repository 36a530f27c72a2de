"""A live Advanced Trade socket: subscribes, renews its books together, watches the heartbeat, asks REST for missed trades.

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
from collectors.venue import ConnectionPlan, HttpGet, Outcome, Reconnect, SendText
from collectors.venues.coinbase import messages as wire
from collectors.venues.coinbase.instruments import PRODUCTS
from collectors.venues.coinbase.messages import EXCHANGE
from collectors.venues.coinbase.session import AdvancedSession

CHANNELS: Final = {"trades": "market_trades", "book": "level2"}
"""Subscription name by channel; data of level2 comes as l2_data."""
TRADES_LIMIT: Final = 1000
MAX_FETCHED_TRADES: Final = 50_000
"""A hole larger than this stays a gap: fetching it would eat the venue's request budget."""
SILENCE: Final = 15_000_000
"""Heartbeats come each second; a socket without a frame for this long is dead, microseconds."""
RENEW_PATIENCE: Final = 15_000_000


class LiveSession(AdvancedSession):
    """The life of one socket of a `ConnectionPlan`."""

    spacing_seconds = 0.15

    def __init__(self, plan: ConnectionPlan, writer: RowWriter, *, endpoints: dict[str, str]) -> None:
        super().__init__(writer, instruments={each.native: each for each in plan.instruments}, linked=True)
        self.plan = plan
        self._rest = endpoints["spot_rest"]
        self._natives = {each.symbol: each.native for each in plan.instruments}
        self._opened: int | None = None
        self._asked: int | None = None
        """When fresh books were asked for; None while none are awaited."""
        self._ended = False
        self._log = logger(exchange=EXCHANGE, connection=plan.name)

    def opened(self, now: int | None) -> None:
        """Subscribe at once (the venue waits five seconds), one channel a message; heartbeats keep quiet products alive."""
        if now is not None:
            self.see(now)
        self._opened = now
        self._send("subscribe", "heartbeats", [])
        for channel, name in CHANNELS.items():
            products = self._products(channel)
            if products:
                self._send("subscribe", name, products)
        if self._products("book"):
            self._asked = now

    def admits(self, product: str) -> bool:
        return product in self.instruments

    def holes(self) -> Callable[[TradeFeed, Gap], None]:
        return self._fetch_missed

    def subscribed(self, event: wire.SubscriptionsEvent) -> None:
        """Each message names all that the connection carries by now; products that trade seldom count as standing from here."""
        for product in event.subscriptions.get("market_trades", ()):
            if not self.admits(product):
                continue
            symbol = self.symbol(product)
            if symbol not in self.trade_feeds:
                self.trade_feed(symbol)
                self.acked[symbol] = self.last_received

    def refused(self, message: str) -> None:
        self._log.warning("command refused", message=message)

    def renew(self) -> None:
        """Unsubscribing and subscribing again brings a snapshot of every product."""
        products = self._products("book")
        if products:
            self._asked = self.last_received
            self._send("unsubscribe", "level2", products)
            self._send("subscribe", "level2", products)

    def feed_http(self, request: HttpGet, body: bytes, received: int | None) -> Outcome:
        """Take one REST answer; raises `FrameError` when it cannot be decoded."""
        if received is not None:
            self.see(received)
        if request.purpose != "trades":
            return Outcome.IGNORED
        try:
            trades = wire.decode_trades_answer(body).trades
        except msgspec.MsgspecError as error:
            raise FrameError(EXCHANGE, f"{request.purpose} answer: {error}") from error
        before = self.writer.trades.landed
        self.take_trades(trades, received=received, rest=True)
        feed = self.trade_feed(request.symbol)
        feed.mend(received)
        if trades and self.writer.trades.landed > before:
            self._next_page(request.symbol, min(wire.event_time(trade.time) for trade in trades))
        return Outcome.DECODED

    def http_failed(self, request: HttpGet, reason: str, now: int) -> None:
        """Missed trades that cannot be fetched stay a gap."""
        del now
        self._log.warning("request failed", purpose=request.purpose, symbol=request.symbol, reason=reason)

    def tick(self, now: int) -> None:
        """Time passed."""
        self.see_time(now)
        self.confirm_trades(now)
        crossed = self.tick_books(now)
        waiting = [feed for feed in self.book_feeds.values() if not feed.live] or len(self.book_feeds) < len(self._products("book"))
        if not waiting:
            self._asked = None
        if crossed or (self._asked is not None and now - self._asked > RENEW_PATIENCE):
            self.last_received = self.last_received or now
            self.renew()
            self._asked = now
        last = self.last_received or self._opened
        if last is not None and now - last > SILENCE and not self._ended:
            self._ended = True
            self.actions.append(Reconnect(f"no heartbeat for {SILENCE // 1_000_000} s"))

    def _products(self, channel: str) -> list[str]:
        return [self._natives[stream.symbol] for stream in self.plan.streams if stream.channel == channel]

    def _send(self, kind: str, channel: str, products: list[str]) -> None:
        message: dict[str, object] = {"type": kind, "channel": channel}
        if products:
            message["product_ids"] = products
        self.actions.append(SendText(wire.encode(message)))

    def _fetch_missed(self, feed: TradeFeed, gap: Gap) -> None:
        if gap.from_sequence is None or gap.to_sequence is None or gap.to_sequence - gap.from_sequence > MAX_FETCHED_TRADES:
            return
        self._page(feed.symbol, start=gap.from_time, end=gap.to_time or gap.noticed)

    def _next_page(self, symbol: str, oldest: int) -> None:
        """Answers come newest first: ask on for what lies before the oldest trade, while it has brought something new."""
        continuity = self.writer.continuity
        seen = continuity.tape(symbol).seen
        for gap in continuity.open_gaps(symbol, "trades"):
            first, last = gap.from_sequence, gap.to_sequence
            if first is not None and last is not None and last - 1 in seen and seen.missing(first, last):
                self._page(symbol, start=gap.from_time, end=oldest)
                return

    def _page(self, symbol: str, *, start: int, end: int) -> None:
        """Ask for trades of a span, microseconds; the venue takes whole seconds, both ends are widened."""
        span = f"start={start // 1_000_000}&end={end // 1_000_000 + 1}"
        url = f"{self._rest}{PRODUCTS}/{self._natives[symbol]}/ticker?limit={TRADES_LIMIT}&{span}"
        self.actions.append(HttpGet(url=url, purpose="trades", symbol=symbol))
