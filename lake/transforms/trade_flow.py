"""Trade flow: what takers bought and sold in each minute.

Put here: the sums of one minute by side. Keep out: files, candles (`candles`), rolling windows (`liquidation_windows`).
"""

from __future__ import annotations

from typing import Final

import numpy as np
import polars as pl

from lake.flow_datasets import TRADE_FLOW
from lake.transforms.book_states import MINUTE_US
from lake.transforms.candles import TRADE_ORDER
from lake.transforms.stretches import changes, in_order, microseconds, steps

TRADE_FLOW_SCHEMA: Final = pl.DataFrame(TRADE_FLOW.schema.empty_table()).schema


def trade_flow(trades: pl.DataFrame) -> pl.DataFrame:
    """Rows of the dataset `trade_flow` from rows of the dataset `trades` (at least the columns used), each given once, in any order."""
    if trades.is_empty():
        return TRADE_FLOW_SCHEMA.to_frame()
    ordered = in_order(trades, TRADE_ORDER)
    minute = microseconds(ordered) // MINUTE_US * MINUTE_US
    starts = np.flatnonzero(changes(ordered, ("exchange", "symbol")) | steps(minute))
    fills = ordered["fill_count"].to_numpy().astype(np.int64)
    amount = ordered["amount"].to_numpy()
    value = ordered["price"].to_numpy() * amount
    bought = ordered["side"].eq("buy").to_numpy()
    return pl.DataFrame(
        {
            "exchange": ordered["exchange"].gather(starts),
            "symbol": ordered["symbol"].gather(starts),
            "timestamp": pl.Series(minute[starts]).cast(pl.Datetime("us", "UTC")),
            "buy_count": np.add.reduceat(np.where(bought, fills, 0), starts),
            "sell_count": np.add.reduceat(np.where(bought, 0, fills), starts),
            "buy_volume": np.add.reduceat(np.where(bought, amount, 0.0), starts),
            "sell_volume": np.add.reduceat(np.where(bought, 0.0, amount), starts),
            "buy_quote_volume": np.add.reduceat(np.where(bought, value, 0.0), starts),
            "sell_quote_volume": np.add.reduceat(np.where(bought, 0.0, value), starts),
        },
        schema=TRADE_FLOW_SCHEMA,
    )
