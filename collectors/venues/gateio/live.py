"""A live v4 socket: subscribes, pings, renews single books, asks REST for missed trades.

Put here: what needs somebody to answer. Keep out: what frames mean (`session`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from collectors.errors import FrameError
from collectors.live import LiveBase
from collectors.pages import Missing, Page
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
HELD: Final = "Alert sub"
"""A refusal that says the stream stands."""
PING_EVERY: Final = 15_000_000
SILENCE: Final = 45_000_000
TRADES_LIMIT: Final = 1000
CALIBRATE_EVERY: Final = 60_000_000
"""REST is asked this often for the sign of a liquidation, until it has told one that the stream told too, microseconds."""
STEADY: Final = 30
"""Ids of a contract's trades that follow each other without a hole, before a hole counts as one: nothing says that they must. Four times
as many after each false alarm."""
REMEMBERED: Final = 256
"""Spot trades whose two ids are kept, to see whether REST counts as the stream does."""


class LiveSession(LiveBase, MarketSession):
    """The life of one socket of a `ConnectionPlan`."""

    spacing_seconds = 0.05

    def __init__(self, plan: ConnectionPlan, writer: RowWriter, *, endpoints: dict[str, str], depth: int) -> None:
        spot = plan.market == "spot"
        super().__init__(writer, spot=spot, instruments={each.native: each for each in plan.instruments}, linked=True)
        self._prefix = "spot" if spot else "futures"
        self._levels = 50 if depth <= 50 else 400
        self._rest = endpoints["rest"]
        self._awaited: dict[str, list[Stream]] = {}
        self._ids: dict[tuple[str, int], int] = {}
        """Global id of spot trades by symbol and the pair's own count."""
        self._agreed: set[str] = set()
        """Symbols of which REST and the stream were seen to count a trade alike."""
        self._runs: dict[str, tuple[int, int]] = {}
        """By futures symbol, the last id and how many in a row have followed each other."""
        self._steady: dict[str, int] = {}
        """By futures symbol, how many ids must have followed each other, after false alarms."""
        self._suspected: dict[str, tuple[int, int]] = {}
        """By futures symbol, the hole that REST is asked about, ids exclusive."""
        self._asked: dict[str, tuple[int, int]] = {}
        """By symbol, the last second of the page of trades that was asked for, and which page of that second it was."""
        self._uncompared: dict[str, list[tuple[int, float]]] = {}
        """(time, signed size) of liquidations by native id, until the meaning of the sign is known."""
        self._calibrated = False
        self._calibrated_at: int | None = None
        self._commands = 0
        self._opened: int | None = None
        self._pinged: int | None = None
        self._ended = False
        self.attend(plan)

    def opened(self, now: int | None) -> None:
        """Subscribe: books one by one, so that each can be renewed alone, the other channels with all their symbols."""
        super().opened(now)
        self._opened = now
        for channel in CHANNELS:
            streams = [stream for stream in self.plan.streams if stream.channel == channel]
            for group in [[stream] for stream in streams] if channel == "book" else [streams] if streams else []:
                self.actions.append(SendText(self._command("subscribe", group)))

    def resubscription(self, stream: Stream) -> tuple[str, str]:
        return self._command("unsubscribe", [stream]), self._command("subscribe", [stream])

    def renewal(self, symbol: str) -> Callable[[], None]:
        def renew() -> None:
            self.resubscribe([Stream("book", symbol)])

        return renew

    def answered(self, envelope: wire.Envelope) -> None:
        """An acknowledgement confirms its streams; a refusal carries an error, which may be absent or null on success."""
        streams = self._awaited.pop(str(envelope.id), []) if envelope.event == "subscribe" else []
        if bytes(envelope.error) not in (b"", b"null"):
            refusal = wire.decode_refusal(envelope.error)
            self._log.warning("command refused", channel=envelope.channel, message=refusal.message, streams=len(streams))
            if not refusal.message.startswith(HELD):
                self._ask_apart(streams, refusal.message or f"code {refusal.code}")
            return
        now = self.last_received
        for stream in streams:
            self.stream_accepted(stream.symbol, stream.channel)
            if stream.channel == "trades" and stream.symbol not in self.trade_feeds:
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

    def numbered(self, rows: list[tuple[int, int, str]]) -> None:
        for number, time, native in rows:
            symbol = self.symbol(native)
            last, run = self._runs.get(symbol, (number - 1, 0))
            if number <= last:
                continue
            if number == last + 1:
                self._runs[symbol] = number, run + 1
                continue
            self._runs[symbol] = number, 0
            if run >= self._steady.get(symbol, STEADY):
                self._suspect(symbol, last, number, time=time)

    def _suspect(self, symbol: str, last: int, number: int, *, time: int) -> None:
        """Trades may be missing between two ids: REST tells. A stall that is open says so already."""
        continuity, feed = self.writer.continuity, self.trade_feed(symbol)
        since = feed.tape.last_time
        if since is None or self.last_received is None or continuity.stalled(symbol, "trades") or not feed.tape.seen.missing(last, number):
            return
        gap = continuity.open_gap(
            self.writer,
            symbol,
            channel="trades",
            kind="sequence",
            now=self.last_received,
            from_time=since,
            from_sequence=last,
            to_sequence=number,
            to_time=time,
        )
        self._suspected[symbol] = last, number
        self.healer.look(feed, gap)

    def _judge(self, symbol: str) -> None:
        """Once a suspected hole is closed: where REST knew none of its ids there was none."""
        last, number = self._suspected.get(symbol, (0, 0))
        continuity = self.writer.continuity
        if not number or any(gap.from_sequence == last for gap in continuity.open_gaps(symbol, "trades")):
            return
        del self._suspected[symbol]
        if continuity.tape(symbol).seen.missing(last, number) == number - last - 1:
            self._steady[symbol] = 4 * self._steady.get(symbol, STEADY)

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
                self.take_futures_rows(wire.decode_futures_trades(body), received=received, rest=True)
        except msgspec.MsgspecError as error:
            raise FrameError(EXCHANGE, f"{request.purpose} answer: {error}") from error
        self.healer.answered(request, received)
        self._judge(request.symbol)
        return Outcome.DECODED

    def tick(self, now: int) -> None:
        """Time passed."""
        super().tick(now)
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

    def _ask_apart(self, streams: list[Stream], reason: str) -> None:
        """A command is refused as a whole: it is asked again by halves, until the streams stand alone that the venue will not give."""
        if len(streams) > 1:
            middle = len(streams) // 2
            self.actions += [SendText(self._command("subscribe", half)) for half in (streams[:middle], streams[middle:])]
        elif self.last_received is not None:
            for stream in streams:
                self.stream_refused(stream.symbol, stream.channel, reason=reason, now=self.last_received)

    def _command(self, event: str, streams: list[Stream]) -> str:
        """The text of a command; the venue refuses those whose time is more than a minute off its own."""
        channel = streams[0].channel
        payload = [self._natives[stream.symbol] for stream in streams]
        if channel == "book":
            payload = [f"ob.{native}.{self._levels}" for native in payload]
        self._commands += 1
        if event == "subscribe":
            self._awaited[str(self._commands)] = streams
        now = self.last_received or self._opened or 0
        command = {"time": now // 1_000_000, "id": self._commands, "channel": f"{self._prefix}.{CHANNELS[channel]}"}
        return wire.encode({**command, "event": event, "payload": payload})

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
        if any((symbol, number) in self._ids for number, _, _ in ready):
            self._agreed.add(symbol)
        if symbol not in self._agreed:
            self._log.warning("missed trades cannot be told apart", symbol=symbol, rows=len(rows))
            return
        feed = self.trade_feed(symbol, contiguous=True)
        for number, time, row in sorted(ready, key=_number):
            feed.take_rest(number, time, received=received, sold=row.side == "sell", price=row.price, amount=row.amount)

    def _trade_page(self, missing: Missing, last: Page | None) -> HttpGet | None:
        """Trades of a span, newest first; the venue takes whole seconds, both ends are widened.

        A page that is full goes on at the second where it ended, page by page where that second alone fills one.
        """
        symbol = missing.symbol
        start, end, page = missing.since // 1_000_000, missing.until // 1_000_000 + 1, 1
        if last is not None:
            former, number = self._asked[symbol]
            behind = missing.after is not None and last.lowest is not None and last.lowest <= missing.after
            if last.rows < TRADES_LIMIT or last.oldest is None or behind:
                return None
            end = min(former, last.oldest // 1_000_000)
            page = number + 1 if end == former else 1
            if page > 1 and not last.new:
                return None
        self._asked[symbol] = end, page
        native = self._natives[symbol]
        if self.spot:
            path, further = f"/spot/trades?currency_pair={native}", f"&page={page}"
        else:
            path, further = f"/futures/{self.plan.market}/trades?contract={native}", f"&offset={(page - 1) * TRADES_LIMIT}"
        url = f"{self._rest}{path}&limit={TRADES_LIMIT}&from={start}&to={end}{further if page > 1 else ''}"
        return HttpGet(url=url, purpose="trades", symbol=symbol)


def _number(row: tuple[int, int, wire.RestSpotTrade]) -> int:
    return row[0]
