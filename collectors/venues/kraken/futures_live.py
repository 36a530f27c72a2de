"""A live Kraken Futures socket: subscribes, renews single books, asks for the last trades again after a hole.

Put here: what needs somebody to answer. Keep out: what frames mean (`futures`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from collectors.logs import logger
from collectors.rows import RowWriter
from collectors.venue import ConnectionPlan, HttpGet, Outcome, SendText, Stream
from collectors.venues.kraken.futures import FuturesSession
from collectors.venues.kraken.futures_messages import Envelope
from collectors.venues.kraken.futures_products import product_of
from collectors.venues.kraken.messages import EXCHANGE, encode

BATCH: Final = 50
FEEDS: Final = (("trade", ("trades", "liquidations")), ("book", ("book",)), ("ticker", ("derivatives",)))
"""The venue's feeds, and the channels each of them carries."""
_REFUSALS: Final = frozenset({"error", "alert", "subscribed_failed", "unsubscribed_failed"})


class LiveFuturesSession(FuturesSession):
    """The life of one socket of a `ConnectionPlan`."""

    spacing_seconds = 0.05

    def __init__(self, plan: ConnectionPlan, writer: RowWriter) -> None:
        super().__init__(writer, channels=frozenset(stream.channel for stream in plan.streams))
        self.plan = plan
        self._natives = {each.symbol: each.native for each in plan.instruments}
        self._log = logger(exchange=EXCHANGE, connection=plan.name)

    def opened(self, now: int | None) -> None:
        """Subscribe to everything, fifty products a command."""
        if now is not None:
            self.see(now)
        for feed, carried in FEEDS:
            natives = list(dict.fromkeys(self._natives[each.symbol] for each in self.plan.streams if each.channel in carried))
            for start in range(0, len(natives), BATCH):
                self._command("subscribe", feed, natives[start : start + BATCH])

    def resubscription(self, stream: Stream) -> tuple[str, str]:
        feed = next(feed for feed, carried in FEEDS if stream.channel in carried)
        natives = [self._natives[stream.symbol]]
        return _text("unsubscribe", feed, natives), _text("subscribe", feed, natives)

    def renewal(self, native: str) -> Callable[[], None]:
        return lambda: self._renew("book", native)

    def missed(self, native: str) -> None:
        self._renew("trade", native)

    def answered(self, envelope: Envelope) -> None:
        """Acknowledgements name the products that stand from now on."""
        if envelope.event in _REFUSALS:
            self._log.warning("command refused", feed=envelope.feed, products=envelope.product_ids, message=envelope.message)
            self._refused(envelope)
        if envelope.event != "subscribed" or self.last_received is None:
            return
        for product in filter(None, map(product_of, envelope.product_ids)):
            for stream in self._carried(envelope.feed, product.symbol):
                self.stream_accepted(stream.symbol, stream.channel)
            if envelope.feed == "book":
                self.streamed_book(product).awaited(self.last_received)
            elif envelope.feed == "ticker":
                self.carries(product.symbol, "derivatives", now=self.last_received)
            elif envelope.feed == "trade":
                if "trades" in self.channels and product.symbol not in self.trade_feeds:
                    self.trade_feed(product.symbol)
                    self.acked[product.symbol] = self.last_received
                if "liquidations" in self.channels:
                    self.carries(product.symbol, "liquidations", now=self.last_received)

    def feed_http(self, request: HttpGet, body: bytes, received: int | None) -> Outcome:
        """Nothing is asked over REST."""
        del request, body, received
        return Outcome.IGNORED

    def http_failed(self, request: HttpGet, reason: str, now: int) -> None:
        """Nothing is asked over REST."""
        del now
        self._log.warning("request failed", purpose=request.purpose, symbol=request.symbol, reason=reason)

    def tick(self, now: int) -> None:
        """Time passed."""
        self.see_time(now)
        self.tick_books(now)
        self.confirm_trades(now)

    def _refused(self, envelope: Envelope) -> None:
        """An event that names feed and products tells which streams will not come; one that names none only stands in the log."""
        if self.last_received is not None and envelope.event == "subscribed_failed":
            for product in filter(None, map(product_of, envelope.product_ids)):
                for stream in self._carried(envelope.feed, product.symbol):
                    reason = envelope.message or "no reason given"
                    self.stream_refused(stream.symbol, stream.channel, reason=reason, now=self.last_received)

    def _carried(self, feed: str, symbol: str) -> list[Stream]:
        """Streams of the plan that a feed of the venue carries for a symbol."""
        channels = next((carried for name, carried in FEEDS if name == feed), ())
        return [stream for stream in self.plan.streams if stream.symbol == symbol and stream.channel in channels]

    def _renew(self, feed: str, native: str) -> None:
        self._command("unsubscribe", feed, [native])
        self._command("subscribe", feed, [native])

    def _command(self, event: str, feed: str, natives: list[str]) -> None:
        self.actions.append(SendText(_text(event, feed, natives)))


def _text(event: str, feed: str, natives: list[str]) -> str:
    return encode({"event": event, "feed": feed, "product_ids": natives})
