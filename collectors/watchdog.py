"""What is done about streams that fall silent or are refused: a gap, a new subscription, a new socket, the end of the gap.

Put here: the order of these steps and who takes them. Keep out: when a stream counts as silent (watch.py, rhythm.py), sockets.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from collectors.bookfeed import BookFeed
from collectors.connection import Connection
from collectors.continuity import Continuity
from collectors.feeds import TradeFeed
from collectors.rows import EventBuffer
from collectors.session import BaseSession
from collectors.venue import CHANNEL_OF, DATASET_OF, Stream
from collectors.watch import AGAIN_FIRST_US, AGAIN_LONGEST_US, NEVER_SILENT, START_US, Step, StreamKey, Watch

ALL_AT_LEAST: Final = 2
"""So many silent streams, and no other, mean that the socket is dead rather than each of them."""


class Watchdog:
    """Looks after the streams of all planned connections; `lines` holds the one connection of each, or both of its pair."""

    def __init__(self, watch: Watch, events: EventBuffer) -> None:
        self.lines: dict[str, list[Connection]] = {}
        self._behind: dict[tuple[str, StreamKey], tuple[int, int]] = {}
        """By connection and stream: steps taken against a stream that only the other of its pair brings, and when the next is due."""
        self._watch = watch
        self._events = events

    def mark(self, exchange: str) -> None:
        """Stalls taken over from the last life are healed by the first row, as our own are."""
        for (symbol, dataset), gaps in self._events.continuity(exchange).gaps.items():
            count = self._watch.streams.get((exchange, CHANNEL_OF[dataset], symbol))
            if count is not None and any(gap.kind == "stall" for gap in gaps):
                count.silent = True

    def note_sockets(self) -> None:
        """Tell the watch since when each line stands: a pause before is the line's, not the stream's."""
        for name, line in self.lines.items():
            standing = [each.connected_since for each in line if each.connected_since is not None]
            if standing:
                self._watch.since[name] = min(standing)

    def check(self, now: int) -> None:
        """Take the steps that are due at `now`, microseconds."""
        self.note_sockets()
        for name, line in self.lines.items():
            standing = [each for each in line if each.connected_since is not None]
            if standing:
                continuity = self._events.continuity(line[0].plan.exchange)
                keys = self._watch.carried.get(name, [])
                self._retry_refused(keys, standing, continuity, now=now)
                watched = [key for key in keys if not self._opening(key, continuity, now=now)]
                self._act(self._watch.silent(watched, now=now, since=self._watch.since[name]), keys, standing, now=now)
                if len(standing) > 1:
                    self._compare(watched, standing, continuity, now=now)

    def heal(self, keys: Sequence[StreamKey], now: int) -> None:
        """Streams deliver again: end their stalls and refusals."""
        for key in keys:
            exchange, channel, symbol = key
            count = self._watch.streams[key]
            continuity = self._events.continuity(exchange)
            continuity.accepted(symbol, channel)
            gap = continuity.stalled(symbol, DATASET_OF[channel])
            if gap is not None:
                writer = self.lines[count.connection][0].writer
                continuity.heal(writer, gap, by="reconnect", now=now, to_time=count.last_event)

    def _opening(self, key: StreamKey, continuity: Continuity, *, now: int) -> bool:
        """Whether a book is being fetched: it lands nothing meanwhile, and its session asks again by itself."""
        _, channel, symbol = key
        if channel != "book":
            return False
        patience = int(self._watch.policy.first_seconds * 1e6)
        gaps = continuity.gaps.get((symbol, DATASET_OF[channel]), ())
        return any(gap.kind != "stall" and gap.to_time is None and now - gap.noticed < patience for gap in gaps)

    def _act(self, due: list[tuple[StreamKey, Step]], keys: Sequence[StreamKey], standing: Sequence[Connection], *, now: int) -> None:
        if not due:
            return
        first = [key for key, _ in due if self._watch.streams[key].steps == 1]
        for key in first:
            count = self._watch.streams[key]
            since = self._watch.since[count.connection]
            for each in standing:
                stream = _stream(each, key)
                each.log.warning("stream is silent", channel=stream.channel, symbol=key[2], after=round(self._watch.threshold(count), 1))
                each.stalled(Stream(key[1], key[2]), since=max(count.last_event or since, since))
        if len(first) >= ALL_AT_LEAST and not any(self._speaks(key, now) for key in keys):
            for each in standing:
                each.reconnect(f"all of its {len(first)} streams fell silent")
            return
        again = [key for key, step in due if step is Step.RESUBSCRIBE]
        replaced = [key for key, step in due if step is Step.RECONNECT]
        for each in standing:
            wanted = list(dict.fromkeys(_stream(each, key) for key in again))
            beyond = len(wanted) - len(each.resubscribe(wanted)) if wanted else 0
            if replaced or (beyond and first):
                each.replace(f"{len(replaced) or beyond} of its streams stay silent")

    def _speaks(self, key: StreamKey, now: int) -> bool:
        """Whether a stream shows that its socket is alive."""
        count = self._watch.streams[key]
        if count.last_event is None or count.silent:
            return False
        return key[1] in NEVER_SILENT or now - count.last_event < self._watch.policy.floor_seconds * 1e6

    def _compare(self, keys: Sequence[StreamKey], standing: Sequence[Connection], continuity: Continuity, *, now: int) -> None:
        """Of a pair, the socket that does not bring what the other does: renew the stream on it, then replace it, and now and then again.

        No gap: somebody brings the stream.
        """
        for key in keys:
            count = self._watch.streams[key]
            if key[1] not in NEVER_SILENT or count.last_event is None or count.silent or count.refused:
                continue
            heard = _heard(key, continuity, now=now)
            first, patience = int(self._watch.policy.first_seconds * 1e6), int(self._watch.threshold(count) * 1e6)
            # Books are fetched one after the other: one that was never there may still be waiting for its turn.
            start = first if key[1] == "book" else min(START_US, first)
            for each in standing:
                name = each.plan.name
                last, least = (heard[name], 0) if name in heard else (each.connected_since or now, start)
                if count.last_event - last <= max(patience, least):
                    self._behind.pop((name, key), None)
                    continue
                steps, due = self._behind.get((name, key), (0, now))
                if now < due:
                    continue
                wait = patience if steps == 0 else min(AGAIN_LONGEST_US, AGAIN_FIRST_US << min(steps, 10))
                self._behind[name, key] = (steps + 1, now + wait)
                each.log.warning("stream comes over the other socket only", channel=key[1], symbol=key[2])
                if steps == 1 or not each.resubscribe([_stream(each, key)]):
                    each.replace(f"{key[1]} of {key[2]} comes over the other socket only")

    def _retry_refused(self, keys: Sequence[StreamKey], standing: Sequence[Connection], continuity: Continuity, *, now: int) -> None:
        for key in keys:
            _, channel, symbol = key
            refusal = continuity.refusals.get((symbol, channel))
            self._watch.streams[key].refused = refusal.reason if refusal else ""
            if refusal is not None and now >= refusal.retry_at:
                refusal.tried(now)
                for each in standing:
                    each.resubscribe([_stream(each, key)])


def _heard(key: StreamKey, continuity: Continuity, *, now: int) -> dict[str, int]:
    """When each connection last brought a stream, whether it landed or not; those that never did are left out.

    A book that was lost is being fetched by its session: that counts as life.
    """
    _, channel, symbol = key
    feeds: list[BookFeed | TradeFeed] = []
    if channel == "book":
        feeds += [feed for feed in continuity.standing.get(symbol, ()) if isinstance(feed, BookFeed)]
    else:
        carriers = [each for each in continuity.carriers.get((symbol, DATASET_OF[channel]), ()) if isinstance(each, BaseSession)]
        feeds += [each.trade_feeds[symbol] for each in carriers if symbol in each.trade_feeds]
    heard: dict[str, int] = {}
    for feed in feeds:
        last = feed.last_received if isinstance(feed, TradeFeed) else feed.last_time if feed.live else now
        if last is not None:
            name = feed.writer.connection
            heard[name] = max(heard.get(name, 0), last)
    return heard


def _stream(connection: Connection, key: StreamKey) -> Stream:
    """The stream of a connection's plan that carries a key: some channels carry all symbols at once."""
    stream = Stream(key[1], key[2])
    return stream if stream in connection.plan.streams else Stream(key[1], "")
