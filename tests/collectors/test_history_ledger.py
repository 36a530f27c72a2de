"""A landed past accounts for itself: the ledger of the lake says what the landing counted."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from collectors.history import HistoryCounts, land_recording
from lake.query import run_sql
from lake.settings import LakeSettings


@pytest.fixture(scope="module")
def landed(tmp_path_factory: pytest.TempPathFactory) -> tuple[LakeSettings, HistoryCounts]:
    settings = LakeSettings(home=tmp_path_factory.mktemp("history") / "home", visible_after_seconds=0.3)
    command = [sys.executable, "-m", "simulator", "history", "--hours", "1.5", "--end", "2026-11-20T07:30:00+00:00"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).resolve().parents[2]) as process:
        assert process.stdout is not None
        counts = land_recording(process.stdout, settings)
    assert process.returncode == 0
    return settings, counts


def test_the_ledger_holds_every_frame_that_was_taken(landed: tuple[LakeSettings, HistoryCounts]) -> None:
    settings, counts = landed

    table = run_sql(settings.house, "select sum(frames), sum(control), sum(ignored), sum(decoded), sum(dead_letters) from ledger").table

    assert tuple(table.to_pylist()[0].values()) == (counts.frames, counts.control, counts.ignored, counts.decoded, 0)


def test_every_minute_of_every_exchange_counts_frames(landed: tuple[LakeSettings, HistoryCounts]) -> None:
    settings, _ = landed

    table = run_sql(
        settings.house, "select exchange, count(*) as n from ledger where dataset = '' and frames > 0 group by all order by all"
    ).table

    assert {row["exchange"]: row["n"] for row in table.to_pylist()} == {"binance": 90, "kraken": 90}


def test_rows_landed_by_the_ledger_are_the_rows_of_the_lake(landed: tuple[LakeSettings, HistoryCounts]) -> None:
    settings, counts = landed

    table = run_sql(settings.house, "select dataset, sum(rows_landed) as n from ledger where dataset <> '' group by all").table

    assert {row["dataset"]: row["n"] for row in table.to_pylist()} == {name: rows for name, rows in counts.rows.items() if name != "ledger"}
