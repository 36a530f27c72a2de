"""Trade flow equals counting trade by trade, whatever the order they come in."""

from fractions import Fraction

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from lake.registry import TRADES
from lake.transforms.trade_flow import TRADE_FLOW_SCHEMA, trade_flow

MINUTE = 60_000_000

trade = st.tuples(
    st.sampled_from(["binance", "okx"]),
    st.sampled_from(["BTC/USDT", "ETH/USDT"]),
    st.integers(0, 3 * MINUTE),
    st.sampled_from(["buy", "sell"]),
    st.floats(0.001, 1e5),
    st.floats(1e-6, 1e4),
    st.integers(1, 5),
)


def rows(trades):
    names = ("exchange", "symbol", "timestamp", "side", "price", "amount", "fill_count")
    kept = pl.DataFrame(TRADES.schema.empty_table()).schema
    made = pl.DataFrame(trades, schema=names, orient="row").with_columns(
        pl.col("timestamp").cast(pl.Datetime("us", "UTC")), pl.col("fill_count").cast(pl.Int32), ordinal=pl.int_range(pl.len())
    )
    return made.with_columns(trade_id=pl.col("ordinal").cast(pl.String)).select(
        [name for name in kept if name in (*names, "ordinal", "trade_id")]
    )


@settings(max_examples=100, deadline=None)
@given(st.lists(trade, min_size=1, max_size=40), st.randoms())
def test_flow_equals_counting_trade_by_trade_in_any_order(trades, random):
    given_rows = rows(trades)
    shuffled = given_rows[random.sample(range(len(trades)), len(trades))]
    naive: dict[tuple[str, str, int], dict[str, list[Fraction]]] = {}
    for exchange, symbol, time, side, price, amount, fills in trades:
        sums = naive.setdefault((exchange, symbol, time // MINUTE), {"buy": [Fraction(0)] * 3, "sell": [Fraction(0)] * 3})
        sums[side] = [a + b for a, b in zip(sums[side], (fills, Fraction(amount), Fraction(price) * Fraction(amount)), strict=True)]

    made = trade_flow(shuffled)

    assert made.equals(trade_flow(given_rows))
    assert [(row["exchange"], row["symbol"], row["timestamp"].minute) for row in made.to_dicts()] == sorted(naive)
    for row in made.to_dicts():
        sums = naive[row["exchange"], row["symbol"], row["timestamp"].minute]
        for side, (count, base, quote) in sums.items():
            assert row[f"{side}_count"] == count
            assert abs(Fraction(row[f"{side}_volume"]) - base) <= base * Fraction(1, 10**12)
            assert abs(Fraction(row[f"{side}_quote_volume"]) - quote) <= quote * Fraction(1, 10**12)


def test_no_trades_no_rows():
    assert trade_flow(rows([("a", "b", 0, "buy", 1.0, 1.0, 1)]).clear()).schema == TRADE_FLOW_SCHEMA
