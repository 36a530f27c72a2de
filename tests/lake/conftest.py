"""A home whose catalog stands before a test begins. Its views find files when they are asked, so one publication serves many tests.

Put here: what several modules of storage tests begin with. Keep out: rows (`laying`, `making`), and catalogs whose making is under test.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from lake.catalog import publish
from lake.paths import Home
from tests.lake.laying import LaidLake, emptied


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> tuple[Home, Path]:
    """A home with its catalog, and what it was like before any test: a catalog names its home, so all use the same path."""
    root = tmp_path_factory.mktemp("published")
    home = Home(root / "home")
    publish(home)
    shutil.copytree(home.root, root / "before")
    return home, root / "before"


@pytest.fixture
def bare(published: tuple[Home, Path]) -> Home:
    """An empty lake with its catalog."""
    return emptied(published)


@pytest.fixture
def laid(bare: Home) -> Iterator[LaidLake]:
    """An empty lake with its catalog, to lay files in."""
    made = LaidLake(bare.root)
    yield made
    made.close()
