"""A live Bybit socket: subscribes, pings, renews single books, asks REST for missed trades.

Put here: what needs somebody to answer. Keep out: what frames mean (`session`).
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Final

import msgspec

from collectors.errors import FrameError
from collectors.feeds import event_time
from collectors.healing import CLOCKS_APART
from collectors.live import LiveBase
from collectors.pages import Missing, Page
from collectors.rows import RowWriter
from collectors.venue import ConnectionPlan, HttpGet, Outcome, Reconnect, SendText, Stream
from collectors.venues.bybit import messages as wire
from collectors.venues.bybit.instruments import Names
from collectors.venues.bybit.messages import EXCHANGE
from collectors.venues.bybit.session import BybitSession

BATCHES: Final = {"spot": 10}
"""Topics a command: the most the spot socket takes; the others count characters only."""
BATCH: Final = 100
DEPTHS: Final = (1, 50, 200, 1000)
PING_EVERY: Final = 20_000_000
DEAD_AFTER: Final = 60_000_000
_TRADES: Final = {"spot": 60}
_MOST_TRADES: Final = 1000
TOPICS: Final = {"trades": "publicTrade", "book": "orderbook", "liquidations": "allLiquidation", "derivatives": "tickers"}
"""The venue's name of each channel."""
HELD: Final = "already subscribed"
"""A refusal that says the topic stands."""


class LiveSession(LiveBase, BybitSession):
    """The life of one socket of a `ConnectionPlan`."""

    spacing_seconds = 0.1
    """The venue names no limit of commands."""

    def __init__(self, plan: ConnectionPlan, writer: RowWriter, *, endpoints: dict[str, str], depth: int) -> None:
        super().__init__(writer, names=Names(plan.market, plan.instruments))
        self.depth = next((allowed for allowed in DEPTHS if allowed >= depth), DEPTHS[-1])
        self._rest = endpoints["rest"]
        self._awaited: dict[str, list[str]] = {}
        self._commands = 0
        self._pinged: int | None = None
        # Ids of contracts are UUIDs; those of spot tell what is missing.
        self.attend(plan, looks_behind=plan.market != "spot")

    def opened(self, now: int | None) -> None:
        """Subscribe to everything, as many topics a command as the market takes."""
        super().opened(now)
        if now is not None:
            self._pinged = now
        topics = [self._topic_of(stream) for stream in self.plan.streams]
        batch = BATCHES.get(self.plan.market, BATCH)
        for start in range(0, len(topics), batch):
            self.actions.append(SendText(self._subscription(topics[start : start + batch])))

    def resubscription(self, stream: Stream) -> tuple[str, str]:
        topics = [self._topic_of(stream)]
        return wire.encode({"op": "unsubscribe", "args": topics}), self._subscription(topics)

    def renewal(self, native: str) -> Callable[[], None]:
        def renew() -> None:
            self.resubscribe([Stream("book", self.names[native].symbol)])

        return renew

    def answered(self, envelope: wire.Envelope) -> None:
        """An acknowledgement confirms its topics; one bad topic refuses a whole command, whose topics are then tried one by one."""
        topics = self._awaited.pop(envelope.req_id, [])
        if envelope.success is False and len(topics) > 1:
            self._log.info("command refused, its topics are tried one by one", message=envelope.ret_msg, topics=topics)
            self.actions += [SendText(self._subscription([topic])) for topic in topics]
            return
        if envelope.success is False and HELD not in envelope.ret_msg:
            self._log.warning("command refused", message=envelope.ret_msg, topics=topics)
            if topics and self.last_received is not None:
                stream = self._stream_of(topics[0])
                reason = envelope.ret_msg or "no reason given"
                self.stream_refused(stream.symbol, stream.channel, reason=reason, now=self.last_received)
            return
        for topic in topics:
            self._stands(self._stream_of(topic))

    def feed(self, frame: bytes | str, received: int | None) -> Outcome:
        try:
            return super().feed(frame, received)
        except FrameError:
            self.unreadable(received)
            raise

    def feed_http(self, request: HttpGet, body: bytes, received: int | None) -> Outcome:
        """Take one REST answer; raises `FrameError` when it cannot be decoded."""
        if received is not None:
            self.see_time(received)
        if request.purpose != "trades":
            return Outcome.IGNORED
        try:
            answer = wire.decode_answer(body)
            if answer.retCode != 0:
                raise FrameError(EXCHANGE, f"trades answer holds code {answer.retCode} ({answer.retMsg}), expected 0")
            rows = sorted(wire.decode_rest_trades(answer.result.list), key=_time)
        except msgspec.MsgspecError as error:
            raise FrameError(EXCHANGE, f"trades answer: {error}") from error
        self._land_missed(request.symbol, rows, received=received)
        self.healer.answered(request, received)
        return Outcome.DECODED

    def tick(self, now: int) -> None:
        """Time passed."""
        super().tick(now)
        if self._pinged is None or now - self._pinged >= PING_EVERY:
            self._pinged = now
            self.actions.append(SendText(wire.encode({"op": "ping"})))
        if self.last_received is not None and now - self.last_received > DEAD_AFTER:
            self.last_received = now
            self.actions.append(Reconnect("nothing came for a minute, not even an answer to pings"))

    def _stands(self, stream: Stream) -> None:
        """A topic was acknowledged."""
        now = self.last_received
        self.stream_accepted(stream.symbol, stream.channel)
        match stream.channel:
            case "trades":
                self.trade_feed(self._natives[stream.symbol])
                self.acked[stream.symbol] = now
            case "liquidations" if now is not None:
                self.carries(stream.symbol, "liquidations", now=now)
            case "book" if now is not None:
                self.book(self._natives[stream.symbol], rank=self.depth).awaited(now)

    def _land_missed(self, symbol: str, rows: list[wire.RestTrade], *, received: int | None) -> None:
        """Land rows of the oldest hole and after it; the trade before the hole is among them where the answer reaches back that far."""
        gaps = [gap for gap in self.writer.continuity.open_gaps(symbol, "trades") if gap.to_time is not None]
        begins = [gap.from_time - CLOCKS_APART if gap.last_event is None else gap.last_event for gap in gaps[:1]]
        begins += [since for since in (self.behind.since(symbol) if self.behind else None,) if since is not None]
        for row in rows:
            if begins and event_time(EXCHANGE, row.time) >= min(begins):
                self.take_rest_trade(row, received)
        feed = self.trade_feeds.get(symbol)
        if feed is not None and feed.contiguous:
            numbers = sorted(int(row.execId) for row in rows if row.execId.isdecimal())
            # Neighbours of a page follow each other: an id between them was never a trade, and skipped ids prove nothing here.
            feed.contiguous = all(after == before + 1 for before, after in pairwise(numbers))

    def _trade_page(self, missing: Missing, last: Page | None) -> HttpGet | None:
        """The newest trades, in one page; there is no other."""
        return self._newest(missing.symbol) if last is None else None

    def _newest(self, symbol: str) -> HttpGet:
        market = self.plan.market
        query = f"category={market}&symbol={self._natives[symbol]}&limit={_TRADES.get(market, _MOST_TRADES)}"
        return HttpGet(url=f"{self._rest}/v5/market/recent-trade?{query}", purpose="trades", symbol=symbol)

    def _subscription(self, topics: list[str]) -> str:
        self._commands += 1
        identity = f"s{self._commands}"
        self._awaited[identity] = topics
        return wire.encode({"req_id": identity, "op": "subscribe", "args": topics})

    def _topic_of(self, stream: Stream) -> str:
        depth = f"{self.depth}." if stream.channel == "book" else ""
        return f"{TOPICS[stream.channel]}.{depth}{self._natives[stream.symbol]}"

    def _stream_of(self, topic: str) -> Stream:
        name, _, rest = topic.partition(".")
        channel = next(channel for channel, known in TOPICS.items() if known == name)
        return Stream(channel, self.names[rest.rpartition(".")[2]].symbol)


def _time(row: wire.RestTrade) -> int:
    return row.time
