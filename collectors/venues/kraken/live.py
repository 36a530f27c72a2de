"""A live Kraken v2 socket: subscribes, renews single books, asks REST for missed trades.

Put here: what needs somebody to answer. Keep out: what frames mean (`session`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from collectors.errors import FrameError
from collectors.live import LiveBase
from collectors.pages import Missing, Page
from collectors.rows import RowWriter
from collectors.venue import Checksums, ConnectionPlan, HttpGet, Outcome, SendText, Stream
from collectors.venues.kraken import messages as wire
from collectors.venues.kraken.book import DEPTHS
from collectors.venues.kraken.instruments import rest_pair
from collectors.venues.kraken.messages import EXCHANGE
from collectors.venues.kraken.session import SpotSession

BATCH: Final = 50
TRADES_LIMIT: Final = 1000
CHANNELS: Final = {"trades": "trade", "book": "book"}
"""The venue's name of each channel."""
HELD: Final = "Already subscribed"
"""A refusal that says the stream stands."""
_NUMBERS: Final = {"trades": 1, "book": 2}
"""`req_id` of the commands of each channel: the answer repeats it, and a refusal names its channel in no other way."""
TOO_MANY: Final = ("EAPI:Rate limit", "EGeneral:Too many requests")
DISORDER: Final = 1_000_000
"""Trades are not quite in the order of their times, microseconds."""


class LiveSession(LiveBase, SpotSession):
    """The life of one socket of a `ConnectionPlan`."""

    spacing_seconds = 0.05

    def __init__(self, plan: ConnectionPlan, writer: RowWriter, *, endpoints: dict[str, str], depth: int) -> None:
        decimals = {
            each.symbol: (each.price_decimals, each.amount_decimals)
            for each in plan.instruments
            if each.price_decimals is not None and each.amount_decimals is not None
        }
        super().__init__(writer, checksums=Checksums(), decimals=decimals)
        self._depth = next((allowed for allowed in DEPTHS if allowed >= depth), DEPTHS[-1])
        self._rest = endpoints["spot_rest"]
        self.attend(plan)

    def opened(self, now: int | None) -> None:
        """Subscribe to everything, fifty symbols a command."""
        super().opened(now)
        for channel, name in CHANNELS.items():
            symbols = [stream.symbol for stream in self.plan.streams if stream.channel == channel]
            for start in range(0, len(symbols), BATCH):
                self.actions.append(SendText(self._command("subscribe", name, symbols[start : start + BATCH])))

    def resubscription(self, stream: Stream) -> tuple[str, str]:
        name, symbols = CHANNELS[stream.channel], [stream.symbol]
        return self._command("unsubscribe", name, symbols), self._command("subscribe", name, symbols)

    def renewal(self, symbol: str) -> Callable[[], None]:
        def renew() -> None:
            self.resubscribe([Stream("book", symbol)])

        return renew

    def confirmed(self, channel: str, symbol: str) -> None:
        self.stream_accepted(symbol, "trades" if channel == "trade" else channel)
        if channel == "trade":
            self.trade_feed(symbol)
            self.acked[symbol] = self.last_received
        elif channel == "book":
            self.checked_book(symbol)

    def refused(self, envelope: wire.Envelope) -> None:
        """A refusal names its symbol but not its channel: that is what the number of the command says."""
        channel = next((name for name, number in _NUMBERS.items() if number == envelope.req_id), "")
        self._log.warning("command refused", method=envelope.method, symbol=envelope.symbol, channel=channel, message=envelope.error)
        known = envelope.method == "subscribe" and channel and envelope.symbol and envelope.error != HELD
        if known and self.last_received is not None:
            self.stream_refused(envelope.symbol, channel, reason=envelope.error or "no reason given", now=self.last_received)

    def feed_http(self, request: HttpGet, body: bytes, received: int | None) -> Outcome:
        """Take one REST answer; raises `FrameError` when it cannot be decoded."""
        if received is not None:
            self.see(received)
        if request.purpose != "trades":
            return Outcome.IGNORED
        try:
            if any(error.startswith(TOO_MANY) for error in wire.decode_trades_answer(body).error):
                # The venue says so with status 200, too.
                self.healer.failed(request, received if received is not None else self.last_received or 0)
                return Outcome.IGNORED
            outcome = self.take_trades_answer(request.symbol, body, received=received)
        except msgspec.MsgspecError as error:
            raise FrameError(EXCHANGE, f"{request.purpose} answer: {error}") from error
        self.healer.answered(request, received)
        return outcome

    def closed(self, now: int | None) -> None:
        super().closed(now)
        self.checked_books.clear()

    def _command(self, method: str, name: str, symbols: list[str]) -> str:
        params: dict[str, object] = {"channel": name, "symbol": symbols}
        if method == "subscribe":
            params["snapshot"] = name == "book"
        if name == "book":
            params["depth"] = self._depth
        number = next(_NUMBERS[channel] for channel, known in CHANNELS.items() if known == name)
        return wire.encode({"method": method, "params": params, "req_id": number})

    def _trade_page(self, missing: Missing, last: Page | None) -> HttpGet | None:
        """Trades after a time, upwards; a page that is not full holds the newest there is."""
        since = missing.since - DISORDER
        if last is not None:
            if last.rows < TRADES_LIMIT or last.newest is None or (missing.before is not None and (last.highest or 0) >= missing.before):
                return None
            # The newest once more: trades that share its microsecond may have been cut off.
            since = last.newest - 1
        url = f"{self._rest}/0/public/Trades?pair={rest_pair(missing.symbol)}&since={since * 1000}&count={TRADES_LIMIT}"
        return HttpGet(url=url, purpose="trades", symbol=missing.symbol)
