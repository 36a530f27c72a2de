"""Two sockets that carry the same streams, on a fixed clock: trades merge, one book lands, and no gap is written for what either brings."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.bookfeed import ALONE, FRESH, BookFeed
from collectors.books import Book
from collectors.feeds import SETTLE_AFTER, TradeFeed
from collectors.rows import EventBuffer
from collectors.session import BaseSession

SYMBOL = "BTC/USDT"
T0 = 1_800_000_000_000_000
MS = 1000


class Pair:
    """Sessions of two connections of one exchange, each with a trade and a book feed."""

    def __init__(self, *, redundant: bool = True) -> None:
        self.events = EventBuffer()
        self.continuity = self.events.continuity("toy")
        self.continuity.merging = True
        self.continuity.redundant = redundant
        self.asked: list[tuple[int | None, int | None]] = []
        self.landed: dict[str, list[dict[str, Any]]] = {}

    def session(self, connection: str) -> BaseSession:
        session = BaseSession(self.events.writer("toy", connection))
        trades = TradeFeed(session.writer, SYMBOL, session=session, contiguous=True, holes=lambda _, gap: self._ask(gap))
        session.trade_feeds[SYMBOL] = trades
        session.book_feeds[SYMBOL] = BookFeed(session.writer, SYMBOL, session=session, book=Book())
        return session

    def _ask(self, gap: Any) -> None:
        self.asked.append((gap.from_sequence, gap.to_sequence))

    def rows(self, dataset: str) -> list[dict[str, Any]]:
        """All rows of a dataset so far."""
        for name, batch in self.events.drain().items():
            self.landed.setdefault(name, []).extend(batch.to_pylist())
        return self.landed.get(dataset, [])

    def counts(self, connection: str, dataset: str) -> tuple[int, int, dict[str, int]]:
        count = self.events.writer("toy", connection).counts[dataset]
        assert count.decoded == count.landed + count.duplicates + sum(count.discarded.values())
        return count.landed, count.duplicates, count.discarded


def trade(session: BaseSession, number: int, at: int) -> None:
    session.see(at)
    session.trade_feeds[SYMBOL].take(number, T0, received=at, sold=False, price=1.0, amount=1.0)


def opened(session: BaseSession, at: int, *, bid: float = 99.0, sequence: int = 1) -> None:
    session.see(at)
    feed = session.book_feeds[SYMBOL]
    assert isinstance(feed.book, Book)
    feed.book.load([(bid, 1.0)], [(bid + 2, 1.0)])
    feed.opened(timestamp=at, received=at, sequence=sequence)


def changed(session: BaseSession, at: int, *, bid: float, amount: float, sequence: int) -> None:
    session.see(at)
    feed = session.book_feeds[SYMBOL]
    assert isinstance(feed.book, Book)
    feed.book.apply([(bid, amount)], [])
    feed.changed([(bid, amount)], [], timestamp=at, received=at, sequence=sequence)


def us(moment: Any) -> int:
    return round(moment.timestamp() * 1e6)


def test_a_trade_lands_once_with_the_time_of_the_first_socket_that_brought_it():
    pair = Pair()
    first, second = pair.session("a"), pair.session("ab")

    trade(second, 1, T0 + 1)
    trade(first, 1, T0 + 2)
    trade(first, 2, T0 + 3)
    trade(second, 2, T0 + 4)

    assert [(row["trade_id"], us(row["local_timestamp"])) for row in pair.rows("trades")] == [("1", T0 + 1), ("2", T0 + 3)]
    assert pair.counts("a", "trades")[:2] == (1, 1)
    assert pair.counts("ab", "trades")[:2] == (1, 1)


def test_trades_without_numbers_merge_by_their_keys():
    pair = Pair()
    for at, session in enumerate((pair.session("a"), pair.session("ab"))):
        for identity in ("x", "y"):
            session.trade_feeds[SYMBOL].take_keyed(identity, T0, received=T0 + at, sold=False, price=1.0, amount=1.0)

    assert [(row["trade_id"], us(row["local_timestamp"])) for row in pair.rows("trades")] == [("x", T0), ("y", T0)]


def test_the_end_of_either_socket_is_no_gap_while_the_other_carries_on():
    pair = Pair()
    first, second = pair.session("a"), pair.session("ab")
    for session in (first, second):
        trade(session, 1, T0)
        opened(session, T0)

    first.closed(T0 + 1)
    trade(second, 2, T0 + 2)
    again = pair.session("a")
    trade(again, 4, T0 + 3)
    trade(second, 3, T0 + 4)
    trade(second, 4, T0 + 5)
    again.confirm_trades(T0 + 10 * SETTLE_AFTER)
    second.closed(T0 + 10 * SETTLE_AFTER + 1)

    assert pair.rows("gaps") != [], "the book of the second socket ended, and the new one holds none yet"
    assert {row["channel"] for row in pair.rows("gaps")} == {"book_deltas"}


def test_ids_that_neither_socket_brings_are_a_gap_after_a_while_and_are_asked_for():
    pair = Pair()
    first, second = pair.session("a"), pair.session("ab")
    for session in (first, second):
        trade(session, 1, T0)
    trade(first, 5, T0 + 100 * MS)
    trade(second, 4, T0 + 200 * MS)

    first.confirm_trades(T0 + SETTLE_AFTER)
    assert pair.rows("gaps") == []
    first.confirm_trades(T0 + SETTLE_AFTER + 101 * MS)

    assert [(row["kind"], row["from_sequence"], row["to_sequence"]) for row in pair.rows("gaps")] == [("sequence", 1, 5)]
    assert pair.asked == [(1, 5)]


def test_a_hole_whose_socket_ends_before_it_is_settled_is_settled_by_the_other():
    pair = Pair()
    first, second = pair.session("a"), pair.session("ab")
    for session in (first, second):
        trade(session, 1, T0)
    trade(first, 4, T0 + 1)
    first.closed(T0 + 2)

    trade(second, 2, T0 + 3)
    second.confirm_trades(T0 + SETTLE_AFTER)
    assert pair.asked == [], "the other may only be slower"
    second.confirm_trades(T0 + SETTLE_AFTER + 2)

    assert pair.asked == [(1, 4)]


def test_a_hole_that_nobody_is_left_to_settle_is_a_gap_at_once():
    pair = Pair()
    first, second = pair.session("a"), pair.session("ab")
    for session in (first, second):
        trade(session, 1, T0)
    trade(first, 4, T0 + 1)

    second.closed(T0 + 2)
    first.closed(T0 + 3)

    assert [(row["kind"], row["from_sequence"], row["to_sequence"]) for row in pair.rows("gaps")] == [
        ("disconnect", 4, None),
        ("sequence", 1, 4),
    ]


def test_the_second_book_stands_by_and_takes_over_whole_when_the_first_socket_ends():
    pair = Pair()
    first, second = pair.session("a"), pair.session("ab")
    opened(first, T0, sequence=5)
    opened(second, T0 + 1, sequence=6)
    changed(first, T0 + 2, bid=98.0, amount=3.0, sequence=7)
    changed(second, T0 + 3, bid=98.0, amount=3.0, sequence=8)

    first.closed(T0 + 4)
    changed(second, T0 + 5, bid=98.0, amount=0.0, sequence=9)

    rows = [(us(row["local_timestamp"]) - T0, row["sequence"], row["price"], row["is_snapshot"]) for row in pair.rows("book_deltas")]
    assert rows == [
        *[(0, 5, 99.0, True), (0, 5, 101.0, True), (2, 7, 98.0, False)],
        *[(4, 8, 99.0, True), (4, 8, 98.0, True), (4, 8, 101.0, True), (5, 9, 98.0, False)],
    ]
    assert pair.rows("gaps") == []
    assert pair.counts("ab", "book_deltas") == (4, 0, {"standby": 3})
    assert pair.counts("a", "book_deltas") == (3, 0, {})


def test_a_book_that_is_lost_is_landed_by_the_other_and_stands_by_when_it_is_whole_again():
    pair = Pair()
    first, second = pair.session("a"), pair.session("ab")
    opened(first, T0)
    opened(second, T0)

    first.book_feeds[SYMBOL].lost("sequence", now=T0 + 1)
    opened(first, T0 + 2)
    changed(first, T0 + 3, bid=98.0, amount=3.0, sequence=7)

    assert second.book_feeds[SYMBOL].lands
    assert not first.book_feeds[SYMBOL].lands
    assert pair.rows("gaps") == []
    assert [us(row["local_timestamp"]) - T0 for row in pair.rows("book_deltas")] == [0, 0, 1, 1]


def test_a_book_that_has_not_kept_up_does_not_take_over_until_it_moves_again():
    pair = Pair()
    first, second = pair.session("a"), pair.session("ab")
    opened(first, T0)
    opened(second, T0)
    changed(first, T0 + FRESH + 1, bid=98.0, amount=3.0, sequence=7)

    first.closed(T0 + FRESH + 2)
    assert [row["healed_at"] for row in pair.rows("gaps")] == [None]
    changed(second, T0 + FRESH + 50, bid=97.0, amount=3.0, sequence=8)

    assert [row["healed_by"] for row in pair.rows("gaps")] == [None, "snapshot"]
    assert second.book_feeds[SYMBOL].lands


def test_a_book_takes_over_from_one_that_stands_still_while_it_moves_and_not_before():
    pair = Pair()
    first, second = pair.session("a"), pair.session("ab")
    opened(first, T0)
    opened(second, T0)
    # A market that was quiet for long: whichever socket is first to move is no reason.
    for minute in range(1, 5):
        ahead, behind = (first, second) if minute % 2 else (second, first)
        changed(ahead, T0 + 60 * minute * ALONE, bid=98.0, amount=minute, sequence=minute)
        changed(behind, T0 + 60 * minute * ALONE + 1, bid=98.0, amount=minute, sequence=minute)
    changed(second, T0 + 300 * ALONE, bid=98.0, amount=2.0, sequence=5)
    changed(second, T0 + 300 * ALONE + 1, bid=98.0, amount=2.0, sequence=6)
    changed(second, T0 + 301 * ALONE, bid=98.0, amount=2.0, sequence=7)
    assert first.book_feeds[SYMBOL].lands

    changed(second, T0 + 301 * ALONE + 2, bid=98.0, amount=3.0, sequence=8)

    assert second.book_feeds[SYMBOL].lands
    assert pair.rows("gaps") == []


def test_a_successor_of_the_same_connection_takes_over_by_opening():
    pair = Pair()
    old, twin = pair.session("a"), pair.session("ab")
    opened(old, T0)
    opened(twin, T0)

    new = pair.session("a")
    opened(new, T0 + 1)

    assert new.book_feeds[SYMBOL].lands
    assert not old.book_feeds[SYMBOL].lands


def test_without_redundancy_the_last_socket_to_open_lands():
    pair = Pair(redundant=False)
    first, second = pair.session("a"), pair.session("c")
    opened(first, T0)
    opened(second, T0 + 1)
    assert second.book_feeds[SYMBOL].lands

    second.closed(T0 + 2)

    assert [row["kind"] for row in pair.rows("gaps")] == ["disconnect"]


def test_the_top_of_a_book_is_landed_once_a_second_across_a_take_over():
    pair = Pair()
    first, second = pair.session("a"), pair.session("ab")
    opened(first, T0)
    opened(second, T0)
    first.closed(T0 + 10)
    changed(second, T0 + 20, bid=98.0, amount=1.0, sequence=2)
    changed(second, T0 + 999_999, bid=97.0, amount=1.0, sequence=3)
    assert len(pair.rows("book_snapshots")) == 1

    changed(second, T0 + 1_000_000, bid=96.0, amount=1.0, sequence=4)

    assert len(pair.rows("book_snapshots")) == 2


@given(
    lags=st.tuples(st.integers(0, 30), st.integers(0, 30)),
    cuts=st.lists(st.tuples(st.integers(0, 1), st.integers(1, 200), st.integers(1, 40)), max_size=4),
)
def test_whatever_either_socket_misses_every_trade_of_both_lands_once_without_a_gap(
    lags: tuple[int, int], cuts: list[tuple[int, int, int]]
):
    """Time goes by milliseconds, a trade each; a socket is away after a cut, and brings every trade `lag` ms late while it stands."""
    pair = Pair()
    sessions: list[BaseSession | None] = [pair.session("a"), pair.session("ab")]
    away, since = [0, 0], [1000, 1000]
    expected: dict[int, int] = {}
    for now in range(260):
        at = T0 + now * MS
        for side, name in enumerate(("a", "ab")):
            other = 1 - side
            session = sessions[side]
            # One of the two at a time, and only when the other has brought what came before it stood.
            if session is not None and sessions[other] is not None and now - since[other] > max(lags):
                for length in (length for which, when, length in cuts if (which, when) == (side, now)):
                    session.closed(at)
                    session, away[side], since[side] = None, now + length, 1000
                    break
            if session is None and now >= away[side]:
                session = pair.session(name)
            sessions[side] = session
            if session is not None:
                if (number := now - lags[side]) >= 1:
                    trade(session, number, at)
                    since[side] = min(since[side], now)
                    expected.setdefault(number, at)
                session.confirm_trades(at)

    landed = {int(row["trade_id"]): us(row["local_timestamp"]) for row in pair.rows("trades")}
    assert len(landed) == len(pair.rows("trades"))
    assert landed == expected
    assert pair.rows("gaps") == []


@pytest.mark.parametrize("ends", ["a", "ab"])
def test_both_sockets_gone_are_one_gap_of_each_stream(ends: str):
    pair = Pair()
    sessions = {name: pair.session(name) for name in ("a", "ab")}
    for session in sessions.values():
        trade(session, 1, T0)
        opened(session, T0)

    sessions.pop(ends).closed(T0 + 1)
    sessions.popitem()[1].closed(T0 + 2)

    assert sorted(row["channel"] for row in pair.rows("gaps")) == ["book_deltas", "trades"]
