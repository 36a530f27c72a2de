from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lake.errors import IndicatorError
from lake.parquet import check_schema
from lake.registry import dataset
from lake.transforms.indicators import averages, supertrend
from lake.transforms.indicators.definitions import CARRIED, INDICATORS, LOOK_BACK
from lake.transforms.indicators.state import STATE_SCHEMA, State
from lake.transforms.indicators.suite import INDICATOR_SCHEMA, ROW_KEY, compute
from tests.lake.transforms.indicator_candles import made


def in_order(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.sort(ROW_KEY)


def partitioned(candles: pl.DataFrame, cuts: list[int]) -> tuple[pl.DataFrame, State]:
    """The rows of partition after partition, each cut at a minute, and the last state, through Arrow each time."""
    state, parts = State.empty(), []
    minutes = (candles["timestamp"] - candles["timestamp"].min()).dt.total_minutes()
    for begin, end in zip([0, *cuts], [*cuts, 1 << 30], strict=True):
        rows, state = compute(candles.filter((minutes >= begin) & (minutes < end)), state)
        state = State.from_arrow(state.to_arrow(datetime(2026, 1, 1, tzinfo=UTC)))
        parts.append(rows)
    return pl.concat(parts), state


@settings(max_examples=25, deadline=None)
@given(
    cuts=st.lists(st.integers(0, 700), max_size=6).map(sorted),
    bars=st.lists(st.integers(1, 650), min_size=1, max_size=4),
    tick=st.sampled_from([0.0, 0.5, 2.0]),
    seed=st.integers(0, 1000),
)
def test_any_partitioning_gives_the_values_of_the_whole_history(cuts: list[int], bars: list[int], tick: float, seed: int):
    candles = pl.concat(
        made(count, seed=seed + number, symbol=f"A{number}/BTC", tick=tick, first=7 * number) for number, count in enumerate(bars)
    )
    whole, after = compute(candles)

    rows, state = partitioned(candles, cuts)

    assert in_order(rows).equals(in_order(whole))
    assert state.table.equals(after.table)
    assert state.agrees(after)


def test_a_value_does_not_depend_on_which_histories_are_computed_along(monkeypatch: pytest.MonkeyPatch):
    many = pl.concat(made(300 + number, seed=number, symbol=f"A{number}/USDT", tick=0.05) for number in range(40))
    together, _ = compute(many)

    monkeypatch.setattr(averages, "FEW", 1000)
    monkeypatch.setattr(supertrend, "FEW", 1000)
    one_by_one, _ = compute(many)
    alone = pl.concat(compute(part)[0] for part in many.partition_by("symbol"))

    assert in_order(one_by_one).equals(in_order(together))
    assert in_order(alone).equals(in_order(together))


def test_blocks_hold_histories_of_every_length_and_both_kinds(monkeypatch: pytest.MonkeyPatch):
    lengths = (1, 5, 199, 200, 201, 202, 260, 450)
    candles = pl.concat(made(length, seed=length, symbol=f"A{length}/USDT") for length in lengths)
    whole, _ = compute(candles)

    monkeypatch.setattr("lake.transforms.indicators.suite._BLOCK_CELLS", 600)
    rows, _ = partitioned(candles.sample(fraction=1.0, shuffle=True, seed=3), [201, 220])

    assert in_order(rows).equals(in_order(whole))


def test_histories_are_told_apart_by_every_column_of_the_key():
    keys = [{}, {"exchange": "kraken"}, {"symbol": "ETH/USDT"}, {"timeframe": "5m"}, {"source": "exchange"}]
    parts = [made(230, seed=number, **key) for number, key in enumerate(keys)]

    rows, state = compute(pl.concat(parts).sort("timestamp"))

    assert in_order(rows).equals(in_order(pl.concat(compute(part)[0] for part in parts)))
    assert state.table.height == len(parts)


def test_a_state_keeps_histories_that_a_partition_does_not_touch():
    _, before = compute(pl.concat([made(250, symbol="A/USDT"), made(30, symbol="B/USDT")]))

    _, after = compute(made(5, symbol="B/USDT", first=400), before)

    untouched = pl.col("symbol") == "A/USDT"
    assert after.table.filter(untouched).equals(before.table.filter(untouched))
    assert after.table["candles"].to_list() == [250, 35]
    assert compute(made(1).clear(), after)[1].table.equals(after.table)


def test_a_state_is_a_table_of_its_dataset():
    rows, state = compute(pl.concat([made(250, symbol="A/USDT"), made(30, symbol="B/USDT")]))

    table = state.to_arrow(datetime(2023, 11, 14, 22, tzinfo=UTC))

    check_schema(dataset("indicator_state_hour"), table.schema)
    assert table["timestamp"].to_pylist() == [datetime(2023, 11, 14, 22, tzinfo=UTC)] * 2
    assert State.from_arrow(table).table.equals(state.table)
    old, young = state.table.to_dicts()
    assert all(old[name] is not None for name in CARRIED)
    assert len(old["window_close"]) == LOOK_BACK
    assert old["window_high"] == []
    assert all(young[name] is None for name in CARRIED)
    assert len(young["window_high"]) == 30
    assert rows.schema == INDICATOR_SCHEMA
    check_schema(dataset("indicators_hour"), rows.to_arrow().cast(dataset("indicators_hour").schema).schema)


def test_after_a_repair_states_agree_again_and_then_every_later_value_does():
    candles = made(24 * 400, seed=5)
    repaired = candles.with_columns(close=pl.when(pl.int_range(pl.len()) == 900).then(pl.col("close") * 1.03).otherwise("close"))
    whole, stands = compute(repaired)[0], compute(candles)[0]
    state, standing, agreed = State.empty(), State.empty(), []

    for first in range(0, candles.height, 400):
        _, state = compute(repaired[first : first + 400], state)
        _, standing = compute(candles[first : first + 400], standing)
        agreed.append(state.agrees(standing))

    assert agreed[:2] == [True, True]
    assert not any(agreed[2:7])
    assert all(agreed[12:])
    later = slice(400 * (agreed.index(True, 2) + 1), None)
    for name in INDICATORS:
        ours, full = (rows[name][later].cast(pl.Float64).to_numpy() for rows in (stands, whole))
        np.testing.assert_allclose(ours, full, rtol=1e-8)


def test_states_of_other_candles_do_not_agree():
    _, state = compute(made(300))

    assert state.agrees(compute(made(300))[1])
    for other in (made(299), made(300, seed=1), made(300, symbol="ETH/USDT"), pl.concat([made(300), made(3, symbol="ETH/USDT")])):
        assert not state.agrees(compute(other)[1])
    rated = State(state.table.with_columns(usdt_rate=pl.lit(2.0)))
    assert not state.agrees(rated)
    for name in ("td_seq_up", "st73_direction", "gain14", "atr7"):
        assert not state.agrees(State(state.table.with_columns(pl.col(name) + 1e-9)))
    for name in ("ema200", "st73_upper", "loss14"):
        assert state.agrees(State(state.table.with_columns(pl.col(name) * (1 + 1e-14))))


@pytest.mark.parametrize(
    ("candles", "sentence"),
    [
        (pl.concat([made(3), made(1)]), "candles hold binance BTC/USDT 1m trades 2023-11-14 22:13:00 twice"),
        (made(3, first=299), "candle binance BTC/USDT 1m trades 2023-11-15 03:12:00 was received for a state at 2023-11-15 03:12:00"),
    ],
)
def test_candles_that_come_twice_or_too_late_are_refused(candles: pl.DataFrame, sentence: str):
    _, state = compute(made(300))

    with pytest.raises(IndicatorError, match=sentence):
        compute(candles, state if "state" in sentence else None)


def test_no_candles_give_no_rows():
    rows, state = compute(made(1).clear())

    assert rows.schema == INDICATOR_SCHEMA
    assert rows.is_empty()
    assert state.table.schema == STATE_SCHEMA
    assert State.empty().agrees(state)
