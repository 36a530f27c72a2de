"""HTX `depth.step0`: how books came before the incremental channels (mbp since 2020, high_freq since 2019); still published, not used.

Every frame is the whole book, a second apart. Derivatives marked some frames as `update` until 2020: those set single levels.
Put here: that variant alone. Keep out: incremental books (`session`). Step 1 and above are rounded prices and no book.
"""

from __future__ import annotations

from collectors.books import Follows
from collectors.streamed import BookFrame, StreamedBook


def growing(applied: int, previous: int | None, sequence: int) -> Follows:
    """Frames name the matching engine's number, which only grows; an update holds absolute amounts, whatever lies between."""
    del previous
    return Follows.NEXT if sequence > applied else Follows.STALE


def take(book: StreamedBook, frame: BookFrame, *, update: bool, received: int | None) -> None:
    """Take one frame; one that repeats the engine's number has nothing new."""
    if update:
        book.update(frame, received)
    else:
        book.snapshot(frame, received)
