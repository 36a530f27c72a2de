"""A live Advanced Trade socket: subscribes, renews its books together, watches the heartbeat, asks REST for missed trades.

Put here: what needs somebody to answer. Keep out: what frames mean (`session`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Final

import msgspec

from collectors.errors import FrameError
from collectors.live import LiveBase
from collectors.pages import Missing, Page
from collectors.rows import RowWriter
from collectors.venue import ConnectionPlan, HttpGet, Outcome, Reconnect, SendText, Stream
from collectors.venues.coinbase import messages as wire
from collectors.venues.coinbase.instruments import PRODUCTS
from collectors.venues.coinbase.messages import EXCHANGE
from collectors.venues.coinbase.pacing import CommandBudget
from collectors.venues.coinbase.session import AdvancedSession

CHANNELS: Final = {"trades": "market_trades", "book": "level2"}
"""Subscription name by channel; data of level2 comes as l2_data."""
_CHANNEL_OF: Final = {name: channel for channel, name in CHANNELS.items()}
TRADES_LIMIT: Final = 1000
SILENCE: Final = 15_000_000
"""Heartbeats come each second; a socket without a frame for this long is dead, microseconds."""
RENEW_PATIENCE: Final = 15_000_000
RENEW_EVERY: Final = 1_000_000
"""Lost frames that follow each other closely bring one renewal of the books, not one each, microseconds."""
ACK_PATIENCE: Final = 5_000_000
"""A command without acknowledgement for this long is sent again: beyond eight messages a second the venue drops them."""


class LiveSession(LiveBase, AdvancedSession):
    """The life of one socket of a `ConnectionPlan`."""

    spacing_seconds = 0.02

    def __init__(self, plan: ConnectionPlan, writer: RowWriter, *, endpoints: dict[str, str], budget: CommandBudget) -> None:
        super().__init__(writer, instruments={each.native: each for each in plan.instruments}, linked=True)
        self._rest = endpoints["spot_rest"]
        self._opened: int | None = None
        self._asked: int | None = None
        """When fresh books were asked for; None while none are awaited."""
        self._renewed = 0
        self._renew_again = False
        self._unanswered: dict[str, list[str]] = {name: [] for name in CHANNELS.values()}
        """By name of a channel, products asked for and not acknowledged."""
        self._commanded: int | None = None
        self._budget = budget
        self._outbox: deque[str] = deque()
        self._ended = False
        self.attend(plan)

    def opened(self, now: int | None) -> None:
        """Subscribe at once (the venue waits five seconds), one channel a message; heartbeats keep quiet products alive."""
        super().opened(now)
        self._opened = self._commanded = now
        for channel, name in CHANNELS.items():
            self._subscribe(name, [self._natives[stream.symbol] for stream in self.plan.streams if stream.channel == channel])
        self._outbox.append(wire.encode({"type": "subscribe", "channel": "heartbeats"}))
        if self._products("book"):
            self._asked = now
        self._flush(now)

    def resubscription(self, stream: Stream) -> tuple[str, str]:
        name, products = CHANNELS[stream.channel], [self._natives[stream.symbol]]
        self._await(name, products)
        if self.last_received is not None:
            self._budget.take(self.last_received)
            self._budget.take(self.last_received)
        return _command("unsubscribe", name, products), _command("subscribe", name, products)

    def subscribed(self, event: wire.SubscriptionsEvent) -> None:
        """Each message names all that the connection carries by now; products that trade seldom count as standing from here."""
        for name, products in event.subscriptions.items():
            channel = _CHANNEL_OF.get(name)
            for product in filter(self.admits, products if channel else ()):
                if product in self._unanswered[name]:
                    self._unanswered[name].remove(product)
                symbol = self.symbol(product)
                self.stream_accepted(symbol, channel or "")
                if channel == "trades" and symbol not in self.trade_feeds:
                    self.trade_feed(symbol)
                    self.acked[symbol] = self.last_received

    def refused(self, message: str) -> None:
        """An error names no command: products it speaks of are refused, the others are asked for again without them."""
        self._log.warning("command refused", message=message)
        said = {word.strip("\"'`,.;:()[]") for word in message.split()}
        for name, products in self._unanswered.items():
            bad = [product for product in products if product in said]
            for product in bad:
                products.remove(product)
                if self.last_received is not None:
                    self.stream_refused(self.symbol(product), _CHANNEL_OF[name], reason=message, now=self.last_received)
            if bad:
                self._subscribe(name, products)
        self._flush(self.last_received)

    def renew(self) -> None:
        if self.last_received is not None:
            self._renew(self.last_received)

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
        self.take_trades(trades, received=received, rest=True)
        self.healer.answered(request, received)
        return Outcome.DECODED

    def tick_books(self, now: int) -> None:
        self._renew_due(now, crossed=bool(self.crossed_books(now)))

    def tick(self, now: int) -> None:
        """Time passed."""
        super().tick(now)
        self._repeat_unanswered(now)
        self._flush(now)
        last = self.last_received or self._opened
        if last is not None and now - last > SILENCE and not self._ended:
            self._ended = True
            self.actions.append(Reconnect(f"no heartbeat for {SILENCE // 1_000_000} s"))

    def _renew_due(self, now: int, *, crossed: bool) -> None:
        """Renew books that are crossed, that were lost again while fresh ones were awaited, or that have not come."""
        symbols = [self.symbol(product) for product in self._products("book")]
        if all(symbol in self.book_feeds and self.book_feeds[symbol].live for symbol in symbols):
            self._asked = None
            self._renew_again = False
        again = self._renew_again and now - self._renewed >= RENEW_EVERY
        if again or crossed or (self._asked is not None and now - self._asked > RENEW_PATIENCE):
            self._renew(now)

    def _renew(self, now: int) -> None:
        """Unsubscribing and subscribing again brings a snapshot of every product."""
        products = self._products("book")
        if not products:
            return
        self._renew_again = now - self._renewed < RENEW_EVERY
        if not self._renew_again:
            self._asked = self._renewed = now
            self._await("level2", products)
            self._outbox += [_command(kind, "level2", products) for kind in ("unsubscribe", "subscribe")]
            self._flush(now)

    def _repeat_unanswered(self, now: int) -> None:
        if self._outbox:
            self._commanded = now
        if self._commanded is None or now - self._commanded < ACK_PATIENCE:
            return
        for name, products in self._unanswered.items():
            self._subscribe(name, products)
        self._commanded = now

    def _flush(self, now: int | None) -> None:
        """Send what waits, as far as the messages of all sockets allow it."""
        while self._outbox and (now is None or self._budget.take(now)):
            self.actions.append(SendText(self._outbox.popleft()))

    def _products(self, channel: str) -> list[str]:
        """Products of the plan that the venue has not refused on a channel."""
        refusals = self.writer.continuity.refusals
        asked = [stream.symbol for stream in self.plan.streams if stream.channel == channel]
        return [self._natives[symbol] for symbol in asked if (symbol, channel) not in refusals]

    def _subscribe(self, name: str, products: list[str]) -> None:
        if products:
            self._await(name, products)
            self._outbox.append(_command("subscribe", name, products))

    def _await(self, name: str, products: Iterable[str]) -> None:
        self._unanswered[name] = list(dict.fromkeys([*self._unanswered[name], *products]))
        self._commanded = self.last_received

    def _trade_page(self, missing: Missing, last: Page | None) -> HttpGet | None:
        """Pages go down from where the hole ends: the venue gives the newest trades of a span of whole seconds."""
        end = missing.until if last is None else last.oldest
        if end is None or (last is not None and last.rows < TRADES_LIMIT):
            return None
        span = f"start={missing.since // 1_000_000}&end={end // 1_000_000 + 1}"
        url = f"{self._rest}{PRODUCTS}/{self._natives[missing.symbol]}/ticker?limit={TRADES_LIMIT}&{span}"
        return HttpGet(url=url, purpose="trades", symbol=missing.symbol)


def _command(kind: str, channel: str, products: list[str]) -> str:
    return wire.encode({"type": kind, "channel": channel, "product_ids": products})
