"""The registry: the only place where a dataset's columns are declared.

Parquet schemas, write-ahead log batches, DuckDB views, asset metadata, checks and the data dictionary page are made from it.
Put here: datasets, columns, keys, units. Keep out: how any of it is stored or computed.
"""

from __future__ import annotations

from typing import Final

import pyarrow as pa

from lake.alert_datasets import ALERTING
from lake.columns import AMOUNT as AMOUNT
from lake.columns import EVENT_TIME as EVENT_TIME
from lake.columns import EVENT_TIME_OR_NULL as EVENT_TIME_OR_NULL
from lake.columns import EXCHANGE as EXCHANGE
from lake.columns import LOCAL_TIME as LOCAL_TIME
from lake.columns import ORDINAL as ORDINAL
from lake.columns import PRICE as PRICE
from lake.columns import SYMBOL as SYMBOL
from lake.columns import TAKER_SIDE as TAKER_SIDE
from lake.columns import TIMESTAMP as TIMESTAMP
from lake.columns import Column as Column
from lake.columns import Dataset as Dataset
from lake.columns import Merge as Merge
from lake.columns import Span as Span
from lake.columns import column as _c
from lake.context_datasets import CONTEXT, exchange_candles
from lake.errors import UnknownDataset
from lake.flow_datasets import FLOW
from lake.indicator_datasets import indicator_datasets

_BY_EVENT: Final = ("exchange", "symbol", "timestamp", "ordinal")
_BY_ARRIVAL: Final = ("exchange", "symbol", "local_timestamp", "ordinal")

TRADES: Final = Dataset(
    name="trades",
    description="Every trade as the venue published it, one row a trade or aggregate trade.",
    columns=(
        EXCHANGE,
        SYMBOL,
        EVENT_TIME,
        LOCAL_TIME,
        ORDINAL,
        _c("trade_id", pa.string(), "The venue's trade id as text, or a natural key where it has none.", delta=True),
        TAKER_SIDE,
        PRICE,
        AMOUNT,
        _c("fill_count", pa.int32(), "Raw fills in an aggregate trade, else 1."),
        _c("source", pa.string(), "How it reached us: stream or rest."),
        _c("clock_suspect", pa.bool_(), "True when the event time lies more than a minute ahead of our clock."),
    ),
    sort_key=(*_BY_EVENT, "trade_id"),
    unique_key=("exchange", "symbol", "trade_id"),
    time_column="timestamp",
    merge="first",
    landed=True,
)

BOOK_DELTAS: Final = Dataset(
    name="book_deltas",
    description="Order book changes, one row a price level; every hour opens with a full snapshot of each book.",
    columns=(
        EXCHANGE,
        SYMBOL,
        EVENT_TIME_OR_NULL,
        LOCAL_TIME,
        ORDINAL,
        _c("sequence", pa.int64(), "The venue's sequence of the frame; null where it has none.", nullable=True, delta=True),
        _c("side", pa.string(), "Side of the book: bid or ask."),
        PRICE,
        _c("amount", pa.float64(), "Amount now resting at the price, base units; 0 deletes the level."),
        _c("order_count", pa.int32(), "Orders resting at the price; null where not sent.", nullable=True),
        _c("is_snapshot", pa.bool_(), "True for the rows of a full snapshot, which replaces the book."),
    ),
    sort_key=_BY_ARRIVAL,
    unique_key=(),
    time_column="local_timestamp",
    merge="none",
    landed=True,
)

BOOK_SNAPSHOTS: Final = Dataset(
    name="book_snapshots",
    description="The top 25 levels of each book, at most one row a second and only when it changed.",
    columns=(
        EXCHANGE,
        SYMBOL,
        EVENT_TIME_OR_NULL,
        LOCAL_TIME,
        ORDINAL,
        _c("sequence", pa.int64(), "The venue's sequence the book stood at; null where it has none.", nullable=True, delta=True),
        _c("bid_prices", pa.list_(pa.float64()), "Bid prices, best (highest) first, at most 25, quote units."),
        _c("bid_amounts", pa.list_(pa.float64()), "Bid amounts in the order of bid_prices, base units."),
        _c("ask_prices", pa.list_(pa.float64()), "Ask prices, best (lowest) first, at most 25, quote units."),
        _c("ask_amounts", pa.list_(pa.float64()), "Ask amounts in the order of ask_prices, base units."),
    ),
    sort_key=_BY_ARRIVAL,
    unique_key=("exchange", "symbol", "local_timestamp", "ordinal"),
    time_column="local_timestamp",
    merge="first",
    landed=True,
)

LIQUIDATIONS: Final = Dataset(
    name="liquidations",
    description="Forced orders as the venues publish them.",
    columns=(
        EXCHANGE,
        SYMBOL,
        EVENT_TIME,
        LOCAL_TIME,
        ORDINAL,
        _c("side", pa.string(), "Side of the liquidation order: sell when a long was liquidated."),
        PRICE,
        AMOUNT,
        _c("value_usd", pa.float64(), "price x amount in USD; null where the quote is not a dollar currency.", nullable=True),
        _c("liquidation_id", pa.string(), "The venue's id, else a natural key of time, side, amount and price."),
        _c("sampled", pa.bool_(), "True where the venue publishes only some; null where it does not say.", nullable=True),
    ),
    sort_key=(*_BY_EVENT, "liquidation_id"),
    unique_key=("exchange", "symbol", "liquidation_id"),
    time_column="timestamp",
    merge="first",
    landed=True,
)

DERIVATIVES: Final = Dataset(
    name="derivatives",
    description="Funding, open interest, mark and index price of perpetuals, as published.",
    columns=(
        EXCHANGE,
        SYMBOL,
        EVENT_TIME,
        LOCAL_TIME,
        ORDINAL,
        _c("funding_rate", pa.float64(), "Funding rate of the current interval, a fraction.", nullable=True),
        _c("next_funding", TIMESTAMP, "Time of the next funding, UTC.", nullable=True),
        _c("open_interest", pa.float64(), "Open interest, base units.", nullable=True),
        _c("mark_price", pa.float64(), "Mark price, quote units.", nullable=True),
        _c("index_price", pa.float64(), "Index price, quote units.", nullable=True),
    ),
    sort_key=_BY_EVENT,
    unique_key=("exchange", "symbol", "timestamp"),
    time_column="timestamp",
    merge="last",
    landed=True,
)

LISTINGS: Final = Dataset(
    name="listings",
    description="Instruments as the venues list them: a row where one is new, changed or gone, and one of each a day.",
    columns=(
        EXCHANGE,
        SYMBOL,
        _c("timestamp", TIMESTAMP, "Always null: no venue says since when its list holds.", nullable=True, delta=True),
        _c("local_timestamp", TIMESTAMP, "When the list was received, microseconds UTC.", delta=True),
        ORDINAL,
        _c("native", pa.string(), "The venue's own id of the instrument."),
        _c("market", pa.string(), "The venue's market it belongs to, e.g. spot or usdm."),
        _c("base", pa.string(), "Base asset."),
        _c("quote", pa.string(), "Quote asset."),
        _c("settle", pa.string(), "Asset a contract settles in; null for spot.", nullable=True),
        _c("contract", pa.bool_(), "True for a derivative."),
        _c("is_spot", pa.bool_(), "True for a spot pair."),
        _c("inverse", pa.bool_(), "True where a contract is worth contract_size quote units, so that its base units depend on the price."),
        _c("tick_size", pa.float64(), "Least difference of prices, quote units; null where not listed.", nullable=True),
        _c("lot_size", pa.float64(), "Least difference of amounts, base units or contracts; null where not listed.", nullable=True),
        _c("contract_size", pa.float64(), "Base units (inverse: quote units) a contract holds; 1 where amounts are base units."),
        _c("status", pa.string(), "trading, halted (listed, but not traded) or gone (no longer listed)."),
        _c("active", pa.bool_(), "True while it is traded."),
    ),
    sort_key=_BY_ARRIVAL,
    unique_key=("exchange", "symbol", "local_timestamp", "ordinal"),
    time_column="local_timestamp",
    merge="first",
    landed=True,
)

GAPS: Final = Dataset(
    name="gaps",
    description="What was missed, by channel and symbol, and when it was healed.",
    columns=(
        EXCHANGE,
        _c("symbol", pa.string(), "CCXT unified symbol, or empty for a whole connection."),
        EVENT_TIME_OR_NULL,
        _c("local_timestamp", TIMESTAMP, "When the gap was noticed, microseconds UTC.", delta=True),
        ORDINAL,
        _c("channel", pa.string(), "Dataset whose rows are missing: trades, book_deltas, liquidations or derivatives."),
        _c("kind", pa.string(), "disconnect, sequence, checksum, stall or overflow."),
        _c("from_sequence", pa.int64(), "Last sequence before the gap, exclusive.", nullable=True),
        _c("to_sequence", pa.int64(), "First sequence after the gap, exclusive.", nullable=True),
        _c("from_time", TIMESTAMP, "Last time known to be whole, UTC."),
        _c("to_time", TIMESTAMP, "First time known to be whole again, UTC; null while open.", nullable=True),
        _c("healed_at", TIMESTAMP, "When the gap was closed, UTC; null while open.", nullable=True),
        _c("healed_by", pa.string(), "What closed it: snapshot, rest, reconnect; null while open.", nullable=True),
    ),
    sort_key=("exchange", "symbol", "channel", "from_time", "kind", "local_timestamp", "ordinal"),
    unique_key=("exchange", "symbol", "channel", "from_time"),
    time_column="local_timestamp",
    merge="last",
    landed=True,
)

DEAD_LETTERS: Final = Dataset(
    name="dead_letters",
    description="Frames that could not be decoded, whole, with the reason.",
    columns=(
        EXCHANGE,
        LOCAL_TIME,
        ORDINAL,
        _c("connection", pa.string(), "Connection the frame came from."),
        _c("reason", pa.string(), "Why it could not be decoded, one sentence."),
        _c("raw", pa.binary(), "The frame as received."),
    ),
    sort_key=("exchange", "connection", "local_timestamp", "ordinal"),
    unique_key=(),
    time_column="local_timestamp",
    merge="none",
    landed=True,
)

LEDGER: Final = Dataset(
    name="ledger",
    description="Per minute and connection: what became of every frame and of every decoded row.",
    columns=(
        EXCHANGE,
        _c("timestamp", TIMESTAMP, "The minute counted, its start, UTC.", delta=True),
        _c("connection", pa.string(), "Connection the frames came over."),
        _c("dataset", pa.string(), "Dataset the row counts speak of; empty for the frame counts of the connection."),
        _c("frames", pa.int64(), "Frames received; equals control + ignored + decoded + dead_letters."),
        _c("control", pa.int64(), "Acknowledgements, heartbeats, status and reference answers."),
        _c("ignored", pa.int64(), "Frames understood but not landed."),
        _c("decoded", pa.int64(), "Frames that became rows."),
        _c("dead_letters", pa.int64(), "Frames that could not be decoded."),
        _c("rows_decoded", pa.int64(), "Rows decoded; equals rows_landed + duplicates + discarded."),
        _c("rows_landed", pa.int64(), "Rows handed to the write-ahead log."),
        _c("duplicates", pa.int64(), "Rows that had landed before."),
        _c("discarded", pa.int64(), "Rows left out for a reason, e.g. fills of the insurance fund."),
        _c("discard_reason", pa.string(), "The reason; empty where discarded is 0."),
    ),
    sort_key=("exchange", "timestamp", "connection", "dataset", "discard_reason"),
    unique_key=("exchange", "timestamp", "connection", "dataset", "discard_reason"),
    time_column="timestamp",
    merge="sum",
    landed=True,
)

COVERAGE: Final = Dataset(
    name="coverage",
    description="What each hour holds, and what it misses, per exchange, dataset and symbol.",
    columns=(
        EXCHANGE,
        SYMBOL,
        _c("timestamp", TIMESTAMP, "The hour, its start, UTC.", delta=True),
        _c("dataset", pa.string(), "The landed dataset spoken of."),
        _c("rows", pa.int64(), "Rows the hour holds."),
        _c("duplicates", pa.int64(), "Rows that shared a unique key and were merged when the hour was compacted."),
        _c("gaps", pa.int64(), "Gaps that touch the hour."),
        _c("gap_seconds", pa.float64(), "Seconds of the hour that lie in a gap, overlaps counted once."),
        _c("connected_seconds", pa.float64(), "Seconds of the hour in which the exchange's connections delivered frames."),
        _c("first_time", TIMESTAMP, "First row's time in the hour, UTC.", nullable=True),
        _c("last_time", TIMESTAMP, "Last row's time in the hour, UTC.", nullable=True),
        _c("condition", pa.string(), "available, degraded, pending (the hour is still open) or missing."),
    ),
    sort_key=("exchange", "symbol", "timestamp", "dataset"),
    unique_key=("exchange", "symbol", "timestamp", "dataset"),
    time_column="timestamp",
    merge="last",
    landed=False,
)

CANDLE_COLUMNS: Final = (
    EXCHANGE,
    SYMBOL,
    _c("timeframe", pa.string(), "1m 3m 5m 15m 30m 1h 2h 4h 6h 8h 12h 1d 3d 1w 1M."),
    _c("timestamp", TIMESTAMP, "Open time of the candle, UTC.", delta=True),
    _c("open", pa.float64(), "Price of the first trade, quote units."),
    _c("high", pa.float64(), "Highest price, quote units."),
    _c("low", pa.float64(), "Lowest price, quote units."),
    _c("close", pa.float64(), "Price of the last trade, quote units."),
    _c("volume", pa.float64(), "Sum of amount, base units."),
    _c("quote_volume", pa.float64(), "Sum of price x amount, quote units."),
    _c("trade_count", pa.int64(), "Sum of fill_count."),
    _c("buy_volume", pa.float64(), "Sum of amount of taker buys, base units."),
    _c("sell_volume", pa.float64(), "Sum of amount of taker sells, base units."),
    _c("vwap", pa.float64(), "quote_volume / volume, quote units."),
    _c("source", pa.string(), "trades (ours) or exchange (the venue's own candle)."),
)

TRADE_TIMEFRAMES: Final = ("1m", "3m", "5m", "15m", "30m", "1h")
"""Timeframes made of the trades of their own hour: one file an hour."""

DAY_TIMEFRAMES: Final = ("2h", "4h", "6h", "8h", "12h", "1d")
"""Timeframes made of the day's candles of 1h: one file a day."""

MONTH_TIMEFRAMES: Final = ("3d", "1w", "1M")
"""Timeframes made of candles of 1d: one file a month, which holds the candles that open in it."""


def candle_dataset(timeframe: str) -> str:
    """Name of the stored dataset that holds candles of `timeframe`: `candles_1m`. (`1M` is the month: `candles_1month`.)"""
    return f"candles_{'1month' if timeframe == '1M' else timeframe}"


def _candles(timeframe: str, *, span: Span = "hour") -> Dataset:
    of = {"hour": "trades", "day": "the candles of 1h", "month": "the candles of 1d"}[span]
    return Dataset(
        name=candle_dataset(timeframe),
        description=f"Candles of {timeframe} made from {of}; no row for an interval without a trade.",
        columns=CANDLE_COLUMNS,
        sort_key=("exchange", "symbol", "timestamp", "source"),
        unique_key=("exchange", "symbol", "timeframe", "timestamp", "source"),
        time_column="timestamp",
        merge="last",
        landed=False,
        span=span,
        extra=(("timeframe", timeframe),),
    )


_ALL: Final = (
    TRADES,
    BOOK_DELTAS,
    BOOK_SNAPSHOTS,
    LIQUIDATIONS,
    DERIVATIVES,
    LISTINGS,
    GAPS,
    DEAD_LETTERS,
    LEDGER,
    *ALERTING,
    COVERAGE,
    *(_candles(timeframe) for timeframe in TRADE_TIMEFRAMES),
    *(_candles(timeframe, span="day") for timeframe in DAY_TIMEFRAMES),
    *(_candles(timeframe, span="month") for timeframe in MONTH_TIMEFRAMES),
    exchange_candles(CANDLE_COLUMNS),
    *indicator_datasets(),
    *CONTEXT,
    *FLOW,
)

DATASETS: Final[dict[str, Dataset]] = {dataset.name: dataset for dataset in _ALL}
LANDED: Final[tuple[str, ...]] = tuple(name for name, dataset in DATASETS.items() if dataset.landed)


def of_span(span: Span) -> tuple[str, ...]:
    """Names of the datasets whose partitions are hours, days or months, in the order of the registry."""
    return tuple(name for name, dataset in DATASETS.items() if dataset.span == span)


def dataset(name: str) -> Dataset:
    """The dataset called `name`; `UnknownDataset` if the registry has none."""
    try:
        return DATASETS[name]
    except KeyError:
        raise UnknownDataset(name, tuple(DATASETS)) from None
