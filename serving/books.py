"""Live order books of the markets somebody watches, kept from their changes.

Put here: the state of a book, and when it is known. Keep out: queues (`serving.feed`) and reading the lake (`serving.seeds`).

A book begins with a snapshot: the venue's when one passes by, else one rebuilt from the lake. While that is awaited changes are kept;
those that the rebuilt book may hold already are taken in again, which changes nothing, for a change says what rests at a price now.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from serving.events import Book, BookDelta


@dataclass(slots=True)
class LiveBook:
    """One book. `known` is false until its first snapshot."""

    exchange: str
    symbol: str
    bids: dict[float, float] = field(default_factory=dict)
    asks: dict[float, float] = field(default_factory=dict)
    known: bool = False
    timestamp: int | None = None
    local_timestamp: int = 0
    ordinal: int = 0
    sequence: int | None = None
    waiting: list[BookDelta] = field(default_factory=list)

    def apply(self, event: Book | BookDelta) -> bool:
        """Take an event in; False where it has to wait for a snapshot."""
        if isinstance(event, Book):
            self.bids, self.asks = dict(event.bids), dict(event.asks)
            self.known = True
            self.waiting.clear()
        elif not self.known:
            self.waiting.append(event)
            return False
        else:
            _change(self.bids, event.bids)
            _change(self.asks, event.asks)
        self.timestamp, self.local_timestamp = event.timestamp, event.local_timestamp
        self.ordinal, self.sequence = event.ordinal, event.sequence
        return True

    def begin(self, snapshot: Book) -> None:
        """Begin with a rebuilt book, unless the venue sent one meanwhile."""
        if self.known:
            return
        waiting = list(self.waiting)
        self.apply(snapshot)
        for event in waiting:
            self.apply(event)

    def snapshot(self) -> Book:
        """The whole book as an event, best levels first."""
        return Book(
            exchange=self.exchange,
            symbol=self.symbol,
            timestamp=self.timestamp,
            local_timestamp=self.local_timestamp,
            ordinal=self.ordinal,
            sequence=self.sequence,
            bids=sorted(self.bids.items(), reverse=True),
            asks=sorted(self.asks.items()),
            origin="rebuilt",
        )


def _change(side: dict[float, float], levels: object) -> None:
    assert isinstance(levels, list | tuple)
    for price, amount in levels:
        if amount:
            side[price] = amount
        else:
            side.pop(price, None)
