"""A live socket of the unified gateway: waits for the welcome, subscribes, pings, renews single books, polls contract states.

Put here: what needs somebody to answer. Keep out: what frames mean (`session`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from collectors.errors import FrameError
from collectors.live import LiveBase
from collectors.pages import Missing, Page
from collectors.rows import RowWriter
from collectors.venue import ConnectionPlan, HttpGet, Outcome, Reconnect, SendText, Stream
from collectors.venues.kucoin import messages as wire
from collectors.venues.kucoin.instruments import LISTS
from collectors.venues.kucoin.messages import EXCHANGE
from collectors.venues.kucoin.session import UnifiedSession

TRADE_TYPES: Final = {"spot": "SPOT", "futures": "FUTURES"}
DEPTH: Final = "increment@10ms"
WELCOME_PATIENCE: Final = 10_000_000
STATES_EVERY: Final = 60_000_000
"""Open interest, funding, mark and index prices are asked for this often, microseconds; one answer tells all contracts."""
_RELATIVE: Final = 1_000_000_000_000
"""A next funding time below this is not a time but the milliseconds until it."""


class LiveSession(LiveBase, UnifiedSession):
    """The life of one socket of a `ConnectionPlan`."""

    spacing_seconds = 0.03
    """No number is documented; public clients send fifty at once and rest for 0.4 s."""

    def __init__(self, plan: ConnectionPlan, writer: RowWriter, *, endpoints: dict[str, str]) -> None:
        super().__init__(writer, instruments={each.native: each for each in plan.instruments}, linked=True)
        self._endpoints = endpoints
        self._states = {stream.symbol for stream in plan.streams if stream.channel == "derivatives"}
        self._awaited: dict[str, Stream] = {}
        self._commands = 0
        self._opened: int | None = None
        self._welcomed = False
        self._ended = False
        self._ping_every = 9_000_000
        self._pinged: int | None = None
        self._states_at: int | None = None
        self.attend(plan, looks_behind=True)

    def opened(self, now: int | None) -> None:
        """Nothing is sent before the venue's welcome."""
        self._opened = now
        super().opened(now)

    def answered(self, envelope: wire.Envelope) -> None:
        """The welcome lets the subscriptions go out; acknowledgements confirm them one by one."""
        if envelope.message == "welcome":
            if envelope.ping_interval:
                self._ping_every = envelope.ping_interval * 500
            if not self._welcomed:
                self._welcomed = True
                self.actions += [SendText(self._command("subscribe", each)) for each in self.plan.streams if each.channel != "derivatives"]
            return
        if envelope.result is None or str(envelope.id) not in self._awaited:
            return
        stream = self._awaited.pop(str(envelope.id))
        now = self.last_received
        if str(envelope.result).lower() != "true":
            self._log.warning("command refused", channel=stream.channel, symbol=stream.symbol, message=envelope.message)
            if now is not None:
                self.stream_refused(stream.symbol, stream.channel, reason=str(envelope.message or envelope.result), now=now)
            return
        self.stream_accepted(stream.symbol, stream.channel)
        if stream.channel == "trades":
            if stream.symbol not in self.trade_feeds:
                self.trade_feed(stream.symbol)
                self.acked[stream.symbol] = now
        elif now is not None:
            self.streamed_book(stream.symbol).awaited(now)

    def resubscription(self, stream: Stream) -> Sequence[str]:
        return () if stream.channel == "derivatives" else [self._command(action, stream) for action in ("unsubscribe", "subscribe")]

    def renewal(self, symbol: str) -> Callable[[], None]:
        def renew() -> None:
            self.actions += [SendText(text) for text in self.resubscription(Stream("book", symbol))]

        return renew

    def feed(self, frame: bytes | str, received: int | None) -> Outcome:
        try:
            return super().feed(frame, received)
        except FrameError:
            self.unreadable(received)
            raise

    def feed_http(self, request: HttpGet, body: bytes, received: int | None) -> Outcome:
        """Take one REST answer; raises `FrameError` when it cannot be decoded."""
        if received is not None:
            self.see(received)
        try:
            if request.purpose == "trades":
                self._history(request.symbol, wire.decode_trade_list(body).data.trades, received)
                self.healer.answered(request, received)
                return Outcome.DECODED
            if request.purpose != "open_interest" or received is None:
                return Outcome.IGNORED
            contracts = wire.decode_contracts(body).data
        except msgspec.MsgspecError as error:
            raise FrameError(EXCHANGE, f"{request.purpose} answer: {error}") from error
        for contract in contracts:
            if self.admits(contract.symbol) and self.symbol(contract.symbol) in self._states:
                self._state(contract, received)
        return Outcome.DECODED

    def tick(self, now: int) -> None:
        """Time passed."""
        super().tick(now)
        if self._states and (self._states_at is None or now >= self._states_at):
            self._states_at = now + STATES_EVERY
            endpoint, path = LISTS["futures"]
            self.actions.append(HttpGet(url=f"{self._endpoints[endpoint]}{path}", purpose="open_interest", weight=4))
        if not self._welcomed:
            self._opened = self._opened or now
            if now - self._opened > WELCOME_PATIENCE:
                self._end("no welcome came")
            return
        if self._pinged is None or now - self._pinged >= self._ping_every:
            self._pinged = now
            self.actions.append(SendText(wire.encode({"id": str(now // 1000), "type": "ping"})))
        if self.last_received is not None and now - self.last_received > 4 * self._ping_every:
            self._end("neither data nor an answer to a ping came")

    def _end(self, reason: str) -> None:
        if not self._ended:
            self._ended = True
            self.actions.append(Reconnect(reason))

    def _history(self, symbol: str, trades: list[wire.ListedTrade], received: int | None) -> None:
        native = self._natives[symbol]
        for row in sorted(trades, key=lambda row: row.ts):
            self.take_trade(native, row.trade_id, side=row.side, size=row.size, price=row.price, time=row.ts, received=received, rest=True)

    def _trade_page(self, missing: Missing, last: Page | None) -> HttpGet | None:
        """The newest hundred trades; there are no pages before them."""
        return self._newest(missing.symbol) if last is None else None

    def _newest(self, symbol: str) -> HttpGet:
        path = f"/api/ua/v1/market/trade?tradeType={TRADE_TYPES[self.plan.market]}&symbol={self._natives[symbol]}"
        return HttpGet(url=f"{self._endpoints['spot_rest']}{path}", purpose="trades", symbol=symbol, weight=3)

    def _command(self, action: str, stream: Stream) -> str:
        self._commands += 1
        command = {"id": str(self._commands), "action": action, "channel": "trade" if stream.channel == "trades" else "obu"}
        command |= {"tradeType": TRADE_TYPES[self.plan.market], "symbol": self._natives[stream.symbol]}
        if stream.channel == "book":
            command["depth"] = DEPTH
        if action == "subscribe":
            self._awaited[str(self._commands)] = stream
        return wire.encode(command)

    def _state(self, contract: wire.FuturesContract, received: int) -> None:
        """What the list says of a contract, as of its arrival: it carries no time of its own."""
        mark, interest, following = contract.mark_price, contract.open_interest, contract.next_funding_rate_time
        if following is not None:
            following = received + following * 1000 if following < _RELATIVE else following * 1000
        priced = mark is not None and mark > 0
        self.take_state(
            self.symbol(contract.symbol),
            "state",
            time=received,
            received=received,
            funding_rate=contract.funding_fee_rate,
            next_funding=following,
            open_interest=self.contract(contract.symbol).base(interest, mark or 0.0) if interest is not None and priced else None,
            mark_price=mark,
            index_price=contract.index_price,
        )
