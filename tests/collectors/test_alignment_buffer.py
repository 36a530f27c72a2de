"""What books hold while their snapshots are awaited stays bounded, and what is held is enough to align with a late snapshot."""

from __future__ import annotations

import gc

import pytest

from collectors import alignment
from collectors.alignment import BUFFERED_FOR, Diff, DiffBook
from collectors.bookfeed import BookFeed
from collectors.books import Book, SpotDiff
from collectors.rows import EventBuffer
from collectors.session import BaseSession

T0 = 1_764_000_000_000_000
STEP = 100_000


class Waiting:
    """Books of one socket, none of which gets its snapshot unless it is given."""

    def __init__(self, *symbols: str) -> None:
        self.events = EventBuffer()
        self.session = BaseSession(self.events.writer("toy", "toy-0"))
        self.asked: list[str] = []
        self.books = {symbol: self._book(symbol) for symbol in symbols}

    def _book(self, symbol: str) -> DiffBook:
        book = Book()
        feed = self.session.book_feeds[symbol] = BookFeed(self.session.writer, symbol, session=self.session, book=book)
        return DiffBook(feed, book, rule=SpotDiff(), depth=100, ask=lambda: self.asked.append(symbol))

    def update(self, symbol: str, number: int, *, levels: int = 1) -> None:
        """Update `number` of a book, a tenth of a second after the one before."""
        at = T0 + number * STEP
        bids = [(100.0 - level / 100, float(number)) for level in range(levels)]
        self.books[symbol].update(Diff(number, number, None, bids, [], at), at + 5)

    @property
    def held(self) -> int:
        return alignment._BUFFERED[self.session].levels

    def gaps(self) -> list[str]:
        drained = self.events.drain()
        return [row["kind"] for row in drained["gaps"].to_pylist()] if "gaps" in drained else []


def test_only_the_latest_half_a_minute_is_held_and_aligns_with_a_snapshot_that_comes_late() -> None:
    socket = Waiting("BTC/USDT")
    for number in range(1, 1801):
        socket.update("BTC/USDT", number)

    assert BUFFERED_FOR // STEP <= socket.held <= BUFFERED_FOR * 5 // 4 // STEP + 1
    assert socket.asked == ["BTC/USDT"]

    socket.books["BTC/USDT"].snapshot(1750, [(99.0, 1.0)], [(101.0, 1.0)], received=T0 + 1801 * STEP)

    assert socket.session.book_feeds["BTC/USDT"].live
    assert socket.session.book_feeds["BTC/USDT"].book.levels()[0] == [(100.0, 1800.0), (99.0, 1.0)]
    assert socket.held == 0


def test_a_snapshot_older_than_what_is_held_is_asked_for_again() -> None:
    socket = Waiting("BTC/USDT")
    for number in range(1, 1801):
        socket.update("BTC/USDT", number)

    book = socket.books["BTC/USDT"]
    book.snapshot(100, [(99.0, 1.0)], [(101.0, 1.0)], received=T0 + 1801 * STEP)
    book.tick(T0 + 1801 * STEP + 2_000_000)

    assert not socket.session.book_feeds["BTC/USDT"].live
    assert socket.asked == ["BTC/USDT"] * 2


def test_all_books_of_a_socket_share_one_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alignment, "MAX_BUFFERED_LEVELS", 1000)
    symbols = [f"S{number}/USDT" for number in range(10)]
    socket = Waiting(*symbols)
    for number in range(1, 60):
        for symbol in symbols:
            socket.update(symbol, number, levels=5)
            assert socket.held <= 1000

    assert set(socket.gaps()) == {"overflow"}


def test_a_socket_that_ends_takes_what_it_held_with_it() -> None:
    gc.collect()
    before = len(alignment._BUFFERED)
    socket = Waiting("BTC/USDT")
    socket.update("BTC/USDT", 1)
    assert len(alignment._BUFFERED) == before + 1

    del socket
    gc.collect()

    assert len(alignment._BUFFERED) == before


def live(*, applied: int) -> Waiting:
    """One book that has taken update `applied` behind its snapshot."""
    socket = Waiting("BTC/USDT")
    socket.update("BTC/USDT", applied)
    socket.books["BTC/USDT"].snapshot(applied - 1, [(99.0, 1.0)], [(101.0, 1.0)], received=T0 + applied * STEP)
    assert socket.session.book_feeds["BTC/USDT"].live
    return socket


def test_updates_that_count_from_the_beginning_again_are_a_gap_and_a_new_snapshot_is_asked_for() -> None:
    socket = live(applied=5_000)
    for number in (1, 2, 3):
        socket.update("BTC/USDT", number)

    assert socket.gaps() == ["sequence"]
    assert socket.asked == ["BTC/USDT"] * 2
    socket.books["BTC/USDT"].snapshot(2, [(98.0, 1.0)], [(101.0, 1.0)], received=T0 + 5_001 * STEP)
    assert socket.session.book_feeds["BTC/USDT"].book.levels()[0] == [(100.0, 3.0), (98.0, 1.0)]


@pytest.mark.parametrize("again", [(5_000, 5_000, 5_000), (4_998, 4_999), (4_990, 4_992, 4_994, 4_996)], ids=["same", "two", "scattered"])
def test_updates_that_come_once_more_are_no_new_count(again: tuple[int, ...]) -> None:
    socket = live(applied=5_000)
    for number in again:
        socket.update("BTC/USDT", number)

    assert socket.gaps() == []
    assert socket.session.book_feeds["BTC/USDT"].live


def test_a_stream_behind_its_snapshot_is_no_new_count() -> None:
    socket = Waiting("BTC/USDT")
    socket.update("BTC/USDT", 1)
    socket.books["BTC/USDT"].snapshot(0, [(99.0, 1.0)], [(101.0, 1.0)], received=T0 + STEP)
    socket.books["BTC/USDT"].restart()
    socket.session.book_feeds["BTC/USDT"].lost("sequence", now=T0 + 2 * STEP)
    socket.events.drain()
    socket.update("BTC/USDT", 10)
    socket.books["BTC/USDT"].snapshot(20, [(99.0, 1.0)], [(101.0, 1.0)], received=T0 + 20 * STEP)
    for number in range(11, 21):
        socket.update("BTC/USDT", number)

    assert [kind for kind in socket.gaps() if kind == "sequence"] == ["sequence"]  # the healed one
    assert socket.session.book_feeds["BTC/USDT"].live
