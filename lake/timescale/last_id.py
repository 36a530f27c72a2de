"""`last_id`: one number for a candle, the same on every edition and however often it is synced.

Put here: how it is computed, in Python and as text for DuckDB; the server's function `tickhouse_last_id` says the same in a migration.
Keep out: who uses it.

63 bits. The upper 36 are the first nine hexadecimal digits of md5("<exchange>|<symbol>") in UTF-8. The lower 27 number the candle: every
timeframe has a range of its own, which begins at its offset, and in it counts its own widths since 1970-01-01 (days for the month) up to
the year 2097.
"""

from __future__ import annotations

from hashlib import md5
from itertools import accumulate
from typing import Final

from lake.errors import UnknownTimeframe
from lake.transforms.timeframes import TIMEFRAMES, WIDTH_US

MINUTE_US: Final = 60_000_000
_DAY_MINUTES: Final = 1440
_MINUTES: Final = 1 << 26
"""Minutes that are numbered, from 1970."""

SLOT_BITS: Final = 27
MARKET_DIGITS: Final = 9

MINUTES: Final = {each: WIDTH_US[each] // MINUTE_US if each in WIDTH_US else _DAY_MINUTES for each in TIMEFRAMES}
"""Minutes that one number of a timeframe stands for."""

OFFSETS: Final = dict(
    zip(TIMEFRAMES, accumulate((-(-_MINUTES // MINUTES[each]) for each in TIMEFRAMES[:-1]), initial=0), strict=True),
)
"""Where the range of each timeframe begins."""


def last_id(exchange: str, symbol: str, timeframe: str, open_us: int) -> int:
    """The number of the candle that opens at `open_us`, microseconds; `UnknownTimeframe`."""
    if timeframe not in MINUTES:
        raise UnknownTimeframe(timeframe, TIMEFRAMES)
    market = int(md5(f"{exchange}|{symbol}".encode(), usedforsecurity=False).hexdigest()[:MARKET_DIGITS], 16)
    return market << SLOT_BITS | (OFFSETS[timeframe] + open_us // MINUTE_US // MINUTES[timeframe])


def last_id_duckdb() -> str:
    """DuckDB expression over columns exchange, symbol, timeframe and timestamp."""
    offset = " ".join(f"WHEN '{each}' THEN {OFFSETS[each]}" for each in TIMEFRAMES)
    minutes = " ".join(f"WHEN '{each}' THEN {MINUTES[each]}" for each in TIMEFRAMES)
    return (
        f"((('0x' || substr(md5(exchange || '|' || symbol), 1, {MARKET_DIGITS}))::BIGINT << {SLOT_BITS}) | "
        f"(CASE timeframe {offset} END + epoch_us(timestamp) // {MINUTE_US} // CASE timeframe {minutes} END))"
    )
