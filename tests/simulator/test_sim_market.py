"""The market model: never crossed, on tick and lot, ids by the rules, the same for the same seed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.instruments import ASSETS, Instrument
from simulator.market import Market
from simulator.prices import PricePath, index_price
from simulator.venues import VENUES

START = 1_763_700_000_000_000
EVERY = [item for entry in VENUES.values() for item in entry.catalogue]
BTC = next(item for item in EVERY if item.symbol == "BTC/USDT" and item.exchange == "binance")

# Gap to the next event in microseconds, and what happens then.
steps = st.lists(st.tuples(st.integers(0, 600_000_000), st.sampled_from(["order", "move", "take"])), min_size=1, max_size=60)


def live(market: Market, script: list[tuple[int, str]]) -> list[object]:
    """Play a script; returns everything the market said."""
    said: list[object] = []
    now = market.time_us
    for gap, what in script:
        now += gap
        if what == "order":
            said.append(market.order(now))
        elif what == "move":
            market.move(now)
        else:
            said.append(market.take())
        assert not market.book.crossed()
        assert market.book.bids.keys
        assert market.book.asks.keys
    return said


@settings(deadline=None, max_examples=40)
@given(st.sampled_from(EVERY), st.integers(0, 2**31), steps)
def test_books_never_cross_and_stay_sorted(instrument: Instrument, seed: int, script: list[tuple[int, str]]) -> None:
    market = Market(instrument, seed=seed, start_us=START)

    live(market, script)

    for side in (market.book.bids, market.book.asks):
        assert side.keys == sorted(set(side.keys))
        assert side.keys == sorted(side.amounts)
        assert all(amount > 0 for amount in side.amounts.values())


@settings(deadline=None, max_examples=25)
@given(st.sampled_from(EVERY), st.integers(0, 2**31), steps)
def test_the_same_seed_and_times_give_the_same_market(instrument: Instrument, seed: int, script: list[tuple[int, str]]) -> None:
    first, second = (Market(instrument, seed=seed, start_us=START) for _ in range(2))

    assert live(first, script) == live(second, script)
    assert first.book.bids.levels() == second.book.bids.levels()


@settings(deadline=None, max_examples=25)
@given(st.sampled_from(EVERY), steps)
def test_ids_grow_by_one_and_sequences_chain(instrument: Instrument, script: list[tuple[int, str]]) -> None:
    market = Market(instrument, seed=3, start_us=START)
    last_id, last_sequence = market.trade_id, market.sequence

    for gap, what in script:
        if what == "order":
            fills = market.order(market.time_us + gap)
            assert [fill.trade_id for fill in fills] == list(range(last_id + 1, last_id + 1 + len(fills)))
            last_id = fills[-1].trade_id
        else:
            market.move(market.time_us + gap)
        changes = market.take()
        if changes is None:
            continue
        assert changes.previous == last_sequence
        assert changes.first > last_sequence if instrument.skips_sequence else changes.first == last_sequence + 1
        assert changes.last >= changes.first + len(changes.bids) + len(changes.asks) - 1
        last_sequence = changes.last


@settings(deadline=None, max_examples=25)
@given(st.sampled_from(EVERY), steps)
def test_trades_happen_at_the_best_price_of_the_other_side(instrument: Instrument, script: list[tuple[int, str]]) -> None:
    market = Market(instrument, seed=5, start_us=START)
    for gap, what in script:
        if what != "order":
            market.move(market.time_us + gap)
            continue
        bid, ask = market.book.bids.best()[0], market.book.asks.best()[0]
        fills = market.order(market.time_us + gap)
        assert fills[0].price == (ask if fills[0].buy else bid)
        prices = [fill.price for fill in fills]
        assert prices == sorted(prices, reverse=not fills[0].buy)
        assert all(fill.amount > 0 for fill in fills)


@settings(deadline=None, max_examples=25)
@given(st.sampled_from(EVERY), steps)
def test_changes_applied_to_an_image_give_the_next_image(instrument: Instrument, script: list[tuple[int, str]]) -> None:
    market = Market(instrument, seed=9, start_us=START)
    image = market.opening
    bids, asks = dict(image.bids), dict(image.asks)

    live(market, [step for step in script if step[1] != "take"])
    changes = market.take()

    if changes is not None:
        for book, changed in ((bids, changes.bids), (asks, changes.asks)):
            for price, amount in changed.items():
                if amount:
                    book[price] = amount
                else:
                    book.pop(price, None)
    after = market.image()
    assert sorted(bids.items(), reverse=True) == after.bids
    assert sorted(asks.items()) == after.asks


def test_a_later_run_has_higher_numbers_than_a_busy_earlier_one() -> None:
    early = Market(BTC, seed=1, start_us=START)
    for step in range(5_000):
        early.order(START + step * 1_000)
        early.move(START + step * 1_000)
        early.take()
    late = Market(BTC, seed=1, start_us=START + 5_000_000)

    assert late.trade_id > early.trade_id
    assert late.sequence > early.sequence


def test_sizes_are_heavy_tailed() -> None:
    market = Market(BTC, seed=1, start_us=START)
    sizes = []
    for step in range(3_000):
        market.move(START + step * 500_000)
        sizes.append(sum(fill.amount for fill in market.order(START + step * 500_000)))

    assert np.mean(sizes) > 2 * np.median(sizes)


def test_a_history_and_a_live_run_meet_at_the_same_price() -> None:
    history = Market(BTC, seed=7, start_us=START)
    for step in range(7_200):
        history.move(START + step * 500_000)
    live_run = Market(BTC, seed=7, start_us=START + 3_600_000_000)

    assert live_run.book.bids.best()[0] == pytest.approx(history.book.bids.best()[0], rel=2e-4)


@pytest.mark.parametrize("base", sorted(ASSETS))
def test_prices_move_like_a_random_walk_and_differ_by_seed(base: str) -> None:
    item = Instrument("binance", "spot", f"{base}/USDT", base, "USDT", 4, 2)
    times = np.arange(START / 1e6, START / 1e6 + 30 * 86_400, 3_600.0)

    hourly = np.diff(np.log(PricePath(item, 1).sample(times)))

    assert 0.002 < hourly.std() < 0.02
    assert PricePath(item, 1).at(START) != PricePath(item, 2).at(START)


def test_a_price_is_the_same_however_it_is_asked_for() -> None:
    path = PricePath(BTC, 4)
    times = [START + offset * 1_000_000 for offset in (0, 2, 4_000, 86_400, 90_000)]

    sampled = path.sample(np.array(times) / 1e6)

    assert [path.at(time) for time in times] == pytest.approx(sampled.tolist(), rel=1e-9)


def test_assets_are_correlated_and_venues_agree_to_a_few_basis_points() -> None:
    times = np.arange(START / 1e6, START / 1e6 + 20 * 86_400, 3_600.0)
    moves = [
        np.diff(np.log(PricePath(Instrument("x", "spot", f"{base}/USDT", base, "USDT", 2, 2), 1).sample(times))) for base in ("BTC", "ETH")
    ]
    kraken = next(item for item in EVERY if item.exchange == "kraken" and item.symbol == "BTC/USDT")

    assert np.corrcoef(*moves)[0, 1] > 0.4
    assert PricePath(BTC, 1).at(START) == pytest.approx(PricePath(kraken, 1).at(START), rel=2e-3)
    assert PricePath(BTC, 1).at(START) == pytest.approx(index_price("BTC", 1, START), rel=1e-3)


def test_the_last_trades_are_those_of_whole_orders() -> None:
    market = Market(BTC, seed=3, start_us=START)
    orders = [market.order(START + step, dollars=60_000.0) for step in range(1, 60)]
    fills = [fill for order in orders for fill in order]
    for most in range(1, 60):
        found = market.last_trades(most)
        assert most - 12 <= len(found) <= most
        assert found == fills[len(fills) - len(found) :]
        assert not found or any(found[0] is order[0] for order in orders)
    assert market.last_trades(10_000) == fills
