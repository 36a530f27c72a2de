"""A live HTX socket: subscribes, answers pings, asks for book snapshots on the socket and for missed trades and open interest over REST.

Put here: what needs somebody to answer. Keep out: what frames mean (`session`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from collectors.errors import FrameError
from collectors.feeds import event_time
from collectors.live import LiveBase
from collectors.pages import Missing, Page
from collectors.rows import RowWriter
from collectors.venue import ConnectionPlan, HttpGet, Instrument, Outcome, Reconnect, SendText, Stream
from collectors.venues.htx import messages as wire
from collectors.venues.htx.instruments import Names
from collectors.venues.htx.messages import EXCHANGE
from collectors.venues.htx.plan import FEED, INDEX, LINEAR, NOTIFICATION, SPOT, role_of, topics
from collectors.venues.htx.session import HtxSession

MBP_DEPTHS: Final = (150, 400)
"""Depths every pair has; 5 and 20 exist for a few only."""
TRADES_LIMIT: Final = 2000
OPEN_INTEREST_EVERY: Final = 60_000_000
SNAPSHOT_PATIENCE: Final = 10_000_000
SILENT_AFTER: Final = 20_000_000
"""The venue pings every 5 s (less often on the notification socket); a socket silent for four of those is dead."""
_HISTORY: Final = {"spot": "/market/history/trade?symbol={}", "linear": "/linear-swap-ex/market/history/trade?contract_code={}"}


class LiveSession(LiveBase, HtxSession):
    """The life of one socket of a `ConnectionPlan`."""

    def __init__(self, plan: ConnectionPlan, writer: RowWriter, *, endpoints: dict[str, str], depth: int) -> None:
        depth = next((allowed for allowed in MBP_DEPTHS if allowed >= depth), MBP_DEPTHS[-1])
        super().__init__(writer, names=Names(plan.instruments), depth=depth)
        self._role = role_of(plan)
        self._admitted = {each.native: each for each in plan.instruments}
        self._topics = topics(plan, depth=depth)
        self._commands: dict[str, str] = {}
        """Topics of subscriptions that are not answered yet, by the number of their command."""
        self._number = 0
        self._refused: dict[Stream, set[str]] = {}
        """Topics the venue does not give, by stream."""
        self._endpoints = endpoints
        self._requested: dict[str, int] = {}
        """Symbols whose book snapshot was asked for on this socket, and when."""
        self._interest_at: int | None = None
        self.attend(plan, heals=self._role in (SPOT, LINEAR), looks_behind=True)

    def opened(self, now: int | None) -> None:
        """Subscribe to everything, a topic a command."""
        super().opened(now)
        self.actions += [SendText(self._command("sub", topic)) for topic in self._topics]

    def resubscription(self, stream: Stream) -> Sequence[str]:
        # Topics of all contracts name no symbol; the stream of each is the same.
        mine = [topic for topic, carried in self._topics.items() if carried in (stream, Stream(stream.channel, ""))]
        return [self._command(verb, topic) for topic in mine for verb in ("unsub", "sub")]

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
            self.actions += [SendText(self._command(verb, topic)) for verb in ("unsub", "sub")]

        return renew

    def pinged(self, frame: wire.Frame) -> None:
        answer: dict[str, object] = {"op": "pong", "ts": frame.ts} if frame.ping is None else {"pong": frame.ping}
        self.actions.append(SendText(wire.encode(answer)))

    def answered(self, frame: wire.Frame) -> None:
        number = str(frame.id or "")
        topic = frame.subbed or frame.topic or self._commands.get(number, "")
        self._commands.pop(number, None)
        if frame.status == "error" or frame.error not in (None, 0, "0"):
            self._log.warning("command refused", code=frame.error, message=frame.message, topic=topic or number)
            self._refusal(topic, number, reason=frame.message or f"code {frame.error}")
            return
        stream = self._topics.get(topic)
        if stream is None or not (frame.subbed or frame.op == "sub"):
            return
        for symbol in (stream.symbol,) if stream.symbol else self._natives:
            self.stream_accepted(symbol, stream.channel)
            if stream.channel == "liquidations" and self.last_received is not None:
                self.carries(symbol, "liquidations", now=self.last_received)
        if stream.channel == "trades" and stream.symbol not in self.trade_feeds:
            # Swaps send the last trades before the acknowledgement, spot after it; where there are none this is all that comes.
            self.trade_feed(stream.symbol)
            self.acked[stream.symbol] = self.last_received
        elif stream.channel == "book" and self._role == FEED:
            self.diff_book(self._admitted[self._natives[stream.symbol]]).confirmed = True

    def _refusal(self, topic: str, number: str, *, reason: str) -> None:
        """A request for a snapshot is made again later; a stream counts as refused when none of its topics is given."""
        now = self.last_received
        if now is None:
            return
        instrument = self._admitted.get(number.removeprefix("snapshot-")) if number.startswith("snapshot-") else None
        if instrument is not None:
            self._requested.pop(instrument.symbol, None)
            self.diff_book(instrument).failed(now)
        stream = self._topics.get(topic)
        if stream is None:
            return
        refused = self._refused.setdefault(stream, set())
        refused.add(topic)
        if refused.issuperset(each for each, carried in self._topics.items() if carried == stream):
            for symbol in (stream.symbol,) if stream.symbol else self._natives:
                self.stream_refused(symbol, stream.channel, reason=reason, now=now)

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
            answer = wire.decode_answer(wire.unpacked(body))
            if answer.status != "ok":
                raise FrameError(EXCHANGE, f"{request.purpose} answer has status {answer.status!r}, expected ok")
            if request.purpose == "open_interest":
                time = None if answer.ts is None else event_time(EXCHANGE, answer.ts)
                self.states.open_interest(wire.decode_open_interest(answer.data), time=time, received=received)
                return Outcome.DECODED
            if request.purpose != "trades":
                return Outcome.IGNORED
            self.take_history(self._natives[request.symbol], answer.data, received)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise FrameError(EXCHANGE, f"{request.purpose} answer: {error}") from error
        self.healer.answered(request, received)
        return Outcome.DECODED

    def tick(self, now: int) -> None:
        """Time passed."""
        super().tick(now)
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

    def _trade_page(self, missing: Missing, last: Page | None) -> HttpGet | None:
        """The newest trades; there are no pages before them."""
        return self._newest(missing.symbol) if last is None else None

    def _newest(self, symbol: str) -> HttpGet:
        native = self._natives[symbol]
        market = self._admitted[native].market
        url = f"{self._endpoints[f'{market}_rest']}{_HISTORY[market].format(native)}&size={TRADES_LIMIT}"
        return HttpGet(url=url, purpose="trades", symbol=symbol)

    def _command(self, verb: str, topic: str) -> str:
        self._number += 1
        number = str(self._number)
        if verb == "sub":
            self._commands[number] = topic
        if self._role == NOTIFICATION:
            return wire.encode({"op": verb, "cid": number, "topic": topic})
        command: dict[str, object] = {verb: topic, "id": number}
        if topic.endswith(".high_freq"):
            command["data_type"] = "incremental"
        return wire.encode(command)
