"""Rolling windows over forced orders, of the markets somebody watches.

Put here: which events lie in a window now, as they come and go. Keep out: the figures of a window (`lake.transforms.liquidation_windows`).

Two stacks of sums: what is new is added to one, and the other is turned over when what is old has to go. So each event is added twice
at most, and nothing is ever subtracted from a sum.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from lake.transforms.liquidation_windows import Sums, severity
from serving.events import Liquidation, Window

_KEPT_IDS: Final = 10_000


@dataclass(slots=True)
class RollingWindow:
    """Forced orders of one market in the last `seconds`; those without a value in dollars are left out."""

    exchange: str
    symbol: str
    seconds: int
    threshold_usd: float
    changed: bool = False
    whole: bool = False
    waiting: list[Liquidation] = field(default_factory=list)
    _front: list[tuple[int, Sums]] = field(default_factory=list)
    _back: list[tuple[int, Sums]] = field(default_factory=list)
    _back_sums: Sums | None = None
    _ids: dict[str, None] = field(default_factory=dict)

    def add(self, event: Liquidation) -> None:
        """Take an event in, once; before `begin` it waits."""
        if not self.whole:
            self.waiting.append(event)
            return
        if event.value_usd is None or event.liquidation_id in self._ids:
            return
        self._ids[event.liquidation_id] = None
        if len(self._ids) > _KEPT_IDS:
            del self._ids[next(iter(self._ids))]
        sums = Sums.of(side=event.side, price=event.price, amount=event.amount, value_usd=event.value_usd)
        self._back.append((event.timestamp, sums))
        self._back_sums = sums if self._back_sums is None else self._back_sums.then(sums)
        self.changed = True

    def begin(self, events: list[Liquidation]) -> None:
        """Begin with what the lake holds, and take in what came meanwhile."""
        self.whole = True
        waiting, self.waiting = self.waiting, []
        for event in (*events, *waiting):
            self.add(event)
        self.changed = True

    def expire(self, now: int) -> None:
        """Let go of what happened before the window."""
        oldest = now - self.seconds * 1_000_000
        while True:
            if not self._front:
                self._turn()
            if not self._front or self._front[-1][0] >= oldest:
                return
            self._front.pop()
            self.changed = True

    def window(self, now: int) -> Window:
        """The figures of the window that ends now."""
        front = self._front[-1][1] if self._front else None
        sums = front if self._back_sums is None else self._back_sums if front is None else front.then(self._back_sums)
        total = 0.0 if sums is None else sums.total_usd
        return Window(
            exchange=self.exchange,
            symbol=self.symbol,
            timestamp=now,
            window_seconds=self.seconds,
            event_count=0 if sums is None else sums.count,
            total_volume_usd=total,
            buy_volume_usd=0.0 if sums is None else sums.buy_usd,
            sell_volume_usd=0.0 if sums is None else sums.sell_usd,
            vwap=None if sums is None else sums.vwap,
            price_change_pct=None if sums is None else sums.price_change_pct,
            largest_trade_usd=0.0 if sums is None else sums.largest_usd,
            volatility=None if sums is None else sums.volatility,
            severity=severity(total, self.threshold_usd),
        )

    def _turn(self) -> None:
        """Move what is in the back to the front, oldest on top, each with the sums of itself and all after it."""
        waiting = deque(self._back)
        self._back.clear()
        self._back_sums = None
        later: Sums | None = None
        while waiting:
            time, sums = waiting.pop()
            later = sums if later is None else sums.then(later)
            self._front.append((time, later))
