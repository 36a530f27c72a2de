"""Every fault on every venue: afterwards the lake holds what the venue published, and one `gaps` row for each loss that can be told.

One class a venue, made from its traits: the tests read what one run of the simulator and the collector left behind.
`TICKHOUSE_CUT_SECONDS=60` lengthens the cut to a minute, `TICKHOUSE_FAULTS=okx,bybit` chooses venues.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar

import pytest

from tests.collectors.fault_evidence import Evidence
from tests.collectors.fault_world import CUT_SECONDS, DELIVERED, World
from tests.collectors.venue_traits import DEFAULT_GAPS, READY, ROLES, TRAITS, Market

pytestmark = [pytest.mark.timeout(900), pytest.mark.lengthy(waits=True)]
"""A whole run counts as part of its class's first test; on a busy machine each of its waits may take minutes."""
DOCS = Path(__file__).resolve().parents[2] / "docs" / "venues"
HEALED_WITHIN_US = 2_000_000
"""Of a machine that gives what is asked for; where others have their share of it, as much longer as that share makes everything."""
BOOK_ROLES = ("untouched", "drop_delta", "duplicate", "reorder", "corrupt_book", "bad_checksum", "slow_snapshot", "http_429", "id_reset")


@pytest.fixture(scope="class")
def after(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Evidence]:
    exchange = request.cls.exchange
    world = World(tmp_path_factory.mktemp(exchange), exchange, TRAITS[exchange])
    try:
        yield world.live_through()
    finally:
        world.kill()


class Faults:
    """What must hold of one exchange after its run."""

    exchange: ClassVar[str]

    @pytest.fixture
    def markets(self) -> tuple[Market, ...]:
        return TRAITS[self.exchange]

    def _gaps(self, after: Evidence, symbol: str, phase: str) -> list[str]:
        gaps = [gap for gap in after.gaps if gap["symbol"] == symbol and gap["phase"] == phase]
        return [f"{gap['channel']} {gap['kind']}" for gap in gaps if gap["channel"] in {"trades", "book_deltas"}]

    def _assert_doubted(self, after: Evidence, market: Market, role: str) -> None:
        """Nothing tells whose frame was lost, so that a loss puts every book of its socket in doubt. Each row of a book stands for a loss of
        its own: the book's checksum finds it, or the calm behind the loss replaces the book, and neither does so again before the next.
        Losses without a calm second between them are one; a checksum that is wrong itself is one more. That one names itself where it finds
        a book that no loss has put in doubt since it was last opened, else it is taken for the loss: which of both hangs on what comes first.
        Trades come twice, so that they are in doubt from two lost frames on, and from two more after each renewal, which waits for the calm
        too, or for the silence watchdog.
        """
        symbol = market.symbol(role)
        lost = after.losses[symbol]
        found = self._gaps(after, symbol, "faults")
        wrong, trades = found.count("book_deltas checksum"), found.count("trades sequence")
        books = found.count("book_deltas sequence") + wrong
        said = f"{symbol}: {found}, {lost}"
        assert lost.frames >= 2, said
        assert wrong <= (role == "bad_checksum"), said
        assert 1 <= books <= lost.moments + (role == "bad_checksum"), said
        assert 1 <= trades <= min(lost.frames // 2, lost.moments + (role == "stall")), said
        assert len(found) == books + trades, said

    def test_every_stream_delivered(self, after: Evidence, markets: tuple[Market, ...]) -> None:
        for market in markets:
            for role in ROLES:
                assert after.landed[market.symbol(role)] > DELIVERED, market.symbol(role)
                assert after.book_updates[market.symbol(role)] > DELIVERED, market.symbol(role)

    def test_calm_leaves_no_gap(self, after: Evidence) -> None:
        assert [gap for gap in after.gaps if gap["phase"] == "calm"] == []

    @pytest.mark.parametrize("role", ROLES)
    def test_a_fault_leaves_exactly_the_gaps_that_can_be_told(self, after: Evidence, markets: tuple[Market, ...], role: str) -> None:
        for market in markets:
            if market.counted:
                self._assert_doubted(after, market, role)
                continue
            found = self._gaps(after, market.symbol(role), "faults")
            expected = market.gaps.get(role, DEFAULT_GAPS[role])
            allowed = (expected,) if isinstance(expected, int) else expected
            assert len(found) in allowed, f"{market.symbol(role)}: {found}, expected {allowed}"

    def test_a_corrupt_frame_is_kept_as_a_dead_letter(self, after: Evidence) -> None:
        assert after.dead_letters == after.corrupted

    def test_a_lost_book_is_whole_again_within_two_seconds(self, after: Evidence, markets: tuple[Market, ...]) -> None:
        patient = {market.symbol(role) for market in markets for role in ("slow_snapshot", "http_429")}
        slow = [
            gap
            for gap in after.gaps
            if gap["channel"] == "book_deltas"
            and gap["phase"] == "faults"
            and gap["symbol"] not in patient
            and (gap["healed_at"] is None or gap["healed_at"] - gap["noticed"] > HEALED_WITHIN_US * after.slowness)
        ]
        assert slow == []

    @pytest.mark.parametrize("checkpoint", ["calm", "faults", "shutdown", "cut"])
    def test_books_equal_the_venues(self, after: Evidence, markets: tuple[Market, ...], checkpoint: str) -> None:
        unseen = {market.symbol(role) for market in markets for role in market.unseen}
        differing = {symbol: what for symbol, what in after.books[checkpoint].items() if checkpoint == "calm" or symbol not in unseen}
        assert differing == {}

    def test_an_announced_shutdown_leaves_no_gap(self, after: Evidence, markets: tuple[Market, ...]) -> None:
        for market in markets:
            for role in ROLES:
                found = self._gaps(after, market.symbol(role), "shutdown")
                if market.notice:
                    assert found == [], market.symbol(role)
                else:
                    assert sorted(found) == ["book_deltas disconnect", "trades disconnect"], market.symbol(role)

    def test_a_cut_is_one_gap_a_stream(self, after: Evidence, markets: tuple[Market, ...]) -> None:
        for market in markets:
            for role in ROLES:
                found = self._gaps(after, market.symbol(role), "cut")
                assert sorted(found) == ["book_deltas disconnect", "trades disconnect"], market.symbol(role)

    def test_no_trade_landed_twice_or_otherwise_than_published(self, after: Evidence) -> None:
        assert {symbol: ids for symbol, ids in after.doubled.items() if ids} == {}
        assert {symbol: rows[:3] for symbol, rows in after.different.items() if rows} == {}

    def test_no_trade_is_missing_that_can_be_fetched(self, after: Evidence, markets: tuple[Market, ...]) -> None:
        for market in markets:
            for role in ROLES:
                symbol = market.symbol(role)
                missing = after.missing[symbol]
                if not market.heals:
                    spans = [gap for gap in after.gaps if gap["symbol"] == symbol and gap["channel"] == "trades"]
                    missing = [trade for trade in missing if not any(_within(trade.time_us, gap) for gap in spans)]
                if role in market.unseen:
                    missing = [trade for trade in missing if trade.delivered]
                assert missing == [], f"{symbol}: {len(missing)} of {after.landed[symbol]}"

    def test_what_was_fetched_says_so(self, after: Evidence, markets: tuple[Market, ...]) -> None:
        assert after.sources["rest"] > 0 or not any(market.heals for market in markets)
        left = [gap for gap in after.gaps if gap["healed_at"] is None]
        healing = {market.symbol(role) for market in markets if market.heals for role in ROLES}
        assert [gap for gap in left if gap["symbol"] in healing or gap["channel"] == "book_deltas"] == []

    def test_every_frame_and_row_is_accounted_for(self, after: Evidence) -> None:
        assert after.unbalanced == []

    def test_what_cannot_be_noticed_is_documented(self, markets: tuple[Market, ...]) -> None:
        page = (DOCS / f"{self.exchange}.md").read_text()
        assert "## Faults" in page
        reasons = [reason for market in markets for reason in market.unseen.values()]
        assert [reason for reason in reasons if reason not in page] == []


def _within(time_us: int, gap: Mapping[str, int | None]) -> bool:
    start, end = gap["from_time"], gap["to_time"]
    assert start is not None
    # The venue's clock and ours are the same here; the slack covers a trade on its way when the socket was cut.
    return start - 500_000 <= time_us and (end is None or time_us <= end + 500_000)


for _exchange in os.environ["TICKHOUSE_FAULTS"].split(",") if "TICKHOUSE_FAULTS" in os.environ else READY:
    globals()[f"Test{_exchange.title()}"] = type(f"Test{_exchange.title()}", (Faults,), {"exchange": _exchange})
assert CUT_SECONDS > 1
