"""The data dictionary: every dataset and column with type and unit, as a page of Markdown made from the registry.

Put here: the layout of that page. Keep out: any description, they all stand in `lake.registry`.

`python -m lake.dictionary` writes docs/data-dictionary.md; a test fails while the page differs from the registry.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from lake.registry import DATASETS, Dataset
from lake.views import BOOK_SPREADS_COMMENTS, PARTITION_COMMENTS

PAGE: Final = Path(__file__).resolve().parent.parent / "docs" / "data-dictionary.md"

_MERGE: Final = {
    "first": "rows of one key are one event: the row of the stream before one fetched later, then the earliest, is kept",
    "last": "rows of one key complete each other: of each column the latest value counts",
    "sum": "rows of one key add up",
    "none": "every row counts",
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
    derived = [_section(dataset) for dataset in DATASETS.values() if not dataset.landed]
    return "\n".join(
        [_INTRODUCTION, "# Landed by collectors\n", *landed, "# Derived\n", *derived, "# Views beside the datasets\n", _views()]
    )


def _section(dataset: Dataset) -> str:
    key = ", ".join(f"`{name}`" for name in dataset.unique_key) or "none"
    lines = [
        f"## {dataset.name}\n",
        f"{dataset.description}\n",
        f"- Unique key: {key}; {_MERGE[dataset.merge]}.",
        f"- Sorted by {', '.join(f'`{name}`' for name in dataset.sort_key)}.",
        f"- Filed under the hour of `{dataset.time_column}`.\n",
        "| column | type | null | meaning |",
        "| --- | --- | --- | --- |",
    ]
    lines += [f"| `{c.name}` | {c.type} | {'yes' if c.nullable else 'no'} | {_cell(c.comment)} |" for c in dataset.columns]
    return "\n".join([*lines, ""])


def _views() -> str:
    lines = [
        "## candles\n",
        "Candles of every stored timeframe in one view, up to the last visible trade: the stored ones of hours they cover,",
        "computed from trades for the others. Columns are those of `candles_1m`.\n",
        "## book_spreads\n",
        "Best bid and ask, mid and spread of each row of `book_snapshots`.\n",
        "| column | meaning |",
        "| --- | --- |",
        *(f"| `{name}` | {_cell(comment)} |" for name, comment in {**BOOK_SPREADS_COMMENTS, **PARTITION_COMMENTS}.items()),
        "",
        "## listings_now\n",
        "The newest row of `listings` of each exchange and symbol, in the columns of `listings`; `status` tells which are still traded.\n",
        "## ohlcv(pair, tf, venue := NULL)\n",
        "Table macro: candles of one symbol in any of the fifteen timeframes, of all exchanges or one:",
        "`FROM ohlcv('BTC/USDT', '4h', venue := 'kraken')`.",
        "",
    ]
    return "\n".join(lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
