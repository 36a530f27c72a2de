"""The data dictionary: every dataset and column with type and unit, as a page of Markdown made from the registry.

Put here: the layout of that page. Keep out: any description, they all stand in `lake.registry`.

`python -m lake.dictionary` writes docs/data-dictionary.md; a test fails while the page differs from the registry.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from lake.context_views import CONTEXT_VIEWS, ContextView
from lake.indicator_views import INDICATOR_VIEWS
from lake.macros import CANDLES_NOW, MACROS
from lake.registry import DATASETS, Dataset, candle_dataset
from lake.transforms.timeframes import TIMEFRAMES
from lake.views import BOOK_SPREADS_COMMENTS, PARTITION_COMMENTS

PAGE: Final = Path(__file__).resolve().parent.parent / "docs" / "data-dictionary.md"

_MERGE: Final = {
    "first": "rows of one key are one event: the row of the stream before one fetched later, then the earliest, is kept",
    "last": "rows of one key complete each other: of each column the latest value counts",
    "sum": "rows of one key add up",
    "none": "every row counts",
}

_FILED: Final = {
    "hour": "Filed under the hour of `{column}`.",
    "day": "Filed under the day of `{column}`, one file a day.",
    "month": "Filed under the first day of the month of `{column}`, one file a month: `date` is that day.",
}

_INTRODUCTION: Final = """# Data dictionary

Made from the registry (`lake/registry.py`) by `python -m lake.dictionary`; edit the registry, not this page.

All times are UTC, in microseconds. `timestamp` is the exchange's time, `local_timestamp` ours; prices are in quote units, amounts in
base units. Every dataset is a view of `lake.duckdb`; there each also has `date` and `hour`, the partition a row is filed
under: a filter on them leaves the files of other hours unread.
"""


def render() -> str:
    """The whole page."""
    landed = [_section(dataset) for dataset in DATASETS.values() if dataset.landed]
    alike = {candle_dataset(each) for each in TIMEFRAMES}
    derived = [_section(dataset) for name, dataset in DATASETS.items() if not dataset.landed and name not in alike]
    derived.insert(1, _candles())
    return "\n".join(
        [_INTRODUCTION, "# Landed by collectors\n", *landed, "# Derived\n", *derived, "# Views beside the datasets\n", _views()]
    )


def _candles() -> str:
    """One section for the stored candles of all timeframes, which differ in how they are filed alone."""
    datasets = [DATASETS[candle_dataset(each)] for each in TIMEFRAMES]
    _, _, _, _, properties = _section(datasets[0]).split("\n", 4)
    lines = [
        "## candles_1m … candles_1month\n",
        "Candles made from trades, a dataset for each timeframe.\n",
        "| dataset | one file | holds |",
        "| --- | --- | --- |",
        *(f"| `{each.name}` | a {each.span} | {each.description} |" for each in datasets),
        "",
        properties.replace(f"- {_FILED['hour'].format(column='timestamp')}\n", "- Filed under the partition `timestamp` lies in.\n"),
    ]
    return "\n".join(lines)


def _section(dataset: Dataset) -> str:
    key = ", ".join(f"`{name}`" for name in dataset.unique_key) or "none"
    lines = [
        f"## {dataset.name}\n",
        f"{dataset.description}\n",
        f"- Unique key: {key}; {_MERGE[dataset.merge]}.",
        f"- Sorted by {', '.join(f'`{name}`' for name in dataset.sort_key)}.",
        f"- {_FILED[dataset.span].format(column=dataset.time_column)}\n",
        "| column | type | null | meaning |",
        "| --- | --- | --- | --- |",
    ]
    lines += [f"| `{c.name}` | {c.type} | {'yes' if c.nullable else 'no'} | {_cell(c.comment)} |" for c in dataset.columns]
    return "\n".join([*lines, ""])


def _views() -> str:
    lines = [
        "## candles\n",
        "Candles of all fifteen timeframes in one view, up to the last visible trade: stored ones as far as they cover the trades, all",
        "others computed on the fly. One source a key: ours (`trades`) where coverage of the trades is available for every hour of the",
        "candle, else the exchange's own (`exchange`) where there is one with a trade in it. Columns are those of `candles_1m`.\n",
        *(line for view in INDICATOR_VIEWS for line in _alike(view)),
        "## book_spreads\n",
        "Best bid and ask, mid and spread of each row of `book_snapshots`.\n",
        "| column | meaning |",
        "| --- | --- |",
        *(f"| `{name}` | {_cell(comment)} |" for name, comment in {**BOOK_SPREADS_COMMENTS, **PARTITION_COMMENTS}.items()),
        "",
        "## listings_now\n",
        "The newest row of `listings` of each exchange and symbol, in the columns of `listings`; `status` tells which are still traded.\n",
        *(line for view in CONTEXT_VIEWS for line in _view(view)),
        "# Table macros\n",
        "Instants are timestamps, or text with a zone such as `2026-11-21 07:00Z`: without one it is read in the zone of the session.\n",
        *(f"## {macro.heading}\n\n{macro.says}\n\n`{macro.example}`\n" for macro in (CANDLES_NOW, *MACROS)),
    ]
    return "\n".join(lines)


def _view(view: ContextView) -> list[str]:
    rows = [f"| `{name}` | {_cell(comment)} |" for name, comment in view.columns.items()]
    return [f"## {view.name}\n", f"{view.says}\n", "| column | meaning |", "| --- | --- |", *rows, ""]


def _alike(view: ContextView) -> list[str]:
    """A view whose columns stand in the section of its datasets."""
    return [f"## {view.name}\n", f"{view.says} Columns are those of `{view.name}_hour`.\n"]


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
