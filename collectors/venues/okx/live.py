"""A live OKX socket: subscribes, keeps itself awake, renews single books, asks REST for missed trades.

Put here: what needs somebody to answer. Keep out: what frames mean (`session`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from collectors.continuity import Gap
from collectors.errors import FrameError
from collectors.feeds import TradeFeed
from collectors.logs import logger
from collectors.rows import RowWriter
from collectors.venue import Checksums, ConnectionPlan, HttpGet, Outcome, Reconnect, SendText
from collectors.venues.okx import messages as wire
from collectors.venues.okx.instruments import TYPES, Names
from collectors.venues.okx.messages import EXCHANGE
from collectors.venues.okx.session import OkxSession

BATCH: Final = 100
PING_AFTER: Final = 20_000_000
"""The venue cuts a socket that was silent for 30 s; it answers a ping."""
DEAD_AFTER: Final = 60_000_000
TRADES_LIMIT: Final = 100
MAX_FETCHED_TRADES: Final = 20_000
"""A hole larger than this stays a gap: fetching it would eat the venue's request budget."""
_STATES: Final = ("funding-rate", "open-interest", "mark-price")


class LiveSession(OkxSession):
    """The life of one socket of a `ConnectionPlan`."""

    counted = True

    def __init__(self, plan: ConnectionPlan, writer: RowWriter, *, endpoints: dict[str, str]) -> None:
        super().__init__(writer, checksums=Checksums(), names=Names(plan.instruments))
        self.plan = plan
        self._rest = endpoints["rest"]
        self._natives = {each.symbol: each.native for each in plan.instruments}
        self._admitted = frozenset(self._natives.values())
        self._pinged: int | None = None
        self._log = logger(exchange=EXCHANGE, connection=plan.name)

    def opened(self, now: int | None) -> None:
        """Subscribe to everything, a hundred channels a command."""
        if now is not None:
            self.see(now)
            self.started = now
        wanted = [arg for stream in self.plan.streams for arg in self._args(stream.channel, stream.symbol)]
        args = [dict(pairs) for pairs in dict.fromkeys(tuple(arg.items()) for arg in wanted)]
        for start in range(0, len(args), BATCH):
            self.actions.append(SendText(wire.encode({"op": "subscribe", "args": args[start : start + BATCH]})))

    def admits(self, native: str) -> bool:
        return native in self._admitted

    def renewal(self, native: str) -> Callable[[], None]:
        def renew() -> None:
            args = [{"channel": "books", "instId": native}]
            for command in ("unsubscribe", "subscribe"):
                self.actions.append(SendText(wire.encode({"op": command, "args": args})))

        return renew

    def holes(self) -> Callable[[TradeFeed, Gap], None]:
        return self._fetch_missed

    def confirmed(self, arg: wire.Arg) -> None:
        now = self.last_received
        if arg.channel == "liquidation-orders" and now is not None:
            for stream in self.plan.streams:
                if stream.channel == "liquidations":
                    self.carries(stream.symbol, "liquidations", now=now)
        elif arg.channel == "trades" and self.admits(arg.instId):
            self.trade_feed(arg.instId)
            self.acked[self.names[arg.instId].symbol] = now
        elif arg.channel == "books" and self.admits(arg.instId) and now is not None:
            self.book(arg.instId, rank=400).awaited(now)

    def refused(self, envelope: wire.Envelope) -> None:
        self._log.warning("command refused", code=envelope.code, message=envelope.msg)

    def feed_http(self, request: HttpGet, body: bytes, received: int | None) -> Outcome:
        """Take one REST answer; raises `FrameError` when it cannot be decoded."""
        if received is not None:
            self.see_time(received)
        if request.purpose != "trades":
            return Outcome.IGNORED
        try:
            answer = wire.decode_envelope(body)
            if str(answer.code) != "0":
                raise FrameError(EXCHANGE, f"trades answer holds code {answer.code!r} ({answer.msg}), expected 0")
            outcome = self.take_rest_trades(answer.data, received=received)
            rows = wire.decode_trades(answer.data)
        except msgspec.MsgspecError as error:
            raise FrameError(EXCHANGE, f"trades answer: {error}") from error
        if rows:
            self._next_page(request.symbol, before=min(row.tradeId for row in rows))
        return outcome

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
        if self.last_received is None or now - self.last_received <= PING_AFTER:
            return
        if now - self.last_received > DEAD_AFTER:
            self.actions.append(Reconnect("nothing came for a minute, not even an answer to pings"))
            self.last_received = now
        elif self._pinged is None or now - self._pinged > PING_AFTER:
            self._pinged = now
            self.actions.append(SendText("ping"))

    def _args(self, channel: str, symbol: str) -> list[dict[str, str]]:
        """What a stream subscribes to."""
        native = self._natives[symbol]
        match channel:
            case "trades" | "book":
                return [{"channel": "trades" if channel == "trades" else "books", "instId": native}]
            case "liquidations":
                return [{"channel": "liquidation-orders", "instType": TYPES[self.plan.market]}]
            case _:
                states = [{"channel": name, "instId": native} for name in _STATES if name != "funding-rate" or self.plan.market == "swap"]
                index = {"channel": "index-tickers", "instId": native.removesuffix("-SWAP")}
                return [*states, index] if self.plan.market == "swap" else states

    def _fetch_missed(self, feed: TradeFeed, gap: Gap) -> None:
        if gap.from_sequence is None or gap.to_sequence is None or gap.to_sequence - gap.from_sequence > MAX_FETCHED_TRADES:
            return
        self._page(feed.symbol, before=gap.to_sequence)

    def _next_page(self, symbol: str, *, before: int) -> None:
        """Ask on, from new to old, while the hole the last page lay in reaches further back."""
        for gap in self.writer.continuity.open_gaps(symbol, "trades"):
            first, last = gap.from_sequence, gap.to_sequence
            if first is not None and last is not None and first + 1 < before < last:
                self._page(symbol, before=before)
                return

    def _page(self, symbol: str, *, before: int) -> None:
        path = f"/api/v5/market/history-trades?instId={self._natives[symbol]}&type=1&after={before}&limit={TRADES_LIMIT}"
        self.actions.append(HttpGet(url=f"{self._rest}{path}", purpose="trades", symbol=symbol))
