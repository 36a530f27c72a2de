"""Counts that start over on a live Advanced Trade socket: of frames, which must show whatever else happens, and of trades."""

from __future__ import annotations

from itertools import permutations
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.venues.coinbase.session import RESTARTED
from tests.collectors.coinbase_socket import Socket, level, opened

HISTORY: Final = 3
"""Trades in a snapshot of them."""
ACTIONS: Final = ("update", "update", "trade", "history", "heartbeat", "repeat")


class Market:
    """The venue's side of one socket: its book of BTC, its trades, and the snapshots it owes to a new subscription."""

    def __init__(self, *, timed: bool, answers_after: int) -> None:
        self.socket = opened(timed=timed)
        self.bids = {100.0: 1.0}
        self.updates: dict[float, int] = {}
        """Amounts of the updates, each another one, and when they came."""
        self.trade_id = 500
        self._answers_after = answers_after
        self._owed: int | None = None
        self.socket.trades(self.trade_id)

    def act(self, action: str) -> None:
        """Send one frame, and what is owed by now."""
        socket = self.socket
        match action:
            case "update":
                amount = float(len(self.updates) + 10)
                price = 90.0 + len(self.updates) % 7
                self.bids[price] = amount
                socket.book("update", level("bid", str(price), str(amount)))
                self.updates[amount] = socket.now
            case "trade":
                self.trade_id += 1
                socket.trades(self.trade_id)
            case "history":
                socket.trades(*range(self.trade_id, max(self.trade_id - HISTORY, 499), -1), kind="snapshot")
            case "repeat":
                socket.repeat()
            case _:
                socket.frame("heartbeats", {"heartbeat_counter": 1})
        self._answer()

    def settle(self) -> None:
        """Let pass what makes any restart known, and answer what was asked."""
        for _ in range(RESTARTED + self._answers_after + 2):
            self.act("heartbeat")

    def _answer(self) -> None:
        if any(each["type"] == "subscribe" for each in self.socket.commands()):
            self._owed = self._answers_after
        if self._owed == 0:
            bids = [level("bid", str(price), str(amount)) for price, amount in self.bids.items()]
            self.socket.book("snapshot", *bids, level("offer", "101", "2"))
            self.socket.book("snapshot", level("bid", "100", "1"), level("offer", "101", "2"), product="ETH-USD")
            self.socket.acknowledge()
        self._owed = None if not self._owed else self._owed - 1


@settings(max_examples=120, deadline=None)
@given(
    timed=st.booleans(),
    before=st.lists(st.sampled_from(ACTIONS), max_size=12),
    after=st.lists(st.sampled_from(ACTIONS), max_size=20),
    answers_after=st.integers(0, 6),
)
def test_a_count_that_starts_over_is_one_gap_and_loses_nothing_outside_of_it(
    timed: bool,
    before: list[str],
    after: list[str],
    answers_after: int,
) -> None:
    market = Market(timed=timed, answers_after=answers_after)
    for action in before:
        market.act(action)
    market.socket.number = -1
    # The first frame of the new count is a new one.
    for action in ("heartbeat", *after):
        market.act(action)
    market.settle()

    drained = market.socket.events.drain()
    gaps = [row for row in drained["gaps"].to_pylist() if row["symbol"] == "BTC/USD"]
    assert [(row["channel"], row["kind"], row["healed_by"]) for row in gaps] == [
        ("book_deltas", "sequence", None),
        ("book_deltas", "sequence", "snapshot"),
    ]
    assert market.socket.session.book_feeds["BTC/USD"].book.levels() == (sorted(market.bids.items(), reverse=True), [(101.0, 2.0)])
    landed = {row["amount"] for row in drained["book_deltas"].to_pylist() if not row["is_snapshot"]}
    start, end = (gaps[1][name].timestamp() * 1e6 for name in ("from_time", "to_time"))
    assert [moment for amount, moment in market.updates.items() if amount not in landed and not start <= moment <= end] == []
    assert [row["trade_id"] for row in drained["trades"].to_pylist()] == [str(number) for number in range(500, market.trade_id + 1)]


@settings(max_examples=60, deadline=None)
@given(timed=st.booleans(), actions=st.lists(st.sampled_from(ACTIONS), max_size=40))
def test_frames_that_come_again_are_no_count_that_starts_over(timed: bool, actions: list[str]) -> None:
    market = Market(timed=timed, answers_after=0)
    for action in actions:
        market.act(action)
    market.settle()
    drained = market.socket.events.drain()
    assert "gaps" not in drained
    assert market.socket.session.book_feeds["BTC/USD"].book.levels() == (sorted(market.bids.items(), reverse=True), [(101.0, 2.0)])


@pytest.mark.parametrize("last", range(2, 12))
def test_a_count_that_starts_over_while_it_is_low_does_not_pass_for_late_frames(last: int) -> None:
    """The frames of the new count reach the number of the old one before they are enough to be told from late ones."""
    socket = opened()
    while socket.number < last:
        socket.frame("heartbeats", {"heartbeat_counter": 1})
    socket.number = -1
    for _ in range(last + 2):
        socket.book("update", level("bid", "99", "7"))
    gaps = [row for row in socket.rows("gaps") if row["symbol"] == "BTC/USD"]
    assert [(row["kind"], row["from_sequence"], row["to_sequence"]) for row in gaps] == [("sequence", last, 0)]
    assert [each["type"] for each in socket.commands()] == ["unsubscribe", "subscribe"]


def test_where_times_tell_it_the_first_frame_of_a_new_count_shows_it_and_a_snapshot_in_it_counts() -> None:
    socket = opened(timed=True)
    socket.number = -1
    socket.book("snapshot", level("bid", "98", "4"), level("offer", "101", "2"))
    gaps = [row for row in socket.rows("gaps") if row["symbol"] == "BTC/USD"]
    assert [row["healed_by"] for row in gaps] == [None, "snapshot"]
    assert socket.session.book_feeds["BTC/USD"].book.levels() == ([(98.0, 4.0)], [(101.0, 2.0)])


@pytest.mark.parametrize("order", [*permutations(("stream", "renewed", "reconnected"))])
def test_trades_whose_ids_start_over_land_once_each_whatever_tells_them_first(order: tuple[str, ...]) -> None:
    """The frames between them hold trades of before, too: they are known and no others are."""
    socket = Socket(timed=True)
    socket.trades(1003, 1002, 1001, kind="snapshot")
    socket.trades(1004)
    number = 0
    for step in order:
        if step == "reconnected":
            socket.session.closed(socket.now)
            socket = Socket(socket.events, at=socket.now + 1_000_000, timed=True)
        if step == "stream":
            socket.trades(number + 1)
        else:
            socket.trades(number + 1, *range(number, 0, -1), 1004, 1003, kind="snapshot")
        number += 1
        socket.trades(number + 1)
        number += 1
    landed = [row["trade_id"] for row in socket.rows("trades")]
    assert sorted(map(int, landed)) == [*range(1, number + 1), 1001, 1002, 1003, 1004]
