"""A live Bitget socket, v2 or v3: subscribes, pings, renews single books, asks REST for missed trades.

Put here: what needs somebody to answer. Keep out: what frames mean (`session`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from collectors.errors import FrameError
from collectors.feeds import event_time
from collectors.logs import logger
from collectors.rows import RowWriter
from collectors.venue import Checksums, ConnectionPlan, HttpGet, Outcome, Reconnect, SendText
from collectors.venues.bitget import messages as wire
from collectors.venues.bitget.instruments import Names
from collectors.venues.bitget.messages import EXCHANGE
from collectors.venues.bitget.session import BOOKS, BitgetSession, Row

BATCH: Final = 50
PING_EVERY: Final = 25_000_000
"""The venue closes a socket that has not pinged for two minutes and asks for a ping every 30 s."""
DEAD_AFTER: Final = 75_000_000
TRADES_LIMIT: Final = 1000
MAX_PAGES: Final = 20
_CHANNELS: Final = {"trades": "trade", "book": "books", "derivatives": "ticker"}


class LiveSession(BitgetSession):
    """The life of one socket of a `ConnectionPlan`; a socket of v3 carries liquidations only."""

    def __init__(self, plan: ConnectionPlan, writer: RowWriter, *, endpoints: dict[str, str]) -> None:
        super().__init__(writer, checksums=Checksums(), names=Names(plan.instruments))
        self.plan = plan
        self._rest = endpoints["rest"]
        self._natives = {each.symbol: each.native for each in plan.instruments}
        self._admitted = frozenset(self._natives.values())
        self._pages: dict[str, int] = {}
        self._pinged: int | None = None
        self._log = logger(exchange=EXCHANGE, connection=plan.name)

    def opened(self, now: int | None) -> None:
        """Subscribe to everything, fifty channels a command."""
        if now is not None:
            self.see(now)
            self._pinged = now
        args = [self._arg(_CHANNELS[each.channel], each.symbol) for each in self.plan.streams if each.channel in _CHANNELS]
        if any(each.channel == "liquidations" for each in self.plan.streams):
            args.append({"instType": self.plan.market, "topic": "liquidation"})
        for start in range(0, len(args), BATCH):
            self.actions.append(SendText(wire.encode({"op": "subscribe", "args": args[start : start + BATCH]})))

    def admits(self, market: str, native: str) -> bool:
        return market == self.plan.market and native in self._admitted

    def renewal(self, market: str, native: str) -> Callable[[], None]:
        def renew() -> None:
            args = [{"instType": market.upper(), "channel": "books", "instId": native}]
            for command in ("unsubscribe", "subscribe"):
                self.actions.append(SendText(wire.encode({"op": command, "args": args})))

        return renew

    def confirmed(self, arg: wire.Arg) -> None:
        now = self.last_received
        market, native = arg.instType.lower(), arg.native
        if arg.name == "liquidation" and now is not None:
            for stream in self.plan.streams:
                if stream.channel == "liquidations":
                    self.carries(stream.symbol, "liquidations", now=now)
        elif not self.admits(market, native):
            return
        elif arg.name == "trade":
            symbol = self.names.symbol(market, native)
            self.trade_feed(symbol)
            self.acked[symbol] = now
        elif arg.name == "books" and now is not None:
            self.book(market, native, rank=BOOKS["books"]).awaited(now)

    def refused(self, envelope: wire.Envelope) -> None:
        self._log.warning("command refused", code=envelope.code, message=envelope.msg)

    def history(self, symbol: str, rows: list[Row], received: int | None) -> None:
        """The trades a subscription begins with tell whether a cut lost any: they overlap with what has landed, or REST is asked."""
        del received
        seen = self.writer.continuity.tape(symbol).seen
        if not rows or seen.last is None or any(row[0].isdigit() and int(row[0]) in seen for row in rows):
            return
        for gap in self.writer.continuity.open_gaps(symbol, "trades"):
            if gap.kind == "disconnect" and gap.to_time is None:
                oldest = min(rows, key=lambda row: row[1])
                gap.to_time = event_time(EXCHANGE, oldest[1])
                self.writer.gap(gap.row(None, None))
                self._pages[symbol] = 0
                self._page(symbol, before=oldest[0])

    def feed_http(self, request: HttpGet, body: bytes, received: int | None) -> Outcome:
        """Take one REST answer; raises `FrameError` when it cannot be decoded."""
        if received is not None:
            self.see_time(received)
        if request.purpose != "trades":
            return Outcome.IGNORED
        try:
            answer = wire.decode_envelope(body)
            if str(answer.code) != "00000":
                raise FrameError(EXCHANGE, f"trades answer holds code {answer.code!r} ({answer.msg}), expected 00000")
            rows = sorted(wire.decode_trades(answer.data), key=_time)
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
            self.actions.append(SendText("ping"))
        if self.last_received is not None and now - self.last_received > DEAD_AFTER:
            self.last_received = now
            self.actions.append(Reconnect("nothing came for over a minute, not even an answer to pings"))

    def _mend(self, symbol: str, rows: list[wire.TradeData], *, received: int | None) -> None:
        """Land rows that lie in holes; a hole is healed when the pages reach back before it, or end."""
        continuity = self.writer.continuity
        gaps = [gap for gap in continuity.open_gaps(symbol, "trades") if gap.to_time is not None]
        if not gaps:
            return
        reached = False
        for row in rows:
            time, number = event_time(EXCHANGE, row.ts), int(row.tradeId)
            since = min(gap.from_sequence or 0 for gap in gaps)
            if number <= since:
                reached = True
                continue
            self.trade_feed(symbol).take_rest(
                number, time, received=received, sold=row.side.lower() == "sell", price=row.price, amount=row.size
            )
        if reached or len(rows) < TRADES_LIMIT:
            for gap in gaps:
                continuity.heal(self.writer, gap, by="rest", now=gap.noticed if received is None else received)
        elif self._pages.get(symbol, 0) < MAX_PAGES:
            self._pages[symbol] = self._pages.get(symbol, 0) + 1
            self._page(symbol, before=rows[0].tradeId)

    def _page(self, symbol: str, *, before: str) -> None:
        native, market = self._natives[symbol], self.plan.market
        where = "spot/market/fills-history?" if market == "spot" else f"mix/market/fills-history?productType={market.upper()}&"
        url = f"{self._rest}/api/v2/{where}symbol={native}&idLessThan={before}&limit={TRADES_LIMIT}"
        self.actions.append(HttpGet(url=url, purpose="trades", symbol=symbol))

    def _arg(self, channel: str, symbol: str) -> dict[str, str]:
        return {"instType": self.plan.market.upper(), "channel": channel, "instId": self._natives[symbol]}


def _time(row: wire.TradeData) -> tuple[int, int]:
    return row.ts, int(row.tradeId)
