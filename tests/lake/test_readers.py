"""Readers beside a writer, each in a process of its own: a short run of `benchmarks/readers.py`, whose full run takes 50 rolls."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.readers import judge

pytestmark = pytest.mark.lengthy

ROOT = Path(__file__).resolve().parents[2]


def test_readers_never_see_a_duplicate_a_drop_or_an_error_while_parts_roll_and_hours_compact():
    command = [sys.executable, "-m", "benchmarks.readers", "--rolls", "15", "--compactions", "6", "--grace", "3", "--rest", "0.1"]

    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)

    assert done.stderr == ""
    report = json.loads(done.stdout)
    assert report["problems"] == []
    assert done.returncode == 0
    assert report["rolls"] >= 15
    assert report["compactions"] >= 6
    assert [reader["last_count"] for reader in report["readers"].values()] == [report["rows"]] * 3
    assert all(reader["queries"] >= 3 for reader in report["readers"].values())


def test_the_judge_of_that_run_knows_each_kind_of_wrong_answer():
    right = [[0, 40, 40, 80, 1], [40, 40, 40, 80, 1], [40, 80, 80, 80, 1]]

    assert judge(right) == []
    assert "duplicates" in judge([[0, 41, 40, 80, 1]])[0]
    assert "were visible before it was asked" in judge([[40, 39, 39, 80, 1]])[0]
    assert "the one before 40" in judge([*right[:2], [0, 39, 39, 80, 1]])[0]
    assert "were ever appended" in judge([[0, 81, 81, 80, 1]])[0]
