"""Which columns a column is made of: shown by Dagster, and part of the snapshot of the graph.

Put here: where columns come from. Keep out: what they mean (`lake.registry`) and how they are computed (`lake.transforms`).

What is computed stands in the tables here, by dataset and column: the deps it is made of and their columns. Any other column comes from the
one of its name in every dep, unless it is named as one that no column makes.
"""

from collections.abc import Iterable, Mapping
from functools import cache
from types import MappingProxyType
from typing import Final

import dagster as dg

from lake.registry import DATASETS, Dataset
from lake.transforms.indicators.definitions import INDICATORS

_Of = Mapping[str, Mapping[str, tuple[str, ...]]]
"""For each column of a dataset: by dep, its columns."""


def _from(dep: str, columns: Mapping[str, tuple[str, ...]]) -> _Of:
    return {column: {dep: of} for column, of in columns.items()}


_OF_TRADES: Final = _from(
    "trades",
    {
        **dict.fromkeys(("open", "high", "low", "close"), ("price",)),
        "volume": ("amount",),
        **dict.fromkeys(("quote_volume", "vwap"), ("price", "amount")),
        **dict.fromkeys(("buy_volume", "sell_volume"), ("amount", "side")),
        **dict.fromkeys(("buy_quote_volume", "sell_quote_volume"), ("price", "amount", "side")),
        "trade_count": ("fill_count",),
        "buy_count": ("fill_count", "side"),
        "sell_count": ("fill_count", "side"),
    },
)

_OF_SHORTER: Final = _from("candles", {"vwap": ("quote_volume", "volume")})

_PRICES: Final = ("open", "high", "low", "close")

_SUITE: Final = {
    **dict.fromkeys(INDICATORS, ("close",)),
    **dict.fromkeys(("st73", "st73_direction"), ("high", "low", "close")),
    "range_pct": ("open", "close"),
    "high_low_range_pct": ("high", "low"),
    "volume_usd": ("volume", "close"),
}

_STATES_OF: Final = _from(
    "candles",
    {
        **_SUITE,
        **dict.fromkeys(("last_open", "candles"), ("timestamp",)),
        **dict.fromkeys(("usdt_rate", "ema12", "ema26", "ema90", "ema180", "gain14", "loss14", "window_close"), ("close",)),
        **dict.fromkeys(("atr7", "st73_upper", "st73_lower"), ("high", "low", "close")),
        "window_high": ("high",),
        "window_low": ("low",),
    },
)

_GAPS: Final = {"gaps": ("channel", "from_time", "to_time", "healed_at")}
_BOOK: Final = {"book_deltas": ("local_timestamp", "side", "price", "amount", "is_snapshot"), **_GAPS}
"""A book that stood at an instant: every level up to then, while no gap lay over it."""

_VENUES: Final = {**_BOOK, "book_deltas": ("exchange", *_BOOK["book_deltas"])}

_MARKETS: Final = ("book_deltas", "book_snapshots", "derivatives", "liquidations", "trades")
"""Datasets of which coverage counts rows."""

_TIMES: Final = {name: (DATASETS[name].time_column,) for name in _MARKETS}
_CONNECTED: Final = {"ledger": ("timestamp", "frames")}
_EVENTS: Final = {"liquidations": ("value_usd",), "trades": ("price", "amount")}
_SIDED: Final = {dep: (*of, "side") for dep, of in _EVENTS.items()}

_COMPUTED: Final[Mapping[str, _Of]] = MappingProxyType(
    {
        "candles of trades": _OF_TRADES,
        "candles": _OF_SHORTER,
        "trade_flow": _OF_TRADES,
        "indicators": _from("candles", _SUITE),
        "indicator_state": _STATES_OF,
        "indicator_studies": _from("candles", {"value": (*_PRICES, "volume")}),
        "book_metrics": {
            "updated": {"book_deltas": ("local_timestamp",)},
            **dict.fromkeys(DATASETS["book_metrics"].schema.names[4:], _BOOK),
        },
        "heatmap": {
            **dict.fromkeys(("price_bucket", "volume", "intensity"), _BOOK),
            "bucket_size": {"book_deltas": ("price",)},
            "exchange_count": _VENUES,
        },
        "consolidated_book": {
            **dict.fromkeys(DATASETS["consolidated_book"].schema.names[3:], _VENUES),
        },
        "coverage": {
            **{name: dict.fromkeys((*_MARKETS, "gaps"), (name,)) for name in ("exchange", "symbol")},
            **dict.fromkeys(("rows", "first_time", "last_time", "timestamp"), _TIMES),
            "duplicates": {name: DATASETS[name].unique_key for name in _MARKETS},
            **dict.fromkeys(("gaps", "gap_seconds"), _GAPS),
            "connected_seconds": _CONNECTED,
            "condition": {**_TIMES, **_GAPS, **_CONNECTED},
        },
        "liquidation_windows": {
            "event_count": {"liquidations": ("timestamp",), "trades": ("timestamp",)},
            **dict.fromkeys(("total_volume_usd", "largest_trade_usd", "severity"), _EVENTS),
            **dict.fromkeys(("buy_volume_usd", "sell_volume_usd"), _SIDED),
            "vwap": dict.fromkeys(_EVENTS, ("price", "amount")),
            **dict.fromkeys(("price_change_pct", "volatility"), dict.fromkeys(_EVENTS, ("price",))),
        },
    }
)

UNMADE: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "candles of trades": frozenset({"timeframe", "source"}),
        "coverage": frozenset({"dataset"}),
        "indicator_studies": frozenset({"study"}),
        "consolidated_book": frozenset({"exchange"}),
        "liquidation_windows": frozenset({"source", "window_seconds"}),
    }
)
"""Columns that no column makes: what the asset itself is called, settings, and words of ours."""


def kind_of(name: str, deps: Iterable[str]) -> str:
    """Under which name the tables speak of a dataset: all timeframes and spans are alike, but for candles made of trades."""
    family = next((each for each in ("candles", "indicators", "indicator_state", "indicator_studies") if name.startswith(f"{each}_")), name)
    return "candles of trades" if family == "candles" and "trades" in deps else family


def sources_of(data: Dataset, deps: Iterable[str]) -> dict[str, list[tuple[str, str]]]:
    """For each column of `data` the columns (asset, column) it is made of; empty lists are left out."""
    deps = sorted(deps)
    kind = kind_of(data.name, deps)
    computed, unmade = _COMPUTED.get(kind, {}), UNMADE.get(kind, frozenset())
    found: dict[str, list[tuple[str, str]]] = {}
    for column in data.schema.names:
        if column in unmade:
            continue
        for dep in deps:
            name = dep.removeprefix("landed/")
            if name not in DATASETS:
                continue
            raw = dep.startswith("landed/")
            of = (column,) if raw or column not in computed else computed[column].get(kind_of(name, ()), ())
            theirs = DATASETS[name].schema.names
            made_of = [(dep, each) for each in of if each in theirs]
            if made_of:
                found.setdefault(column, []).extend(made_of)
    return found


def column_lineage(data: Dataset, deps: Iterable[dg.AssetKey]) -> dg.TableColumnLineage:
    """The same for Dagster."""
    return _lineage(data, frozenset(key.to_user_string() for key in deps))


@cache
def _lineage(data: Dataset, deps: frozenset[str]) -> dg.TableColumnLineage:
    # Every run asks for it as often as it has assets, and it stands still.
    sources = sources_of(data, deps)
    return dg.TableColumnLineage(
        {
            column: [dg.TableColumnDep(asset_key=dg.AssetKey(asset.split("/")), column_name=each) for asset, each in of]
            for column, of in sources.items()
        }
    )
