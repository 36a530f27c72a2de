"""The datasets of trade flow, order books by the minute, and liquidation windows, all made hour by hour of landed ones.

Put here: their columns, keys and units; `lake.registry` lists them among all others. Keep out: how they are computed.
"""

from __future__ import annotations

from typing import Final

import pyarrow as pa

from lake.columns import EXCHANGE, SYMBOL, TIMESTAMP, Column, Dataset
from lake.columns import column as _c

DEPTHS_BPS: Final = (10, 50, 100)
"""Distances from the mid, in basis points, up to which depth is summed."""

IMBALANCE_LEVELS: Final = (1, 5, 10, 25)
"""Numbers of best levels a side whose amounts are weighed against each other."""

CONSOLIDATED_LEVELS: Final = 25
"""Most levels a side of a consolidated book."""

ALL_EXCHANGES: Final = "all"
"""What stands in `exchange` where a row speaks of every exchange together."""

SEVERITIES: Final = ("LOW", "MEDIUM", "HIGH", "CRITICAL")

_MINUTE: Final = _c("timestamp", TIMESTAMP, "The minute, its start, UTC.", delta=True)
_MINUTE_END: Final = _c("timestamp", TIMESTAMP, "The minute, its start, UTC; the book is the one that stood at its end.", delta=True)
_PRICES: Final = pa.list_(pa.float64())


def _hourly(name: str, description: str, columns: tuple[Column, ...], *, key: tuple[str, ...] = ()) -> Dataset:
    order = ("exchange", "symbol", "timestamp", *key)
    return Dataset(
        name=name,
        description=description,
        columns=columns,
        sort_key=order,
        unique_key=order,
        time_column="timestamp",
        merge="last",
        landed=False,
    )


TRADE_FLOW: Final = _hourly(
    "trade_flow",
    "What takers bought and sold, minute by minute; no row for a minute without a trade.",
    (
        EXCHANGE,
        SYMBOL,
        _MINUTE,
        _c("buy_count", pa.int64(), "Fills of taker buys: the sum of fill_count."),
        _c("sell_count", pa.int64(), "Fills of taker sells: the sum of fill_count."),
        _c("buy_volume", pa.float64(), "Amount of taker buys, base units."),
        _c("sell_volume", pa.float64(), "Amount of taker sells, base units."),
        _c("buy_quote_volume", pa.float64(), "Sum of price x amount of taker buys, quote units."),
        _c("sell_quote_volume", pa.float64(), "Sum of price x amount of taker sells, quote units."),
    ),
)

BOOK_METRICS: Final = _hourly(
    "book_metrics",
    "Figures of each whole book at the end of every minute, from the book made again of its changes; no row while it was not known.",
    (
        EXCHANGE,
        SYMBOL,
        _MINUTE_END,
        _c("updated", TIMESTAMP, "Our receive time of the last change the book had taken by then, UTC."),
        _c("best_bid", pa.float64(), "Highest bid, quote units; null where there is none.", nullable=True),
        _c("best_bid_amount", pa.float64(), "Amount at the highest bid, base units.", nullable=True),
        _c("best_ask", pa.float64(), "Lowest ask, quote units; null where there is none.", nullable=True),
        _c("best_ask_amount", pa.float64(), "Amount at the lowest ask, base units.", nullable=True),
        _c(
            "mid",
            pa.float64(),
            "(best_bid + best_ask) / 2, quote units; this and all that follows is null while a side is empty.",
            nullable=True,
        ),
        _c("spread", pa.float64(), "best_ask - best_bid, quote units; not positive where the book is crossed.", nullable=True),
        _c("spread_bps", pa.float64(), "spread / mid in basis points.", nullable=True),
        _c(
            "microprice",
            pa.float64(),
            "(best_bid x best_ask_amount + best_ask x best_bid_amount) / (both amounts), quote units.",
            nullable=True,
        ),
        *(
            _c(
                f"imbalance_{levels}",
                pa.float64(),
                f"(bids - asks) / (bids + asks) of the amounts of the best {levels} levels a side (fewer where there are fewer), -1 to 1.",
                nullable=True,
            )
            for levels in IMBALANCE_LEVELS
        ),
        *(
            _c(
                f"{side}_depth_{bps}bps",
                pa.float64(),
                f"Sum of price x amount of {side}s at most {bps} bps from the mid, quote units; null where the collected book ends before.",
                nullable=True,
            )
            for side in ("bid", "ask")
            for bps in DEPTHS_BPS
        ),
        _c("bid_reach_bps", pa.float64(), "Distance of the lowest bid that was collected from the mid, basis points.", nullable=True),
        _c("ask_reach_bps", pa.float64(), "Distance of the highest ask that was collected from the mid, basis points.", nullable=True),
        _c("bid_levels", pa.int32(), "Levels of the bid side."),
        _c("ask_levels", pa.int32(), "Levels of the ask side."),
        _c("crossed", pa.bool_(), "True where the best bid stands at or above the best ask."),
    ),
)

HEATMAP: Final = _hourly(
    "heatmap",
    "Liquidity by price bucket and side at the end of every minute, from the whole book; no row for an empty bucket.",
    (
        EXCHANGE,
        SYMBOL,
        _MINUTE_END,
        _c("side", pa.string(), "Side of the book: bid or ask."),
        _c("price_bucket", pa.float64(), "Lower edge of the bucket, which holds it and ends before the next edge, quote units."),
        _c("bucket_size", pa.float64(), "Width of the bucket, quote units; one for all exchanges of a symbol in the hour."),
        _c("volume", pa.float64(), "Amount resting in the bucket, base units."),
        _c("intensity", pa.float64(), "volume / the greatest volume of a bucket of this book at this minute, above 0 up to 1."),
        _c("exchange_count", pa.int32(), "Exchanges with volume in this bucket, side and minute of the same symbol."),
    ),
    key=("side", "price_bucket"),
)


def _merged(side: str, best: str) -> tuple[Column, ...]:
    return (
        _c(f"{side}_prices", _PRICES, f"{side.capitalize()} prices, best ({best}) first, at most {CONSOLIDATED_LEVELS}, quote units."),
        _c(f"{side}_amounts", _PRICES, f"Amounts of all exchanges together in the order of {side}_prices, base units."),
        _c(f"{side}_exchanges", pa.list_(pa.string()), f"Exchanges that stand at each of {side}_prices, by name, with commas between."),
        _c(f"{side}_exchange_counts", pa.list_(pa.int32()), f"How many exchanges stand at each of {side}_prices."),
    )


CONSOLIDATED_BOOK: Final = _hourly(
    "consolidated_book",
    "The books of all exchanges of a symbol as one, at the end of every minute; spot and each kind of contract are symbols of their own.",
    (
        _c("exchange", pa.string(), f"Always {ALL_EXCHANGES}: the row speaks of every exchange in `exchanges`."),
        SYMBOL,
        _MINUTE_END,
        _c("exchanges", pa.list_(pa.string()), "Exchanges whose books were known and not crossed in themselves, by name."),
        _c("exchange_count", pa.int32(), "How many those are."),
        _c("best_bid", pa.float64(), "Highest bid of any exchange, quote units; null where there is none.", nullable=True),
        _c(
            "best_bid_exchange",
            pa.string(),
            "Exchange with the greatest amount at best_bid, the first by name among equals.",
            nullable=True,
        ),
        _c("best_ask", pa.float64(), "Lowest ask of any exchange, quote units; null where there is none.", nullable=True),
        _c(
            "best_ask_exchange",
            pa.string(),
            "Exchange with the greatest amount at best_ask, the first by name among equals.",
            nullable=True,
        ),
        _c(
            "spread",
            pa.float64(),
            "best_ask - best_bid, quote units; negative while one exchange bids more than another asks.",
            nullable=True,
        ),
        _c("spread_bps", pa.float64(), "spread / ((best_bid + best_ask) / 2) in basis points; negative where spread is.", nullable=True),
        *_merged("bid", "highest"),
        *_merged("ask", "lowest"),
    ),
)

LIQUIDATION_WINDOWS: Final = _hourly(
    "liquidation_windows",
    "Rolling windows over forced orders, a step a minute; no row for a window without one. Only what has a value in dollars counts.",
    (
        EXCHANGE,
        SYMBOL,
        _c("timestamp", TIMESTAMP, "The minute, its start, UTC; the window ends with the minute's end, exclusive.", delta=True),
        _c(
            "source",
            pa.string(),
            "exchange (forced orders as the venue publishes them) or proxy (large trades of a venue that publishes none).",
        ),
        _c("window_seconds", pa.int32(), "Length of the window, seconds."),
        _c("event_count", pa.int64(), "Events in the window."),
        _c("total_volume_usd", pa.float64(), "Sum of their values, USD."),
        _c("buy_volume_usd", pa.float64(), "Of that, events of side buy: shorts that were closed by force, USD."),
        _c("sell_volume_usd", pa.float64(), "Of that, events of side sell: longs that were closed by force, USD."),
        _c("vwap", pa.float64(), "Sum of price x amount / sum of amount, quote units."),
        _c("price_change_pct", pa.float64(), "(last price - first price) / first price of the events in the window, per cent."),
        _c("largest_trade_usd", pa.float64(), "Value of the largest event, USD."),
        _c(
            "volatility",
            pa.float64(),
            "Realised: root of the sum of squared log price changes from event to event within the window, per cent; 0 for one event.",
        ),
        _c("severity", pa.string(), "By total_volume_usd: LOW, MEDIUM from the threshold, HIGH from 5 times, CRITICAL from 20 times."),
    ),
    key=("source",),
)

FLOW: Final = (TRADE_FLOW, BOOK_METRICS, HEATMAP, CONSOLIDATED_BOOK, LIQUIDATION_WINDOWS)
