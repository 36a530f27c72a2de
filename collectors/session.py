"""What every session shares: its feeds, the clock of hours, streams that stall or are refused, the gaps its end leaves behind.

Put here: the life of a socket as far as no protocol is needed. Keep out: frames, acks, sequence rules.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from collectors.continuity import Gap
from collectors.feeds import SETTLE_AFTER, BookFeed, TradeFeed, hour_start
from collectors.rows import RowWriter
from collectors.venue import DATASET_OF, Action, SendText, Stream
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

    def tick_books(self, now: int) -> None:
        """Time passed for the books; sessions that keep any look after them here."""

    def holes(self) -> Callable[[TradeFeed, Gap], None] | None:
        """What fetches trades that were missed; None where nobody can be asked."""
        return None

    def confirm_trades(self, now: int) -> None:
        """Count acknowledged trade streams that have stayed silent as standing, and settle holes that another socket was to fill."""
        for feed in self.trade_feeds.values():
            if feed.suspected:
                feed.settle(now)
        for symbol, since in list(self.acked.items()):
            if since is None or now - since > CONFIRM_AFTER:
                del self.acked[symbol]
                if symbol in self.trade_feeds:
                    self.trade_feeds[symbol].confirmed(now, since)

    def admits(self, native: str) -> bool:
        """Whether rows of a native id are decoded and landed: a live socket takes those that are planned, a recording all."""
        del native
        return True

    def resubscription(self, stream: Stream) -> Sequence[str]:
        """Texts that end the subscription of one stream and begin it anew, in their order; none where the venue cannot do so.

        Venue sessions answer this, with whatever they note for the acknowledgement. `stream` is one of those the plan names.
        """
        del stream
        return ()

    def resubscribe(self, streams: Sequence[Stream]) -> list[Stream]:
        """Queue what subscribes to `streams` anew, the others of the socket undisturbed; returns those for which that is possible."""
        renewed: list[Stream] = []
        for stream in streams:
            if texts := self.resubscription(stream):
                self.actions += [SendText(text) for text in texts]
                renewed.append(stream)
        return renewed

    def stream_refused(self, symbol: str, channel: str, *, reason: str, now: int) -> None:
        """The venue refused a stream it was asked for: it shows as refused, leaves a gap, and is tried again after growing waits."""
        continuity = self.writer.continuity
        continuity.refused(symbol, channel, reason=reason, now=now)
        self.stalled(Stream(channel, symbol), since=now, now=now)

    def stream_accepted(self, symbol: str, channel: str) -> None:
        """The venue acknowledged a stream. Only needed for those that may be refused and then stay quiet: a first row says it too."""
        self.writer.continuity.accepted(symbol, channel)

    def stalled(self, stream: Stream, *, since: int, now: int) -> None:
        """Nothing has come of a stream since `since` though it should: open its gap; its next row tells what the silence cost."""
        continuity = self.writer.continuity
        dataset = DATASET_OF[stream.channel]
        last: int | None = None
        if dataset == "trades":
            last = continuity.tape(stream.symbol).seen.last
            if stream.symbol in self.trade_feeds:
                self.trade_feeds[stream.symbol].pause()
        elif dataset == "book_deltas" and stream.symbol in self.book_feeds:
            last = self.book_feeds[stream.symbol].sequence
        continuity.stall(self.writer, stream.symbol, dataset, now=now, from_time=since, from_sequence=last)

    def carries(self, symbol: str, channel: str, *, now: int) -> None:
        """A liquidation or derivative stream stands: note it, and close the gap that its former socket left."""
        self.stream_accepted(symbol, channel)
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
            continuity.leave(feed.symbol, feed)
        for symbol, channel in continuity.drop(self):
            if channel == "book_deltas" or continuity.stalled(symbol, channel):
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
        for trades in self.trade_feeds.values():
            if trades.suspected:
                self._bequeath(trades)
        self.book_feeds.clear()
        self.trade_feeds.clear()
        self.acked.clear()

    def _bequeath(self, trades: TradeFeed) -> None:
        """Leave holes that are not settled to a socket that goes on."""
        for other in self.writer.continuity.carriers.get((trades.symbol, "trades"), ()):
            if isinstance(other, BaseSession) and (heir := other.trade_feeds.get(trades.symbol)) is not None:
                heir.suspected += trades.suspected
                return
        trades.settle(trades.suspected[-1].noticed + SETTLE_AFTER + 1)
