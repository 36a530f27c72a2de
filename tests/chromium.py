"""A real browser for tests of pages: Debian's Chromium, or what TICKHOUSE_CHROMIUM names; nothing is downloaded.

A conftest whose tests look at pages imports the fixture `chromium`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

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


@contextmanager
def launched(program: Path) -> Iterator[Browser]:
    """A browser for as long as the block lasts; no event loop may be asked for meanwhile, Playwright runs its own."""
    # Imported here: most tests beside those of pages do without.
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(QUIET))
        try:
            yield browser
        finally:
            browser.close()
