"""The command line from outside: its output and its exit code; of a process of its own where what is asked is the process itself."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from unittest.mock import patch

import pytest
import structlog

from orchestration.cli import main

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def logging_of_the_verb_ends_with_the_test() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def tickhouse(*arguments: str, env: dict[str, str] | None = None, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """The program called in this process: a fresh one spends its first second on imports alone."""
    code = 0
    with (
        redirect_stdout(io.StringIO()) as said,
        redirect_stderr(io.StringIO()) as wrong,
        patch.object(sys, "argv", ["tickhouse", *arguments]),
        patch.object(sys, "stdin", io.StringIO(stdin)),
        patch.dict(os.environ, env or {}),
    ):
        try:
            main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
    return subprocess.CompletedProcess(arguments, code, said.getvalue(), wrong.getvalue())


def process(*arguments: str, env: dict[str, str] | None = None, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from orchestration.cli import main; main()", *arguments],
        cwd=ROOT,
        env={**os.environ, **(env or {})},
        input=stdin,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("cli") / "home"
    done = tickhouse("simulate", "--history", "90m", "--end", "2026-11-20T07:30:00", "--home", str(root))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("landed ")
    return root


def test_sql_prints_rows_as_json_lines(home: Path) -> None:
    done = tickhouse("sql", "--home", str(home), "--format", "json", "select exchange, count(*) as n from trades group by all order by all")

    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["exchange"] for row in rows] == ["binance", "kraken"]
    assert all(row["n"] > 1000 for row in rows)


def test_sql_is_read_from_standard_input_and_printed_as_csv(home: Path) -> None:
    done = process("sql", "--home", str(home), "--format", "csv", stdin="select 1 as one, 'x' as letter")

    assert done.stdout.splitlines() == ["one,letter", "1,x"]


def test_sql_says_when_rows_were_left_out(home: Path) -> None:
    done = tickhouse("sql", "--home", str(home), "--format", "csv", "--limit", "2", "select trade_id from trades")

    assert len(done.stdout.splitlines()) == 3
    assert "Only the first 2 rows are shown" in done.stderr


def test_a_wrong_statement_is_one_sentence_and_exit_code_2(home: Path) -> None:
    done = process("sql", "--home", str(home), "select * from candels")

    assert done.returncode == 2
    assert done.stderr.startswith("tickhouse: ")
    assert "candels" in done.stderr
    assert "Traceback" not in done.stderr


def test_files_lists_what_exists(home: Path) -> None:
    done = tickhouse("files", "trades", "--home", str(home), "--json")

    paths = json.loads(done.stdout)
    assert paths
    assert all(Path(path).is_file() for path in paths)


def test_files_of_an_hour_without_data_is_empty(home: Path) -> None:
    done = tickhouse("files", "trades", "--home", str(home), "--from", "2020-01-01", "--to", "2020-01-02")

    assert (done.returncode, done.stdout) == (0, "")


def test_an_unknown_dataset_is_named_with_the_known_ones(home: Path) -> None:
    done = tickhouse("files", "tades", "--home", str(home))

    assert done.returncode == 2
    assert "dataset 'tades' is unknown" in done.stderr
    assert "trades" in done.stderr


def test_verify_finds_nothing_wrong_and_exits_0(home: Path) -> None:
    done = tickhouse("verify", "--home", str(home))

    assert done.returncode == 0, done.stdout
    assert "no problem found" in done.stdout


def test_verify_names_a_damaged_file_and_exits_1(home: Path, tmp_path: Path) -> None:
    copy = tmp_path / "damaged"
    subprocess.run(["cp", "-r", str(home), str(copy)], check=True)
    victim = next(path for path in sorted((copy / "lake" / "trades").glob("date=2026*/*/part-*.parquet")))
    victim.write_bytes(victim.read_bytes()[: victim.stat().st_size // 2])

    done = process("verify", "--home", str(copy))

    assert done.returncode == 1
    assert victim.name in done.stdout


def test_backfill_materialises_a_range_and_says_what_it_did(home: Path) -> None:
    done = tickhouse("backfill", "trades", "--from", "2026-11-20T06:00", "--to", "2026-11-20T08:00", "--home", str(home))

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("2 hours of 1 assets in ")
    assert "2 partitions made" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("backfill", "candles_2x", "--from", "2026-11-20", "--to", "2026-11-21"), "candles_2x"),
        (("backfill", "trades", "--from", "2026-11-21", "--to", "2026-11-20"), "2026-11-20"),
        (("backfill", "trades", "--from", "yesterday", "--to", "2026-11-20"), "yesterday"),
        (("simulate", "--history", "two days"), "two days"),
        (("decode", "--exchange", "binanse", "README.md"), "binanse"),
    ],
)
def test_a_wrong_argument_is_named_and_exits_2(arguments: tuple[str, ...], named: str, tmp_path: Path) -> None:
    done = tickhouse(*arguments, env={"TICKHOUSE_HOME": str(tmp_path / "home")})

    assert done.returncode == 2
    assert named in done.stderr
    assert "Traceback" not in done.stderr


def test_a_wrong_setting_is_named_with_its_value_and_what_is_allowed(tmp_path: Path) -> None:
    done = tickhouse("verify", env={"TICKHOUSE_HOME": str(tmp_path), "TICKHOUSE_ROLL_SECONDS": "soon"})

    assert done.returncode == 2
    assert "TICKHOUSE_ROLL_SECONDS" in done.stderr
    assert "soon" in done.stderr


def test_a_lake_of_a_newer_version_is_refused_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "format.json").write_text('{"format": 99}')

    done = tickhouse("sql", "--home", str(tmp_path), "select 1")

    assert done.returncode == 2
    assert "format 99" in done.stderr


def test_status_of_a_home_without_collector_says_how_to_start_one(tmp_path: Path) -> None:
    done = tickhouse("status", "--home", str(tmp_path))

    assert done.returncode == 0
    assert "tickhouse collect" in done.stdout


def test_decode_prints_the_promised_object(recordings: Path) -> None:
    file = recordings / "kraken" / "v2_book_checksum_btcusd_20260802.jsonl.gz"

    report = json.loads(tickhouse("decode", "--exchange", "kraken", "--json", str(file)).stdout)

    assert set(report) == {
        "exchange", "frames", "control", "ignored", "decoded", "dead_letters", "rows", "gaps", "checksums", "symbols",
    }  # fmt: skip
    assert report["frames"] == report["control"] + report["ignored"] + report["decoded"] + report["dead_letters"] == 2104
    assert report["checksums"] == {"verified": 2052, "failed": 0}
    assert len(report["symbols"]["BTC/USD"]["book"]["bids"]) == 10


def test_demo_refuses_to_delete_a_directory_that_is_not_its_own(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("keep me")

    done = process("demo", "--once", "--home", str(tmp_path))

    assert done.returncode == 2
    assert (tmp_path / "thesis.txt").exists()
