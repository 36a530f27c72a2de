"""Contracts to base units: digit for digit what the decimals say."""

from __future__ import annotations

from decimal import Decimal
from math import inf

from hypothesis import given
from hypothesis import strategies as st

from collectors.contracts import Contract

SIZES = ("0.0001", "0.001", "0.01", "0.1", "0.2", "1", "10", "100", "1000", "1000000")


@given(st.integers(0, 10**10), st.integers(0, 6), st.sampled_from(SIZES))
def test_base_units_are_the_decimal_product(digits: int, places: int, size: str) -> None:
    contracts = Decimal(digits).scaleb(-places)

    assert Contract(float(size)).base(float(contracts), 1.0) == float(contracts * Decimal(size))


def test_large_whole_amounts_are_exact() -> None:
    assert Contract(0.001).base(1_897_633_265.0, 1.0) == 1_897_633.265


def test_amounts_beyond_six_decimals_or_all_bounds_are_multiplied() -> None:
    contract = Contract(0.01)

    assert contract.base(0.12345678901, 1.0) == 0.12345678901 * 0.01
    assert contract.base(1e300, 1.0) == 1e300 * 0.01
    assert contract.base(inf, 1.0) == inf


def test_inverse_contracts_are_worth_quote() -> None:
    assert Contract(100.0, inverse=True).base(5.0, 50_000.0) == 0.01
    assert Contract(100.0, inverse=True).base(5.0, 0.0) == inf
