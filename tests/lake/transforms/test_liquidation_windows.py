"""Windows over liquidations equal adding event by event, and a window that runs online with two stacks of sums."""

import math
from functools import reduce

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lake.transforms.liquidation_windows import (
    EVENT_COLUMNS,
    WINDOWS_SCHEMA,
    Sums,
    forced_orders,
    large_trades,
    liquidation_windows,
    severity,
)

HOUR = 3_600_000_000
START = 5 * HOUR
MINUTE = 60_000_000

event = st.tuples(
    st.sampled_from(["binance", "okx"]),
    st.sampled_from(["exchange", "proxy"]),
    st.integers(START - 700 * 1_000_000, START + HOUR + MINUTE),
    st.sampled_from(["buy", "sell"]),
    st.floats(0.01, 1e5),
    st.floats(1e-6, 1e4),
)


def frame(events):
    names = ("exchange", "source", "timestamp", "side", "price", "amount")
    rows = pl.DataFrame(events, schema=names, orient="row", schema_overrides={"timestamp": pl.Int64()}).with_columns(
        pl.col("timestamp").cast(pl.Datetime("us", "UTC")),
        symbol=pl.lit("BTC/USDT:USDT"),
        ordinal=pl.int_range(pl.len()),
        event_id=pl.int_range(pl.len()).cast(pl.String),
        value_usd=pl.col("price") * pl.col("amount"),
    )
    return rows.select(EVENT_COLUMNS)


def sums(one):
    _, _, _, side, price, amount = one
    return Sums.of(side=side, price=price, amount=amount, value_usd=price * amount)


def close(received, expected):
    return math.isclose(received, expected, rel_tol=1e-12, abs_tol=1e-12)


def same(row, folded):
    figures = (
        (row["total_volume_usd"], folded.total_usd),
        (row["buy_volume_usd"], folded.buy_usd),
        (row["sell_volume_usd"], folded.sell_usd),
        (row["vwap"], folded.vwap),
        (row["volatility"], folded.volatility),
    )
    exact = (row["event_count"], row["largest_trade_usd"], row["price_change_pct"])
    return exact == (folded.count, folded.largest_usd, folded.price_change_pct) and all(close(*pair) for pair in figures)


@settings(max_examples=100, deadline=None)
@given(st.lists(event, min_size=1, max_size=60), st.sampled_from([60, 90, 300, 600]), st.randoms())
def test_every_window_equals_folding_its_events_one_by_one(events, seconds, random):
    rows = frame(events)
    naive = {}
    ordered = sorted(enumerate(events), key=lambda one: (one[1][2], one[0]))
    for minute in range(START, START + HOUR, MINUTE):
        for key in {(exchange, source) for exchange, source, *_ in events}:
            within = [
                sums(one) for _, one in ordered if one[:2] == key and minute + MINUTE - seconds * 1_000_000 <= one[2] < minute + MINUTE
            ]
            if within:
                naive[(key[0], minute, key[1])] = reduce(Sums.then, within)

    made = liquidation_windows(rows[random.sample(range(len(events)), len(events))], START, window_seconds=seconds, threshold_usd=1e6)

    assert made.equals(liquidation_windows(rows, START, window_seconds=seconds, threshold_usd=1e6))
    times = made["timestamp"].to_physical().to_list()
    assert list(zip(made["exchange"], times, made["source"], strict=True)) == sorted(naive)
    for time, row in zip(times, made.to_dicts(), strict=True):
        assert same(row, naive[row["exchange"], time, row["source"]])
        assert row["severity"] == severity(row["total_volume_usd"], 1e6)


class TwoStacks:
    """A window that runs: amortised one join an event, nothing subtracted."""

    def __init__(self):
        self.newer, self.older = [], []

    def push(self, time, one):
        self.newer.append((time, one, self.newer[-1][2].then(one) if self.newer else one))

    def drop_before(self, time):
        while self.older or self.newer:
            if not self.older:
                for pushed, one, _ in reversed(self.newer):
                    self.older.append((pushed, one, one.then(self.older[-1][2]) if self.older else one))
                self.newer = []
            if self.older[-1][0] >= time:
                return
            self.older.pop()

    @property
    def sums(self):
        parts = [stack[-1][2] for stack in (self.older, self.newer) if stack]
        return reduce(Sums.then, parts) if parts else None


@settings(max_examples=50, deadline=None)
@given(st.lists(event.map(lambda one: ("okx", "exchange", *one[2:])), min_size=1, max_size=80, unique_by=lambda one: one[2]))
def test_a_running_window_agrees_with_the_vectorised_one(events):
    made = liquidation_windows(frame(events), START, window_seconds=300, threshold_usd=1e6).to_dicts()
    waiting = sorted(events, key=lambda one: one[2])
    window = TwoStacks()
    found = {}
    for minute in range(START, START + HOUR, MINUTE):
        while waiting and waiting[0][2] < minute + MINUTE:
            one = waiting.pop(0)
            window.push(one[2], sums(one))
        window.drop_before(minute + MINUTE - 300 * 1_000_000)
        if window.sums is not None:
            found[minute] = window.sums

    assert len(made) == len(found)
    assert all(same(row, folded) for row, folded in zip(made, found.values(), strict=True))


def test_an_event_at_the_end_belongs_to_the_next_window_and_one_at_the_start_to_this():
    made = liquidation_windows(frame([("okx", "exchange", START + MINUTE, "sell", 2.0, 3.0)]), START, window_seconds=120, threshold_usd=1.0)

    assert made["timestamp"].to_physical().to_list() == [START + MINUTE, START + 2 * MINUTE]


def test_events_of_the_former_hour_count_in_the_first_windows_only():
    made = liquidation_windows(frame([("okx", "exchange", START - MINUTE, "sell", 2.0, 3.0)]), START, window_seconds=300, threshold_usd=1.0)

    assert made["timestamp"].to_physical().to_list() == [START + minute * MINUTE for minute in range(4)]


def test_a_single_event_has_no_volatility_and_no_price_change():
    made = liquidation_windows(frame([("okx", "exchange", START, "sell", 2.0, 3.0)]), START, window_seconds=60, threshold_usd=1.0)

    (row,) = made.to_dicts()
    assert (row["volatility"], row["price_change_pct"], row["vwap"], row["buy_volume_usd"], row["sell_volume_usd"]) == (0, 0, 2.0, 0, 6.0)


def test_events_without_a_value_in_dollars_are_left_out():
    rows = frame([("okx", "exchange", START, "sell", 2.0, 3.0)]).with_columns(value_usd=pl.lit(None, dtype=pl.Float64))

    assert liquidation_windows(rows, START, window_seconds=300, threshold_usd=1.0).schema == WINDOWS_SCHEMA
    assert liquidation_windows(rows, START, window_seconds=300, threshold_usd=1.0).is_empty()


def test_no_event_within_the_hour_gives_no_rows():
    rows = frame([("okx", "exchange", START - HOUR, "sell", 2.0, 3.0)])

    assert liquidation_windows(rows, START, window_seconds=300, threshold_usd=1.0).is_empty()


@pytest.mark.parametrize(
    ("total", "grave"),
    [(99.9, "LOW"), (100, "MEDIUM"), (499.9, "MEDIUM"), (500, "HIGH"), (1999.9, "HIGH"), (2000, "CRITICAL"), (1e9, "CRITICAL")],
)
def test_severity_goes_by_multiples_of_the_threshold(total, grave):
    assert severity(total, 100.0) == grave


def trades(*rows):
    names = ("exchange", "symbol", "price", "amount")
    made = pl.DataFrame(rows, schema=names, orient="row")
    return made.with_columns(timestamp=pl.lit(START), ordinal=pl.int_range(pl.len()), trade_id=pl.lit("7"), side=pl.lit("buy"))


def test_large_trades_stand_in_for_the_venues_named_where_the_quote_is_a_dollar():
    rows = trades(
        ("coinbase", "BTC/USD", 50_000.0, 2.0),
        ("coinbase", "BTC/USD", 50_000.0, 1.99),
        ("coinbase", "ETH/BTC", 50_000.0, 2.0),
        ("binance", "BTC/USDT", 50_000.0, 2.0),
        ("kucoin", "BTC/USDT:USDT", 50_000.0, 3.0),
    )

    events = large_trades(rows, ("coinbase", "kucoin"), least_usd=100_000).to_dicts()

    assert [(one["exchange"], one["symbol"], one["source"], one["value_usd"]) for one in events] == [
        ("coinbase", "BTC/USD", "proxy", 100_000.0),
        ("kucoin", "BTC/USDT:USDT", "proxy", 150_000.0),
    ]


def test_forced_orders_keep_their_value_and_are_marked():
    rows = trades(("okx", "BTC/USDT:USDT", 2.0, 3.0)).rename({"trade_id": "liquidation_id"}).with_columns(value_usd=pl.lit(5.5))

    (row,) = forced_orders(rows).to_dicts()

    assert (row["source"], row["value_usd"], row["event_id"]) == ("exchange", 5.5, "7")
