"""A live v4 socket: subscribes, pings, renews single books, asks REST for missed trades.

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
from collectors.venue import ConnectionPlan, HttpGet, Outcome, Reconnect, SendText, Stream
from collectors.venues.gateio import messages as wire
from collectors.venues.gateio.messages import EXCHANGE
from collectors.venues.gateio.session import MarketSession

CHANNELS: Final = {
    "trades": "trades",
    "book": "obu",
    "liquidations": "public_liquidates",
    "derivatives": "tickers",
}
PING_EVERY: Final = 15_000_000
SILENCE: Final = 45_000_000
TRADES_LIMIT: Final = 1000
MAX_FETCHED_TRADES: Final = 50_000
"""A hole larger than this stays a gap: fetching it would eat the venue's request budget."""
CALIBRATE_EVERY: Final = 60_000_000
"""REST is asked this often for the sign of a liquidation, until it has told one that the stream told too, microseconds."""
REMEMBERED: Final = 256
"""Spot trades whose two ids are kept, to see whether REST counts as the stream does."""


class LiveSession(MarketSession):
    """The life of one socket of a `ConnectionPlan`."""

    spacing_seconds = 0.05

    def __init__(self, plan: ConnectionPlan, writer: RowWriter, *, endpoints: dict[str, str], depth: int) -> None:
        spot = plan.market == "spot"
        super().__init__(writer, spot=spot, instruments={each.native: each for each in plan.instruments}, linked=True)
        self.plan = plan
        self._prefix = "spot" if spot else "futures"
        self._levels = 50 if depth <= 50 else 400
        self._rest = endpoints["rest"]
        self._natives = {each.symbol: each.native for each in plan.instruments}
        self._awaited: dict[str, list[Stream]] = {}
        self._ids: dict[tuple[str, int], int] = {}
        """Global id of spot trades by symbol and the pair's own count."""
        self._uncompared: dict[str, list[tuple[int, float]]] = {}
        """(time, signed size) of liquidations by native id, until the meaning of the sign is known."""
        self._calibrated = False
        self._calibrated_at: int | None = None
        self._commands = 0
        self._opened: int | None = None
        self._pinged: int | None = None
        self._ended = False
        self._log = logger(exchange=EXCHANGE, connection=plan.name)

    def opened(self, now: int | None) -> None:
        """Subscribe: books one by one, so that each can be renewed alone, the other channels with all their symbols."""
        if now is not None:
            self.see(now)
        self._opened = now
        for channel in CHANNELS:
            streams = [stream for stream in self.plan.streams if stream.channel == channel]
            if channel == "book":
                for stream in streams:
                    self._command("subscribe", [stream])
            elif streams:
                self._command("subscribe", streams)

    def admits(self, native: str) -> bool:
        return native in self.instruments

    def renewal(self, symbol: str) -> Callable[[], None]:
        def renew() -> None:
            stream = Stream("book", symbol)
            self._command("unsubscribe", [stream])
            self._command("subscribe", [stream])

        return renew

    def holes(self) -> Callable[[TradeFeed, Gap], None] | None:
        return self._fetch_missed if self.spot else None

    def answered(self, envelope: wire.Envelope) -> None:
        """An acknowledgement confirms its streams; a refusal carries an error, which may be absent or null on success."""
        streams = self._awaited.pop(str(envelope.id), []) if envelope.event == "subscribe" else []
        if bytes(envelope.error) not in (b"", b"null"):
            said = bytes(envelope.error).decode(errors="replace")
            self._log.warning("command refused", channel=envelope.channel, message=said, streams=len(streams))
            return
        now = self.last_received
        for stream in streams:
            if stream.channel == "trades" and stream.symbol not in self.trade_feeds:
                self._fetch_cut(stream.symbol)
                self.trade_feed(stream.symbol, contiguous=self.spot)
                self.acked[stream.symbol] = now
            elif stream.channel == "book" and now is not None:
                self.streamed_book(stream.symbol).awaited(now)
            elif stream.channel == "liquidations" and now is not None:
                self.carries(stream.symbol, "liquidations", now=now)

    def met(self, trade: wire.SpotTrade) -> None:
        if trade.id_market is not None:
            self._ids[self.symbol(trade.currency_pair), trade.id_market] = trade.id
            if len(self._ids) > REMEMBERED * len(self._natives):
                del self._ids[next(iter(self._ids))]

    def feed_http(self, request: HttpGet, body: bytes, received: int | None) -> Outcome:
        """Take one REST answer; raises `FrameError` when it cannot be decoded."""
        if received is not None:
            self.see(received)
        try:
            if request.purpose == "liquidations":
                self._calibrate(wire.decode_rest_liquidations(body))
                return Outcome.CONTROL
            if request.purpose != "trades":
                return Outcome.IGNORED
            if self.spot:
                self._take_missed(request.symbol, wire.decode_spot_trades_answer(body), received)
            else:
                rows = wire.decode_futures_trades(body)
                before = self.writer.trades.landed
                self.take_futures_rows(rows, received=received, rest=True)
                if len(rows) >= TRADES_LIMIT and self.writer.trades.landed > before:
                    oldest = min(wire.trade_time(row.create_time, row.create_time_ms) for row in rows)
                    start = int(request.url.rpartition("from=")[2].partition("&")[0])
                    self._page(request.symbol, start=start * 1_000_000, end=oldest)
        except msgspec.MsgspecError as error:
            raise FrameError(EXCHANGE, f"{request.purpose} answer: {error}") from error
        return Outcome.DECODED

    def http_failed(self, request: HttpGet, reason: str, now: int) -> None:
        """Missed trades that cannot be fetched stay a gap."""
        del now
        self._log.warning("request failed", purpose=request.purpose, symbol=request.symbol, reason=reason)

    def tick(self, now: int) -> None:
        """Time passed."""
        self.see_time(now)
        self.confirm_trades(now)
        self.tick_books(now)
        if self._pinged is None or now - self._pinged >= PING_EVERY:
            self._pinged = now
            self.actions.append(SendText(wire.encode({"time": now // 1_000_000, "channel": f"{self._prefix}.ping"})))
        if self._uncompared and (self._calibrated_at is None or now - self._calibrated_at >= CALIBRATE_EVERY):
            self._calibrated_at = now
            native = next(iter(self._uncompared))
            url = f"{self._rest}/futures/{self.plan.market}/liq_orders?contract={native}&limit=100"
            self.actions.append(HttpGet(url=url, purpose="liquidations", symbol=self.symbol(native)))
        last = self.last_received or self._opened
        if last is not None and now - last > SILENCE and not self._ended:
            self._ended = True
            self.actions.append(Reconnect(f"neither data nor a pong for {SILENCE // 1_000_000} s"))

    def liquidated(self, row: wire.Liquidation, time: int) -> None:
        if not self._calibrated:
            kept = self._uncompared.setdefault(row.contract, [])
            kept.append((time, row.size))
            del kept[:-REMEMBERED]

    def _calibrate(self, rows: list[wire.RestLiquidation]) -> None:
        """Compare signs with REST, which tells the order's; a contradiction turns the reading round and is logged as an error."""
        signs = set()
        for row in rows:
            order = -row.size if row.order_size is None else row.order_size
            for time, size in self._uncompared.get(row.contract, ()):
                if abs(size) == abs(order) and order and abs(time - row.time * 1_000_000) <= 2_000_000:
                    signs.add(1 if size * order > 0 else -1)
        if len(signs) != 1:
            # Nothing in common yet, or rows of one size on both sides within two seconds: another contract, another time.
            contract = next(iter(self._uncompared), None)
            if contract is not None:
                del self._uncompared[contract]
            return
        self._calibrated = True
        self._uncompared.clear()
        (self.order_sign,) = signs
        if self.order_sign < 0:
            self._log.error("liquidations name the position's side: those before this moment are landed with the wrong side")

    def _command(self, event: str, streams: list[Stream]) -> None:
        """The venue refuses commands whose time is more than a minute off its own."""
        channel = streams[0].channel
        payload = [self._natives[stream.symbol] for stream in streams]
        if channel == "book":
            payload = [f"ob.{native}.{self._levels}" for native in payload]
        self._commands += 1
        if event == "subscribe":
            self._awaited[str(self._commands)] = streams
        now = self.last_received or self._opened or 0
        command = {"time": now // 1_000_000, "id": self._commands, "channel": f"{self._prefix}.{CHANNELS[channel]}"}
        self.actions.append(SendText(wire.encode({**command, "event": event, "payload": payload})))

    def _fetch_cut(self, symbol: str) -> None:
        """Futures ids do not show a hole, so what a cut may have lost is asked for as soon as the stream stands again."""
        now = self.last_received
        if self.spot or now is None:
            return
        for gap in self.writer.continuity.open_gaps(symbol, "trades"):
            if gap.kind == "disconnect" and gap.to_time is None:
                self._page(symbol, start=gap.from_time, end=now)

    def _fetch_missed(self, feed: TradeFeed, gap: Gap) -> None:
        if gap.from_sequence is None or gap.to_sequence is None or gap.to_sequence - gap.from_sequence > MAX_FETCHED_TRADES:
            return
        self._page(feed.symbol, start=gap.from_time, end=gap.to_time or gap.noticed)

    def _take_missed(self, symbol: str, rows: list[wire.RestSpotTrade], received: int | None) -> None:
        """Land trades of a REST answer by the pair's own count, which is compared with the stream's wherever both have a trade.

        Where they differ the answer is refused as a whole and the gap stays: its rows would land a second time under other ids.
        """
        ready = [(row.sequence_id, wire.millis(row.create_time_ms), row) for row in rows]
        for number, _, row in ready:
            if self._ids.get((symbol, number), row.id) != row.id:
                raise FrameError(
                    EXCHANGE, f"REST trade {row.id} of {symbol} counts as {number}, expected {self._ids[symbol, number]} there"
                )
        if not any((symbol, number) in self._ids for number, _, _ in ready):
            self._log.warning("missed trades cannot be told apart", symbol=symbol, rows=len(rows))
            return
        feed = self.trade_feed(symbol, contiguous=True)
        before = self.writer.trades.landed
        for number, time, row in sorted(ready, key=_number):
            feed.take_rest(number, time, received=received, sold=row.side == "sell", price=row.price, amount=row.amount)
            self._ids[symbol, number] = row.id
        feed.mend(received)
        if self.writer.trades.landed > before:
            self._next_page(symbol, min(time for _, time, _ in ready))

    def _next_page(self, symbol: str, oldest: int) -> None:
        """Answers come newest first: ask on for what lies before the oldest trade, while it has brought something new."""
        continuity = self.writer.continuity
        seen = continuity.tape(symbol).seen
        for gap in continuity.open_gaps(symbol, "trades"):
            first, last = gap.from_sequence, gap.to_sequence
            if first is not None and last is not None and last - 1 in seen and seen.missing(first, last):
                self._page(symbol, start=gap.from_time, end=oldest)
                return

    def _page(self, symbol: str, *, start: int, end: int) -> None:
        """Ask for trades of a span, microseconds; the venue takes whole seconds, both ends are widened."""
        native = self._natives[symbol]
        span = f"limit={TRADES_LIMIT}&to={end // 1_000_000 + 1}&from={start // 1_000_000}"
        path = f"/spot/trades?currency_pair={native}" if self.spot else f"/futures/{self.plan.market}/trades?contract={native}"
        self.actions.append(HttpGet(url=f"{self._rest}{path}&{span}", purpose="trades", symbol=symbol))


def _number(row: tuple[int, int, wire.RestSpotTrade]) -> int:
    return row[0]
