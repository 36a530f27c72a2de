"""A real browser for tests of pages: Debian's Chromium, or what TICKHOUSE_CHROMIUM names; nothing is downloaded."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, sync_playwright

QUIET = ("--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run")


@pytest.fixture(scope="session")
def chromium() -> Path:
    """The browser's program; skips where it is absent, fails in CI."""
    program = Path(os.environ.get("TICKHOUSE_CHROMIUM", "/usr/bin/chromium"))
    if program.is_file():
        return program
    reason = f"there is no browser at {program}: install chromium, or set TICKHOUSE_CHROMIUM to the program"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture
def page(chromium: Path) -> Iterator[Page]:
    """An empty page of a browser of its own; what it waits for it waits for two minutes."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(QUIET))
        opened = browser.new_page(viewport={"width": 1700, "height": 950})
        opened.set_default_timeout(120_000)
        yield opened
        browser.close()
