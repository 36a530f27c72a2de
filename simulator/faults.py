"""What can go wrong on purpose: descriptions of faults, when they are due, and whom they hit.

What belongs here: reading `kind:exchange:symbol:channel:after[:duration]`, the list of armed faults, judging one message
or request. What does not: carrying them out (streams.py for frames, server.py for sockets and HTTP).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from simulator.errors import InvalidFault

FRAME_KINDS = frozenset({"drop_delta", "duplicate", "reorder", "corrupt", "bad_checksum", "stall"})
REQUEST_KINDS = frozenset({"slow_snapshot", "http_429", "stale_snapshot"})
DOOR_KINDS = frozenset({"refuse"})
# These happen once, at their moment: sockets are cut, sockets are told that the venue goes down, book sequences start over.
EVENT_KINDS = frozenset({"disconnect", "shutdown", "id_reset"})
KINDS = FRAME_KINDS | REQUEST_KINDS | DOOR_KINDS | EVENT_KINDS
CHANNELS = frozenset({"trades", "book", "ticker", "mark", "liquidations", "instruments", "rest", "*"})
CHANNEL_ALIASES = {
    "trade": "trades",
    "aggtrade": "trades",
    "depth": "book",
    "bookticker": "ticker",
    "markprice": "mark",
    "forceorder": "liquidations",
    "instrument": "instruments",
    "snapshot": "rest",
    "": "*",
}
# These last; without a duration they would be over before anyone could notice.
NEED_DURATION = {"stall": 10.0, "slow_snapshot": 5.0, "refuse": 5.0}
# Faults of book deltas alone: hitting a trade would lose it without the mark that the fault is about.
ONLY_BOOK = frozenset({"drop_delta", "bad_checksum"})
FORM = "kind:exchange:symbol:channel:after_seconds[:duration_seconds]"


@dataclass(slots=True)
class Fault:
    """One fault. Without duration it hits one message or request; with one, everything until it is over.

    `most` bounds how many sockets a disconnect cuts; 0 is all that match.
    """

    kind: str
    exchange: str
    symbol: str
    channel: str
    after_s: float
    duration_s: float
    most: int = 0
    due_us: int = 0
    hits: int = 0
    started: bool = False

    @property
    def end_us(self) -> int:
        return self.due_us + int(self.duration_s * 1e6)

    def matches(self, exchange: str, symbol: str, channel: str) -> bool:
        return self.exchange in {"*", exchange} and self.symbol in {"*", symbol} and self.channel in {"*", channel}

    def over(self, now_us: int) -> bool:
        return now_us >= self.end_us if self.duration_s else self.hits > 0


def make(
    kind: str,
    *,
    exchange: str = "*",
    symbol: str = "*",
    channel: str = "*",
    after_s: float = 0.0,
    duration_s: float = 0.0,
    most: int = 0,
) -> Fault:
    """A fault from its parts, checked; channels may be named as the venue names them."""
    if kind == "stale snapshot":
        kind = "stale_snapshot"
    if kind not in KINDS:
        raise InvalidFault(kind, expected=f"one of the kinds {', '.join(sorted(KINDS))}")
    name = CHANNEL_ALIASES.get(channel.lower(), channel.lower())
    if name not in CHANNELS:
        raise InvalidFault(f"{kind} on channel {channel}", expected=f"one of the channels {', '.join(sorted(CHANNELS))}")
    if after_s < 0 or duration_s < 0:
        raise InvalidFault(f"{kind} after {after_s} for {duration_s}", expected="times of at least 0 seconds")
    if kind in ONLY_BOOK and name == "*":
        name = "book"
    return Fault(kind, exchange or "*", symbol or "*", name, after_s, duration_s or NEED_DURATION.get(kind, 0.0), most)


def parse(text: str) -> Fault:
    """A fault from its command-line form; the symbol of a perpetual may itself hold a colon."""
    parts = text.split(":")
    numbers: list[float] = []
    while len(parts) > 4 and len(numbers) < 2:
        try:
            numbers.insert(0, float(parts[-1]))
        except ValueError:
            break
        parts.pop()
    if len(parts) < 4 or not numbers:
        raise InvalidFault(text, expected=FORM)
    kind, exchange, *symbol, channel = parts
    duration = numbers[1] if len(numbers) == 2 else 0.0
    return make(kind, exchange=exchange, symbol=":".join(symbol), channel=channel, after_s=numbers[0], duration_s=duration)


@dataclass(slots=True)
class Faults:
    """The armed faults. `on_start` hears of each fault when it begins to act (for the ledger)."""

    on_start: Callable[[Fault, int], None] | None = None
    now_us: int = 0
    armed: list[Fault] = field(default_factory=list)
    active: list[Fault] = field(default_factory=list)

    def arm(self, fault: Fault, *, now_us: int) -> None:
        """Start a fault's clock."""
        self.now_us = max(self.now_us, now_us)
        fault.due_us = self.now_us + int(fault.after_s * 1e6)
        self.armed.append(fault)
        self.tick(self.now_us)

    def end(self) -> int:
        """End every fault, those that have not begun too; returns how many."""
        ended = len(self.armed) + len(self.active)
        self.armed, self.active = [], []
        return ended

    def tick(self, now_us: int) -> list[Fault]:
        """Move the clock; returns faults that have just come due."""
        self.now_us = now_us
        due = [fault for fault in self.armed if fault.due_us <= now_us]
        if due:
            self.armed = [fault for fault in self.armed if fault.due_us > now_us]
            for fault in due:
                fault.started = True
                self.active.append(fault)
                if self.on_start is not None:
                    self.on_start(fault, now_us)
        if self.active:
            self.active = [fault for fault in self.active if not fault.over(now_us)]
        return due

    def judge(self, exchange: str, symbol: str, channel: str) -> str | None:
        """Which frame fault, if any, hits a message that is about to go out."""
        return self._hit(FRAME_KINDS, exchange, symbol, channel)

    def request(self, kind: str, exchange: str, symbol: str) -> Fault | None:
        """The fault of one kind that hits a request or handshake, if any."""
        for fault in self.active:
            if fault.kind == kind and fault.exchange in {"*", exchange} and fault.symbol in {"*", symbol} and not fault.over(self.now_us):
                fault.hits += 1
                return fault
        return None

    def due_events(self) -> list[Fault]:
        """Disconnects, shutdowns and restarts of ids that have come due; each is handed out once."""
        due = [fault for fault in self.active if fault.kind in EVENT_KINDS]
        for fault in due:
            fault.hits += 1
        if due:
            self.active = [fault for fault in self.active if fault.kind not in EVENT_KINDS]
        return due

    def _hit(self, kinds: frozenset[str], exchange: str, symbol: str, channel: str) -> str | None:
        for fault in self.active:
            if fault.kind in kinds and fault.matches(exchange, symbol, channel) and not fault.over(self.now_us):
                fault.hits += 1
                return fault.kind
        return None
