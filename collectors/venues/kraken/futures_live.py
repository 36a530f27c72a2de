"""A live Kraken Futures socket: subscribes, renews single books, asks REST for missed trades.

Put here: what needs somebody to answer. Keep out: what frames mean (`futures`).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from collectors.live import LiveBase
from collectors.pages import Missing, Page
from collectors.rows import RowWriter
from collectors.venue import ConnectionPlan, HttpGet, Outcome, SendText, Stream
from collectors.venues.kraken.futures import FuturesSession
from collectors.venues.kraken.futures_messages import Envelope
from collectors.venues.kraken.futures_products import product_of
from collectors.venues.kraken.messages import encode

BATCH: Final = 50
FEEDS: Final = (("trade", ("trades", "liquidations")), ("book", ("book",)), ("ticker", ("derivatives",)))
"""The venue's feeds, and the channels each of them carries."""
HISTORY_PATH: Final = "/derivatives/api/v3/history"
MILLISECOND: Final = 1_000
ANSWER_PATIENCE: Final = 3_000_000
"""A product that no event has acknowledged after this long was refused, where the venue complained; errors name no product."""
HELD: Final = "Already subscribed"
_REFUSALS: Final = frozenset({"error", "alert", "subscribed_failed", "unsubscribed_failed"})


class LiveFuturesSession(LiveBase, FuturesSession):
    """The life of one socket of a `ConnectionPlan`."""

    spacing_seconds = 0.05

    def __init__(self, plan: ConnectionPlan, writer: RowWriter, *, endpoints: dict[str, str]) -> None:
        super().__init__(writer, channels=frozenset(stream.channel for stream in plan.streams))
        self._rest = endpoints["futures_rest"]
        self._unanswered: dict[tuple[str, str], int] = {}
        """When each feed of a product was asked for that is not acknowledged yet, by feed and product id."""
        self._complaint = ""
        self.attend(plan)

    def opened(self, now: int | None) -> None:
        """Subscribe to everything, fifty products a command."""
        super().opened(now)
        for feed, carried in FEEDS:
            natives = list(dict.fromkeys(self._natives[each.symbol] for each in self.plan.streams if each.channel in carried))
            for start in range(0, len(natives), BATCH):
                batch = natives[start : start + BATCH]
                self._await(feed, batch)
                self._command("subscribe", feed, batch)

    def resubscription(self, stream: Stream) -> tuple[str, str]:
        feed = next(feed for feed, carried in FEEDS if stream.channel in carried)
        natives = [self._natives[stream.symbol]]
        self._await(feed, natives)
        return _text("unsubscribe", feed, natives), _text("subscribe", feed, natives)

    def renewal(self, native: str) -> Callable[[], None]:
        return lambda: self._renew("book", native)

    def answered(self, envelope: Envelope) -> None:
        """Acknowledgements name the products that stand from now on."""
        if envelope.event in _REFUSALS:
            self._log.warning("command refused", feed=envelope.feed, products=envelope.product_ids, message=envelope.message)
            self._refused(envelope)
            self._complaint = "" if envelope.message.startswith(HELD) else envelope.message or envelope.event
        if envelope.event != "subscribed" or self.last_received is None:
            return
        for product in filter(None, map(product_of, envelope.product_ids)):
            self._unanswered.pop((envelope.feed, product.native), None)
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
        """Take one REST answer; raises `FrameError` when it cannot be decoded."""
        if received is not None:
            self.see(received)
        product = product_of(self._natives.get(request.symbol, ""))
        if request.purpose != "trades" or product is None:
            return Outcome.IGNORED
        self.take_history(product, body, received)
        self.healer.answered(request, received)
        return Outcome.DECODED

    def tick(self, now: int) -> None:
        """Time passed."""
        super().tick(now)
        self._look_for_refusals(now)

    def _look_for_refusals(self, now: int) -> None:
        late = [place for place, asked in self._unanswered.items() if now - asked > ANSWER_PATIENCE]
        for feed, native in late:
            del self._unanswered[feed, native]
            product = product_of(native)
            if self._complaint and product is not None:
                for stream in self._carried(feed, product.symbol):
                    self.stream_refused(stream.symbol, stream.channel, reason=self._complaint, now=now)
        if late and not self._unanswered:
            self._complaint = ""

    def _trade_page(self, missing: Missing, last: Page | None) -> HttpGet | None:
        """Pages go down from where the hole ends, a hundred trades before a time; times are milliseconds there."""
        end = missing.until if last is None else last.oldest
        if end is None or (last is not None and end <= missing.since):
            return None
        before = datetime.fromtimestamp((end + MILLISECOND) / 1e6, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        url = f"{self._rest}{HISTORY_PATH}?symbol={self._natives[missing.symbol]}&lastTime={before}"
        return HttpGet(url=url, purpose="trades", symbol=missing.symbol)

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

    def _await(self, feed: str, natives: list[str]) -> None:
        if self.last_received is not None:
            self._unanswered.update(dict.fromkeys(((feed, native) for native in natives), self.last_received))

    def _renew(self, feed: str, native: str) -> None:
        self._command("unsubscribe", feed, [native])
        self._command("subscribe", feed, [native])

    def _command(self, event: str, feed: str, natives: list[str]) -> None:
        self.actions.append(SendText(_text(event, feed, natives)))


def _text(event: str, feed: str, natives: list[str]) -> str:
    return encode({"event": event, "feed": feed, "product_ids": natives})
