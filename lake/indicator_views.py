# ruff: noqa: S608 - every name put into these statements is our own
"""SQL text of the views over indicators and studies of all timeframes, which are stored in one dataset a span of partitions.

Put here: these views and what is said of them. Keep out: the datasets (`lake.indicator_datasets`), and what is computed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from lake.context_views import ContextView
from lake.indicator_datasets import INDICATOR_COLUMNS, STUDY_COLUMNS, indicator_dataset, indicator_study_dataset
from lake.listing import only_timeframes, union
from lake.registry import DAY_TIMEFRAMES, MONTH_TIMEFRAMES, TRADE_TIMEFRAMES, Column, Span

_SPANS: Final[tuple[tuple[Span, Sequence[str]], ...]] = (("hour", TRADE_TIMEFRAMES), ("day", DAY_TIMEFRAMES), ("month", MONTH_TIMEFRAMES))


def _view(name: str, says: str, dataset_of: Callable[[Span], str], columns: Sequence[Column]) -> ContextView:
    selects = (f"SELECT * FROM {dataset_of(span)} WHERE {only_timeframes(held)}" for span, held in _SPANS)
    return ContextView(name=name, says=says, select=union(selects), columns={column.name: column.comment for column in columns})


INDICATOR_VIEWS: Final = (
    _view(
        "indicators",
        "The core suite of indicators on candles of all fifteen timeframes; a filter on `timeframe` leaves the files of others unread.",
        indicator_dataset,
        INDICATOR_COLUMNS,
    ),
    _view(
        "indicator_studies",
        "Further studies on candles of all fifteen timeframes, as tickhouse.toml names them; one row a value.",
        indicator_study_dataset,
        STUDY_COLUMNS,
    ),
)
"""One view each over the datasets of all spans."""
