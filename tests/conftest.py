"""Fixtures that every package's tests share; the recordings are looked up here and nowhere else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def recordings() -> Path:
    """Directory of recorded exchange messages; skips where it is absent, fails in CI."""
    named = os.environ.get("TICKHOUSE_RECORDINGS")
    root = Path(named) if named else Path(__file__).resolve().parents[2] / "shared" / "recordings"
    if root.is_dir():
        return root
    reason = "the recorded exchange messages are absent: set TICKHOUSE_RECORDINGS to their directory"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
