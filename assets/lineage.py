"""Which columns a column is made of: shown by Dagster, and part of the snapshot of the graph.

Put here: where columns come from. Keep out: what they mean (`lake.registry`) and how they are computed (`lake.transforms`).

What is computed stands in the tables here; any other column comes from the one of its name in a dep.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

import dagster as dg

from lake.registry import DATASETS, Dataset
from lake.transforms.indicators.definitions import INDICATORS

_OF_TRADES: Final = {
    **dict.fromkeys(("open", "high", "low", "close"), ("price",)),
    "volume": ("amount",),
    **dict.fromkeys(("quote_volume", "vwap"), ("price", "amount")),
    **dict.fromkeys(("buy_volume", "sell_volume"), ("amount", "side")),
    **dict.fromkeys(("buy_quote_volume", "sell_quote_volume"), ("price", "amount", "side")),
    "trade_count": ("fill_count",),
    "buy_count": ("fill_count", "side"),
    "sell_count": ("fill_count", "side"),
}

_OF_CANDLES: Final = {
    **dict.fromkeys(INDICATORS, ("close",)),
    **dict.fromkeys(("st73", "st73_direction"), ("high", "low", "close")),
    "range_pct": ("open", "close"),
    "high_low_range_pct": ("high", "low"),
    "volume_usd": ("volume", "close"),
}

_TABLES: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = MappingProxyType({"trades": _OF_TRADES, "candles": _OF_CANDLES})


def sources_of(data: Dataset, deps: Iterable[str]) -> dict[str, list[tuple[str, str]]]:
    """For each column of `data` the columns (asset, column) it is made of; empty lists are left out."""
    found: dict[str, list[tuple[str, str]]] = {}
    for dep in sorted(deps):
        name = dep.removeprefix("landed/")
        theirs = DATASETS.get(name)
        if theirs is None:
            continue
        table = {} if dep.startswith("landed/") else _TABLES.get(name.partition("_")[0], {})
        columns = set(theirs.schema.names)
        for column in data.schema.names:
            of = table.get(column) or ((column,) if column in columns else ())
            if of:
                found.setdefault(column, []).extend((dep, each) for each in of if each in columns)
    return found


def column_lineage(data: Dataset, deps: Iterable[dg.AssetKey]) -> dg.TableColumnLineage:
    """The same for Dagster."""
    sources = sources_of(data, (key.to_user_string() for key in deps))
    return dg.TableColumnLineage(
        {
            column: [dg.TableColumnDep(asset_key=dg.AssetKey(asset.split("/")), column_name=each) for asset, each in of]
            for column, of in sources.items()
        }
    )
