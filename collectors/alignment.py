"""A book made of a diff stream and REST snapshots: buffer, bridge, follow, and start again after a gap.

Put here: the procedure that every venue with REST-aligned books shares; the venue's rule comes in as a `Sequencer`.
Keep out: wire formats, request URLs, rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Final
from weakref import WeakKeyDictionary

import msgspec

from collectors.books import Book, Follows, Levels, Sequencer
from collectors.feeds import BookFeed

MAX_BUFFERED_LEVELS: Final = 500_000
"""Held by the books of one socket together, about 60 MB: three hundred books may wait for their snapshots at a start."""
BUFFERED_FOR: Final = 30_000_000
"""Older updates are let go while a snapshot is awaited, microseconds of the venue's clock: it will be asked for later than they came."""
RETRY_FIRST: Final = 1_000_000
RETRY_LONGEST: Final = 60_000_000
SILENT_START: Final = 5_000_000
"""An acknowledged book that stays silent this long is fetched without waiting for its first update."""
REFRESH_EVERY: Final = 30_000_000
RESTARTED_AFTER: Final = 3
"""So many updates in a row that the book seems to hold, yet follow each other: the venue has begun to count anew."""


class Diff(msgspec.Struct, frozen=True, gc=False):
    """One update of a diff stream: it holds what changed after `previous` (or before `first`) up to `last`.

    `sequences` names the sequence of each bid and each ask, where the venue does; `timestamp` is None where it sends none.
    """

    first: int
    last: int
    previous: int | None
    bids: Levels
    asks: Levels
    timestamp: int | None
    sequences: tuple[Sequence[int], Sequence[int]] | None = None

    def after(self, sequence: int) -> tuple[Levels, Levels]:
        """Bids and asks but those that a book as of `sequence` holds already."""
        if self.sequences is None or self.first > sequence:
            return self.bids, self.asks
        bids = [level for level, number in zip(self.bids, self.sequences[0], strict=True) if number > sequence]
        return bids, [level for level, number in zip(self.asks, self.sequences[1], strict=True) if number > sequence]


class Buffered:
    """Levels that the books of one socket hold while they wait for their snapshots."""

    __slots__ = ("levels",)

    def __init__(self) -> None:
        self.levels = 0


_BUFFERED: Final[WeakKeyDictionary[object, Buffered]] = WeakKeyDictionary()


class DiffBook:
    """One symbol's book, kept by the venue's procedure.

    1. Updates are buffered (the latest half a minute of them) and a snapshot is asked for. 2. A snapshot older than the buffer is thrown
    away and asked for again, the buffer stays. 3. Buffered updates the snapshot holds already are dropped; the first one kept must
    bridge. 4. Afterwards every update must follow the last. One that does not is a gap: nothing lands until a new snapshot is bridged.
    While a live book is refreshed (its price has drifted to the edge of what the snapshot covered) it goes on landing.
    """

    def __init__(self, feed: BookFeed, book: Book, *, rule: Sequencer, depth: int, ask: Callable[[], None] | None) -> None:
        self.feed = feed
        self.confirmed = False
        self._book = book
        self._rule = rule
        self._depth = depth
        self._ask = ask
        self._applied = 0
        self._fresh = False
        self._buffer: list[Diff] = []
        self._buffered_levels = 0
        self._shared = _BUFFERED.setdefault(feed.session, Buffered())
        self._refreshing = False
        self._pending: tuple[int, Levels, Levels] | None = None
        self._outstanding = False
        self._retry_at: int | None = None
        self._silent_since: int | None = None
        self._attempts = 0
        self._stale_last: int | None = None
        self._stale_run = 0
        self._comfort: tuple[float, float] | None = None
        self._refreshed = 0

    def update(self, diff: Diff, received: int | None) -> None:
        """Take one update of the stream."""
        feed = self.feed
        if not feed.live:
            self._hold(diff, received)
            return
        judge = self._rule.after_snapshot if self._fresh else self._rule.after_update
        follows = judge(self._applied, first=diff.first, last=diff.last, previous=diff.previous)
        if follows is Follows.STALE and not self._restarted(diff):
            feed.writer.discard("book_deltas", "stale", rows=len(diff.bids) + len(diff.asks))
            return
        if follows is not Follows.NEXT:
            feed.lost("sequence", now=self._now(diff, received), from_sequence=self._applied, to_sequence=diff.first)
            self.restart()
            self._hold(diff, received)
            return
        self._stale_run = 0
        bids, asks = diff.after(self._applied) if self._fresh else (diff.bids, diff.asks)
        self._fresh = False
        self._applied = diff.last
        self._book.apply(bids, asks)
        feed.changed(bids, asks, timestamp=diff.timestamp, received=received, sequence=diff.last)
        if self._refreshing:
            self._let_go(diff)
            self._buffer.append(diff)
            self._count(len(diff.bids) + len(diff.asks))
            self._align(received)

    def snapshot(self, last_update: int, bids: Levels, asks: Levels, *, received: int | None) -> None:
        """Take a REST snapshot, asked for or not."""
        self._outstanding = False
        feed = self.feed
        if feed.live and not self._refreshing:
            if last_update < self._applied:
                feed.writer.discard("book_deltas", "stale", rows=len(bids) + len(asks))
                return
            self._refreshing = True
        self._pending = (last_update, bids, asks)
        self._align(received)

    def failed(self, now: int) -> None:
        """The snapshot could not be fetched: ask again later, later each time."""
        self._outstanding = False
        if self.feed.live:
            self._refreshing = False
            self._keep([])
            return
        self._wait(now)

    def tick(self, now: int) -> None:
        """Ask again when it is time; look after the edges of a live book."""
        feed = self.feed
        if feed.live:
            feed.sample(now)
            if feed.crossed(now):
                feed.lost("sequence", now=now)
                self.restart()
                self._request()
            elif not self._refreshing and now - self._refreshed > REFRESH_EVERY and self._drifted():
                self._refreshed = now
                self._refreshing = True
                self._request()
        elif not self._outstanding and self._pending is None:
            if self._retry_at is not None:
                if now >= self._retry_at:
                    self._request()
            elif self.confirmed:
                self._silent_since = self._silent_since or now
                if now - self._silent_since > SILENT_START:
                    self._request()

    def restart(self) -> None:
        """Forget the book; what comes next is buffered until a snapshot bridges."""
        self._keep([])
        self._pending = None
        self._refreshing = False
        self._attempts = 0
        self._retry_at = None
        self._silent_since = None
        self._stale_last = None
        self._stale_run = 0

    def _restarted(self, diff: Diff) -> bool:
        """Whether the venue counts anew: one update that seems old is a repetition, several that follow each other are not.

        Behind a new snapshot such a run is the stream catching up with it.
        """
        last, self._stale_last = self._stale_last, diff.last
        if self._fresh:
            return False
        follows = last is not None and self._rule.after_update(last, first=diff.first, last=diff.last, previous=diff.previous)
        self._stale_run = self._stale_run + 1 if follows is Follows.NEXT else 1
        return self._stale_run >= RESTARTED_AFTER

    def _hold(self, diff: Diff, received: int | None) -> None:
        """Step 1: buffer, and ask for the snapshot once the first update is here."""
        feed = self.feed
        levels = len(diff.bids) + len(diff.asks)
        self._let_go(diff)
        if self._shared.levels + levels > MAX_BUFFERED_LEVELS:
            now = self._now(diff, received)
            continuity = feed.writer.continuity
            if not continuity.open_gaps(feed.symbol, "book_deltas"):
                continuity.open_gap(
                    feed.writer, feed.symbol, channel="book_deltas", kind="overflow", now=now, from_time=feed.last_time or now
                )
            self.restart()
        feed.writer.discard("book_deltas", "before snapshot", rows=levels)
        self._buffer.append(diff)
        self._count(levels)
        if self._pending is not None:
            self._align(received)
        elif not self._outstanding and self._retry_at is None:
            self._request()

    def _let_go(self, newest: Diff) -> None:
        """Drop updates that are too old to matter to a snapshot that is still to come."""
        buffer = self._buffer
        if self._ask is None or newest.timestamp is None or self._pending is not None or not buffer:
            # A recording has the snapshot that was asked for then.
            return
        oldest = newest.timestamp - BUFFERED_FOR
        if (buffer[0].timestamp or oldest) < oldest - BUFFERED_FOR // 4:
            self._keep([diff for diff in buffer if diff.timestamp is None or diff.timestamp >= oldest])

    def _keep(self, diffs: list[Diff]) -> None:
        """Hold these updates and no others."""
        self._buffer = diffs
        self._count(sum(len(diff.bids) + len(diff.asks) for diff in diffs) - self._buffered_levels)

    def _count(self, levels: int) -> None:
        self._buffered_levels += levels
        self._shared.levels += levels

    def _align(self, received: int | None) -> None:
        """Steps 2 and 3."""
        if self._pending is None:
            return
        last_update, bids, asks = self._pending
        rule = self._rule
        kept = [d for d in self._buffer if self._after(last_update, d) is not Follows.STALE]
        if not kept:
            if self.feed.live and last_update < self._applied:
                self._stale(self.feed.last_time or 0)
            elif self._buffer or self.feed.live or (self.confirmed and received is not None):
                self._open(last_update, bids, asks, kept, received=received)
            return
        if self._after(last_update, kept[0]) is Follows.AHEAD:
            self._stale(self._now(kept[0], received))
            return
        for place, (before, after) in enumerate(pairwise(kept)):
            if rule.after_update(before.last, first=after.first, last=after.last, previous=after.previous) is Follows.AHEAD:
                self._keep(kept[place + 1 :])
                self._stale(self._now(after, received))
                return
        self._open(last_update, bids, asks, kept, received=received)

    def _now(self, diff: Diff, received: int | None) -> int:
        """The time of a frame, as good as it is known."""
        return received or diff.timestamp or self.feed.last_time or 0

    def _after(self, snapshot: int, diff: Diff) -> Follows:
        return self._rule.after_snapshot(snapshot, first=diff.first, last=diff.last, previous=diff.previous)

    def _open(self, last_update: int, bids: Levels, asks: Levels, kept: list[Diff], *, received: int | None) -> None:
        was_live = self.feed.live
        self._book.load(bids, asks)
        for diff in kept:
            self._book.apply(*diff.after(last_update))
        if not was_live:
            self.feed.updates += len(kept)
        newest = kept[-1] if kept else self._buffer[-1] if self._buffer else None
        self._applied = kept[-1].last if kept else last_update
        self._fresh = not kept
        self._note_comfort(bids, asks)
        self.restart()
        self.feed.opened(
            timestamp=newest.timestamp if newest else None,
            received=received,
            sequence=self._applied,
        )

    def _stale(self, now: int) -> None:
        if self._pending is not None:
            self.feed.writer.discard("book_deltas", "stale snapshot", rows=len(self._pending[1]) + len(self._pending[2]))
        self._pending = None
        if self.feed.live:
            self._refreshing = False
            self._keep([])
        else:
            self._wait(now)

    def _wait(self, now: int) -> None:
        self._retry_at = now + min(RETRY_LONGEST, RETRY_FIRST << min(self._attempts, 16))
        self._attempts += 1

    def _request(self) -> None:
        if self._ask is not None:
            self._outstanding = True
            self._ask()

    def _note_comfort(self, bids: Levels, asks: Levels) -> None:
        """Prices between which the snapshot covers plenty; none where the snapshot holds the whole book."""
        if not bids or not asks or max(len(bids), len(asks)) < self._depth:
            self._comfort = None
            return
        low, bid, ask, high = bids[-1][0], bids[0][0], asks[0][0], asks[-1][0]
        self._comfort = (bid - (bid - low) / 2, ask + (high - ask) / 2)

    def _drifted(self) -> bool:
        if self._comfort is None:
            return False
        bid, ask = self._book.bids.best(), self._book.asks.best()
        return bid is None or ask is None or bid < self._comfort[0] or ask > self._comfort[1]
