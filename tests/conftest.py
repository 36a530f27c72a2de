"""Fixtures that every package's tests share: the recordings, and a TimescaleDB; both are looked up here and nowhere else."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import NoReturn

import pytest

from tests.debian_server import Unavailable
from tests.timescale_server import NO_SERVER, VARIABLE, Engine, database, own_server, prepare, server


@pytest.fixture(scope="session")
def recordings() -> Path:
    """Directory of recorded exchange messages; skips where it is absent, fails in CI."""
    named = os.environ.get("TICKHOUSE_RECORDINGS")
    root = Path(named) if named else Path(__file__).resolve().parents[2] / "shared" / "recordings"
    if not root.is_dir():
        absent("the recorded exchange messages are absent: set TICKHOUSE_RECORDINGS to their directory")
    return root


def absent(reason: str) -> NoReturn:
    """What a test needs is not there: it is skipped, or fails in CI, which has everything."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes long begins first, or one worker ends up alone with it; what waits goes among what computes, or a core idles."""
    scopes: dict[bool, dict[str, list[pytest.Item]]] = {True: {}, False: {}}
    for item in items:
        marker = item.get_closest_marker("lengthy")
        if marker is not None:
            scopes[marker.kwargs.get("waits", False)].setdefault(item.nodeid.rpartition("::")[0], []).append(item)
    placed = [
        ((place + 0.5) / len(group), scope)
        for group in (list(scopes[True].values()), list(reversed(scopes[False].values())))
        for place, scope in enumerate(group)
    ]
    first = [item for _, scope in sorted(placed, key=lambda each: each[0]) for item in scope]
    begun = set(first)
    items[:] = [*first, *(item for item in items if item not in begun)]


def no_server(error: Unavailable) -> str:
    return str(error) if str(error).startswith(NO_SERVER) else f"{NO_SERVER}: {error}"


def pytest_collection_finish(session: pytest.Session) -> None:
    """A private server is made before the first test, for it takes longer than a test may; its absence is told by the tests that want it."""
    needed = any({"timescale_server", "own_timescale"} & set(getattr(item, "fixturenames", ())) for item in session.items)
    if needed and not session.config.option.collectonly:
        with suppress(Unavailable):
            prepare()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Skips for want of a server are told as one line, for they have one reason, not one a test."""
    report = yield
    if report.skipped and isinstance(report.longrepr, tuple) and str(report.longrepr[2]).startswith(f"Skipped: {NO_SERVER}"):
        report.longrepr = (str(Path(__file__)), 1, report.longrepr[2])
    return report


@pytest.fixture(scope="session")
def timescale_server() -> Iterator[str]:
    """DSN of the maintenance database of a server, shared by all tests; skips with the one reason there is, fails in CI."""
    with ExitStack() as stack:
        try:
            dsn = stack.enter_context(server())
        except Unavailable as error:
            absent(no_server(error))
        yield dsn


@pytest.fixture
def timescale_dsn(timescale_server: str) -> Iterator[str]:
    """DSN of an empty database of the test's own. Whatever edition of TimescaleDB it is: `tests.timescale_server.edition` tells."""
    with database(timescale_server) as dsn:
        yield dsn


@pytest.fixture
def own_timescale() -> Iterator[Engine]:
    """A server of the test's own, to stop, kill and start; skips where a server is named from outside."""
    with ExitStack() as stack:
        try:
            engine = stack.enter_context(own_server())
        except Unavailable as error:
            if os.environ.get(VARIABLE):
                pytest.skip(str(error))
            absent(no_server(error))
        yield engine
