"""What frames that a socket lost may have cost its trades. Each trade comes twice (te, then tu), so one lost frame costs none.

The procedure: 1. The count over all frames of the socket shows a loss, not whose it was. 2. From the second frame lost within half a
minute on, trades of every symbol may be missing: a gap opens for each, from the last trade before the first loss. 3. Once no more is lost
the trades are subscribed to anew: a subscription begins with the last trades of the pair. Where they reach back over the gap it is healed,
else it ends with the oldest of them and is fetched over REST. 4. What was lost before a subscription began is known with it: the symbol
counts from none again, so that each gap stands for two lost frames of its own.
Put here: that procedure. Keep out: frames, requests.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from collectors.continuity import Gap
from collectors.feeds import TradeFeed
from collectors.rows import RowWriter

PAIRED_WITHIN: Final = 30_000_000
"""Between te and tu of a trade lie seconds at most; lost frames further apart cannot have been both of one trade."""
CALM_AFTER: Final = 1_000_000
"""So long after the last loss trades come whole again, microseconds."""
QUIET_AFTER: Final = 30_000_000
"""Where the new subscription has not come by then, what REST has last ends the gap."""

Place: TypeAlias = tuple[int, int | None]
"""Time and id of a trade."""


@dataclass(slots=True)
class Doubt:
    """Frames lost of late that may have held trades of a symbol, and its last trade before the first of them."""

    time: int
    number: int | None
    frames: int = 0


class Losses:
    """Losses of one socket. Times are microseconds since 1970; `renew` subscribes to the trades of a symbol anew."""

    def __init__(self, writer: RowWriter, renew: Callable[[str], None]) -> None:
        self.open: dict[str, Gap] = {}
        """By symbol, the gap whose end is not known yet."""
        self._writer = writer
        self._renew = renew
        self._renewed: set[str] = set()
        self._last: int | None = None
        self._restless: int | None = None
        """The last loss or disorder, until it was calm after it."""
        self._doubts: dict[str, Doubt] = {}

    def frames(self, count: int, feeds: dict[str, TradeFeed], *, now: int) -> None:
        """Steps 1 and 2: so many frames were lost just now; none where one only came late."""
        self._restless = now
        if not count:
            return
        if self._last is not None and now - self._last > PAIRED_WITHIN:
            self._doubts.clear()
        self._last = now
        for symbol, feed in feeds.items():
            if feed.tape.last_time is None:
                continue
            doubt = self._doubts.setdefault(symbol, Doubt(feed.tape.last_time, feed.tape.seen.last))
            doubt.frames += count
            if doubt.frames < 2 or symbol in self.open:
                continue
            gap = self._writer.continuity.open_gap(
                self._writer, symbol, channel="trades", kind="sequence", now=now, from_time=doubt.time, from_sequence=doubt.number
            )
            gap.last_event = doubt.time
            self.open[symbol] = gap

    def calmed(self, now: int) -> bool:
        """True once after each loss, when no more has been lost for a while."""
        if self._restless is None or now - self._restless <= CALM_AFTER:
            return False
        self._restless = None
        return True

    def tick(self, now: int) -> None:
        """Step 3, when it is time."""
        if not self.open or self._last is None or now - self._last <= CALM_AFTER:
            return
        for symbol in self.open.keys() - self._renewed:
            self._renewed.add(symbol)
            self._renew(symbol)
        if now - self._last > QUIET_AFTER:
            self.closed(now)

    def began(self, symbol: str, oldest: Place) -> None:
        """Step 4: a subscription to the trades of a symbol began, with this as the first one it knows.

        Where it heals the gap, say so before by `forget`.
        """
        gap = self.open.get(symbol)
        if gap is not None and symbol in self._renewed:
            gap.to_sequence = oldest[1]
            self._end(gap, oldest[0])
        if symbol not in self.open:
            self._doubts.pop(symbol, None)

    def forget(self, gap: Gap) -> None:
        """A gap is being healed."""
        if self.open.get(gap.symbol) is gap:
            del self.open[gap.symbol]
            self._renewed.discard(gap.symbol)
            self._doubts.pop(gap.symbol, None)

    def closed(self, now: int) -> None:
        """The socket is gone, or no subscription began: the end of what is open is not known."""
        for gap in list(self.open.values()):
            gap.fetching.quiet = True
            self._end(gap, now)

    def _end(self, gap: Gap, time: int) -> None:
        gap.to_time = time
        self._writer.gap(gap.row(None, None))
        self.forget(gap)
