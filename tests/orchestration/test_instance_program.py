"""`python -m orchestration.instance`: what the compose file runs before Dagster's programs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_it_prepares_a_home_whose_code_is_served_elsewhere(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "orchestration.instance", "--code-host", "code", "--code-port", "4001"]

    subprocess.run(command, cwd=ROOT, env={**os.environ, "TICKHOUSE_HOME": str(tmp_path)}, check=True, timeout=60)

    assert (tmp_path / "dagster" / "dagster.yaml").is_file()
    workspace = (tmp_path / "dagster" / "workspace.yaml").read_text()
    assert "grpc_server" in workspace
    assert "host: code\n" in workspace
    assert "port: 4001\n" in workspace
