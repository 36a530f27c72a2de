"""One lake that no test changes, and one server over it, for all tests of serving."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lake.paths import Home
from serving.reader import Reader
from tests.chromium import chromium
from tests.serving.world import Served, lay, serving

__all__ = ["chromium"]


@pytest.fixture(scope="session")
def past(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Two hours of three exchanges."""
    lake = lay(tmp_path_factory.mktemp("serving") / "home")
    lake.close()
    return lake.home


@pytest.fixture(scope="session")
def served(past: Home) -> Iterator[Served]:
    with serving(past) as running:
        yield running


@pytest.fixture(scope="session")
def reader(past: Home) -> Iterator[Reader]:
    made = Reader(past, timeout_seconds=120.0)
    yield made
    made.close()
