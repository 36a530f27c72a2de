"""A live Bybit socket: subscribes, pings, renews single books, asks REST for missed trades.

Put here: what needs somebody to answer. Keep out: what frames mean (`session`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from collectors.continuity import Gap
from collectors.errors import FrameError
from collectors.feeds import TradeFeed, event_time
from collectors.logs import logger
from collectors.rows import RowWriter
from collectors.venue import ConnectionPlan, HttpGet, Outcome, Reconnect, SendText
from collectors.venues.bybit import messages as wire
from collectors.venues.bybit.instruments import Names
from collectors.venues.bybit.messages import EXCHANGE
from collectors.venues.bybit.session import BybitSession

BATCH: Final = 10
"""Topics a command: the most the spot socket takes."""
DEPTHS: Final = (1, 50, 200, 1000)
PING_EVERY: Final = 20_000_000
DEAD_AFTER: Final = 60_000_000
_TRADES: Final = {"spot": 60}
_MOST_TRADES: Final = 1000
_MARGIN: Final = 5_000_000


class LiveSession(BybitSession):
    """The life of one socket of a `ConnectionPlan`."""

    def __init__(self, plan: ConnectionPlan, writer: RowWriter, *, endpoints: dict[str, str], depth: int) -> None:
        super().__init__(writer, names=Names(plan.market, plan.instruments))
        self.plan = plan
        self.depth = next((allowed for allowed in DEPTHS if allowed >= depth), DEPTHS[-1])
        self._rest = endpoints["rest"]
        self._natives = {each.symbol: each.native for each in plan.instruments}
        self._admitted = frozenset(self._natives.values())
        self._awaited: dict[str, list[str]] = {}
        self._commands = 0
        self._pinged: int | None = None
        self._log = logger(exchange=EXCHANGE, connection=plan.name)

    def opened(self, now: int | None) -> None:
        """Subscribe to everything, ten topics a command."""
        if now is not None:
            self.see(now)
            self._pinged = now
        topics = [self._topic_of(stream.channel, self._natives[stream.symbol]) for stream in self.plan.streams]
        for start in range(0, len(topics), BATCH):
            self._subscribe(topics[start : start + BATCH])

    def admits(self, native: str) -> bool:
        return native in self._admitted

    def renewal(self, native: str) -> Callable[[], None]:
        def renew() -> None:
            topic = self._topic_of("book", native)
            self.actions.append(SendText(wire.encode({"op": "unsubscribe", "args": [topic]})))
            self._subscribe([topic])

        return renew

    def holes(self) -> Callable[[TradeFeed, Gap], None]:
        return self._fetch_missed

    def answered(self, envelope: wire.Envelope) -> None:
        """An acknowledgement confirms its topics; one bad topic refuses a whole command, whose topics are then tried one by one."""
        topics = self._awaited.pop(envelope.req_id, [])
        if envelope.success is False:
            self._log.warning("command refused", message=envelope.ret_msg, topics=topics)
            if len(topics) > 1:
                for topic in topics:
                    self._subscribe([topic])
            return
        now = self.last_received
        for topic in topics:
            name, _, rest = topic.partition(".")
            native = rest.rpartition(".")[2]
            if name == "publicTrade":
                self.trade_feed(native)
                self.acked[self.names[native].symbol] = now
            elif name == "allLiquidation" and now is not None:
                self.carries(self.names[native].symbol, "liquidations", now=now)
            elif name == "orderbook" and now is not None:
                self.book(native, rank=self.depth).awaited(now)

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
        self._mend(request.symbol, rows, received=received)
        return Outcome.DECODED

    def http_failed(self, request: HttpGet, reason: str, now: int) -> None:
        """Missed trades that cannot be fetched stay a gap."""
        del now
        self._log.warning("request failed", purpose=request.purpose, symbol=request.symbol, reason=reason)

    def tick(self, now: int) -> None:
        """Time passed."""
        self.see_time(now)
        for book in self.streamed.values():
            book.tick(now)
        self.confirm_trades(now)
        if self._pinged is None or now - self._pinged >= PING_EVERY:
            self._pinged = now
            self.actions.append(SendText(wire.encode({"op": "ping"})))
        if self.last_received is not None and now - self.last_received > DEAD_AFTER:
            self.last_received = now
            self.actions.append(Reconnect("nothing came for a minute, not even an answer to pings"))

    def _mend(self, symbol: str, rows: list[wire.RestTrade], *, received: int | None) -> None:
        """Land rows that lie in holes, oldest first; a hole is healed when the answer reaches back before it."""
        continuity = self.writer.continuity
        gaps = [gap for gap in continuity.open_gaps(symbol, "trades") if gap.to_time is not None]
        if not gaps or not rows:
            return
        oldest = event_time(EXCHANGE, rows[0].time)
        for row in rows:
            if event_time(EXCHANGE, row.time) >= gaps[0].from_time - _MARGIN:
                self.take_rest_trade(row, received)
        for gap in gaps:
            if oldest <= gap.from_time:
                continuity.heal(self.writer, gap, by="rest", now=gap.noticed if received is None else received)

    def _fetch_missed(self, feed: TradeFeed, gap: Gap) -> None:
        del gap
        market = self.plan.market
        path = f"/v5/market/recent-trade?category={market}&symbol={self._natives[feed.symbol]}&limit={_TRADES.get(market, _MOST_TRADES)}"
        self.actions.append(HttpGet(url=f"{self._rest}{path}", purpose="trades", symbol=feed.symbol))

    def _subscribe(self, topics: list[str]) -> None:
        self._commands += 1
        identity = f"s{self._commands}"
        self._awaited[identity] = topics
        self.actions.append(SendText(wire.encode({"req_id": identity, "op": "subscribe", "args": topics})))

    def _topic_of(self, channel: str, native: str) -> str:
        match channel:
            case "trades":
                return f"publicTrade.{native}"
            case "book":
                return f"orderbook.{self.depth}.{native}"
            case "liquidations":
                return f"allLiquidation.{native}"
            case _:
                return f"tickers.{native}"


def _time(row: wire.RestTrade) -> int:
    return row.time
