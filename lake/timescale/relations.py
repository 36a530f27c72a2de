"""The tables on the server: their columns in order, keys, and how the editions lay them out.

Put here: what the migrations make, as data that syncing and the editions' statements are made from; a test holds the two together. Keep
out: where rows come from (`lake.timescale.tables`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from lake.transforms.indicators.definitions import DEFINITIONS, INDICATORS

Type = Literal["text", "numeric", "bigint", "integer", "boolean", "timestamptz", "jsonb"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Relation:
    """One table. `time` is the column hypertables are cut by, `window` the one by which a partition of the lake finds its rows."""

    name: str
    columns: tuple[tuple[str, Type], ...]
    key: tuple[str, ...]
    time: str
    window: str = ""
    chunk_days: int | None = None
    """Width of a hypertable's chunks; None for a plain table."""
    segments: tuple[str, ...] = ()
    """Columns by which the full edition's compression keeps rows together."""

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.columns)

    @property
    def window_column(self) -> str:
        return self.window or self.time


def _typed(type_: Type, names: str) -> tuple[tuple[str, Type], ...]:
    return tuple((name, type_) for name in names.split())


CANDLE_COLUMNS: Final = (
    *_typed("bigint", "last_id"),
    *_typed("text", "asset exchange"),
    *_typed("timestamptz", "timestamp"),
    *_typed("numeric", "open high low close volume"),
)

_ASKED_FOR: Final = (
    "ema200 diff_ema200_pct sma200 ema36 ema10 ehma180 rsi14 bbm202 bbl202 bbu202 bbw202 td_seq_up td_seq_down st73 range_pct "
    "high_low_range_pct volume_usd"
)
INDICATORS_FIRST: Final = tuple(_ASKED_FOR.split())
"""The indicators people ask for by place as well as by name; those that the suite has beyond them follow at the end."""

_KINDS: Final[dict[str, Type]] = {each.name: "numeric" if each.kind == "float" else "integer" for each in DEFINITIONS}
_OHLC: Final = _typed("numeric", "open high low close")


def _candles(name: str, chunk_days: int) -> Relation:
    return Relation(
        name=name,
        columns=CANDLE_COLUMNS,
        key=("asset", "exchange", "timestamp"),
        time="timestamp",
        chunk_days=chunk_days,
        segments=("asset", "exchange"),
    )


LONGER: Final = {"h2_data": "2h", "h4_data": "4h", "h12_data": "12h", "d1_data": "1d", "d3_data": "3d", "w1_data": "1w", "m1_data": "1M"}
"""Candles longer than an hour, shortest first: views over continuous aggregates on the full edition, tables elsewhere."""

_ALL: Final = (
    _candles("h1_data", 30),
    *(_candles(name, 365) for name in LONGER),
    Relation(
        name="indicators",
        columns=(
            *_typed("bigint", "last_id"),
            *_typed("text", "timeframe"),
            *((name, _KINDS[name]) for name in INDICATORS_FIRST),
            *_typed("text", "exchange asset"),
            *_typed("timestamptz", "timestamp"),
            *((name, _KINDS[name]) for name in INDICATORS if name not in INDICATORS_FIRST),
        ),
        key=("exchange", "asset", "timeframe", "timestamp"),
        time="timestamp",
        chunk_days=7,
        segments=("exchange", "asset", "timeframe"),
    ),
    Relation(
        name="cg_data",
        columns=(
            *_typed("text", "id symbol name"),
            *_typed("numeric", "close market_cap"),
            *_typed("integer", "market_cap_rank"),
            *_typed("numeric", "fdv ath atl"),
            *_typed("integer", "days_since_ath"),
            *_typed("boolean", "ath5 ath10 ath15 ath90"),
            *_typed("timestamptz", "timestamp sys_timestamp"),
            *_typed("numeric", "volume_24h"),
            *_typed("timestamptz", "ath_date"),
        ),
        key=("id", "sys_timestamp"),
        time="sys_timestamp",
        chunk_days=30,
        segments=("id",),
    ),
    Relation(
        name="asset_listing_history",
        columns=(
            *_typed("text", "exchange symbol"),
            *_typed("timestamptz", "timestamp"),
            *_typed("bigint", "ordinal"),
            *_typed("text", "native market base quote settle"),
            *_typed("boolean", "contract is_spot inverse"),
            *_typed("numeric", "tick_size lot_size contract_size"),
            *_typed("text", "status"),
            *_typed("boolean", "active"),
        ),
        key=("exchange", "symbol", "timestamp", "ordinal"),
        time="timestamp",
    ),
    Relation(
        name="asset_declaration_history",
        columns=(*_typed("text", "exchange symbol reason"), *_typed("timestamptz", "timestamp")),
        key=("timestamp", "exchange", "symbol"),
        time="timestamp",
    ),
    Relation(
        name="flags_history",
        columns=(*_typed("text", "base flag value"), *_typed("timestamptz", "timestamp")),
        key=("timestamp", "base", "flag"),
        time="timestamp",
    ),
    Relation(
        name="logs",
        columns=(
            *_typed("text", "process run_id"),
            *_typed("timestamptz", "started finished"),
            *_typed("text", "status"),
            *_typed("bigint", "rows"),
            *_typed("text", "error"),
        ),
        key=("started", "process", "run_id"),
        time="started",
    ),
    Relation(
        name="order_book_snapshots",
        columns=(
            *_typed("text", "symbol exchange"),
            *_typed("timestamptz", "timestamp"),
            *_typed("jsonb", "bids asks"),
            *_typed("bigint", "sequence_id"),
            *_typed("numeric", "mid_price spread bid_volume ask_volume"),
            *_typed("timestamptz", "local_timestamp"),
            *_typed("bigint", "ordinal"),
        ),
        key=("symbol", "exchange", "timestamp", "local_timestamp", "ordinal"),
        time="timestamp",
        window="local_timestamp",
        chunk_days=1,
        segments=("symbol", "exchange"),
    ),
    Relation(
        name="trade_events",
        columns=(
            *_typed("text", "symbol exchange"),
            *_typed("timestamptz", "timestamp"),
            *_typed("numeric", "price size"),
            *_typed("text", "side trade_id"),
        ),
        key=("symbol", "exchange", "timestamp", "trade_id"),
        time="timestamp",
        chunk_days=1,
        segments=("symbol", "exchange"),
    ),
    Relation(
        name="heatmap_data",
        columns=(
            *_typed("text", "symbol exchange"),
            *_typed("timestamptz", "timestamp"),
            *_typed("numeric", "bucket_size price_bucket volume"),
            *_typed("text", "side"),
            *_typed("integer", "exchange_count"),
            *_typed("numeric", "intensity"),
        ),
        key=("symbol", "exchange", "timestamp", "side", "price_bucket"),
        time="timestamp",
        chunk_days=1,
        segments=("symbol", "exchange"),
    ),
    Relation(
        name="ohlcv_data",
        columns=(
            *_typed("text", "symbol exchange"),
            *_typed("timestamptz", "timestamp"),
            *_typed("text", "timeframe"),
            *_typed("numeric", "open_price high_price low_price close_price volume"),
            *_typed("bigint", "trade_count"),
            *_typed("numeric", "quote_volume buy_volume sell_volume vwap"),
            *_typed("text", "source"),
        ),
        key=("symbol", "exchange", "timeframe", "timestamp"),
        time="timestamp",
        chunk_days=7,
        segments=("symbol", "exchange", "timeframe"),
    ),
    Relation(
        name="liquidation_alerts",
        columns=(
            *_typed("timestamptz", "timestamp"),
            *_typed("numeric", "total_volume_usd vwap price_change_pct"),
            *_typed("text", "alert_severity"),
            *_typed("numeric", "largest_trade_usd"),
            *_typed("text", "exchange symbol rule"),
            *_typed("integer", "window_seconds"),
            *_typed("bigint", "event_count"),
            *_typed("timestamptz", "local_timestamp"),
            *_typed("text", "alert_id"),
        ),
        key=("exchange", "symbol", "timestamp", "local_timestamp", "alert_id"),
        time="timestamp",
        window="local_timestamp",
        chunk_days=30,
        segments=("exchange", "symbol"),
    ),
    Relation(
        name="trade_flow",
        columns=(
            *_typed("timestamptz", "time"),
            *_typed("bigint", "total_count_buy total_count_sell"),
            *_typed("numeric", "total_base_buy total_base_sell total_usd_buy total_usd_sell"),
            *_typed("text", "exchange symbol"),
        ),
        key=("exchange", "symbol", "time"),
        time="time",
        chunk_days=7,
        segments=("exchange", "symbol"),
    ),
    *(
        Relation(
            name=name,
            columns=(*_typed("text", "symbol timeframe"), *_typed("timestamptz", "timestamp"), *_OHLC),
            key=("symbol", "timeframe", "timestamp"),
            time="timestamp",
        )
        for name in ("h4_oi", "h4_oi_weight")
    ),
)

RELATIONS: Final = {each.name: each for each in _ALL}
"""Every table that rows are synced into, in the order in which `timescale sync` fills them."""
