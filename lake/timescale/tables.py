"""What is synced: each table's lake dataset, its partitions, and how the columns of one become those of the other.

Put here: the list of them. Keep out: the tables as the server has them (`lake.timescale.relations`), reading (`lake.timescale.reading`).

A relation may be filled from several datasets, each with partitions of its own: indicators of candles up to 1h are made by the hour,
those of longer ones by the day and the month. So `indicators_hour`, `indicators_day` and `indicators_month` are three tables to sync and
one to ask.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from lake.columns import Span
from lake.dollars import DOLLARS
from lake.indicator_datasets import indicator_dataset
from lake.registry import DAY_TIMEFRAMES, MONTH_TIMEFRAMES, TRADE_TIMEFRAMES, candle_dataset, dataset
from lake.timescale.errors import UnknownTable
from lake.timescale.last_id import last_id_duckdb
from lake.timescale.relations import LONGER, RELATIONS, Relation

Kind = Literal["rows", "candles", "indicators"]
"""Where rows come from: the partition as it is stored, the view `candles`, or stored indicators of the candles that view shows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One table to sync. `expressions` are DuckDB expressions by target column, where that is not called as in the dataset."""

    name: str
    relation: Relation
    dataset: str
    span: Span
    kind: Kind = "rows"
    timeframes: tuple[str, ...] = ()
    """Of a relation that holds several: those this table fills."""
    closed_only: bool = False
    """Leave out candles that still run."""
    where: str = ""
    expressions: Mapping[str, str] = field(default_factory=dict)

    @property
    def columns(self) -> tuple[tuple[str, str], ...]:
        """Target column and DuckDB expression over the dataset's columns, in the order of the target."""
        return tuple((name, self.expressions.get(name, f'"{name}"')) for name in self.relation.names)

    @property
    def key(self) -> tuple[str, ...]:
        return self.relation.key

    @property
    def time_column(self) -> str:
        return self.relation.time

    @property
    def lake_time_column(self) -> str:
        """Column of the dataset that decides which partition a row belongs to."""
        return dataset(self.dataset).time_column


_CANDLE: Final = {"last_id": last_id_duckdb(), "asset": "symbol"}
_OPENING: Final = {f"{name}_price": name for name in ("open", "high", "low", "close")}
_SPANS: Final[Mapping[Span, tuple[str, ...]]] = {"hour": TRADE_TIMEFRAMES, "day": DAY_TIMEFRAMES, "month": MONTH_TIMEFRAMES}
_FLAGS: Final = ", ".join(f"'{each}'" for each in sorted(DOLLARS))
_IN_DOLLARS: Final = f"split_part(split_part(symbol, '/', 2), ':', 1) IN ({_FLAGS})"


def _span_of(timeframe: str) -> Span:
    return next(span for span, timeframes in _SPANS.items() if timeframe in timeframes)


def _pairs(side: str) -> str:
    return f"to_json(list_transform(list_zip({side}_prices, {side}_amounts), lambda pair: [pair[1], pair[2]]))"


def _table(name: str, source: str, **more: object) -> Table:
    relation = RELATIONS[str(more.pop("relation", name))]
    return Table(name=name, relation=relation, dataset=source, span=dataset(source).span, **more)  # type: ignore[arg-type]


_ALL: Final = (
    _table("h1_data", candle_dataset("1h"), kind="candles", timeframes=("1h",), closed_only=True, expressions=_CANDLE),
    *(_table(name, candle_dataset(each), kind="candles", timeframes=(each,), expressions=_CANDLE) for name, each in LONGER.items()),
    *(
        _table(
            f"indicators_{span}",
            indicator_dataset(span),
            relation="indicators",
            kind="indicators",
            timeframes=each,
            expressions=_CANDLE,
        )
        for span, each in _SPANS.items()
    ),
    _table(
        "cg_data",
        "coingecko",
        expressions={"id": "cg_id", "market_cap_rank": "rank", "sys_timestamp": "local_timestamp"},
    ),
    _table("asset_listing", "listings", relation="asset_listing_history", expressions={"timestamp": "local_timestamp"}),
    _table("asset_declaration", "declarations", relation="asset_declaration_history"),
    _table("flags", "flags", relation="flags_history"),
    _table("logs", "execution_log"),
    _table(
        "order_book_snapshots",
        "book_snapshots",
        expressions={
            "timestamp": "coalesce(timestamp, local_timestamp)",
            "bids": _pairs("bid"),
            "asks": _pairs("ask"),
            "sequence_id": "sequence",
            "mid_price": "(bid_prices[1] + ask_prices[1]) / 2",
            "spread": "ask_prices[1] - bid_prices[1]",
            "bid_volume": "coalesce(list_sum(bid_amounts), 0)",
            "ask_volume": "coalesce(list_sum(ask_amounts), 0)",
        },
    ),
    _table("trade_events", "trades", expressions={"size": "amount"}),
    _table("heatmap_data", "heatmap"),
    *(
        _table(
            f"ohlcv_data_{span}",
            candle_dataset(each[0]),
            relation="ohlcv_data",
            kind="candles",
            timeframes=each,
            expressions=_OPENING,
        )
        for span, each in _SPANS.items()
    ),
    _table("liquidation_alerts", "liquidation_alerts"),
    _table(
        "trade_flow",
        "trade_flow",
        expressions={
            "time": "timestamp",
            "total_count_buy": "buy_count",
            "total_count_sell": "sell_count",
            "total_base_buy": "buy_volume",
            "total_base_sell": "sell_volume",
            "total_usd_buy": f"CASE WHEN {_IN_DOLLARS} THEN buy_quote_volume END",
            "total_usd_sell": f"CASE WHEN {_IN_DOLLARS} THEN sell_quote_volume END",
        },
    ),
    _table("h4_oi", "coinglass_open_interest"),
    _table("h4_oi_weight", "coinglass_weighted_funding"),
)

_TABLES: Final = {each.name: each for each in _ALL}


def tables() -> tuple[Table, ...]:
    """Every table that is synced, in an order in which each may follow the one before."""
    return _ALL


def table(name: str) -> Table:
    """The table called `name`; `UnknownTable` if none is."""
    try:
        return _TABLES[name]
    except KeyError:
        raise UnknownTable(name, tuple(_TABLES)) from None
