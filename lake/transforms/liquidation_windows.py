"""Rolling windows over forced orders: how much was closed by force lately, at what prices, and how grave that is.

Put here: the definition of a window's figures, for a whole hour at once and as sums that grow event by event. Keep out: reading events,
thresholds of alerts, and which venues need proxies.

A window is [end - length, end). Its figures are a fold of its events in order of time, ordinal and id, and every sum has terms of one sign
only. So `Sums` may be joined in any grouping (an online window keeps two stacks of them and subtracts nothing), and agrees with
the vectorised form to 1e-12 relative, however long the window has been running.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log, sqrt
from typing import Final

import numpy as np
import polars as pl

from lake.dollars import in_dollars
from lake.flow_datasets import LIQUIDATION_WINDOWS, SEVERITIES
from lake.paths import HOUR_US
from lake.transforms.book_states import MINUTE_US
from lake.transforms.stretches import Floats, Integers, changes, ends, in_order, microseconds

WINDOWS_SCHEMA: Final = pl.DataFrame(LIQUIDATION_WINDOWS.schema.empty_table()).schema

EVENT_COLUMNS: Final = ("exchange", "symbol", "source", "timestamp", "ordinal", "event_id", "side", "price", "amount", "value_usd")
"""Columns of an event: a forced order (source `exchange`) or a large trade that stands for one (`proxy`)."""

EVENT_ORDER: Final = ("exchange", "symbol", "source", "timestamp", "ordinal", "event_id")

SEVERITY_TIMES: Final = (1.0, 5.0, 20.0)
"""Multiples of the threshold from which a window is MEDIUM, HIGH and CRITICAL."""

_PER_CENT: Final = 100.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """What is kept of some events in a row. Values in USD, `amount` in base and `quote` in quote units."""

    count: int
    total_usd: float
    buy_usd: float
    sell_usd: float
    amount: float
    quote: float
    largest_usd: float
    first_price: float
    last_price: float
    squares: float
    """Sum of the squared log price changes from each event to the next."""

    @classmethod
    def of(cls, *, side: str, price: float, amount: float, value_usd: float) -> Sums:
        """The sums of a single event."""
        return cls(
            count=1,
            total_usd=value_usd,
            buy_usd=value_usd if side == "buy" else 0.0,
            sell_usd=0.0 if side == "buy" else value_usd,
            amount=amount,
            quote=price * amount,
            largest_usd=value_usd,
            first_price=price,
            last_price=price,
            squares=0.0,
        )

    def then(self, later: Sums) -> Sums:
        """The sums of these events and those that follow them."""
        return Sums(
            count=self.count + later.count,
            total_usd=self.total_usd + later.total_usd,
            buy_usd=self.buy_usd + later.buy_usd,
            sell_usd=self.sell_usd + later.sell_usd,
            amount=self.amount + later.amount,
            quote=self.quote + later.quote,
            largest_usd=max(self.largest_usd, later.largest_usd),
            first_price=self.first_price,
            last_price=later.last_price,
            squares=self.squares + log(later.first_price / self.last_price) ** 2 + later.squares,
        )

    @property
    def vwap(self) -> float:
        """Quote units."""
        return self.quote / self.amount

    @property
    def price_change_pct(self) -> float:
        """From the first event to the last, per cent."""
        return (self.last_price - self.first_price) / self.first_price * _PER_CENT

    @property
    def volatility(self) -> float:
        """Realised over the events, per cent."""
        return sqrt(self.squares) * _PER_CENT


def severity(total_usd: float, threshold_usd: float) -> str:
    """How grave a window of `total_usd` is: LOW below the threshold, then by `SEVERITY_TIMES`."""
    return SEVERITIES[sum(total_usd >= times * threshold_usd for times in SEVERITY_TIMES)]


def liquidation_windows(events: pl.DataFrame, hour_start_us: int, *, window_seconds: int, threshold_usd: float) -> pl.DataFrame:
    """Rows of the dataset `liquidation_windows` for the hour: a window at the end of each of its minutes that holds an event.

    `events` has `EVENT_COLUMNS`, in any order, and reaches back `window_seconds` before the end of the hour's first minute; later ones and
    older ones do no harm. Events without a value in dollars are left out.
    """
    valued = events.filter(pl.col("value_usd").is_not_null())
    if valued.is_empty():
        return WINDOWS_SCHEMA.to_frame()
    rows = in_order(valued, EVENT_ORDER)
    first, end, minute = _windows(rows, hour_start_us, window_seconds * 1_000_000)
    price, amount, value = (rows[name].to_numpy() for name in ("price", "amount", "value_usd"))
    bought = rows["side"].eq("buy").to_numpy()
    quote = _sums(price * amount, first, end)
    total = _sums(value, first, end)
    squares = np.append(0.0, np.log(price[1:] / price[:-1]) ** 2)
    opening, closing = price[first], price[end - 1]
    return pl.DataFrame(
        {
            "exchange": rows["exchange"].gather(first),
            "symbol": rows["symbol"].gather(first),
            "timestamp": pl.Series(minute).cast(pl.Datetime("us", "UTC")),
            "source": rows["source"].gather(first),
            "window_seconds": np.full(len(first), window_seconds, dtype=np.int32),
            "event_count": end - first,
            "total_volume_usd": total,
            "buy_volume_usd": _sums(np.where(bought, value, 0.0), first, end),
            "sell_volume_usd": _sums(np.where(bought, 0.0, value), first, end),
            "vwap": quote / _sums(amount, first, end),
            "price_change_pct": (closing - opening) / opening * _PER_CENT,
            "largest_trade_usd": _over(np.maximum, value, first, end),
            "volatility": np.sqrt(_sums(squares, first + 1, end)) * _PER_CENT,
            "severity": [severity(one, threshold_usd) for one in total.tolist()],
        },
        schema=WINDOWS_SCHEMA,
    ).sort(LIQUIDATION_WINDOWS.sort_key)


def forced_orders(liquidations: pl.DataFrame) -> pl.DataFrame:
    """Events from rows of the dataset `liquidations`."""
    return liquidations.with_columns(source=pl.lit("exchange"), event_id="liquidation_id").select(EVENT_COLUMNS)


def large_trades(trades: pl.DataFrame, exchanges: tuple[str, ...], *, least_usd: float) -> pl.DataFrame:
    """Events from rows of the dataset `trades`: those of `exchanges` in markets quoted in dollars that are worth `least_usd` or more."""
    quoted = [symbol for symbol in trades["symbol"].unique().to_list() if in_dollars(symbol)]
    valued = trades.with_columns(value_usd=pl.col("price") * pl.col("amount"), source=pl.lit("proxy"), event_id="trade_id")
    taken = pl.col("exchange").is_in(exchanges) & pl.col("symbol").is_in(quoted) & (pl.col("value_usd") >= least_usd)
    return valued.filter(taken).select(EVENT_COLUMNS)


def _windows(rows: pl.DataFrame, hour_start_us: int, length_us: int) -> tuple[Integers, Integers, Integers]:
    """Of every window that holds an event: its first row, the row after its last, and the minute it ends with."""
    time = microseconds(rows)
    closes = np.arange(hour_start_us, hour_start_us + HOUR_US, MINUTE_US, dtype=np.int64) + MINUTE_US
    starts = np.flatnonzero(changes(rows, ("exchange", "symbol", "source")))
    found = []
    for start, last in zip(starts, ends(starts, len(time)), strict=True):
        own = time[start : last + 1]
        first, end = start + np.searchsorted(own, closes - length_us), start + np.searchsorted(own, closes)
        held = end > first
        found.append(np.stack([first[held], end[held], closes[held] - MINUTE_US]))
    first, end, minute = np.concatenate(found, axis=1)
    return first, end, minute


def _over(reduce: np.ufunc, values: Floats, first: Integers, end: Integers) -> Floats:
    """`reduce` over the rows of each window, none of them empty."""
    pairs = np.stack([first, end], axis=1).ravel()
    # reduceat takes an end beyond the last row for an error.
    reduced: Floats = reduce.reduceat(np.append(values, 0.0), pairs)[::2] if len(pairs) else np.empty(0)
    return reduced


def _sums(values: Floats, first: Integers, end: Integers) -> Floats:
    """The sum over the rows of each window in their order, 0 for one without a row."""
    held = end > first
    return np.where(held, _over(np.add, values, np.minimum(first, end - 1), end), 0.0)
