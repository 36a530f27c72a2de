"""A live Bitget socket, v2 or v3: subscribes, pings, renews single books, asks REST for missed trades.

Put here: what needs somebody to answer. Keep out: what frames mean (`session`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from collectors.dedup import MAX_RUNS
from collectors.errors import FrameError
from collectors.feeds import event_time
from collectors.healing import CLOCKS_APART
from collectors.live import LiveBase
from collectors.pages import Missing, Page
from collectors.rows import RowWriter
from collectors.venue import Checksums, ConnectionPlan, HttpGet, Outcome, Reconnect, SendText, Stream
from collectors.venues.bitget import messages as wire
from collectors.venues.bitget.instruments import Names
from collectors.venues.bitget.messages import EXCHANGE
from collectors.venues.bitget.session import BOOKS, BitgetSession, Row, sold_by

BATCH: Final = 50
PING_EVERY: Final = 25_000_000
"""The venue closes a socket that has not pinged for two minutes and asks for a ping every 30 s."""
DEAD_AFTER: Final = 75_000_000
TRADES_LIMIT: Final = 1000
MOST_FETCHED: Final = MAX_RUNS - 500
"""Ids leave numbers out, so that each is remembered by itself: of a larger hole some would be forgotten while it is fetched."""
NEWEST: Final = 500
"""Trades asked for behind an unreadable frame."""
CHANNELS: Final = {"trades": "trade", "book": "books", "derivatives": "ticker"}
"""The venue's name of each channel on v2."""


class LiveSession(LiveBase, BitgetSession):
    """The life of one socket of a `ConnectionPlan`; a socket of v3 carries liquidations only."""

    spacing_seconds = 0.12
    """The gateway cuts a client that sends more than ten messages a second."""

    def __init__(self, plan: ConnectionPlan, writer: RowWriter, *, endpoints: dict[str, str]) -> None:
        super().__init__(writer, checksums=Checksums(), names=Names(plan.instruments))
        self._rest = endpoints["rest"]
        self._fetched: dict[str, int] = {}
        """Rows of the walk through each symbol's missed trades so far."""
        self._pinged: int | None = None
        self.attend(plan, looks_behind=True)

    def opened(self, now: int | None) -> None:
        """Subscribe to everything, fifty channels a command."""
        super().opened(now)
        if now is not None:
            self._pinged = now
        args = [dict(pairs) for pairs in dict.fromkeys(tuple(self._arg(stream).items()) for stream in self.plan.streams)]
        for start in range(0, len(args), BATCH):
            self.actions.append(SendText(wire.encode({"op": "subscribe", "args": args[start : start + BATCH]})))

    def resubscription(self, stream: Stream) -> tuple[str, str]:
        args = [self._arg(stream)]
        return wire.encode({"op": "unsubscribe", "args": args}), wire.encode({"op": "subscribe", "args": args})

    def lands(self, market: str, native: str) -> bool:
        return market == self.plan.market and self.admits(native)

    def renewal(self, market: str, native: str) -> Callable[[], None]:
        def renew() -> None:
            self.resubscribe([Stream("book", self.names.symbol(market, native))])

        return renew

    def confirmed(self, arg: wire.Arg) -> None:
        now = self.last_received
        for stream in self._streams(arg):
            self.stream_accepted(stream.symbol, stream.channel)
            match stream.channel:
                case "liquidations" if now is not None:
                    self.carries(stream.symbol, "liquidations", now=now)
                case "trades":
                    self.trade_feed(stream.symbol)
                    self.acked[stream.symbol] = now
                case "book" if now is not None:
                    self.book(self.plan.market, arg.native, rank=BOOKS["books"]).awaited(now)

    def refused(self, envelope: wire.Envelope) -> None:
        """A refusal names its argument; one that names none only stands in the log."""
        self._log.warning("command refused", code=envelope.code, message=envelope.msg, argument=envelope.arg)
        if envelope.arg is not None and self.last_received is not None:
            for stream in self._streams(envelope.arg):
                self.stream_refused(stream.symbol, stream.channel, reason=f"{envelope.msg} ({envelope.code})", now=self.last_received)

    def history(self, symbol: str, rows: list[Row], received: int | None) -> bool:
        """After a cut, trades that overlap with what has landed tell that nothing else was lost.

        While a stream is silent they say nothing about the stream: only an update ends its gap, and REST brings what was missed.
        """
        continuity = self.writer.continuity
        if continuity.stalled(symbol, "trades") is not None:
            return False
        seen = continuity.tape(symbol).seen
        if received is not None and any(row[0].isdigit() and int(row[0]) in seen for row in rows):
            for gap in continuity.open_gaps(symbol, "trades"):
                if gap.kind == "disconnect" and gap.to_time is None:
                    continuity.heal(self.writer, gap, by="reconnect", now=received, to_time=received)
        return True

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
            answer = wire.decode_envelope(body)
            if str(answer.code) != "00000":
                raise FrameError(EXCHANGE, f"trades answer holds code {answer.code!r} ({answer.msg}), expected 00000")
            rows = sorted(wire.decode_trades(answer.data), key=_time)
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
            self.actions.append(SendText("ping"))
        if self.last_received is not None and now - self.last_received > DEAD_AFTER:
            self.last_received = now
            self.actions.append(Reconnect("nothing came for over a minute, not even an answer to pings"))

    def _land_missed(self, symbol: str, rows: list[wire.TradeData], *, received: int | None) -> None:
        """Land rows of the oldest hole and after it; the trade before the hole is among them where the answer reaches back that far."""
        gaps = [gap for gap in self.writer.continuity.open_gaps(symbol, "trades") if gap.to_time is not None]
        begins = [gap.from_time - CLOCKS_APART if gap.last_event is None else gap.last_event for gap in gaps[:1]]
        begins += [since for since in (self.behind.since(symbol) if self.behind else None,) if since is not None]
        feed = self.trade_feed(symbol)
        for row in rows:
            time = event_time(EXCHANGE, row.ts)
            if begins and time >= min(begins):
                sold = sold_by(row.side)
                feed.take_rest(int(row.tradeId), time, received=received, sold=sold, price=row.price, amount=row.size)

    def _trade_page(self, missing: Missing, last: Page | None) -> HttpGet | None:
        """Trades by id, downwards from the one after the hole."""
        symbol = missing.symbol
        before = None if missing.before is None else missing.before + 1
        self._fetched[symbol] = 0 if last is None else self._fetched.get(symbol, 0) + last.rows
        if last is not None:
            if last.rows < TRADES_LIMIT or last.lowest is None or self._fetched[symbol] + TRADES_LIMIT > MOST_FETCHED:
                return None
            before = last.lowest
        return self._fills(symbol, "" if before is None else f"&idLessThan={before}", limit=TRADES_LIMIT)

    def _newest(self, symbol: str) -> HttpGet:
        return self._fills(symbol, "", limit=NEWEST)

    def _fills(self, symbol: str, bound: str, *, limit: int) -> HttpGet:
        market = self.plan.market
        where = "spot/market/fills-history?" if market == "spot" else f"mix/market/fills-history?productType={market.upper()}&"
        url = f"{self._rest}/api/v2/{where}symbol={self._natives[symbol]}{bound}&limit={limit}"
        return HttpGet(url=url, purpose="trades", symbol=symbol)

    def _arg(self, stream: Stream) -> dict[str, str]:
        if stream.channel == "liquidations":
            return {"instType": self.plan.market, "topic": "liquidation"}
        return {"instType": self.plan.market.upper(), "channel": CHANNELS[stream.channel], "instId": self._natives[stream.symbol]}

    def _streams(self, arg: wire.Arg) -> list[Stream]:
        """Streams of the plan that an argument stands for: one, or the liquidations of all."""
        if arg.name == "liquidation":
            return [stream for stream in self.plan.streams if stream.channel == "liquidations"]
        if not self.lands(arg.instType.lower(), arg.native):
            return []
        symbol = self.names.symbol(self.plan.market, arg.native)
        found = next((channel for channel, name in CHANNELS.items() if name == arg.name), None)
        return [stream for stream in self.plan.streams if (stream.channel, stream.symbol) == (found, symbol)]


def _time(row: wire.TradeData) -> tuple[int, int]:
    return row.ts, int(row.tradeId)
