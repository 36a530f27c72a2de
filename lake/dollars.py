"""Which quote assets count as a dollar.

Put here: that list alone. Keep out: values in dollars (whoever sums them).
"""

from typing import Final

DOLLARS: Final = frozenset({"USD", "USDT", "USDC", "FDUSD", "BUSD", "TUSD", "USDP", "DAI"})
"""Quotes of which one unit is taken for one US dollar."""


def in_dollars(symbol: str) -> bool:
    """Whether a CCXT symbol is quoted in one of them."""
    return symbol.partition("/")[2].partition(":")[0] in DOLLARS
