"""Order book and depth: everything moves live, so what is read is only which exchanges keep a book of the symbol.

Put here: that list. Keep out: books (`serving.keeping`).
"""

from __future__ import annotations

from typing import Final

from serving.dashboard.asked import HOUR_US, Answer, Asked, Page, Room
from serving.times import day_of, moment_of, now_us

_KNOWN: Final = "SELECT DISTINCT exchange FROM book_snapshots WHERE date >= ? AND local_timestamp >= ? AND symbol = ? ORDER BY exchange"


def read(room: Room, asked: Asked) -> Answer:
    """Exchanges of which a book of the symbol came within the hour."""
    asked.with_symbol()
    since = now_us() - HOUR_US
    found = room.reader.rows_now(_KNOWN, [day_of(since), moment_of(since), asked.symbol])
    return {"exchanges": found["exchange"].to_pylist()}


PAGE: Final = Page(name="book", title="Order book", read=read, seconds=10.0, needs=("symbol",))
