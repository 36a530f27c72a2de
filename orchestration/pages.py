"""From an asset to the page of the dashboard that shows it.

Put here: which page shows which dataset. Keep out: pages (`serving.dashboard`), which need no Dagster.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import dagster as dg

PAGES: Final[Mapping[str, str]] = {
    "trades": "tape",
    "book_deltas": "book",
    "book_snapshots": "book",
    "book_metrics": "book",
    "consolidated_book": "book",
    "heatmap": "heatmap",
    "trade_flow": "flow",
    "liquidations": "liquidations",
    "liquidation_windows": "liquidations",
    "coverage": "coverage",
    "gaps": "health",
    "ledger": "health",
    "alerts": "alerts",
}
"""The page of each dataset, but for candles, whose timeframe is part of the address."""

_CANDLES: Final = "candles_"


def page_of(dataset: str) -> str | None:
    """Address of a dataset's page below that of the dashboard; None where none shows it."""
    if dataset.startswith(_CANDLES):
        return f"/dashboard/chart?timeframe={dataset.removeprefix(_CANDLES)}"
    if dataset.startswith("indicators"):
        return "/dashboard/chart"
    found = PAGES.get(dataset)
    return None if found is None else f"/dashboard/{found}"


def with_page(url: str) -> Callable[[dg.AssetSpec], dg.AssetSpec]:
    """Links a spec to the dashboard at `url`; leaves it as it is where `url` is empty or no page shows it."""

    def linked(spec: dg.AssetSpec) -> dg.AssetSpec:
        page = page_of(spec.key.path[-1]) if url else None
        return spec if page is None else spec.merge_attributes(metadata={"dashboard": dg.MetadataValue.url(url.rstrip("/") + page)})

    return linked
