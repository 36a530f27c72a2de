"""Candles computed a second time, in SQL by DuckDB, and compared with what was written.

Put here: the second computation. Keep out: the first (`lake.transforms.candles`); the two share no line, so that they cannot share a
mistake.
"""

from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa

from assets.rules import Rule
from lake.paths import HOUR_US, Hour
from lake.periods import Period

TOLERANCE: Final = 1e-12
"""Prices and counts are equal; sums of floats agree to this, relative: SQL adds in another order."""

_MINUTES: Final[dict[str, int]] = {"1m": 1, "3m": 3, "5m": 5, "15m": 15, "30m": 30, "1h": 60}

_FROM_TRADES: Final = """
    select exchange, symbol, epoch_us(timestamp) // $width * $width as bucket,
        arg_min(price, row(epoch_us(timestamp), ordinal, trade_id)) as open, max(price) as high, min(price) as low,
        arg_max(price, row(epoch_us(timestamp), ordinal, trade_id)) as close,
        fsum(amount) as volume, fsum(price * amount) as quote_volume, sum(fill_count)::bigint as trade_count,
        fsum(amount) filter (side = 'buy') as buy_volume, fsum(amount) filter (side = 'sell') as sell_volume
    from given group by all
"""

_FROM_SHORTER: Final = """
    select exchange, symbol, {bucket} as bucket, arg_min(open, timestamp) as open, max(high) as high, min(low) as low,
        arg_max(close, timestamp) as close, fsum(volume) as volume, fsum(quote_volume) as quote_volume,
        sum(trade_count)::bigint as trade_count, fsum(buy_volume) as buy_volume, fsum(sell_volume) as sell_volume
    from given group by all
"""

_DAY_US: Final = 24 * HOUR_US
_WIDTHS: Final = {**{f"{hours}h": hours * HOUR_US for hours in (2, 4, 6, 8, 12)}, "1d": _DAY_US, "3d": 3 * _DAY_US}
_CALENDAR: Final = {"1w": "week", "1M": "month"}

_COMPARED: Final = """
    with ours as (select * from read_parquet($path, hive_partitioning = false)
        where source = 'trades' and epoch_us(timestamp) >= $start and epoch_us(timestamp) < $end),
    theirs as ({theirs})
    select coalesce(ours.exchange, theirs.exchange), coalesce(ours.symbol, theirs.symbol),
        coalesce(epoch_us(ours.timestamp), theirs.bucket),
        ours.exchange is null, theirs.exchange is null
    from ours full join theirs
        on ours.exchange = theirs.exchange and ours.symbol = theirs.symbol and epoch_us(ours.timestamp) = theirs.bucket
    where ours.exchange is null or theirs.exchange is null
        or (ours.open, ours.high, ours.low, ours.close, ours.trade_count)
            is distinct from (theirs.open, theirs.high, theirs.low, theirs.close, theirs.trade_count)
        or abs(ours.volume - theirs.volume) > $tolerance * theirs.volume
        or abs(ours.quote_volume - theirs.quote_volume) > $tolerance * theirs.quote_volume
        or abs(ours.vwap - theirs.quote_volume / theirs.volume) > 2 * $tolerance * ours.vwap
        or abs(ours.buy_volume - coalesce(theirs.buy_volume, 0)) > $tolerance * theirs.volume
        or abs(ours.sell_volume - coalesce(theirs.sell_volume, 0)) > $tolerance * theirs.volume
    order by all
"""


def candle_differences(connection: duckdb.DuckDBPyConnection, trades: pa.Table, candles: Path, timeframe: str, *, hour: Hour) -> str | None:
    """One sentence on where the `hour` in the file `candles` differs from a second computation of its `trades`, or None.

    `trades` has the registry's columns, unique by key; `timeframe` is one of those of an hour, 1m to 1h.
    """
    more = {"width": _MINUTES[timeframe] * 60_000_000}
    return _differences(connection, trades, _FROM_TRADES, candles, start=hour.start, end=hour.end, more=more)


def longer_differences(
    connection: duckdb.DuckDBPyConnection, shorter: pa.Table, candles: Path, timeframe: str, *, period: Period
) -> str | None:
    """The same of a day or month of candles of 2h and longer, and the `shorter` candles it was made from."""
    bucket = (
        f"epoch_us(date_trunc('{_CALENDAR[timeframe]}', timezone('UTC', timestamp)))"
        if timeframe in _CALENDAR
        else f"epoch_us(timestamp) // {_WIDTHS[timeframe]} * {_WIDTHS[timeframe]}"
    )
    return _differences(connection, shorter, _FROM_SHORTER.format(bucket=bucket), candles, start=period.start, end=period.end, more={})


def _differences(
    connection: duckdb.DuckDBPyConnection, given: pa.Table, theirs: str, candles: Path, *, start: int, end: int, more: dict[str, int]
) -> str | None:
    values = {"path": str(candles), "start": start, "end": end, "tolerance": TOLERANCE, **more}
    connection.register("given", given)
    found = connection.execute(_COMPARED.format(theirs=theirs), values).fetchall()
    connection.unregister("given")
    if not found:
        return None
    exchange, symbol, time, absent, surplus = found[0]
    what = "is absent" if absent else "has no trades" if surplus else "differs"
    opened = f"{Hour.of(time).moment:%Y-%m-%d %H}:{time % HOUR_US // 60_000_000:02d}"
    return f"{len(found)} candles differ from their second computation, e.g. {exchange} {symbol} at {opened} {what}"


def _answered_elsewhere(_: duckdb.DuckDBPyConnection, __: object) -> str | None:
    """The comparison needs the very trades the candles were made from, so the asset makes it while it holds them."""
    return None


RECOMPUTED: Final = Rule(
    name="recomputed_in_sql",
    description="Every candle equals a second computation in SQL: prices and counts exactly, sums to 1e-12.",
    ask=_answered_elsewhere,
    stops=True,
)
