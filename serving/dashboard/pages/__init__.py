"""What each page reads, one module a page, and the list of them in the order of the menu.

Put here: the list. Keep out: addresses and sharing (`serving.dashboard.mount`), drawing (`serving/dashboard/static`).
"""

from __future__ import annotations

from typing import Final

from serving.dashboard.asked import Page
from serving.dashboard.pages import alerts, book, chart, coverage, flow, health, heatmap, liquidations, overview, tape

PAGES: Final[dict[str, Page]] = {
    page.name: page
    for page in (
        overview.PAGE,
        chart.PAGE,
        book.PAGE,
        heatmap.PAGE,
        tape.PAGE,
        flow.PAGE,
        liquidations.PAGE,
        alerts.PAGE,
        coverage.PAGE,
        health.PAGE,
    )
}
"""Every page by its name, which is its address."""
