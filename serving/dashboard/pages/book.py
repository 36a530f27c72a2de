"""Order book and depth: everything on the page follows the live feed, so nothing is read for it.

Put here: its place among the pages. Keep out: books (`serving.keeping`).
"""

from __future__ import annotations

from typing import Final

from serving.dashboard.asked import Page

PAGE: Final = Page(name="book", title="Order book")
