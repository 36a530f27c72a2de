"""An empty page for tests of pages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.chromium import chromium, launched

__all__ = ["chromium"]


@pytest.fixture
def page(chromium: Path) -> Iterator[Page]:
    """An empty page of a browser of its own; what it waits for it waits for two minutes."""
    with launched(chromium) as browser:
        opened = browser.new_page(viewport={"width": 1700, "height": 950})
        opened.set_default_timeout(120_000)
        yield opened
