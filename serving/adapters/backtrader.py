"""Candles as a data feed of backtrader.

Put here: the mapping of columns to lines. Keep out: fetching candles (`serving.client.load`).
"""

from __future__ import annotations

import importlib
import warnings
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

_LINES = {"open": "open", "high": "high", "low": "low", "close": "close", "volume": "volume"}


def feed(candles: pd.DataFrame, **more: Any) -> Any:
    """A `backtrader.feeds.PandasData` of candles (columns timestamp, open, high, low, close, volume) of one exchange and symbol.

    Times become naive UTC, as backtrader wants them; `more` are parameters of the feed (timeframe, compression, fromdate, …). Raises
    `ValueError` where the candles are of several markets.
    """
    with warnings.catch_warnings():
        # backtrader 1.9.78 writes some of its regular expressions in a way newer Pythons warn of.
        warnings.filterwarnings("ignore", category=DeprecationWarning, module="backtrader")
        warnings.filterwarnings("ignore", category=SyntaxWarning)
        bt = importlib.import_module("backtrader")

    for name in ("exchange", "symbol"):
        if name in candles.columns and candles[name].nunique() > 1:
            raise ValueError(f"candles are of {candles[name].nunique()} values of {name}, expected one: pass {name}= to load()")
    frame = candles.sort_values("timestamp")
    frame = frame.set_index(frame["timestamp"].dt.tz_convert("UTC").dt.tz_localize(None))[list(_LINES)]
    return bt.feeds.PandasData(dataname=frame, openinterest=None, **_LINES, **more)
