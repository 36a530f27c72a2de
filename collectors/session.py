"""What every session shares: its feeds, the clock of hours, and the gaps its end leaves behind.

Put here: the life of a socket as far as no protocol is needed. Keep out: frames, acks, sequence rules.
"""

from __future__ import annotations

from collectors.feeds import BookFeed, TradeFeed, hour_start
from collectors.rows import RowWriter
from collectors.venue import Action
from lake.paths import HOUR_US

CONFIRM_AFTER = 60_000_000
"""An acknowledged trade stream counts as standing after this long without a trade, microseconds."""


class BaseSession:
    """Feeds of one socket by symbol, and what becomes of them with time. Times are microseconds since 1970."""

    spacing_seconds = 0.3

    def __init__(self, writer: RowWriter) -> None:
        self.actions: list[Action] = []
        self.writer = writer
        self.book_feeds: dict[str, BookFeed] = {}
        self.trade_feeds: dict[str, TradeFeed] = {}
        self.last_received: int | None = None
        self.acked: dict[str, int | None] = {}
        """Trade streams by symbol and when they were acknowledged, until their first trade."""
        self.next_hour = 0
        """Start of the next hour, microseconds; 0 until the clock is known."""

    def see(self, now: int) -> None:
        """Something arrived at `now`. Sessions write this out where every frame passes."""
        self.last_received = now
        if now >= self.next_hour:
            self.see_time(now)

    def see_time(self, now: int) -> None:
        """The clock has reached `now`: open the hour when a new one has begun."""
        if now < self.next_hour:
            return
        known, hour = self.next_hour, hour_start(now)
        self.next_hour = hour + HOUR_US
        if known:
            for feed in self.book_feeds.values():
                feed.open_hour(hour)

    def confirm_trades(self, now: int) -> None:
        """Count acknowledged trade streams that have stayed silent as standing."""
        for symbol, since in list(self.acked.items()):
            if since is None or now - since > CONFIRM_AFTER:
                del self.acked[symbol]
                if symbol in self.trade_feeds:
                    self.trade_feeds[symbol].confirmed(now, since)

    def carries(self, symbol: str, channel: str, *, now: int) -> None:
        """A liquidation or derivative stream stands: note it, and close the gap that its former socket left."""
        continuity = self.writer.continuity
        continuity.carry(self, symbol, channel)
        for gap in continuity.open_gaps(symbol, channel):
            continuity.heal(self.writer, gap, by="reconnect", now=now, to_time=now)

    def closed(self, now: int | None) -> None:
        """The socket is gone: open a gap for each stream that nobody else carries on."""
        continuity = self.writer.continuity
        since = self.last_received
        for feed in self.book_feeds.values():
            end = now if now is not None else feed.last_time
            if feed.lands and end is not None:
                feed.lost("disconnect", now=end)
            if continuity.books.get(feed.symbol) is feed:
                del continuity.books[feed.symbol]
            feed.live = False
        for symbol, channel in continuity.drop(self):
            if channel == "book_deltas":
                continue
            tape = continuity.tapes.get(symbol) if channel == "trades" else None
            last = tape.last_time if tape else continuity.latest.get(symbol)
            from_time = since if since is not None else last
            noticed = now if now is not None else from_time
            if from_time is None or noticed is None:
                continue
            continuity.open_gap(
                self.writer,
                symbol,
                channel=channel,
                kind="disconnect",
                now=noticed,
                from_time=from_time,
                from_sequence=tape.seen.last if tape else None,
            )
        self.book_feeds.clear()
        self.trade_feeds.clear()
        self.acked.clear()
