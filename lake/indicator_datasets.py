"""The datasets of indicators, of the states they go on from and of further studies, one of each a span of partitions.

Put here: their columns, keys and units, made from `lake.transforms.indicators.definitions`; `lake.registry` lists them among all others.
Keep out: how they are computed.
"""

from __future__ import annotations

from typing import Final

import pyarrow as pa

from lake.columns import EXCHANGE, SYMBOL, TIMESTAMP, Column, Dataset, Span
from lake.columns import column as _c
from lake.transforms.indicators.definitions import CARRIED, DEFINITIONS, WINDOWS

_TYPES: Final = {"float": pa.float64(), "count": pa.int32(), "sign": pa.int8()}
_TIMEFRAMES: Final = {"hour": "1m to 1h", "day": "2h to 1d", "month": "3d, 1w and 1M"}

_TIMEFRAME: Final = _c("timeframe", pa.string(), "Timeframe of the candles, e.g. 1m.")
_SOURCE: Final = _c("source", pa.string(), "Source of the candles: trades or exchange.")

INDICATOR_COLUMNS: Final[tuple[Column, ...]] = (
    EXCHANGE,
    SYMBOL,
    _TIMEFRAME,
    _c("timestamp", TIMESTAMP, "Open time of the candle, UTC.", delta=True),
    _SOURCE,
    *(_c(each.name, _TYPES[each.kind], each.comment, nullable=each.needs > 1 or each.kind == "float") for each in DEFINITIONS),
)

_CARRIED_COMMENTS: Final = {
    "gain14": "Wilder's average of gains, quote units",
    "loss14": "Wilder's average of losses, quote units",
    "atr7": "Wilder's average of the true range, quote units",
    "macd_signal": "Signal line of macd, quote units",
    "ehma180": "Exponential Hull average, quote units",
    "st73_upper": "Upper Supertrend band, quote units",
    "st73_lower": "Lower Supertrend band, quote units",
    "st73_direction": "Supertrend direction, 1 or -1",
    "td_seq_up": "TD count upwards",
    "td_seq_down": "TD count downwards",
}

STATE_COLUMNS: Final[tuple[Column, ...]] = (
    EXCHANGE,
    SYMBOL,
    _TIMEFRAME,
    _c("timestamp", TIMESTAMP, "Start of the partition after which the state stands, UTC.", delta=True),
    _SOURCE,
    _c("last_open", TIMESTAMP, "Open time of the last candle of the history, UTC.", delta=True),
    _c("candles", pa.int64(), "Candles of the history so far."),
    _c("usdt_rate", pa.float64(), "Last known rate of the quote in USDT; null where none was known.", nullable=True),
    *(
        _c(
            name,
            pa.float64(),
            f"{_CARRIED_COMMENTS.get(name, f'EMA of {name[3:]} closes, quote units')}; null up to 200 candles.",
            nullable=True,
        )
        for name in CARRIED
    ),
    *(
        _c(name, pa.list_(pa.float64()), f"Last {name.removeprefix('window_')} prices, oldest first, at most 200, quote units.")
        for name in WINDOWS
    ),
)

STUDY_COLUMNS: Final[tuple[Column, ...]] = (
    *INDICATOR_COLUMNS[:5],
    _c("study", pa.string(), "Column of a study of pandas-ta-classic, e.g. ta_adx_14."),
    _c("value", pa.float64(), "Its value, in the unit the study has."),
)

_KEY: Final = ("exchange", "symbol", "timeframe", "timestamp", "source")


def indicator_dataset(span: Span) -> str:
    """Name of the dataset with the indicators of all candles whose partitions are of `span`: `indicators_hour`."""
    return f"indicators_{span}"


def indicator_state_dataset(span: Span) -> str:
    """Name of the dataset with the states after each partition of `span`: `indicator_state_hour`."""
    return f"indicator_state_{span}"


def indicator_study_dataset(span: Span) -> str:
    """Name of the dataset with further studies of all candles whose partitions are of `span`: `indicator_studies_hour`."""
    return f"indicator_studies_{span}"


def _of(span: Span, name: str, description: str, columns: tuple[Column, ...], *, key: tuple[str, ...] = _KEY) -> Dataset:
    return Dataset(
        name=name,
        description=description,
        columns=columns,
        sort_key=key,
        unique_key=key,
        time_column="timestamp",
        merge="last",
        landed=False,
        span=span,
    )


def indicator_datasets() -> tuple[Dataset, ...]:
    """Indicators, states and studies of every span."""
    spans: tuple[Span, ...] = ("hour", "day", "month")
    rows = (
        _of(span, indicator_dataset(span), f"The core suite of indicators on candles of {_TIMEFRAMES[span]}.", INDICATOR_COLUMNS)
        for span in spans
    )
    states = (
        _of(
            span,
            indicator_state_dataset(span),
            f"What the indicators of {_TIMEFRAMES[span]} go on from: every history after each {span}, also those without a candle in it.",
            STATE_COLUMNS,
        )
        for span in spans
    )
    studies = (
        _of(
            span,
            indicator_study_dataset(span),
            f"Further studies on candles of {_TIMEFRAMES[span]}, as tickhouse.toml names them; one row a value.",
            STUDY_COLUMNS,
            key=(*_KEY, "study"),
        )
        for span in spans
    )
    return (*rows, *states, *studies)
