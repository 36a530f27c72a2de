"""One simulator for the tests of a module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.sources.outside import Outside


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outside]:
    world = Outside(tmp_path_factory.mktemp("outside"))
    try:
        yield world
    finally:
        world.stop()


@pytest.fixture(autouse=True)
def calm(request: pytest.FixtureRequest) -> Iterator[None]:
    """A fault ends with the test that asked for it."""
    yield
    if "outside" in request.fixturenames:
        request.getfixturevalue("outside").simulator.control("calm")
