"""A live Binance socket: subscribes, reads acknowledgements, asks REST for snapshots, open interest and missed trades.

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
from collectors.symbols import SymbolMap
from collectors.venue import ConnectionPlan, HttpGet, Outcome, SendText, Stream
from collectors.venues.binance import messages as wire
from collectors.venues.binance.instruments import EXCHANGE, rest_url
from collectors.venues.binance.plan import stream_names
from collectors.venues.binance.session import MarketSession

BATCH: Final = 100
OPEN_INTEREST_EVERY: Final = 60_000_000
TRADES_LIMIT: Final = 1000
_DEPTH_LIMITS: Final = {"spot": (100, 500, 1000, 5000), "usdm": (5, 10, 20, 50, 100, 500, 1000)}
_DEPTH_WEIGHTS: Final = {
    "spot": {100: 5, 500: 25, 1000: 50, 5000: 250},
    "usdm": {5: 2, 10: 2, 20: 2, 50: 2, 100: 5, 500: 10, 1000: 20},
}


class LiveSession(LiveBase, MarketSession):
    """The life of one socket of a `ConnectionPlan`."""

    def __init__(self, plan: ConnectionPlan, writer: RowWriter, *, endpoints: dict[str, str], depth: int) -> None:
        limits = _DEPTH_LIMITS[plan.market]
        super().__init__(
            writer,
            market=plan.market,
            symbols=SymbolMap(plan.instruments, linear=plan.market == "usdm"),
            depth=next((limit for limit in limits if limit >= depth), limits[-1]),
        )
        self._endpoints = endpoints
        self._streams = stream_names(plan)
        self._names = {stream: name for name, stream in self._streams.items()}
        self._awaited: dict[int, list[Stream]] = {}
        self._commands = 0
        self._interest_at: int | None = None
        self.attend(plan)

    def opened(self, now: int | None) -> None:
        """Subscribe to everything, a hundred streams a command."""
        super().opened(now)
        streams = list(self._names)
        for start in range(0, len(streams), BATCH):
            self.actions.append(SendText(self._subscription(streams[start : start + BATCH])))

    def resubscription(self, stream: Stream) -> tuple[str, str]:
        return self._command("UNSUBSCRIBE", [stream]), self._subscription([stream])

    def answered(self, envelope: wire.Envelope) -> None:
        """An acknowledgement confirms its streams; the venue confirms unknown ones too, so only the silence watchdog knows."""
        streams = self._awaited.pop(envelope.id, []) if isinstance(envelope.id, int) else []
        if envelope.error is not wire.ABSENT or envelope.code is not None:
            said = envelope.msg or bytes(envelope.error).decode(errors="replace")
            self._log.warning("command refused", code=envelope.code, message=said, streams=len(streams))
            self._ask_apart(streams, said or f"code {envelope.code}")
            return
        for stream in streams:
            self.stream_accepted(stream.symbol, stream.channel)
            if stream.channel == "book":
                self.diff_book(stream.symbol).confirmed = True
            elif stream.channel == "trades":
                self._trade_confirmed(stream.symbol)
            elif stream.channel == "liquidations" and self.last_received is not None:
                self.carries(stream.symbol, "liquidations", now=self.last_received)

    def ask_depth(self, symbol: str) -> Callable[[], None]:
        def ask() -> None:
            path = f"/depth?symbol={self._natives[symbol]}&limit={self.depth}"
            weight = _DEPTH_WEIGHTS[self.market][self.depth]
            self._get(path, purpose="depth", symbol=symbol, weight=weight)

        return ask

    def feed_http(self, request: HttpGet, body: bytes, received: int | None) -> Outcome:
        """Take one REST answer; raises `FrameError` when it cannot be decoded."""
        if received is not None:
            self.see(received)
        try:
            match request.purpose:
                case "depth":
                    return self.take_depth_answer(request.symbol, body, received)
                case "open_interest":
                    return self.take_open_interest(body, received)
                case "trades":
                    kind = "aggTrade" if self.market == "usdm" else "trade"
                    outcome = self.take_trades_answer(request.symbol, kind, body=body, received=received)
                    self.healer.answered(request, received)
                    return outcome
                case _:
                    return Outcome.IGNORED
        except msgspec.MsgspecError as error:
            if request.purpose == "depth" and received is not None:
                self.diff_book(request.symbol).failed(received)
            raise FrameError(EXCHANGE, f"{request.purpose} answer: {error}") from error

    def http_failed(self, request: HttpGet, reason: str, now: int) -> None:
        """Snapshots and missed trades are asked for again later; open interest comes round again."""
        super().http_failed(request, reason, now)
        if request.purpose == "depth":
            self.diff_book(request.symbol).failed(now)

    def tick(self, now: int) -> None:
        """Time passed."""
        super().tick(now)
        if self.market == "usdm" and (self._interest_at is None or now >= self._interest_at):
            self._interest_at = now + OPEN_INTEREST_EVERY
            for stream in self.plan.streams:
                if stream.channel == "derivatives":
                    path = f"/openInterest?symbol={self._natives[stream.symbol]}"
                    self._get(path, purpose="open_interest", symbol=stream.symbol, weight=1)

    def closed(self, now: int | None) -> None:
        super().closed(now)
        self.diff_books.clear()

    def _ask_apart(self, streams: list[Stream], reason: str) -> None:
        """A refused command is asked again by halves, until the streams stand alone that the venue will not give."""
        if len(streams) > 1:
            middle = len(streams) // 2
            self.actions += [SendText(self._subscription(half)) for half in (streams[:middle], streams[middle:])]
        elif self.last_received is not None:
            for stream in streams:
                self.stream_refused(stream.symbol, stream.channel, reason=reason, now=self.last_received)

    def _subscription(self, streams: list[Stream]) -> str:
        """The command that subscribes to `streams`; its answer is awaited."""
        text = self._command("SUBSCRIBE", streams)
        self._awaited[self._commands] = streams
        return text

    def _command(self, method: str, streams: list[Stream]) -> str:
        self._commands += 1
        names = [self._names[stream] for stream in streams]
        return msgspec.json.encode({"method": method, "params": names, "id": self._commands}).decode()

    def _trade_confirmed(self, symbol: str) -> None:
        kind = "aggTrade" if self.market == "usdm" else "trade"
        if self.trade_feed(symbol, kind) is not None:
            self.acked[symbol] = self.last_received

    def _trade_page(self, missing: Missing, last: Page | None) -> HttpGet | None:
        """Trades by id, upwards."""
        first = missing.first
        if first is None:
            return None
        if last is not None and last.highest is not None:
            first = max(first, last.highest + 1)
        if missing.before is not None and first >= missing.before:
            return None
        call, weight = ("aggTrades", 20) if self.market == "usdm" else ("historicalTrades", 25)
        query = f"symbol={self._natives[missing.symbol]}&fromId={first}&limit={TRADES_LIMIT}"
        return self._request(f"/{call}?{query}", purpose="trades", symbol=missing.symbol, weight=weight)

    def _get(self, path: str, *, purpose: str, symbol: str, weight: int) -> None:
        self.actions.append(self._request(path, purpose=purpose, symbol=symbol, weight=weight))

    def _request(self, path: str, *, purpose: str, symbol: str, weight: int) -> HttpGet:
        url = rest_url(self._endpoints, self.market, path)
        return HttpGet(url=url, purpose=purpose, symbol=symbol, weight=weight)
