"""What outlives a socket, by exchange: trade ids seen, gaps still open, refused streams, which socket's book is the one that lands.

Put here: state a new session must find when an old one ends. Keep out: protocol, rows' Arrow shape, sockets.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from collectors.dedup import RecentKeys, SeenIds

if TYPE_CHECKING:
    from collectors.rows import RowWriter

RETRY_FIRST: Final = 60_000_000
RETRY_LONGEST: Final = 3_600_000_000
"""A stream the venue refused is asked for again after these waits, microseconds: the first one, doubled up to the longest."""

GapKind = Literal["disconnect", "sequence", "checksum", "stall", "overflow"]


@dataclass(slots=True)
class Fetching:
    """How the fetching of what a gap misses stands; outlives sockets as the gap does. Times are microseconds since 1970."""

    by: object | None = None
    """Who is at it now."""
    failures: int = 0
    fruitless: int = 0
    retry_at: int = 0
    given_up: bool = False
    """True once it is known that it cannot be healed."""
    quiet: bool = False
    """True where the stream stood again without a trade: what the venue has last is the end of the gap."""


@dataclass(slots=True, kw_only=True)
class Gap:
    """One gap as it stands in `gaps`; times are microseconds since 1970, sequences exclusive on both ends."""

    symbol: str
    channel: str
    kind: GapKind
    noticed: int
    ordinal: int
    from_time: int
    from_sequence: int | None = None
    to_sequence: int | None = None
    to_time: int | None = None
    last_event: int | None = None
    """Event time of the last trade before a gap of trades, where it is known."""
    fetching: Fetching = field(default_factory=Fetching, compare=False)

    def row(self, healed_at: int | None, healed_by: str | None) -> tuple[object, ...]:
        """The row of `gaps`, exchange left out."""
        known = (self.symbol, None, self.noticed, self.ordinal, self.channel, self.kind)
        return (*known, self.from_sequence, self.to_sequence, self.from_time, self.to_time, healed_at, healed_by)


@dataclass(slots=True)
class Tape:
    """Trades of one symbol: ids seen, and the last of them in time."""

    seen: SeenIds = field(default_factory=SeenIds)
    last_time: int | None = None
    kind: str = ""
    """Which of the venue's id spaces lands, where it has several (trade, aggTrade): the first one met."""


@dataclass(slots=True)
class Refusal:
    """A stream the venue refused; times are microseconds since 1970."""

    reason: str
    retry_at: int
    tries: int = 0

    def tried(self, now: int) -> None:
        """It is asked for again: the next try comes after twice the wait."""
        self.tries += 1
        self.retry_at = now + min(RETRY_LONGEST, RETRY_FIRST << min(self.tries, 16))


class Continuity:
    """State of one exchange that its sessions share and hand on."""

    def __init__(self, exchange: str) -> None:
        self.exchange = exchange
        self.tapes: dict[str, Tape] = {}
        self.keys: dict[str, RecentKeys] = {}
        self.latest: dict[str, int] = {}
        """Newest event time by symbol, for states that are published again and again."""
        self.books: dict[str, object] = {}
        """By symbol, the feed whose frames land; the feeds of other sockets only stand by."""
        self.redundant = False
        """True where two connections carry every stream: their rows merge, and the book of one stands by."""
        self.merging = False
        """True where several sockets may bring the same trades, now and then or always, so that what one lacks another may bring."""
        self.standing: dict[str, list[object]] = {}
        """By symbol, the feeds of all sockets that hold a book of it, where there are two connections."""
        self.carriers: dict[tuple[str, str], set[object]] = {}
        """By symbol and dataset, the sessions that have delivered it and still stand."""
        self.gaps: dict[tuple[str, str], list[Gap]] = {}
        self.refusals: dict[tuple[str, str], Refusal] = {}
        """Streams the venue refused, by symbol and channel."""
        self.acknowledged: set[tuple[str, str]] = set()
        """Symbols and channels whose subscription the venue has acknowledged, where its sessions say so."""
        self.opened_gaps = 0
        self._last_start: dict[tuple[str, str], int] = {}

    def tape(self, symbol: str) -> Tape:
        """The tape of a symbol."""
        return self.tapes.setdefault(symbol, Tape())

    def recent(self, dataset: str) -> RecentKeys:
        """Natural keys of a dataset seen lately."""
        return self.keys.setdefault(dataset, RecentKeys())

    def open_gap(
        self,
        writer: RowWriter,
        symbol: str,
        *,
        channel: str,
        kind: GapKind,
        now: int,
        from_time: int,
        from_sequence: int | None = None,
        to_sequence: int | None = None,
        to_time: int | None = None,
    ) -> Gap:
        """Note a gap and land its open row. Its start is kept unique, because it is part of the row's key."""
        place = (symbol, channel)
        self._last_start[place] = start = max(from_time, self._last_start.get(place, from_time - 1) + 1)
        self.opened_gaps += 1
        gap = Gap(
            symbol=symbol,
            channel=channel,
            kind=kind,
            noticed=now,
            ordinal=self.opened_gaps,
            from_time=start,
            from_sequence=from_sequence,
            to_sequence=to_sequence,
            to_time=to_time,
            last_event=self.tapes[symbol].last_time if channel == "trades" and symbol in self.tapes else None,
        )
        self.gaps.setdefault(place, []).append(gap)
        writer.gap(gap.row(None, None))
        return gap

    def heal(self, writer: RowWriter, gap: Gap, *, by: str, now: int, to_time: int | None = None, to_sequence: int | None = None) -> None:
        """Close a gap and land its row again, complete."""
        gap.to_time = gap.to_time if to_time is None else to_time
        gap.to_sequence = gap.to_sequence if to_sequence is None else to_sequence
        self.gaps[gap.symbol, gap.channel].remove(gap)
        writer.gap(gap.row(now, by))

    def stalled(self, symbol: str, channel: str) -> Gap | None:
        """The stall of a symbol and dataset that nothing has ended yet: what befalls the stream meanwhile is no further gap."""
        return next((gap for gap in self.gaps.get((symbol, channel), ()) if gap.kind == "stall" and gap.to_time is None), None)

    def stall(self, writer: RowWriter, symbol: str, channel: str, *, now: int, from_time: int, from_sequence: int | None) -> None:
        """Open the gap of a silent stream, unless one that is open says already that nothing comes."""
        if not any(gap.to_time is None for gap in self.gaps.get((symbol, channel), ())):
            self.open_gap(writer, symbol, channel=channel, kind="stall", now=now, from_time=from_time, from_sequence=from_sequence)

    def refused(self, symbol: str, channel: str, *, reason: str, now: int) -> None:
        """Note that the venue refused a stream; when it is asked for again is settled by the tries, however often it is refused."""
        known = self.refusals.setdefault((symbol, channel), Refusal(reason, now + RETRY_FIRST))
        known.reason = reason
        self.acknowledged.discard((symbol, channel))

    def accepted(self, symbol: str, channel: str) -> None:
        """A stream stands: it is refused no longer."""
        self.acknowledged.add((symbol, channel))
        self.refusals.pop((symbol, channel), None)

    def open_gaps(self, symbol: str, channel: str) -> list[Gap]:
        """Gaps of a symbol and dataset that are still open, oldest first."""
        return list(self.gaps.get((symbol, channel), ()))

    def stand(self, symbol: str, feed: object) -> None:
        """Note a feed that holds a book of a symbol."""
        feeds = self.standing.setdefault(symbol, [])
        if feed not in feeds:
            feeds.append(feed)

    def leave(self, symbol: str, feed: object) -> None:
        """Forget a feed whose socket is gone."""
        if feed in self.standing.get(symbol, ()):
            self.standing[symbol].remove(feed)

    def carry(self, session: object, symbol: str, channel: str) -> None:
        """Note that a session delivers rows of a symbol and dataset."""
        self.carriers.setdefault((symbol, channel), set()).add(session)

    def drop(self, session: object) -> list[tuple[str, str]]:
        """Forget a session; returns symbols and datasets that nobody delivers any more."""
        orphans = []
        for place, sessions in self.carriers.items():
            if session in sessions:
                sessions.discard(session)
                if not sessions:
                    orphans.append(place)
        return orphans
