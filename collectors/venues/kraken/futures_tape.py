"""The trades of one Kraken Futures product: a UUID each, which is what lands, and a count, which tells what is missing.

Put here: following the count. Keep out: frames (`futures`), requests for what is missing (`futures_live`).
"""

from __future__ import annotations

from collections.abc import Callable

from collectors.continuity import Gap
from collectors.feeds import TradeFeed
from collectors.rows import RowWriter


class CountedFeed(TradeFeed):
    """Trades that REST knows by their UUID alone, so that what was fetched is told complete by its times, not by the count."""

    __slots__ = ()

    def __init__(self, writer: RowWriter, symbol: str, *, session: object, holes: Callable[[TradeFeed, Gap], None] | None) -> None:
        super().__init__(writer, symbol, session=session, contiguous=False, holes=holes)

    def take_counted(
        self, count: int, identity: str, timestamp: int, *, received: int | None, sold: bool, price: float, amount: float
    ) -> None:
        """Land one trade of the stream unless its id has landed, after what its count says was missed before it."""
        self.note(count, timestamp, received=received)
        self.take_keyed(identity, timestamp, received=received, sold=sold, price=price, amount=amount)

    def note(self, count: int, timestamp: int, *, received: int | None) -> None:
        """Follow the count alone, of a trade that may not land, too."""
        seen = self.tape.seen
        last = seen.last
        seen.add(count)
        skipped = last is not None and count > last + 1
        if self._carrying:
            if skipped and last is not None:
                self._hole(count, timestamp, last=last, received=received)
            return
        silent = [gap for gap in self.writer.continuity.open_gaps(self.symbol, "trades") if gap.to_time is None]
        # Without a count from before, after a restart, a silence may have cost anything.
        self._seeks = skipped or last is None
        self._first(count, timestamp, last=last, received=received)
        if skipped and last is not None and not silent:
            self._hole(count, timestamp, last=last, received=received)
