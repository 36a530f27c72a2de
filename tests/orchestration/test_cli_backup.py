"""`tickhouse backup` and `restore` from outside: processes, their words, their exit codes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.lake.laying import LaidLake
from tests.lake.making import trade

ROOT = Path(__file__).resolve().parents[2]


def tickhouse(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "TICKHOUSE_TIMESCALE_DSN"}
    command = [sys.executable, "-c", "from orchestration.cli import main; main()", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=240, check=False)


def test_a_lake_goes_out_and_comes_back_and_verifies(tmp_path: Path) -> None:
    laid = LaidLake(tmp_path / "home")
    laid.land("trades", *(trade(number) for number in range(5)))
    laid.log("trades", trade(5))
    backups = str(tmp_path / "backups")

    taken = tickhouse("backup", backups, "--home", str(tmp_path / "home"), "--keep", "3")
    checked = tickhouse("backup", backups, "--check")
    restored = tickhouse("restore", backups, "--home", str(tmp_path / "new"))
    verified = tickhouse("verify", "--home", str(tmp_path / "new"))
    again = tickhouse("restore", backups, "--home", str(tmp_path / "new"))
    laid.close()

    assert (taken.returncode, checked.returncode, restored.returncode, verified.returncode) == (0, 0, 0, 0), (
        taken.stderr + restored.stderr + verified.stdout
    )
    assert "were new" in taken.stdout
    assert checked.stdout == "1 snapshots, 0 damaged contents\n"
    assert (again.returncode, again.stderr.count("\n")) == (2, 1)
    assert "is not empty" in again.stderr


def test_a_database_that_nobody_named_is_a_sentence(tmp_path: Path) -> None:
    done = tickhouse("backup-database", str(tmp_path / "x.dump"))

    assert done.returncode == 2
    assert "TICKHOUSE_TIMESCALE_DSN" in done.stderr
