"""What each stream delivers: rows, last event, gaps, and the silence that means a venue dropped a stream without an error.

Put here: counters per exchange, channel and symbol, made from the batches on their way to the log, and the rule of silence.
Keep out: sockets, what is done about a silence (watchdog.py), how a threshold is learnt (rhythm.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from collectors.rhythm import Rhythm, SilencePolicy
from collectors.venue import CHANNEL_OF
from lake.paths import HOUR_US

NEVER_SILENT: Final = ("trades", "book")
"""Channels that speak as long as the market does; the silence of the others is normal."""
START_US: Final = 60_000_000
"""On a new socket a stream of known rhythm is given at least this long, microseconds: subscriptions are paced."""
AGAIN_FIRST_US: Final = 60_000_000
AGAIN_LONGEST_US: Final = 3_600_000_000
"""A stream that neither a subscription nor a socket brought back is subscribed again after these waits: doubled up to the longest."""

StreamKey = tuple[str, str, str]
"""(exchange, channel, symbol)."""


class Step(Enum):
    """What a silence asks for: first only that stream anew, then a new socket, then that stream now and then."""

    RESUBSCRIBE = "resubscribe"
    RECONNECT = "reconnect"


@dataclass(slots=True)
class StreamCount:
    """What one stream has delivered since the collector started; times are receive times in microseconds."""

    connection: str
    """Name of the planned connection that carries it."""
    rows: int = 0
    gaps: int = 0
    last_event: int | None = None
    rhythm: Rhythm = field(default_factory=Rhythm)
    silent: bool = False
    """True from the moment its silence was noticed until it delivers again."""
    refused: str = ""
    """Why the venue refuses it, empty while it does not."""
    steps: int = 0
    """Steps taken against the silence that lasts."""
    step_at: int = 0


class Watch:
    """Counts rows by stream, and finds streams that have fallen silent."""

    def __init__(self, policy: SilencePolicy | None = None) -> None:
        self.policy = policy or SilencePolicy()
        self.streams: dict[StreamKey, StreamCount] = {}
        self.carried: dict[str, list[StreamKey]] = {}
        """Streams of each planned connection."""
        self.unlisted: dict[str, set[str]] = {}
        """By exchange, wanted symbols that are no longer listed; their silence is no stall."""
        self.since: dict[str, int] = {}
        """When the socket of each planned connection opened; pauses that reach behind it are not the stream's own."""
        self._start = min(START_US, int(self.policy.first_seconds * 1e6))
        self._unwatched = StreamCount(connection="")

    def expect(self, exchange: str, channel: str, symbol: str, *, connection: str) -> None:
        """Watch a stream that `connection` carries; empty where none does, because its symbol is not listed."""
        key = (exchange, channel, symbol)
        if key not in self.streams or not self.streams[key].connection:
            self.streams[key] = StreamCount(connection)
            self.carried.setdefault(connection, []).append(key)

    def observe(self, batches: Mapping[str, pa.RecordBatch]) -> list[StreamKey]:
        """Count the rows of one flush; returns the streams that were silent or refused and delivered again."""
        back: list[StreamKey] = []
        for dataset, channel in CHANNEL_OF.items():
            batch = batches.get(dataset)
            if batch is None:
                continue
            for exchange, symbol, rows, last in _by_symbol(batch):
                key = (exchange, channel, symbol)
                count = self.streams.get(key, self._unwatched)
                count.rows += rows
                if last is None:
                    # Fetched over REST: no sign of life of the stream.
                    continue
                if channel == "book" and (count.silent or count.refused) and last % HOUR_US == 0:
                    # The book as it stood, written out when an hour opens: nobody has sent it.
                    continue
                if self._lives(count, last):
                    back.append(key)
        if (gaps := batches.get("gaps")) is not None:
            opened = gaps.filter(pc.is_null(gaps["healed_at"]))
            for exchange, symbol, dataset in zip(*(opened[name].to_pylist() for name in ("exchange", "symbol", "channel")), strict=True):
                self.streams.get((exchange, CHANNEL_OF.get(dataset, dataset), symbol), self._unwatched).gaps += 1
        return back

    def _lives(self, count: StreamCount, last: int) -> bool:
        """Note a sign of life at `last`; True when it ends a silence or a refusal."""
        before = count.last_event
        if count.silent or count.refused:
            if count.silent and before is not None and last > before:
                count.rhythm.alarmed((last - before) / 1e6, self.policy)
            count.silent, count.refused, count.steps = False, "", 0
            count.last_event = last
            return True
        if before is not None and self.since.get(count.connection, 0) <= before < last:
            count.rhythm.heard((last - before) / 1e6)
        count.last_event = last if before is None else max(before, last)
        return False

    def threshold(self, count: StreamCount) -> float:
        """Seconds of silence from which on a stream counts as silent."""
        return count.rhythm.threshold(self.policy)

    def silent(self, keys: Iterable[StreamKey], *, now: int, since: int) -> list[tuple[StreamKey, Step]]:
        """Of `keys`, streams that something is to be done about now; their socket opened at `since`. Times in microseconds.

        A stream that falls silent is to be subscribed anew, after another threshold its socket is to be replaced, and from then on it is
        subscribed now and then, until it delivers.
        """
        found: list[tuple[StreamKey, Step]] = []
        for key in keys:
            count = self.streams[key]
            if key[1] not in NEVER_SILENT or count.refused or key[2] in self.unlisted.get(key[0], ()):
                continue
            if count.silent:
                if now < max(count.step_at, since + self._start):
                    continue
            elif now <= self._patience_ends(count, since):
                continue
            count.silent = True
            count.steps += 1
            again = AGAIN_FIRST_US << min(max(count.steps - 2, 0), 10)
            wait = int(self.threshold(count) * 1e6) if count.steps == 1 else min(AGAIN_LONGEST_US, again)
            count.step_at = now + wait
            found.append((key, Step.RECONNECT if count.steps == 2 else Step.RESUBSCRIBE))
        return found

    def _patience_ends(self, count: StreamCount, since: int) -> int:
        patience = int(self.threshold(count) * 1e6)
        if count.last_event is not None and count.last_event >= since:
            return count.last_event + patience
        return since + max(patience, self._start)


def _by_symbol(batch: pa.RecordBatch) -> Iterable[tuple[str, str, int, int | None]]:
    """(exchange, symbol, rows, greatest receive time of those that a stream brought, microseconds) of a batch; 1 ms for 50,000 rows."""
    times = batch["local_timestamp"].cast(pa.int64())
    if "source" in batch.schema.names:
        times = pc.if_else(pc.equal(batch["source"], "stream"), times, pa.scalar(None, pa.int64()))
    narrow = pa.table([batch["exchange"], batch["symbol"], times], names=["exchange", "symbol", "at"])
    grouped = narrow.group_by(["exchange", "symbol"], use_threads=False).aggregate([([], "count_all"), ("at", "max")])
    return zip(*(grouped[name].to_pylist() for name in ("exchange", "symbol", "count_all", "at_max")), strict=True)
