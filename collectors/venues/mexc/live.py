"""A live MEXC socket, spot or perpetual: subscribes, keeps it alive, asks REST for book snapshots.

Put here: what needs somebody to answer. Keep out: what frames mean.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from collectors.errors import FrameError
from collectors.logs import logger
from collectors.rows import RowWriter
from collectors.venue import ConnectionPlan, HttpGet, Instrument, Outcome, Reconnect, SendText, Stream
from collectors.venues.mexc import frames, perp
from collectors.venues.mexc import messages as wire
from collectors.venues.mexc.instruments import Names
from collectors.venues.mexc.messages import EXCHANGE
from collectors.venues.mexc.plan import subscriptions
from collectors.venues.mexc.session import MexcSession

PING_EVERY: Final = 15_000_000
SILENT_AFTER: Final = 45_000_000
"""Each ping is answered: a socket silent for three of them is dead."""
DEPTHS: Final = (100, 500, 1000, 5000)


class LiveSession(MexcSession):
    """The life of one socket of a `ConnectionPlan`."""

    def __init__(self, plan: ConnectionPlan, writer: RowWriter, *, endpoints: dict[str, str], depth: int) -> None:
        depth = next((allowed for allowed in DEPTHS if allowed >= depth), DEPTHS[-1])
        super().__init__(writer, names=Names(plan.instruments), depth=depth)
        self.plan = plan
        self._admitted = {each.native: each for each in plan.instruments}
        self._by_symbol = {each.symbol: each for each in plan.instruments}
        self._subscriptions: dict[str, Stream] = subscriptions(plan)
        self._endpoints = endpoints
        self._pinged: int | None = None
        self._log = logger(exchange=EXCHANGE, connection=plan.name)

    def opened(self, now: int | None) -> None:
        """Subscribe: spot in one command, perpetuals a channel a command."""
        if now is not None:
            self.see(now)
            self._pinged = now
        if self.plan.market == "spot":
            self._send({"method": "SUBSCRIPTION", "params": list(self._subscriptions)})
            return
        for name in self._subscriptions:
            method, _, native = name.partition("@")
            self._send({"method": method, "param": {"symbol": native}})

    def find(self, native: str) -> Instrument | None:
        return self._admitted.get(native)

    def ask_depth(self, instrument: Instrument) -> Callable[[], None]:
        def ask() -> None:
            if instrument.market == "spot":
                url = f"{self._endpoints['spot_rest']}/api/v3/depth?symbol={instrument.native}&limit={self.depth}"
            else:
                url = f"{self._endpoints['perp_rest']}/api/v1/contract/depth/{instrument.native}?limit={self.depth}"
            self.actions.append(HttpGet(url=url, purpose="depth", symbol=instrument.symbol, weight=5))

        return ask

    def feed(self, frame: bytes | str, received: int | None) -> Outcome:
        """Take one frame; raises `FrameError` when it cannot be decoded."""
        outcome, answer = frames.feed(self, frame, received)
        if answer is not None:
            self._answered(answer, frame)
        return outcome

    def feed_http(self, request: HttpGet, body: bytes, received: int | None) -> Outcome:
        """Take one REST answer; raises `FrameError` when it cannot be decoded."""
        if received is not None:
            self.see(received)
        if request.purpose != "depth":
            return Outcome.IGNORED
        instrument = self._by_symbol[request.symbol]
        try:
            self._take_depth(instrument, body, received)
        except (msgspec.MsgspecError, UnicodeDecodeError, FrameError) as error:
            if received is not None:
                self.diff_book(instrument).failed(received)
            raise FrameError(EXCHANGE, f"depth answer: {error}") from error
        return Outcome.DECODED

    def _take_depth(self, instrument: Instrument, body: bytes, received: int | None) -> None:
        if instrument.market == "spot":
            frames.take_spot_depth(self, instrument.native, wire.decode_spot_depth(body), received)
            return
        answer = wire.decode_envelope(body)
        if answer.success is not True:
            raise FrameError(EXCHANGE, f"depth answer has success {answer.success}, expected true")
        perp.take_depth(self, instrument, answer.data, received)

    def http_failed(self, request: HttpGet, reason: str, now: int) -> None:
        """A snapshot is asked for again later."""
        self._log.warning("request failed", purpose=request.purpose, symbol=request.symbol, reason=reason)
        if request.purpose == "depth":
            self.diff_book(self._by_symbol[request.symbol]).failed(now)

    def tick(self, now: int) -> None:
        """Time passed."""
        self.see_time(now)
        self.tick_books(now)
        self.confirm_trades(now)
        if self._pinged is None or now - self._pinged >= PING_EVERY:
            self._pinged = now
            self._send({"method": "PING" if self.plan.market == "spot" else "ping"})
        silent = None if self.last_received is None else now - self.last_received
        if silent is not None and silent > SILENT_AFTER:
            self.last_received = now
            self.actions.append(Reconnect(f"no frame, not even a pong, for {silent // 1_000_000} s"))

    def _answered(self, answer: wire.Envelope, frame: bytes | str) -> None:
        """Acknowledgements of spot name the channels; a refusal may come with code 0, so that only the names count."""
        if answer.channel.startswith("rs.") and answer.channel != "rs.error":
            # An acknowledgement of perpetuals names no symbol: the first row or the silence watchdog tells.
            return
        if answer.channel == "pong" or answer.msg.upper() == "PONG":
            return
        names = [name.strip() for name in answer.msg.split(",")]
        confirmed = [stream for name in names if (stream := self._subscriptions.get(name)) is not None]
        for stream in confirmed:
            instrument = self._by_symbol[stream.symbol]
            if stream.channel == "book":
                self.diff_book(instrument).confirmed = True
            elif stream.channel == "trades":
                self.trade_feed(stream.symbol)
                self.acked[stream.symbol] = self.last_received
        if not confirmed:
            said = frame.decode(errors="replace") if isinstance(frame, bytes) else frame
            self._log.warning("command refused", code=answer.code, message=said)

    def _send(self, command: dict[str, object]) -> None:
        self.actions.append(SendText(wire.encode(command)))
