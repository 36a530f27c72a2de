"""A live MEXC socket, spot or perpetual: subscribes, keeps it alive, asks REST for book snapshots and missed trades.

Put here: what needs somebody to answer. Keep out: what frames mean.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from collectors.errors import FrameError
from collectors.live import LiveBase
from collectors.pages import Missing, Page
from collectors.rows import RowWriter
from collectors.venue import ConnectionPlan, HttpGet, Instrument, Outcome, Reconnect, SendText, Stream
from collectors.venues.mexc import frames, perp
from collectors.venues.mexc import messages as wire
from collectors.venues.mexc.instruments import Names
from collectors.venues.mexc.messages import EXCHANGE
from collectors.venues.mexc.plan import subscriptions
from collectors.venues.mexc.session import MexcSession, Trade

PING_EVERY: Final = 15_000_000
SILENT_AFTER: Final = 45_000_000
"""Each ping is answered: a socket silent for three of them is dead."""
DEPTHS: Final = (100, 500, 1000, 5000)
TRADES: Final = {"spot": (1000, 5), "perp": (100, 1)}
"""Trades that an answer holds at most, always the newest, and its weight."""
BEHIND: Final = 10_000_000
"""How long before an unreadable frame arrived its trades may have happened, microseconds."""
_REFUSED: Final = re.compile(r"\[([^\]]*)\]")
"""Names in a refusal: Not Subscribed successfully! [name,name].  Reason: Blocked!"""


class LiveSession(LiveBase, MexcSession):
    """The life of one socket of a `ConnectionPlan`."""

    def __init__(self, plan: ConnectionPlan, writer: RowWriter, *, endpoints: dict[str, str], depth: int) -> None:
        depth = next((allowed for allowed in DEPTHS if allowed >= depth), DEPTHS[-1])
        super().__init__(writer, names=Names(plan.instruments), depth=depth)
        self._admitted = {each.native: each for each in plan.instruments}
        self._by_symbol = {each.symbol: each for each in plan.instruments}
        self._subscriptions: dict[str, Stream] = subscriptions(plan)
        self._endpoints = endpoints
        self._pinged: int | None = None
        self.attend(plan, looks_behind=True)

    def opened(self, now: int | None) -> None:
        """Subscribe: spot in one command, perpetuals a channel a command."""
        super().opened(now)
        if now is not None:
            self._pinged = now
        self.actions += [SendText(text) for text in self._commands("sub", list(self._subscriptions))]

    def resubscription(self, stream: Stream) -> list[str]:
        names = [name for name, known in self._subscriptions.items() if known == stream]
        return [*self._commands("unsub", names), *self._commands("sub", names)]

    def find(self, native: str) -> Instrument | None:
        return self._admitted.get(native)

    def ask_depth(self, instrument: Instrument) -> Callable[[], None]:
        def ask() -> None:
            if instrument.market == "spot":
                url, weight = f"{self._endpoints['spot_rest']}/api/v3/depth?symbol={instrument.native}&limit={self.depth}", 5
            else:
                url, weight = f"{self._endpoints['perp_rest']}/api/v1/contract/depth/{instrument.native}?limit={self.depth}", 1
            self.actions.append(HttpGet(url=url, purpose="depth", symbol=instrument.symbol, weight=weight))

        return ask

    def feed(self, frame: bytes | str, received: int | None) -> Outcome:
        """Take one frame; raises `FrameError` when it cannot be decoded."""
        try:
            outcome, answer = frames.feed(self, frame, received)
        except FrameError:
            self.unreadable(received)
            raise
        if answer is not None:
            self._answered(answer, frame)
        return outcome

    def feed_http(self, request: HttpGet, body: bytes, received: int | None) -> Outcome:
        """Take one REST answer; raises `FrameError` when it cannot be decoded."""
        if received is not None:
            self.see(received)
        instrument = self._by_symbol[request.symbol]
        if request.purpose == "trades":
            return self._take_missed(instrument, request, body, received)
        if request.purpose != "depth":
            return Outcome.IGNORED
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

    def _take_missed(self, instrument: Instrument, request: HttpGet, body: bytes, received: int | None) -> Outcome:
        try:
            if instrument.market == "spot":
                rows = wire.decode_spot_trades(body)
                trades = [Trade(row.time, row.price, row.qty, 2 if row.isBuyerMaker else 1, "") for row in rows]
            else:
                answer = wire.decode_envelope(body)
                if answer.success is not True:
                    raise FrameError(EXCHANGE, f"trades answer has success {answer.success}, expected true")
                trades = perp.trades_of(answer.data)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise FrameError(EXCHANGE, f"trades answer: {error}") from error
        self.take_rest_trades(instrument, trades, received, since=self.behind.since(request.symbol) if self.behind else None)
        self.healer.answered(request, received)
        return Outcome.DECODED

    def http_failed(self, request: HttpGet, reason: str, now: int) -> None:
        """Snapshots and missed trades are asked for again later."""
        super().http_failed(request, reason, now)
        if request.purpose == "depth":
            self.diff_book(self._by_symbol[request.symbol]).failed(now)

    def tick(self, now: int) -> None:
        """Time passed."""
        super().tick(now)
        if self._pinged is None or now - self._pinged >= PING_EVERY:
            self._pinged = now
            self._send({"method": "PING" if self.plan.market == "spot" else "ping"})
        silent = None if self.last_received is None else now - self.last_received
        if silent is not None and silent > SILENT_AFTER:
            self.last_received = now
            self.actions.append(Reconnect(f"no frame, not even a pong, for {silent // 1_000_000} s"))

    def _answered(self, answer: wire.Envelope, frame: bytes | str) -> None:
        """Acknowledgements of spot name the channels; a refusal may come with code 0, so that only the names count."""
        if answer.channel == "pong" or answer.msg.upper() == "PONG":
            return
        if self.plan.market == "perp" and answer.channel != "rs.error":
            # One that repeats no symbol says nothing: the first row or the silence watchdog tells.
            native = "" if answer.param is None else answer.param.symbol
            self._confirmed([f"{answer.channel.removeprefix('rs.')}@{native}"])
            return
        said = frame.decode(errors="replace") if isinstance(frame, bytes) else frame
        if self.plan.market == "spot":
            listed = _REFUSED.search(answer.msg)
            if listed is None and self._confirmed(answer.msg.split(",")):
                return
            self._refused(listed[1].split(",") if listed else [], answer.msg)
        else:
            # An error names nothing for certain; words of its text may.
            words = set(re.split(r"[^\w.]+", said))
            self._refused([name for name in self._subscriptions if words.issuperset(name.split("@"))], said)
        self._log.warning("command refused", code=answer.code, message=said)

    def _confirmed(self, names: Sequence[str]) -> bool:
        """Streams that stand; whether any of the names is one of ours."""
        streams = [self._subscriptions[name.strip()] for name in names if name.strip() in self._subscriptions]
        for stream in streams:
            self.stream_accepted(stream.symbol, stream.channel)
            if stream.channel == "book":
                self.diff_book(self._by_symbol[stream.symbol]).confirmed = True
            elif stream.channel == "trades":
                self.trade_feed(stream.symbol)
                self.acked[stream.symbol] = self.last_received
        return bool(streams)

    def _refused(self, names: Sequence[str], reason: str) -> None:
        for name in names:
            stream = self._subscriptions.get(name.strip())
            if stream is not None and self.last_received is not None:
                self.stream_refused(stream.symbol, stream.channel, reason=reason, now=self.last_received)

    def _trade_page(self, missing: Missing, last: Page | None) -> HttpGet | None:
        """The newest trades are all there is: one page, which reaches over a short cut of a quiet market."""
        return self._newest(missing.symbol) if last is None else None

    def _newest(self, symbol: str) -> HttpGet:
        native = self._by_symbol[symbol].native
        limit, weight = TRADES[self.plan.market]
        if self.plan.market == "spot":
            url = f"{self._endpoints['spot_rest']}/api/v3/trades?symbol={native}&limit={limit}"
        else:
            url = f"{self._endpoints['perp_rest']}/api/v1/contract/deals/{native}?limit={limit}"
        return HttpGet(url=url, purpose="trades", symbol=symbol, weight=weight)

    def _commands(self, verb: str, names: Sequence[str]) -> list[str]:
        """Commands that begin (`sub`) or end (`unsub`) subscriptions: spot takes a list, perpetuals one channel at a time."""
        if self.plan.market == "spot":
            method = "SUBSCRIPTION" if verb == "sub" else "UNSUBSCRIPTION"
            return [wire.encode({"method": method, "params": names})] if names else []
        parts = [name.partition("@") for name in names]
        return [
            wire.encode({"method": f"{verb}.{method.removeprefix('sub.')}", "param": {"symbol": native}}) for method, _, native in parts
        ]

    def _send(self, command: dict[str, object]) -> None:
        self.actions.append(SendText(wire.encode(command)))
