"""A live OKX socket: subscribes, keeps itself awake, renews single books, asks REST for missed trades.

Put here: what needs somebody to answer. Keep out: what frames mean (`session`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from collectors.errors import FrameError
from collectors.live import LiveBase
from collectors.pages import Missing, Page
from collectors.rows import RowWriter
from collectors.venue import Checksums, ConnectionPlan, HttpGet, Outcome, Reconnect, SendText, Stream
from collectors.venues.okx import messages as wire
from collectors.venues.okx.instruments import TYPES, Names
from collectors.venues.okx.messages import EXCHANGE
from collectors.venues.okx.session import OkxSession

BATCH: Final = 100
PING_AFTER: Final = 20_000_000
"""The venue cuts a socket that was silent for 30 s; it answers a ping."""
DEAD_AFTER: Final = 60_000_000
TRADES_LIMIT: Final = 100
"""Trades in a page of the history; the newest of a symbol come five hundred at once."""
NEWEST_LIMIT: Final = 500
APART_AFTER: Final = 1_000_000
"""A refusal that names nothing is followed up when the acknowledgements of its command have had this long to come, microseconds."""
_STATES: Final = ("funding-rate", "open-interest", "mark-price")


class LiveSession(LiveBase, OkxSession):
    """The life of one socket of a `ConnectionPlan`."""

    counted = True
    # The venue counts commands by the hour; a book that was lost waits for no other's renewal.
    spacing_seconds = 0.05

    def __init__(self, plan: ConnectionPlan, writer: RowWriter, *, endpoints: dict[str, str]) -> None:
        super().__init__(writer, checksums=Checksums(), names=Names(plan.instruments))
        self._rest = endpoints["rest"]
        self._pinged: int | None = None
        self._commands = 0
        self._awaited: dict[str, list[wire.Arg]] = {}
        """By id of a subscription, what has not been acknowledged."""
        self._unclear: dict[str, int] = {}
        """Subscriptions that were refused in part, nobody knows which, and since when."""
        self._refused_states: dict[str, set[str]] = {}
        self.attend(plan)

    def opened(self, now: int | None) -> None:
        """Subscribe to everything, a hundred channels a command."""
        super().opened(now)
        if now is not None:
            self.started = now
        args = list(dict.fromkeys(arg for stream in self.plan.streams for arg in self._args(stream.channel, stream.symbol)))
        for start in range(0, len(args), BATCH):
            self.actions.append(SendText(self._subscription(args[start : start + BATCH])))

    def resubscription(self, stream: Stream) -> tuple[str, str]:
        args = self._args(stream.channel, stream.symbol)
        return self._command("unsubscribe", args), self._subscription(args)

    def renewal(self, native: str) -> Callable[[], None]:
        def renew() -> None:
            self.resubscribe([Stream("book", self.names[native].symbol)])

        return renew

    def confirmed(self, arg: wire.Arg, command: str) -> None:
        now = self.last_received
        awaited = self._awaited.get(command, [])
        if arg in awaited:
            awaited.remove(arg)
        for stream in self._streams(arg):
            if stream.channel != "derivatives":
                self.stream_accepted(stream.symbol, stream.channel)
            match stream.channel:
                case "trades":
                    self.trade_feed(arg.instId)
                    self.acked[stream.symbol] = now
                case "book" if now is not None:
                    self.book(arg.instId, rank=400).awaited(now)
                case "liquidations" if now is not None:
                    self.carries(stream.symbol, stream.channel, now=now)

    def refused(self, envelope: wire.Envelope) -> None:
        """A refusal is of one argument; its text may name it, its id, where it has one, only names the command."""
        self._log.warning("command refused", code=envelope.code, message=envelope.msg)
        command, words = str(envelope.id), set(re.split(r"[^\w-]+", envelope.msg))
        commands = [command] if command in self._awaited else list(self._awaited)
        waiting = [(each, arg) for each in commands for arg in self._awaited[each]]
        named = [(each, arg) for each, arg in waiting if words.issuperset((arg.channel, arg.instId or arg.instType))]
        if not named and len(waiting) > 1 and self.last_received is not None:
            for each, _ in waiting:
                self._unclear.setdefault(each, self.last_received)
            return
        for each, arg in named or waiting:
            self._awaited[each].remove(arg)
            self._refuse(arg, f"{envelope.msg} ({envelope.code})")

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
        except msgspec.MsgspecError as error:
            raise FrameError(EXCHANGE, f"trades answer: {error}") from error
        self.healer.answered(request, received)
        return outcome

    def tick(self, now: int) -> None:
        """Time passed."""
        super().tick(now)
        self._ask_apart(now)
        if self.last_received is None or now - self.last_received <= PING_AFTER:
            return
        if now - self.last_received > DEAD_AFTER:
            self.actions.append(Reconnect("nothing came for a minute, not even an answer to pings"))
            self.last_received = now
        elif self._pinged is None or now - self._pinged > PING_AFTER:
            self._pinged = now
            self.actions.append(SendText("ping"))

    def _args(self, channel: str, symbol: str) -> list[wire.Arg]:
        """What a stream subscribes to."""
        native = self._natives[symbol]
        match channel:
            case "trades" | "book":
                return [wire.Arg(channel="trades" if channel == "trades" else "books", instId=native)]
            case "liquidations":
                return [wire.Arg(channel="liquidation-orders", instType=TYPES[self.plan.market])]
            case _:
                swap = self.plan.market == "swap"
                states = [wire.Arg(channel=name, instId=native) for name in _STATES if name != "funding-rate" or swap]
                return [*states, wire.Arg(channel="index-tickers", instId=native.removesuffix("-SWAP"))] if swap else states

    def _streams(self, arg: wire.Arg) -> list[Stream]:
        """The streams of the plan that a subscription serves."""
        return [stream for stream in self.plan.streams if arg in self._args(stream.channel, stream.symbol)]

    def _subscription(self, args: Sequence[wire.Arg]) -> str:
        """The command that subscribes to `args`; its acknowledgements are awaited."""
        text = self._command("subscribe", args)
        self._awaited[str(self._commands)] = list(args)
        return text

    def _command(self, name: str, args: Sequence[wire.Arg]) -> str:
        self._commands += 1
        return wire.encode({"id": str(self._commands), "op": name, "args": args})

    def _refuse(self, arg: wire.Arg, reason: str) -> None:
        """Say which streams the venue will not give; derivative states come on several channels, and one that comes is enough."""
        now = self.last_received
        for stream in self._streams(arg) if now is not None else ():
            assert now is not None
            if stream.channel == "derivatives":
                lost = self._refused_states.setdefault(stream.symbol, set())
                lost.add(arg.channel)
                if len(lost) < len(self._args(stream.channel, stream.symbol)):
                    continue
            self.stream_refused(stream.symbol, stream.channel, reason=reason, now=now)

    def _ask_apart(self, now: int) -> None:
        """What a command refused in part is asked for again one by one, so that each answer tells."""
        for command, since in list(self._unclear.items()):
            if now - since > APART_AFTER:
                del self._unclear[command]
                self.actions += [SendText(self._subscription([arg])) for arg in self._awaited.pop(command, [])]

    def _trade_page(self, missing: Missing, last: Page | None) -> HttpGet | None:
        """Single trades by id, downwards: the newest first, most holes lie among them, then history from the end of the hole."""
        native = self._natives[missing.symbol]
        if last is None:
            path = f"trades?instId={native}&limit={NEWEST_LIMIT}"
        else:
            floor = missing.first if missing.first is not None else missing.after
            before = last.lowest
            if before is None or (floor is not None and before <= floor):
                return None
            if missing.before is not None:
                before = min(before, missing.before + 1)
            path = f"history-trades?instId={native}&type=1&after={before}&limit={TRADES_LIMIT}"
        return HttpGet(url=f"{self._rest}/api/v5/market/{path}", purpose="trades", symbol=missing.symbol)
