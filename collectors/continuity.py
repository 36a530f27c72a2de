"""What outlives a socket, by exchange: trade ids seen, gaps still open, and which socket's book is the one that lands.

Put here: state a new session must find when an old one ends. Keep out: protocol, rows' Arrow shape, sockets.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from collectors.dedup import RecentKeys, SeenIds

if TYPE_CHECKING:
    from collectors.rows import RowWriter

GapKind = Literal["disconnect", "sequence", "checksum", "stall", "overflow"]


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
        self.carriers: dict[tuple[str, str], set[object]] = {}
        """By symbol and dataset, the sessions that have delivered it and still stand."""
        self.gaps: dict[tuple[str, str], list[Gap]] = {}
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

    def open_gaps(self, symbol: str, channel: str) -> list[Gap]:
        """Gaps of a symbol and dataset that are still open, oldest first."""
        return list(self.gaps.get((symbol, channel), ()))

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
