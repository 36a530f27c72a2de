# ruff: noqa: S608 - every name and path put into these statements is quoted or comes from the registry
"""SQL text of the catalog's views over datasets, made from the registry and the path layout.

Put here: how rows of one key become one, views that read other views, and the list of all views. Keep out: which files count
(`lake.listing`), candles (`lake.candle_views`), macros (`lake.macros`), connections and files (`lake.catalog`, `lake.query`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import pyarrow as pa

from lake.candle_views import candles_select
from lake.condemned import Register
from lake.context_views import CONTEXT_VIEWS
from lake.indicator_views import INDICATOR_VIEWS
from lake.listing import NONE_CONDEMNED, NOW, branches, ctes, identifier, listing, names_of, union, wal_branch
from lake.paths import Home
from lake.registry import DATASETS, Dataset, dataset

PARTITION_COMMENTS: Final[Mapping[str, str]] = {
    "date": "Day the row is filed under, UTC; a filter on it leaves the files of other days unread.",
    "hour": "Hour of that day the row is filed under, 0 to 23, UTC; a filter on it leaves the files of other hours unread.",
}


def dataset_select(home: Home, name: str, *, at: str = NOW, wal: bool = False, condemned: Register = NONE_CONDEMNED) -> str:
    """The SELECT behind the view of one dataset: its columns, then `date` and `hour`.

    Every live row once; where rows of one key complete each other or add up, one row a key.
    """
    spec = dataset(name)
    rows = branches(home, spec, names_of(spec), condemned=condemned)
    if wal and spec.landed:
        rows.append(wal_branch(spec, names_of(spec)))
    found = listing(home, spec, at=at)
    if not spec.landed or spec.merge not in {"last", "sum"}:
        return f"WITH {ctes(found)}\n{union(rows)}"
    found.append(f"landed AS ({union(rows)})")
    return f"WITH {ctes(found)}\n{_resolved(spec)}"


def _resolved(spec: Dataset) -> str:
    """One row a key of `landed`: integers summed, or the last value that is not null of each column, as compaction does it."""
    keys = list(spec.unique_key)
    # Where the key fixes the hour, grouping by it lets a filter on date and hour reach the files.
    partitioned = spec.time_column in keys
    selected = []
    for column in spec.columns:
        name = identifier(column.name)
        if column.name in keys:
            selected.append(name)
        elif spec.merge == "sum":
            selected.append(f"sum({name})::{'BIGINT' if pa.types.is_int64(column.type) else 'INTEGER'} AS {name}")
        else:
            selected.append(f"{_latest(name)} AS {name}")
    if partitioned:
        selected += ["date", "hour"]
        keys += ["date", "hour"]
    else:
        selected += [f"{_latest(name)} AS {name}" for name in ("date", "hour")]
    return f"SELECT {', '.join(selected)} FROM landed GROUP BY {', '.join(identifier(key) for key in keys)}"


def _latest(name: str) -> str:
    """The latest value of a column that is not null; of several rows of one arrival the greatest, so that the answer never varies."""
    return f"arg_max({name}, row(local_timestamp, ordinal, {name}))"


BOOK_SPREADS: Final = """
SELECT exchange, symbol, local_timestamp, bid_prices[1] AS best_bid, bid_amounts[1] AS best_bid_amount,
  ask_prices[1] AS best_ask, ask_amounts[1] AS best_ask_amount, (best_bid + best_ask) / 2 AS mid, best_ask - best_bid AS spread,
  (best_ask - best_bid) / ((best_bid + best_ask) / 2) * 10000 AS spread_bps, date, hour
FROM book_snapshots WHERE len(bid_prices) > 0 AND len(ask_prices) > 0
"""

BOOK_SPREADS_COMMENTS: Final[Mapping[str, str]] = {
    "exchange": "Exchange id, lower case.",
    "symbol": "CCXT unified symbol.",
    "local_timestamp": "When the book stood so, our receive time, UTC.",
    "best_bid": "Highest bid, quote units.",
    "best_bid_amount": "Amount at the highest bid, base units.",
    "best_ask": "Lowest ask, quote units.",
    "best_ask_amount": "Amount at the lowest ask, base units.",
    "mid": "(best_bid + best_ask) / 2, quote units.",
    "spread": "best_ask - best_bid, quote units.",
    "spread_bps": "spread / mid in basis points.",
}


LISTINGS_NOW: Final = """
SELECT * FROM listings QUALIFY row_number() OVER (PARTITION BY exchange, symbol ORDER BY local_timestamp DESC, ordinal DESC) = 1
"""


def views(home: Home, *, at: str = NOW, wal: bool = False, condemned: Register = NONE_CONDEMNED) -> dict[str, str]:
    """Every view of the catalog by name, in an order in which each can be created: one a dataset, then those that read them."""
    return {
        **{name: dataset_select(home, name, at=at, wal=wal, condemned=condemned) for name in DATASETS},
        "candles": candles_select(home, at=at, wal=wal, condemned=condemned),
        "book_spreads": BOOK_SPREADS,
        "listings_now": LISTINGS_NOW,
        **{view.name: view.select for view in (*INDICATOR_VIEWS, *CONTEXT_VIEWS)},
    }
