"""Programs of Prometheus: what `deploy/` holds is read by those that will read it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import absent

Promtool = Callable[..., subprocess.CompletedProcess[str]]


def program(name: str) -> str:
    """Where one of the programs is; skips where it is not, fails in CI."""
    found = shutil.which(name)
    if found is None:
        absent("there are no programs of Prometheus: install Debian's packages prometheus and prometheus-node-exporter")
    return found


@pytest.fixture(scope="session")
def promtool() -> Promtool:
    found = program("promtool")

    def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run([found, *map(str, words)], capture_output=True, text=True, timeout=120, check=False)

    return run
