"""A live HTX socket: subscribes, answers pings, asks for book snapshots on the socket and for missed trades and open interest over REST.

Put here: what needs somebody to answer. Keep out: what frames mean (`session`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from collectors.continuity import Gap
from collectors.errors import FrameError
from collectors.feeds import event_time
from collectors.logs import logger
from collectors.rows import RowWriter
from collectors.venue import ConnectionPlan, HttpGet, Instrument, Outcome, Reconnect, SendText
from collectors.venues.htx import messages as wire
from collectors.venues.htx.instruments import Names
from collectors.venues.htx.messages import EXCHANGE
from collectors.venues.htx.plan import FEED, INDEX, NOTIFICATION, role_of, topics
from collectors.venues.htx.session import HtxSession

MBP_DEPTHS: Final = (150, 400)
"""Depths every pair has; 5 and 20 exist for a few only."""
TRADES_LIMIT: Final = 2000
OPEN_INTEREST_EVERY: Final = 60_000_000
SNAPSHOT_PATIENCE: Final = 10_000_000
SILENT_AFTER: Final = 20_000_000
"""The venue pings every 5 s (less often on the notification socket); a socket silent for four of those is dead."""
_HISTORY: Final = {"spot": "/market/history/trade?symbol={}", "linear": "/linear-swap-ex/market/history/trade?contract_code={}"}


class LiveSession(HtxSession):
    """The life of one socket of a `ConnectionPlan`."""

    def __init__(self, plan: ConnectionPlan, writer: RowWriter, *, endpoints: dict[str, str], depth: int) -> None:
        depth = next((allowed for allowed in MBP_DEPTHS if allowed >= depth), MBP_DEPTHS[-1])
        super().__init__(writer, names=Names(plan.instruments), depth=depth)
        self.plan = plan
        self._role = role_of(plan)
        self._natives = {each.symbol: each.native for each in plan.instruments}
        self._admitted = {each.native: each for each in plan.instruments}
        self._topics = topics(plan, depth=depth)
        self._endpoints = endpoints
        self._requested: dict[str, int] = {}
        """Symbols whose book snapshot was asked for on this socket, and when."""
        self._fetching: dict[str, list[Gap]] = {}
        self._interest_at: int | None = None
        self._log = logger(exchange=EXCHANGE, connection=plan.name)

    def opened(self, now: int | None) -> None:
        """Subscribe to everything, a topic a command."""
        if now is not None:
            self.see(now)
        for number, topic in enumerate(self._topics, start=1):
            self.actions.append(SendText(wire.encode(self._command("sub", topic, number=number))))

    def find(self, native: str) -> Instrument | None:
        return self._admitted.get(native)

    def ask_snapshot(self, native: str) -> Callable[[], None]:
        def ask() -> None:
            self._requested[self._admitted[native].symbol] = self.last_received or 0
            self.actions.append(SendText(wire.encode({"req": f"market.{native}.mbp.{self.depth}", "id": f"snapshot-{native}"})))

        return ask

    def renewal(self, native: str) -> Callable[[], None]:
        topic = f"market.{native}.depth.size_150.high_freq"

        def renew() -> None:
            for verb in ("unsub", "sub"):
                self.actions.append(SendText(wire.encode(self._command(verb, topic, number=0))))

        return renew

    def pinged(self, frame: wire.Frame) -> None:
        answer: dict[str, object] = {"op": "pong", "ts": frame.ts} if frame.ping is None else {"pong": frame.ping}
        self.actions.append(SendText(wire.encode(answer)))

    def answered(self, frame: wire.Frame) -> None:
        refused = frame.status == "error" or frame.error not in (None, 0, "0")
        if refused:
            self._log.warning("command refused", code=frame.error, message=frame.message, topic=frame.topic or frame.id)
            name = str(frame.id or "")
            instrument = self._admitted.get(name.removeprefix("snapshot-")) if name.startswith("snapshot-") else None
            if instrument is not None and self.last_received is not None:
                self._requested.pop(instrument.symbol, None)
                self.diff_book(instrument).failed(self.last_received)
            return
        stream = self._topics.get(frame.subbed or (frame.topic if frame.op == "sub" else ""))
        if stream is None:
            return
        if stream.channel == "trades":
            self._trades_confirmed(stream.symbol)
        elif stream.channel == "book" and self._role == FEED:
            self.diff_book(self._admitted[self._natives[stream.symbol]]).confirmed = True
        elif stream.channel == "liquidations" and self.last_received is not None:
            for symbol in self._natives:
                self.carries(symbol, "liquidations", now=self.last_received)

    def feed_http(self, request: HttpGet, body: bytes, received: int | None) -> Outcome:
        """Take one REST answer; raises `FrameError` when it cannot be decoded."""
        if received is not None:
            self.see(received)
        try:
            answer = wire.decode_answer(wire.unpacked(body))
            if answer.status != "ok":
                raise FrameError(EXCHANGE, f"{request.purpose} answer has status {answer.status!r}, expected ok")
            if request.purpose == "open_interest":
                time = None if answer.ts is None else event_time(EXCHANGE, answer.ts)
                self.states.open_interest(wire.decode_open_interest(answer.data), time=time, received=received)
                return Outcome.DECODED
            if request.purpose != "trades":
                return Outcome.IGNORED
            oldest = self.take_history(self._natives[request.symbol], answer.data, received)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise FrameError(EXCHANGE, f"{request.purpose} answer: {error}") from error
        for gap in self._fetching.pop(request.symbol, []):
            # There are no pages: what lies before the oldest of the newest trades is lost.
            if oldest is not None and oldest <= gap.from_time and gap in self.writer.continuity.open_gaps(gap.symbol, gap.channel):
                self.writer.continuity.heal(self.writer, gap, by="rest", now=gap.noticed if received is None else received)
        return Outcome.DECODED

    def http_failed(self, request: HttpGet, reason: str, now: int) -> None:
        """Missed trades that cannot be fetched stay a gap; open interest comes round again."""
        del now
        self._log.warning("request failed", purpose=request.purpose, symbol=request.symbol, reason=reason)
        self._fetching.pop(request.symbol, None)

    def tick(self, now: int) -> None:
        """Time passed."""
        self.see_time(now)
        self.tick_books(now)
        self.confirm_trades(now)
        for symbol, since in list(self._requested.items()):
            book = self.diff_books.get(symbol)
            if book is None or book.feed.live:
                del self._requested[symbol]
            elif since and now - since > SNAPSHOT_PATIENCE:
                del self._requested[symbol]
                book.failed(now)
        silent = None if self.last_received is None else now - self.last_received
        if silent is not None and silent > SILENT_AFTER * (3 if self._role == NOTIFICATION else 1):
            self.last_received = now
            self.actions.append(Reconnect(f"no frame, not even a ping, for {silent // 1_000_000} s"))
        if self._role == INDEX and (self._interest_at is None or now >= self._interest_at):
            self._interest_at = now + OPEN_INTEREST_EVERY
            url = f"{self._endpoints['linear_rest']}/linear-swap-api/v1/swap_open_interest"
            self.actions.append(HttpGet(url=url, purpose="open_interest"))

    def _trades_confirmed(self, symbol: str) -> None:
        self.trade_feed(symbol)
        self.acked[symbol] = self.last_received
        now = self.last_received
        waiting = [g for g in self.writer.continuity.open_gaps(symbol, "trades") if g.kind == "disconnect" and g.to_time is None]
        if not waiting or now is None:
            return
        for gap in waiting:
            gap.to_time = now
            self.writer.gap(gap.row(None, None))
        self._fetching[symbol] = waiting
        market = self._admitted[self._natives[symbol]].market
        path = f"{_HISTORY[market].format(self._natives[symbol])}&size={TRADES_LIMIT}"
        self.actions.append(HttpGet(url=f"{self._endpoints[f'{market}_rest']}{path}", purpose="trades", symbol=symbol))

    def _command(self, verb: str, topic: str, *, number: int) -> dict[str, object]:
        if self._role == NOTIFICATION:
            return {"op": verb, "cid": str(number), "topic": topic}
        command: dict[str, object] = {verb: topic, "id": str(number)}
        if topic.endswith(".high_freq"):
            command["data_type"] = "incremental"
        return command
